"""Rows in memory, as Keras's steps take a batch of them."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_tied._keras_internals import pack_rows

BATCH_SIZE = 32
MEMORY_INFORMATION = Path("/proc/meminfo")
CONTROL_GROUP = Path("/sys/fs/cgroup")  # of a container


class LeftToKerasError(Exception):
    """Raised for what only Keras's own `fit` can take; the message says why."""


@dataclass(frozen=True)
class BatchedRows:
    """Arrays of `count` rows: x, (x, y) or (x, y, sample_weight), or structures."""

    data: Any
    count: int
    batch_size: int

    @property
    def full(self) -> int:
        """The number of batches of `batch_size` rows; 0 where all are one batch."""
        return self.count // self.batch_size if self.count > self.batch_size else 0

    @property
    def last(self) -> int:
        return self.count - self.full * self.batch_size

    @property
    def steps(self) -> int:
        return self.full + (self.last > 0)

    def take_first(self, size: int) -> Any:
        """A batch of the first rows."""
        return map_once(lambda array: array[:size], self.data)


# The rows to train on, and those to evaluate.
Parts = tuple[BatchedRows, BatchedRows | None]


def pack_parts(data: tuple[Any, ...], held_out: tuple[Any, ...]) -> Parts:
    x, y, sample_weight, class_weight, batch_size = data
    share, validation_data, validation_batch_size = held_out
    if validation_data is None and share:
        (x, y, sample_weight), validation_data = split_rows(
            (x, y, sample_weight), share
        )
    train = batch_rows(x, y, sample_weight, batch_size, class_weight)
    if validation_data is None:
        return train, None
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(validation_data)
    return train, batch_rows(x, y, sample_weight, validation_batch_size or batch_size)


def batch_rows(
    x: Any,
    y: Any,
    sample_weight: Any,
    batch_size: int | None,
    class_weight: dict[int, float] | None = None,
) -> BatchedRows:
    arrays = map_once(_to_array, (x, y, sample_weight))
    if 0 in map(len, flatten(arrays)):
        raise LeftToKerasError("there are no rows")
    data, count = pack_rows(arrays, class_weight)
    return BatchedRows(data, count, min(batch_size or BATCH_SIZE, count))


def split_rows(parts: Any, share: float) -> tuple[Any, Any]:
    """The first rows, and the last `share` of them."""
    parts = map_once(_to_array, parts)
    count = max(map(len, flatten(parts)), default=0)
    n_first = floor(count * (1.0 - share))
    if not 0 < n_first < count:
        raise LeftToKerasError("validation_split leaves no rows")
    first = map_once(lambda array: array[:n_first], parts)
    return first, map_once(lambda array: array[n_first:], parts)


def map_once(function: Callable[[Any], Any], structure: Any) -> Any:
    """Map the leaves; one that occurs twice, as input and target, is mapped once."""
    values: dict[int, Any] = {id(None): None}

    def map_leaf(leaf: Any) -> Any:
        if id(leaf) not in values:
            values[id(leaf)] = function(leaf)
        return values[id(leaf)]

    return keras.tree.map_structure(map_leaf, structure)


def flatten(structure: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(structure) if leaf is not None]


def _to_array(values: Any) -> Any:
    """A NumPy array as Keras would make it: floating-point numbers in its `floatx`."""
    if hasattr(values, "iloc"):  # of pandas; a Series is a column
        array = values.to_numpy()
        array = array[:, None] if array.ndim == 1 else array
    elif hasattr(values, "__array__") and hasattr(values, "shape"):
        is_tensor = hasattr(values, "detach")  # of PyTorch
        array = np.asarray(values.detach().cpu() if is_tensor else values)
    else:
        raise LeftToKerasError(f"{type(values).__name__} is not an array in memory")
    if array.ndim and keras.backend.is_float_dtype(array.dtype):
        return array.astype(keras.config.floatx(), copy=False)
    if not array.ndim or array.dtype.kind not in "biu":
        raise LeftToKerasError(
            f"an array of dtype {array.dtype} does not hold rows of numbers"
        )
    return array


SHARE = 0.8  # of the free memory, which rows may take: the steps need the rest


def count_bytes(*parts: BatchedRows | None) -> int:
    """The memory that some rows take; an array that occurs twice counts once."""
    leaves = [leaf for part in parts if part for leaf in flatten(part.data)]
    return sum({id(leaf): leaf.nbytes for leaf in leaves}.values())


def free_memory() -> int | None:
    """That of JAX's device, if it tells, or else of the machine."""
    if keras.backend.backend() == "jax":
        import jax

        statistics = jax.local_devices()[0].memory_stats() or {}
        if "bytes_limit" in statistics:
            return int(statistics["bytes_limit"] - statistics["bytes_in_use"])
    return find_host_memory()


def find_host_memory() -> int | None:
    """What Linux calls available, and no more than a container has left."""
    try:
        lines = MEMORY_INFORMATION.read_text()
    except OSError:  # of another system
        return None
    (kilobytes,) = re.findall(r"MemAvailable: +(\d+)", lines)
    free = [1024 * int(kilobytes)]
    with suppress(OSError, ValueError):  # no container, or one without a limit
        limit = int((CONTROL_GROUP / "memory.max").read_text())
        free.append(limit - int((CONTROL_GROUP / "memory.current").read_text()))
    return min(free)
