"""A function of blocks of rows, on threads where these help."""

from __future__ import annotations

import os
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from queue import SimpleQueue
from threading import Lock
from typing import Any, TypeVar

Item = TypeVar("Item")
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
    n_workers = min(len(parts), _blas_limit.threads()) if threads and len(parts) > 1 else 1
    if n_workers < 2:
        return [function(part) for part in parts]
    queue, results = deque(enumerate(parts)), dict[int, Result]()
    outcomes = SimpleQueue[BaseException | None]()

    def work() -> None:
        try:
            with _blas_limit.single_threaded():
                for index, part in _drain(queue):
                    results[index] = function(part)
            outcomes.put(None)
        except BaseException as error:
            queue.clear()
            outcomes.put(error)

    try:
        # Not ThreadPoolExecutor or Thread: Ctrl-C in the middle of their Python can hang both.
        for _ in range(n_workers):
            start_new_thread(copy_context().run, (work,))  # numpy.errstate is in the context
        errors = [outcomes.get() for _ in range(n_workers)]
    finally:
        queue.clear()  # after Ctrl-C the threads end with the blocks that they have begun
    for error in filter(None, errors):
        raise error
    return [results[index] for index in range(len(parts))]


def _drain(queue: deque[Item]) -> Iterator[Item]:
    """Take what is in a queue, which other threads take from too."""
    while True:
        try:
            item = queue.popleft()
        except IndexError:
            return
        yield item


class _BlasLimit:
    """Holds BLAS to one thread while some thread wants it so: the number is that of the process."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.users = 0
        self.before: list[int] = []

    def threads(self) -> int:
        """The threads of BLAS where it is not held to one; 1 if threadpoolctl does not know it."""
        with self.lock:
            return min(self.before if self.users else _blas_threads(), default=1)

    @contextmanager
    def single_threaded(self) -> Iterator[None]:
        """Hold BLAS to one thread; not for the main thread, where Ctrl-C can come in between."""
        with self.lock:
            if self.users == 0:
                self.before = _blas_threads()
            self.users += 1
            _set_blas_threads([1] * len(self.before))  # by each: with OpenMP it is the thread's own
        try:
            yield
        finally:
            with self.lock:
                self.users -= 1
                if self.users == 0:
                    _set_blas_threads(self.before)

    def begin_in_child(self) -> None:
        """Begin anew in a forked process, where the threads of its parent are not."""
        if self.users:
            _set_blas_threads(self.before)
        self.users = 0
        self.lock.release()


_blas_limit = _BlasLimit()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_blas_limit.lock.acquire,
        after_in_parent=_blas_limit.lock.release,
        after_in_child=_blas_limit.begin_in_child,
    )


@cache
def _blas_libraries() -> list[Any]:
    from threadpoolctl import ThreadpoolController

    libraries = ThreadpoolController().lib_controllers
    return [library for library in libraries if library.user_api == "blas"]


def _blas_threads() -> list[int]:
    return [library.num_threads for library in _blas_libraries()]


def _set_blas_threads(numbers: list[int]) -> None:
    for library, number in zip(_blas_libraries(), numbers, strict=True):
        # From threadpoolctl 3.8 on, what other threads than the first one set is ignored.
        release = getattr(library, "clear_controlling_thread", lambda force: None)
        release(force=True)
        library.set_num_threads(number)
        release(force=True)
