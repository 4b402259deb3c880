"""Rows in memory, in the form in which Keras's steps take a batch of them."""

from collections.abc import Callable
from dataclasses import dataclass
from math import floor
from typing import Any

import keras
import numpy as np

BATCH_SIZE = 32
"""Keras's own default."""
UNKNOWN: Any = object()
"""Stands for anything but a dense array of numbers in memory."""


@dataclass(frozen=True)
class BatchedRows:
    """Arrays of equally many rows, and how many rows make a batch.

    Attributes:
        data: x, (x, y) or (x, y, sample_weight), each an array or a structure of arrays.
        count: the number of rows.
        batch_size: the number of rows in a batch, at most `count`.
        counts: the number of rows of each process, where several train one model.
    """

    data: Any
    count: int
    batch_size: int
    counts: tuple[int, ...] = ()

    @property
    def full(self) -> int:
        """The number of batches of `batch_size` rows, or 0 where all rows are one batch."""
        return min(self._counts) // self.batch_size if self.largest > self.batch_size else 0

    @property
    def last(self) -> int:
        """The number of rows that come after the full batches, in a smaller one."""
        return self.count - self.full * self.batch_size

    @property
    def steps(self) -> int:
        """The number of batches."""
        return self.full + (self.largest > self.full * self.batch_size)

    @property
    def largest(self) -> int:
        """The most rows that a process has."""
        return max(self._counts)

    @property
    def _counts(self) -> tuple[int, ...]:
        return self.counts or (self.count,)

    def first(self, count: int) -> Any:
        """The first rows of `data`."""
        return map_once(lambda array: array[:count], self.data)


def batch_rows(x: Any, y: Any, sample_weight: Any, batch_size: int | None) -> BatchedRows | None:
    """The rows as Keras's `fit` takes them; None if only Keras can take or refuse them."""
    x, y, sample_weight = map_once(_to_array, (x, y, sample_weight))
    arrays = [part for part in keras.tree.flatten((x, y, sample_weight)) if part is not None]
    if not keras.tree.flatten(x) or any(array is UNKNOWN for array in arrays):
        return None
    if sample_weight is not None and keras.tree.is_nested(y):
        return None
    counts = {len(array) for array in arrays}
    if len(counts) != 1 or 0 in counts:
        return None
    count = counts.pop()
    data = keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
    return BatchedRows(data, count, min(batch_size or BATCH_SIZE, count))


def split_rows(parts: Any, share: float) -> tuple[Any, Any] | None:
    """The first rows, and the last `share` of them; None if only Keras can split them."""
    parts = map_once(_to_array, parts)
    arrays = [part for part in keras.tree.flatten(parts) if part is not None]
    if not arrays or any(array is UNKNOWN for array in arrays):
        return None
    at = floor(len(arrays[0]) * (1.0 - share))
    if not 0 < at < len(arrays[0]):
        return None
    return map_once(lambda part: part[:at], parts), map_once(lambda part: part[at:], parts)


def weigh_classes(y: Any, class_weight: dict[int, float]) -> Any:
    """The weight of each row by its class, as Keras reads it from the targets."""
    labels = UNKNOWN if keras.tree.is_nested(y) or y is None else _to_array(y)
    if labels is UNKNOWN or labels.ndim > 2:
        return UNKNOWN
    if labels.ndim == 2:
        labels = labels[:, 0] if labels.shape[1] == 1 else labels.argmax(axis=1)
    classes, places = np.unique(np.round(labels).astype(int), return_inverse=True)
    weights = [class_weight.get(int(label), 1.0) for label in classes]
    return np.array(weights, keras.config.floatx())[places]


def map_once(function: Callable[[Any], Any], structure: Any) -> Any:
    """Map the leaves; an object that occurs twice, as input and target, is mapped once."""
    values: dict[int, Any] = {}

    def map_leaf(leaf: Any) -> Any:
        if leaf is not None and id(leaf) not in values:
            values[id(leaf)] = function(leaf)
        return None if leaf is None else values[id(leaf)]

    return keras.tree.map_structure(map_leaf, structure)


def _to_array(values: Any) -> Any:
    """A NumPy array as Keras would make it: floating-point numbers in its `floatx`."""
    if hasattr(values, "iloc"):  # of pandas; a Series is a column
        array = values.to_numpy()
        array = array[:, None] if array.ndim == 1 else array
    elif hasattr(values, "__array__") and hasattr(values, "shape"):
        array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    else:
        return UNKNOWN
    if array.ndim and keras.backend.is_float_dtype(array.dtype):
        return array.astype(keras.config.floatx(), copy=False)
    return array if array.ndim and array.dtype.kind in "biu" else UNKNOWN
