"""Signals that end the command: Ctrl-C, and SIGTERM, which `timeout`, Docker and Slurm send."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

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

    def install(self) -> None:
        """Begin to handle the signals of this process."""
        signal.signal(signal.SIGINT, self.interrupt)
        signal.signal(signal.SIGTERM, self._terminate)
        sys.unraisablehook = self._raise_again

    def reset(self) -> None:
        """End: a signal ends the process at once, where Python would print a traceback."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def interrupt(self, number: int, frame: Any) -> None:
        """Handle SIGINT, but within `interrupts`, which notes it."""
        self.received = self.received or number
        raise KeyboardInterrupt

    def _terminate(self, number: int, frame: Any) -> None:
        """Do what Ctrl-C does at this moment."""
        self.received = self.received or number
        handler = signal.getsignal(signal.SIGINT)
        if callable(handler):
            handler(signal.SIGINT, frame)

    def _raise_again(self, dropped: sys.UnraisableHookArgs) -> None:
        """Raise once more what Python has dropped in a callback, as soon as that has returned."""
        if self.received is not None and isinstance(dropped.exc_value, KeyboardInterrupt):
            threading.Timer(SECONDS_LATER, _interrupt_main).start()
        else:
            sys.__unraisablehook__(dropped)

    def choose_code(self, code: int) -> int:
        """The exit code of the process, for that of the command."""
        if self.received is not None and code in (0, FIRST_CODE + signal.SIGINT):
            return FIRST_CODE + self.received
        return code


def _interrupt_main() -> None:
    """Send SIGINT to the main thread, so that it wakes from a system call too."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


def run(command: Callable[[], int]) -> None:
    """Run a command as a process of its own, and exit with its code."""
    signals = EndingSignals()
    signals.install()
    try:
        code = command()
    except KeyboardInterrupt:
        print("keras-tied: interrupted.", file=sys.stderr)
        code = FIRST_CODE + signal.SIGINT
    with suppress(OSError):  # the reader of a pipe is gone
        sys.stdout.flush()
    signals.reset()
    sys.exit(signals.choose_code(code))
