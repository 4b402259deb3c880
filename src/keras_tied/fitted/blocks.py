"""Maps a function over blocks of rows, on several threads where these are faster."""

from _thread import start_new_thread
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from queue import SimpleQueue
from typing import TypeVar

from keras_tied._blas import blas_limit

Result = TypeVar("Result")


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

    There is at least one: of no rows, if there are none.

    With `threads`, as many are used as NumPy's BLAS would, which is then held to one
    each: so the limits of `threadpoolctl`, of `OMP_NUM_THREADS` and of joblib hold
    here.
    """
    parts = split_rows(n_rows, block_rows) or [slice(0, 0)]
    n_workers = 1
    if threads and len(parts) > 1:
        n_workers = min(len(parts), blas_limit.threads())
    if n_workers < 2:
        return [function(part) for part in parts]
    queue = deque(enumerate(parts))
    results = dict[int, Result]()
    outcomes = SimpleQueue[BaseException | None]()

    def work() -> None:
        try:
            with blas_limit.limit_to_one() as block:
                while queue:
                    try:
                        index, part = queue.popleft()
                    except IndexError:  # another thread has taken the last one
                        break
                    with block:
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
