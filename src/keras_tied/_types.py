"""Types that many modules name."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]  # a NumPy array of any dtype and number of axes
