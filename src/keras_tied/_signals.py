"""Signals that end the command: Ctrl-C, and SIGTERM of `timeout`, Docker and Slurm."""

import atexit
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

FIRST_CODE = 128  # the exit code after a signal is this and its number, as in a shell
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

    def __call__(self, number: int, frame: FrameType | None = None) -> None:
        """Handle a signal as Ctrl-C is handled at this moment."""
        self.received = self.received or number
        handler = signal.getsignal(signal.SIGINT)
        if handler is self or not callable(handler):
            self.end()
        handler(number, frame)

    def end(self) -> NoReturn:
        """End with the code of the signal."""
        with suppress(OSError):
            os.write(2, b"keras-tied: interrupted.\n")
        for clean_up in reversed(_clean_ups):
            with suppress(OSError):
                clean_up()
        os._exit(FIRST_CODE + (self.received or 0))


def _handle(handler: EndingSignals | signal.Handlers) -> None:
    """Handle the signals that the parent, such as a shell, has not ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def run(command: Callable[[], int]) -> None:
    """Run a command as a process, and exit with its code, or that of a signal."""
    signals = EndingSignals()
    _handle(signals)
    code = command()
    if signals.received is not None:
        if code == 0:
            print(
                "keras-tied: interrupted; this is the result so far.", file=sys.stderr
            )
        code = FIRST_CODE + signals.received
    _handle(signal.SIG_DFL)
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except OSError:  # Python reports it: a pipe without a reader, or a full disk
        sys.exit(code)
    # Not Python's own exit, which takes a fifth of the time of a short command to free
    # what the system frees anyway.
    atexit._run_exitfuncs()
    os._exit(code)
