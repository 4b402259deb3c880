"""Whether rows fit into the memory of the device that trains on them."""

from pathlib import Path

import keras

from keras_tied.training._data import BatchedRows

SHARE = 0.8  # of the free memory, which rows may take: the steps need the rest
CONTROL_GROUP = Path("/sys/fs/cgroup")


def count_bytes(*parts: BatchedRows | None) -> int:
    """The memory that the arrays of some rows take; one that occurs twice counts once."""
    arrays = [leaf for part in parts if part for leaf in keras.tree.flatten(part.data)]
    return sum({id(array): array.nbytes for array in arrays}.values())


def free_memory() -> int | None:
    if keras.backend.backend() == "jax":
        import jax

        statistics = jax.local_devices()[0].memory_stats()
        if statistics and "bytes_limit" in statistics:
            return int(statistics["bytes_limit"] - statistics["bytes_in_use"])
    return _free_host_memory(Path("/proc/meminfo"), CONTROL_GROUP)


def _free_host_memory(information: Path, group: Path) -> int | None:
    """What Linux calls available, and no more than a container has left."""
    try:
        lines = information.read_text().splitlines()
        (kilobytes,) = (line.split()[1] for line in lines if line.startswith("MemAvailable"))
    except (OSError, ValueError):
        return None
    free = 1024 * int(kilobytes)
    try:
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError):  # no container, or one without a limit
        return free
    return min(free, limit - used)
