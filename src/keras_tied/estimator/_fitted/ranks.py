"""Ranks: which rows are the oddest."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_tied._types import Array

CHUNK = 2**20
BITS = np.uint64(32)  # of a row's number, which is below the score in a key


def ranks(scores: NDArray[np.float32]) -> NDArray[np.signedinteger[Any]]:
    """The place of each row, 1 for the largest score; equal ones in the order of the rows.

    Args:
        scores: of fewer than 2**32 rows, `(n,)` float32, not negative and not NaN.

    Examples:
        >>> import numpy as np
        >>> ranks(np.array([0.1, 0.7, 0.3], np.float32)).tolist()
        [3, 1, 2]
    """
    n = len(scores)
    # Such numbers are in the order of their bits. One sort of score and row needs half the memory
    # of a stable sort of rows by score, and a tenth of the time.
    keys = np.arange(n, dtype=np.uint64)
    parts = [slice(begin, begin + CHUNK) for begin in range(0, n, CHUNK)]
    for part in parts:
        keys[part] |= (~(scores[part] + np.float32(0)).view(np.uint32)).astype(np.uint64) << BITS
    keys.sort()
    places: Array = np.empty(n, np.int32 if n < 2**31 else np.int64)
    for part in parts:
        rows = keys[part] & (2**32 - 1)
        places[rows] = np.arange(part.start + 1, part.start + 1 + len(rows))
    return places
