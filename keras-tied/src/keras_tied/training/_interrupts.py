"""Ctrl-C during training: noted, and acted on between steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Interruption:
    """A handler of Ctrl-C that notes the first one, and raises at the second.

    Called without arguments, it returns whether there was one.
    """

    is_noted = False

    def __call__(self) -> bool:
        return self.is_noted

    def handle(self, number: int, frame: Any) -> None:
        if self.is_noted:
            raise KeyboardInterrupt
        self.is_noted = True


@contextmanager
def interrupts() -> Iterator[Interruption]:
    """Note the first Ctrl-C instead of raising; yield a function that tells of it.

    A second Ctrl-C raises `KeyboardInterrupt` at once. Nested uses, such as that of
    every `fit`, share the outermost one's state. Outside the main thread, and where the
    signal has another handler, nothing changes.

    Examples:
        >>> from keras_tied.training import interrupts
        >>> with interrupts() as is_interrupted:
        ...     for epoch in range(3):  # or several calls of `fit`
        ...         if is_interrupted():
        ...             break
        >>> epoch
        2
    """
    before = signal.getsignal(signal.SIGINT)
    outer = getattr(before, "__self__", None)
    if isinstance(outer, Interruption):
        yield outer
        return
    interruption = Interruption()
    is_main = threading.current_thread() is threading.main_thread()
    ours = is_main and before is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, interruption.handle)
    try:
        yield interruption
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)
