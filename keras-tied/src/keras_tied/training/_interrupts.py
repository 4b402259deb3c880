"""Ctrl-C during training: noted, and acted on between steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)
class _InterruptHandler:
    """Notes the first Ctrl-C, and raises at the second."""

    is_interrupted: bool = False

    def __call__(self, number: int = signal.SIGINT, frame: Any = None) -> None:
        if self.is_interrupted:
            raise KeyboardInterrupt
        self.is_interrupted = True


@dataclass(frozen=True)
class Interruption:
    """A function that returns whether Ctrl-C was pressed within `interrupts`."""

    handler: _InterruptHandler
    outermost: bool  # whether no caller is within `interrupts` too, and reports it

    def __call__(self) -> bool:
        return self.handler.is_interrupted


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
    if isinstance(before, _InterruptHandler):
        yield Interruption(before, outermost=False)
        return
    handler = _InterruptHandler()
    is_main = threading.current_thread() is threading.main_thread()
    ours = is_main and before is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, handler)
    try:
        yield Interruption(handler, outermost=True)
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)
