"""Maps a function over blocks of rows, on several threads where these are faster."""

from _thread import start_new_thread
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from queue import SimpleQueue
from typing import TypeVar

from keras_tied._blas import blas_limit

Result = TypeVar("Result")


def map_blocks(
    function: Callable[[slice], Result], n_rows: int, block_rows: int, threads: bool
) -> list[Result]:
    """The results of a function of slices for all blocks of at most `block_rows` rows, in order.

    With `threads`, as many are used as NumPy's BLAS would, which is then held to one
    each: so the limits of `threadpoolctl`, of `OMP_NUM_THREADS` and of joblib hold
        here.
    """
    parts = [
        slice(i, min(n_rows, i + block_rows)) for i in range(0, n_rows, block_rows)
    ]
    n_workers = (
        min(len(parts), blas_limit.threads()) if threads and len(parts) > 1 else 1
    )
    if n_workers < 2:
        return [function(part) for part in parts]
    queue, results = deque(enumerate(parts)), dict[int, Result]()
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
            start_new_thread(
                copy_context().run, (work,)
            )  # numpy.errstate is in the context
        errors = [outcomes.get() for _ in range(n_workers)]
    finally:
        queue.clear()  # after Ctrl-C each thread ends with its current block
    for error in filter(None, errors):
        raise error
    return [results[index] for index in range(len(parts))]
