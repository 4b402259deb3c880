"""The number of threads of NumPy's BLAS, which all threads of a process share."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

LONGEST_BLOCK = 2.0  # seconds that a fork waits, at most


class BlasLimit:
    """Holds BLAS, which all threads share, to one thread while one of them wants it."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.before: list[tuple[Any, int]] = []
        self.blocks: set[Lock] = set()  # of those who hold BLAS to one thread
        self.fork_locks: list[Lock] = []  # of these, those that a fork holds

    def threads(self) -> int:
        """The threads of BLAS where it is not held to one; 1 if they are not known."""
        with self.lock:
            numbers = self.before if self.blocks else _blas_threads()
            return min((number for _, number in numbers), default=1)

    @contextmanager
    def limit_to_one(self) -> Iterator[Lock]:
        """Hold BLAS to one thread; Ctrl-C, which could come in between, does not raise.

        Yields a lock: while a thread has it, no other thread forks.
        """
        block = Lock()
        with self.lock:
            if not self.blocks:
                self.before = _blas_threads()
            self.blocks.add(block)
            # By each of them: with OpenMP the number is the thread's own.
            _set_blas_threads([(library, 1) for library, _ in self.before])
        try:
            yield block
        finally:
            with self.lock:
                self.blocks.discard(block)
                if not self.blocks:
                    _set_blas_threads(self.before)

    def wait_for_blocks(self) -> None:
        """Before a fork, wait for the blocks that threads compute, and let none begin.

        A thread can be within OpenBLAS, and hold its lock, which the child would wait
        for forever.
        """
        self.lock.acquire()
        self.fork_locks.clear()
        for block in self.blocks:
            if block.acquire(timeout=LONGEST_BLOCK):
                self.fork_locks.append(block)

    def go_on(self) -> None:
        """Go on after a fork."""
        for block in self.fork_locks:
            block.release()
        self.lock.release()

    def begin_in_child(self) -> None:
        """Begin anew in a forked process, where the threads of its parent are not."""
        if self.blocks:
            _set_blas_threads(self.before)
        self.blocks.clear()
        self.lock.release()


blas_limit = BlasLimit()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=blas_limit.wait_for_blocks,
        after_in_parent=blas_limit.go_on,
        after_in_child=blas_limit.begin_in_child,
    )


def _blas_threads() -> list[tuple[Any, int]]:
    """Each BLAS that is loaded, NumPy's and maybe SciPy's, and its threads."""
    libraries = _blas_libraries("scipy.linalg" in sys.modules)
    return [(library, library.num_threads) for library in libraries]


@cache
def _blas_libraries(with_scipy: bool) -> list[Any]:
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def _set_blas_threads(numbers: list[tuple[Any, int]]) -> None:
    for library, number in numbers:
        # From threadpoolctl 3.8 on, what other threads than the first one set is
        # ignored.
        release = getattr(library, "clear_controlling_thread", lambda force: None)
        release(force=True)
        library.set_num_threads(number)
        release(force=True)
