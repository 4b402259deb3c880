"""Messages for the user, and exit codes."""

import errno
import re
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from tied_tables._table_errors import TableError, WriteError
from tied_tables._text import hide_secrets
from tied_tables.cli._text_layout import wrap_for

INTERRUPT_CODE = 130  # the exit code after Ctrl-C
# What Python, the loader of libraries and XLA say where memory is at its limit.
LACKS_OF_MEMORY = (
    "can't start new thread",
    "failed to map segment",
    "RESOURCE_EXHAUSTED",
)
SETTING = re.compile(r"`(?P<name>[a-z_]+)=(?P<value>[^`]+)`")
_is_quiet = False
_remarks: set[str] = set()  # those that were made
_reported: set[str] = set()  # the tables whose columns were reported as a whole
# What the system answers when the standard output cannot be written.
LOST_OUTPUT = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EPIPE}


class UsageError(Exception):
    """The command was used wrongly; the message is one sentence for the user."""


class FailedError(Exception):
    """The command failed though used rightly; the message is one sentence."""


def be_quiet(is_quiet: bool) -> None:
    """Let the command print no progress and no remarks, or print them again."""
    global _is_quiet
    _is_quiet = is_quiet
    _remarks.clear()
    _reported.clear()


def is_quiet() -> bool:
    """Whether the command prints no progress and no remarks."""
    return _is_quiet


def print_message(*messages: str) -> None:
    """Print messages to the standard error, a line each."""
    for message in messages:
        line = name_options(hide_secrets(" ".join(message.split())))
        print(wrap_for(sys.stderr, f"tied-tables: {line}"), file=sys.stderr)


def name_options(message: str) -> str:
    """Return a message in which settings such as `skip=2` are options, --skip 2."""
    return SETTING.sub(_name_option, message)


def _name_option(setting: re.Match[str]) -> str:
    option, value = setting["name"].replace("_", "-"), setting["value"]
    if value == "False":
        return f"--no-{option}"
    return f"--{option}" if value == "..." else f"--{option} {value}"


def remark(*messages: str) -> None:
    """Print messages once, unless the command is quiet."""
    if not _is_quiet:
        print_message(*(message for message in messages if message not in _remarks))
        _remarks.update(messages)


def mark_reported(table: str) -> None:
    """Note that all columns of a table were reported, before a model was fitted."""
    _reported.add(table)


def is_reported(table: str) -> bool:
    """Whether all columns of a table were reported."""
    return table in _reported


@contextmanager
def remark_warnings() -> Iterator[None]:
    """Print the warnings of Python within as remarks."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_, **__: remark(str(message))
        yield


@contextmanager
def report_errors(debug: bool) -> Iterator[None]:
    """Turn an exception into one sentence and an exit code."""
    try:
        yield
    except typer.Exit:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            print(hide_secrets(traceback.format_exc()), file=sys.stderr)
        if isinstance(error, OSError) and error.errno in LOST_OUTPUT:
            raise  # other writers turn it into a `WriteError`
        message, code = _explain(error)
        print_message(message)
        raise typer.Exit(code) from error


def _explain(error: BaseException) -> tuple[str, int]:
    """Return the message and the exit code for an error."""
    match error:
        case KeyboardInterrupt():
            return "interrupted.", INTERRUPT_CODE
        case FailedError() | WriteError():
            return str(error), 1
        case UsageError() | TableError():
            return str(error), 2
    if (lack := find_lack_of_memory(error)) is not None:
        reason = f"not enough memory ({str(lack) or 'none is left'})"
        return f"{reason}; free some, or use fewer columns or rows.", 1
    if isinstance(error, ImportError):
        if error.name in ("pyarrow", "rapidfuzz"):
            what = f"{error.name} is not installed"
            return f'{what}; run pip install "tied-tables[cli]".', 2
        if "pip install" in str(error):
            return str(error), 2
    reason = f"{type(error).__name__}: {error}".rstrip(".: ")
    return f"failed with {reason}; --debug shows where.", 1


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
    except TableError:  # which has its own exit code
        raise
    except OSError as error:
        reason = str(error)
        if error.strerror:
            reason = f"{error.filename!r}: {error.strerror}"
        raise UsageError(f"cannot use {reason}; choose another file.") from error
    except (RuntimeError, ValueError) as error:
        raise UsageError(str(error)) from error
