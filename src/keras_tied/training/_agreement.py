"""The arguments of `fit` over several processes: what has to be equal, and what must not be."""

import hashlib
import zlib
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras_tied._processes import count_processes, gather, list_owners
from keras_tied.training._data import BatchedRows, Parts


def agree_on_parts(parts: Parts | None, settings: dict[str, Any]) -> Parts | None:
    """The parts with equally many batches in all processes; None if one of them has no arrays."""
    if count_processes() == 1:
        return parts
    digests = gather([zlib.crc32(repr(value).encode()) for value in settings.values()])
    for name, column in zip(settings, digests.T, strict=True):
        if len(set(column)) > 1:
            raise ValueError(
                f"`{name}` of fit is {settings[name]!r} in this process and another value in "
                "another one: give all processes the same."
            )
    if not gather(parts is not None).all() or parts is None:
        return None
    train, validation = parts
    _check_rows(train)
    return _align(train), validation and _align(validation)


def _check_rows(rows: BatchedRows) -> None:
    """Refuse equal rows where each process should have its own, and others where it should not."""
    digest = hashlib.sha256()
    for leaf in keras.tree.flatten(rows.data):
        digest.update(np.ascontiguousarray(leaf).data)
    state = hashlib.sha256(repr(np.random.get_state()).encode())  # noqa: NPY002 (draws the orders)
    both = np.frombuffer(digest.digest() + state.digest(), np.uint8)
    digests = [bytes(each) for each in gather(both)]
    groups = set(list_owners())
    if len(groups) > 1 and len({each[: digest.digest_size] for each in digests}) == 1:
        raise ValueError(
            f"All processes were given the same {rows.count} rows, and fit takes those of each as "
            "its part of the whole: give each its own, such as "
            "x[jax.process_index()::jax.process_count()]."
        )
    for group in groups:
        if len({digests[process] for process in group}) > 1:
            raise ValueError(
                f"Processes {group} share the weights, as the LayoutMap says, and differ in their "
                "rows or the seed: give them the same x and keras.utils.set_random_seed."
            )


def _align(rows: BatchedRows) -> BatchedRows:
    counts = gather(rows.count).tolist()
    rows = replace(rows, counts=tuple(counts), batch_size=int(gather(rows.batch_size).max()))
    if max(counts) - rows.full * rows.batch_size > rows.batch_size:
        raise ValueError(
            f"The processes have {counts} rows, and more batches of {rows.batch_size} in one than "
            "in another: give them equally many, or one more or less, as "
            "x[jax.process_index()::jax.process_count()] does."
        )
    return rows
