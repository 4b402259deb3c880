"""A function of blocks of rows, on threads where these help."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any, TypeVar

Result = TypeVar("Result")


def map_blocks(
    function: Callable[[slice], Result], n_rows: int, block_rows: int, threads: bool
) -> list[Result]:
    """What a function gives for each block of rows, in their order.

    Args:
        function: is given the place of the block among the rows.
        n_rows: how many rows there are.
        block_rows: the rows of a block; the last one may be smaller.
        threads: whether to use as many threads as NumPy's BLAS would, which is then held to one
            each. So the limits of `threadpoolctl`, of `OMP_NUM_THREADS` and of joblib hold here.
    """
    parts = [slice(i, min(n_rows, i + block_rows)) for i in range(0, n_rows, block_rows)]
    if not threads or len(parts) < 2:
        return [function(part) for part in parts]
    with _single_threaded_blas() as workers:
        if workers < 2:
            return [function(part) for part in parts]
        with ThreadPoolExecutor(min(workers, len(parts))) as pool:
            return list(pool.map(function, parts))  # an error cancels what has not begun


class _BlasLimit:
    """The limit of BLAS's threads, which all threads of the process share."""

    def __init__(self) -> None:
        self.lock, self.users, self.workers = Lock(), 0, 1
        self.limiter: Any = None


_limit = _BlasLimit()


def _forget_limit() -> None:
    """Begin anew in a forked process, where the threads of the parent are not."""
    limit = _limit
    if limit.limiter is not None:
        limit.limiter.restore_original_limits()
    limit.__init__()  # type: ignore[misc] # the lock may be held by a thread that is not here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_limit)


@contextmanager
def _single_threaded_blas() -> Iterator[int]:
    """Hold BLAS to one thread while anybody is inside; gives the threads that it had before."""
    limit = _limit
    with limit.lock:
        if limit.users == 0:
            blas = _blas()
            limit.workers = min((library.num_threads for library in blas), default=1)
            limit.limiter = blas and _controller().limit(limits=1, user_api="blas")
        limit.users += 1
    try:
        yield limit.workers
    finally:
        with limit.lock:
            limit.users -= 1
            if limit.users == 0 and limit.limiter:
                limit.limiter.restore_original_limits()
                limit.limiter = None


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _blas() -> list[Any]:
    return [library for library in _controller().lib_controllers if library.user_api == "blas"]
