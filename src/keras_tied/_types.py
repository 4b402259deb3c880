"""Types that many modules name."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
"""A NumPy array of any dtype and number of axes."""
