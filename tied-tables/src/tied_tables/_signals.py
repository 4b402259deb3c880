"""Signals that end the command: Ctrl-C, a closed terminal, limits, `timeout`, Slurm."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

FIRST_CODE = 128  # the exit code after a signal is this and its number, as in a shell
# What ends no process, cannot be caught, or tells of a fault of the process itself.
_NAMES = (
    "CHLD CONT URG WINCH INFO STOP TSTP TTIN TTOU KILL ABRT BUS EMT FPE ILL SEGV SYS"
    " TRAP"
)
OTHERS = {getattr(signal, f"SIG{name}", None) for name in _NAMES.split()}
_clean_ups: list[Callable[[], object]] = []


@contextmanager
def clean_up_at_signal(clean_up: Callable[[], object]) -> Iterator[None]:
    """Call a function if a signal ends the command, where no `finally` is reached."""
    _clean_ups.append(clean_up)
    try:
        yield
    finally:
        _clean_ups.remove(clean_up)


class EndingSignals:
    """Ends the process at once, but within `interrupts`.

    An exception would be dropped in a destructor, and abort the process in a callback
    of C++.
    """

    received: int | None = None  # the first signal

    @property
    def code(self) -> int:
        """The exit code after the signal."""
        return FIRST_CODE + (self.received or 0)

    def __call__(self, number: int, frame: FrameType | None = None) -> None:
        """Handle a signal as Ctrl-C is handled at this moment."""
        self.received = self.received or number
        handler = signal.getsignal(signal.SIGINT)
        if handler is self or not callable(handler):
            self.end()
        handler(number, frame)

    def end(self) -> NoReturn:
        """End with the code of the signal."""
        if sys.stderr is not None:
            with suppress(OSError):
                os.write(sys.stderr.fileno(), b"tied-tables: interrupted.\n")
        for clean_up in reversed(_clean_ups):
            with suppress(OSError):
                clean_up()
        os._exit(self.code)


@contextmanager
def handle_signals() -> Iterator[EndingSignals]:
    """Within, let all signals that end a process end the command.

    Those that the parent, such as a shell, has ignored stay ignored.
    """
    signals = EndingSignals()
    numbers = []
    for number in signal.valid_signals() - OTHERS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, signals)
            numbers.append(number)
    yield signals
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)
