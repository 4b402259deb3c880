"""Types that many modules name."""

import os
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]  # a NumPy array of any dtype and number of axes
Config = dict[str, Any]  # what a Keras object is made from, and JSON holds
Shape = tuple[int | None, ...]  # of a tensor; None for a length that is not known
StrPath = str | os.PathLike[str]
