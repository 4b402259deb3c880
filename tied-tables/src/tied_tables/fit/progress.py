"""Who is called after each epoch while an estimator is trained."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

OnEpoch = Callable[[int, int, Mapping[str, float]], object]
"""Takes the number of the epoch, from 1 on, the number of epochs, and Keras's logs.

Returns whether training ends, with the best weights so far.
"""

_on_epoch: ContextVar[OnEpoch | None] = ContextVar("on_epoch", default=None)


@contextmanager
def epoch_callback(on_epoch: OnEpoch) -> Iterator[None]:
    """Register a per-epoch callback for the training within."""
    token = _on_epoch.set(on_epoch)
    try:
        yield
    finally:
        _on_epoch.reset(token)


def call_back(epoch: int, epochs: int, logs: Mapping[str, float]) -> bool:
    """Call the function that is registered; whether training shall end."""
    on_epoch = _on_epoch.get()
    return on_epoch is not None and bool(on_epoch(epoch, epochs, logs))
