"""What the processes of `jax.distributed` that train one model tell each other."""

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from keras_tied._types import Array

LOST = ("gloo", "nccl", "coordination service")  # words in errors when another process is gone


def list_owners() -> list[tuple[int, ...]]:
    """The processes at each place along the batch axis of the `keras.distribution`."""
    distribution = keras.distribution.distribution()
    if distribution is None or keras.backend.backend() != "jax":
        return [(0,)]
    mesh = distribution.device_mesh.backend_mesh
    places = np.moveaxis(mesh.devices, mesh.axis_names.index(distribution.batch_dim_name), 0)
    return [tuple(sorted({device.process_index for device in np.ravel(place)})) for place in places]


def count_processes() -> int:
    """How many processes train one model: 1 where the devices of each are its own."""
    n_processes = len({process for owners in list_owners() for process in owners})
    if n_processes == 1:
        return 1
    import jax

    return n_processes if n_processes == jax.process_count() else 1


def count_places() -> int:
    """How many places have the rows of one process; 0 if that is not the same for each."""
    owners = list_owners()
    groups = list(dict.fromkeys(owners))
    n_places = len(owners) // len(groups)
    is_regular = owners == [group for group in groups for _ in range(n_places)]
    return n_places if is_regular and sum(map(len, groups)) == count_processes() else 0


def gather(value: Any) -> Array:
    """The values of all processes, stacked; all have to call it, with equal shapes and dtypes."""
    array = np.asarray(value)
    if count_processes() == 1:
        return array[None]
    from jax.experimental import multihost_utils

    # As bytes, since JAX would round float64.
    data = multihost_utils.process_allgather(np.frombuffer(array.tobytes(), np.uint8))
    return np.frombuffer(data.tobytes(), array.dtype).reshape(-1, *array.shape)


def gather_bytes(data: bytes | memoryview) -> list[bytes]:
    """The bytes of all processes, which may be of different lengths; all have to call it."""
    lengths = gather(len(data))
    padded = np.zeros(lengths.max(), np.uint8)
    padded[: len(data)] = np.frombuffer(data, np.uint8)
    parts = zip(gather(padded), lengths, strict=True)
    return [part[:length].tobytes() for part, length in parts]


def find_place() -> int:
    """The number of this process among those that train one model."""
    if count_processes() == 1:
        return 0
    import jax

    return jax.process_index()


def read_whole(variable: keras.Variable) -> Array:
    """The value of a variable, also where other processes have parts of it: all have to call it."""
    value = variable.value
    if getattr(value, "is_fully_replicated", True) or value.is_fully_addressable:
        return np.asarray(keras.ops.convert_to_numpy(variable))
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(value, tiled=True))


@contextmanager
def end_together() -> Iterator[None]:
    """Report the end of another process in one sentence, and do not wait for it at exit."""
    n_processes = count_processes()
    if n_processes == 1:
        yield
        return
    import jax

    atexit.unregister(_leave)
    atexit.register(_leave)
    try:
        yield
    except Exception as error:
        if not any(word in str(error).lower() for word in LOST):
            raise
        raise RuntimeError(
            f"Process {jax.process_index()} of {n_processes} stopped, as another one has ended or "
            "cannot be reached: see what that one printed last, and start all of them anew."
        ) from None


def _leave() -> None:
    """End a process that an error ends; JAX's own exit waits minutes for all the others."""
    if getattr(sys, "last_value", None) is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
