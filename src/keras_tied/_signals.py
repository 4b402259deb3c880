"""Signals that end the command: Ctrl-C, and SIGTERM, which `timeout`, Docker and Slurm send."""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

SECONDS_LATER = 0.01
FIRST_CODE = 128
"""The exit code after a signal is this and its number, as in a shell."""


class EndingSignals:
    """Raises `KeyboardInterrupt` at Ctrl-C and at SIGTERM, and knows of it if nobody else does.

    Python drops an exception in a destructor or in a callback of C, and some libraries catch it.

    Attributes:
        received: the first signal, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None

    def __call__(self, number: int, frame: FrameType | None = None) -> None:
        """Note a signal, and do what Ctrl-C does at this moment: raise, but within `interrupts`."""
        self.received = self.received or number
        handler = signal.getsignal(signal.SIGINT)
        if number == signal.SIGINT or handler is self or not callable(handler):
            raise KeyboardInterrupt
        handler(signal.SIGINT, frame)

    def raise_again(self, dropped: sys.UnraisableHookArgs) -> None:
        """Raise once more what Python has dropped in a callback, as soon as that has returned."""
        if self.received is not None and isinstance(dropped.exc_value, KeyboardInterrupt):
            threading.Timer(SECONDS_LATER, _interrupt_main).start()
        else:
            sys.__unraisablehook__(dropped)


def _handle(handler: EndingSignals | signal.Handlers) -> None:
    """Handle the signals of this process, but for those that its parent has ignored.

    A shell does that for jobs in the background.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _interrupt_main() -> None:
    """Send SIGINT to the main thread, so that it wakes from a system call too."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


def run(command: Callable[[], int]) -> None:
    """Run a command as a process of its own, and exit with its code, or that of a signal."""
    signals = EndingSignals()
    sys.unraisablehook = signals.raise_again
    try:
        _handle(signals)
        code = command()
    except KeyboardInterrupt:
        print("keras-tied: interrupted.", file=sys.stderr)
        code = FIRST_CODE + signal.SIGINT
    if signals.received is not None and code == 0:
        print("keras-tied: interrupted; this is the result so far.", file=sys.stderr)
    _handle(signal.SIG_DFL)  # which ends at once, where Python would print a traceback
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except OSError:  # the reader of a pipe is gone, or a disk is full, which Python reports
        if signals.received is None:
            sys.exit(code)
    # Not Python's own exit, which takes a fifth of the time of a short command to free what the
    # system frees anyway, and can crash after an import that was interrupted.
    atexit._run_exitfuncs()
    os._exit(code if signals.received is None else FIRST_CODE + signals.received)
