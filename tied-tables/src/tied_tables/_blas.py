"""One thread for NumPy's BLAS, whose number of threads a whole process shares.

The threads of OpenBLAS wait for each other by spinning. Beside other processes, a fit
with two of them takes 4 to 12 times as long as with one; alone, it gains a tenth.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any


class BlasLimit:
    """Holds BLAS to one thread while any thread of the process wants it."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.holders: set[object] = set()
        self.before: dict[str, tuple[Any, int]] = {}  # libraries and their threads

    def count_threads(self) -> int:
        """The threads of BLAS where it is not held to one; 1 if they are not known."""
        with self.lock:
            numbers = self.before or _read_threads()
            return min((number for _, number in numbers.values()), default=1)

    @contextmanager
    def limit_to_one(self) -> Iterator[None]:
        """Hold BLAS to one thread, in the libraries that are loaded by now.

        Ctrl-C may raise anywhere in it: what is held is let go of, or by the next one.
        """
        holder = object()
        try:
            with self.lock:
                self.holders.add(holder)
                # The numbers of those before stay: they are 1 by now.
                self.before = _read_threads() | self.before
                # By each of them: with OpenMP the number is the thread's own.
                _set_threads([(library, 1) for library, _ in self.before.values()])
            yield
        finally:
            self.holders.discard(holder)
            with self.lock:
                self._restore()

    def _restore(self) -> None:
        if not self.holders:
            _set_threads(self.before.values())
            self.before = {}

    def begin_in_child(self) -> None:
        """Begin again in a forked process, where the threads of its parent are not."""
        self.holders.clear()
        self._restore()
        self.lock.release()


blas_limit = BlasLimit()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=blas_limit.lock.acquire,
        after_in_parent=blas_limit.lock.release,
        after_in_child=blas_limit.begin_in_child,
    )


def _read_threads() -> dict[str, tuple[Any, int]]:
    """Each BLAS that is loaded, NumPy's and maybe SciPy's, and its threads."""
    libraries = _find_libraries("scipy.linalg" in sys.modules)
    return {library.filepath: (library, library.num_threads) for library in libraries}


@cache
def _find_libraries(with_scipy: bool) -> list[Any]:
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def _set_threads(numbers: Iterable[tuple[Any, int]]) -> None:
    for library, number in numbers:
        # From threadpoolctl 3.8 on, what other threads than the first one set is
        # ignored.
        release = getattr(library, "clear_controlling_thread", lambda force: None)
        release(force=True)
        library.set_num_threads(number)
        release(force=True)
