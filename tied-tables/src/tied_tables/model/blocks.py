"""Maps a function over blocks of rows, on several threads where these are faster."""

import os
import time
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from queue import SimpleQueue
from threading import Lock
from typing import TypeVar

from tied_tables._blas import blas_limit
from tied_tables._processors import count_processors

LONGEST_BLOCK = 2.0  # seconds that a fork waits, at most

Result = TypeVar("Result")


fork_lock = Lock()
running: set[object] = set()  # blocks that threads compute now


def wait_for_blocks() -> None:
    """Before a fork, wait for the blocks that threads compute, and let none begin.

    A thread can be within OpenBLAS, and hold its lock, which the child would wait for
    forever.
    """
    fork_lock.acquire()
    end = time.monotonic() + LONGEST_BLOCK
    while running and time.monotonic() < end:
        time.sleep(0.001)


def begin_in_child() -> None:
    """Begin again in a forked process, where the threads of its parent are not."""
    running.clear()
    fork_lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=wait_for_blocks,
        after_in_parent=fork_lock.release,
        after_in_child=begin_in_child,
    )


@contextmanager
def delay_forks() -> Iterator[None]:
    """Let forks wait until the block of this thread is computed."""
    block = object()
    with fork_lock:
        running.add(block)
    try:
        yield
    finally:
        running.discard(block)


def split_rows(n_rows: int, block_rows: int) -> list[slice]:
    """Slices of at most `block_rows` rows, in order."""
    begins = range(0, n_rows, block_rows)
    return [slice(begin, min(n_rows, begin + block_rows)) for begin in begins]


def map_blocks(
    function: Callable[[slice], Result],
    n_rows: int,
    block_rows: int,
    threads: bool,
) -> list[Result]:
    """The results of a function of slices of at most `block_rows` rows, in order.

    There is at least one: of no rows, if there are none. BLAS is held to one thread.

    With `threads`, as many are used as BLAS would otherwise, so that the limits of
    `threadpoolctl`, of `OMP_NUM_THREADS` and of joblib hold here; but no more than
    there are processors for this process.
    """
    parts = split_rows(n_rows, block_rows) or [slice(0, 0)]
    n_workers = 1
    if threads and len(parts) > 1:
        n_workers = min(len(parts), blas_limit.count_threads(), count_processors())
    if n_workers < 2:
        with blas_limit.limit_to_one():
            return [function(part) for part in parts]
    queue = deque(enumerate(parts))
    results = dict[int, Result]()
    outcomes = SimpleQueue[BaseException | None]()

    def work() -> None:
        try:
            with blas_limit.limit_to_one():
                while queue:
                    try:
                        index, part = queue.popleft()
                    except IndexError:  # another thread has taken the last one
                        break
                    with delay_forks():
                        results[index] = function(part)
            outcomes.put(None)
        except BaseException as error:
            queue.clear()
            outcomes.put(error)

    try:
        # Not ThreadPoolExecutor or Thread: Ctrl-C in the middle of their Python breaks
        # their locks.
        for _ in range(n_workers):
            context = copy_context()  # numpy.errstate is in it
            start_new_thread(context.run, (work,))
        errors = [outcomes.get() for _ in range(n_workers)]
    finally:
        queue.clear()  # after Ctrl-C each thread ends with its current block
    for error in filter(None, errors):
        raise error
    return [results[index] for index in range(len(parts))]
