"""Ctrl-C during training: noted, and acted on between steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tied_tables._signals import EndingSignals


@dataclass(eq=False)
class _InterruptHandler:
    """Notes the first Ctrl-C; at the second it raises, or ends the command."""

    command: EndingSignals | None
    is_interrupted: bool = False

    def __call__(self, number: int = signal.SIGINT, frame: Any = None) -> None:
        command = self.command
        if command is not None:
            command.received = command.received or number
            if self.is_interrupted:
                command.end()
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
    """
    before = signal.getsignal(signal.SIGINT)
    if isinstance(before, _InterruptHandler):
        yield Interruption(before, outermost=False)
        return
    command = before if isinstance(before, EndingSignals) else None
    handler = _InterruptHandler(command)
    is_known = before is signal.default_int_handler or command is not None
    ours = is_known and threading.current_thread() is threading.main_thread()
    if ours:
        signal.signal(signal.SIGINT, handler)
    try:
        yield Interruption(handler, outermost=True)
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)
