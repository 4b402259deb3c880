"""Messages for the user, and exit codes."""

import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from keras_tied._text import replace_controls

INTERRUPT_CODE = 130  # the exit code after Ctrl-C
LACKS_OF_MEMORY = (
    "can't start new thread",
    "failed to map segment",
    "RESOURCE_EXHAUSTED",
)
"""What Python, the loader of libraries and XLA say where memory is at its limit."""


class UsageError(Exception):
    """The command was used wrongly; the message is one sentence for the user."""


class FailedError(Exception):
    """The command was used rightly, and failed; the message is one sentence for the user."""


def say(*messages: str, quiet: bool = False) -> None:
    """Print messages to the standard error, a line each; none where only errors are wanted."""
    for message in () if quiet else messages:
        print(
            "keras-tied:", replace_controls(" ".join(message.split())), file=sys.stderr
        )


@contextmanager
def say_warnings(quiet: bool) -> Iterator[None]:
    """Print the warnings of Python within as messages."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_, **__: say(str(message), quiet=quiet)
        yield


@contextmanager
def report_errors(debug: bool) -> Iterator[None]:
    """Turn an exception into one sentence and an exit code."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        match error:
            case typer.Exit():
                raise
            case BrokenPipeError():
                # The reader has closed the pipe: Python would print an error when it
                # exits.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise typer.Exit(1) from error
            case KeyboardInterrupt():
                message, code = "interrupted.", INTERRUPT_CODE
            case UsageError():
                message, code = str(error), 2
            case FailedError():
                message, code = str(error), 1
            case _ if (lack := find_lack_of_memory(error)) is not None:
                reason = f"there is too little memory ({str(lack) or 'none is left'})"
                message, code = f"{reason}; free some, or use fewer columns or rows.", 1
            case _:
                reason = f"{type(error).__name__}: {error}".rstrip(".: ")
                message, code = f"failed with {reason}; --debug shows where.", 1
        say(message)
        raise typer.Exit(code) from error


def find_lack_of_memory(error: BaseException | None) -> BaseException | None:
    """The first cause of an error that tells that memory is at its limit, or None."""
    lack = None
    while error is not None:
        says_so = any(words in str(error) for words in LACKS_OF_MEMORY)
        if says_so or isinstance(error, MemoryError):
            lack = error
        error = error.__cause__
    return lack


@contextmanager
def report_wrong_use() -> Iterator[None]:
    """Turn an exception of a check before the work into a `UsageError`."""
    try:
        yield
    except OSError as error:
        reason = (
            f"{error.filename!r}: {error.strerror}" if error.strerror else str(error)
        )
        raise UsageError(f"cannot use {reason}; name another file.") from error
    except (ImportError, RuntimeError, ValueError) as error:
        raise UsageError(str(error)) from error
