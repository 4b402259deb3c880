"""Errors while a file is read, each of one sentence."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import errorcode

from tied_tables._table_errors import TableError
from tied_tables._text import format_value, hide_secrets


@contextmanager
def report_read_errors(
    name: str,
    explain: Callable[[str, Exception], Exception] = lambda _, error: error,
) -> Iterator[None]:
    """Turn any error while a file is read into a `TableError`.

    `explain` returns, for an error of one format, what to raise instead; any other as
    it is.
    """
    try:
        yield
    except TableError:
        raise
    except Exception as error:  # a reader may raise anything at a file that lies
        with report_read_errors(name):  # it may read the file again
            better = explain(name, error)
        if better is not error:
            raise better from error
        reason = getattr(error, "reason", None)  # of an address
        system = reason if isinstance(reason, OSError) else error
        if isinstance(system, OSError) and isinstance(system.errno, int):
            is_known = system.errno in errorcode  # not that of a name without address
            reason = os.strerror(system.errno) if is_known else system.strerror
            raise TableError(
                f"cannot read {name!r}: {reason}; choose another file."
            ) from error
        # Arrow raises an OSError without a number for a file whose content is not what
        # it should be
        cause = error.__cause__ if str(error) == name else None
        reason = (
            " ".join(str(cause or error).split()).rstrip(".") or type(error).__name__
        )
        reason = format_value(hide_secrets(reason), 300)
        if isinstance(error, UnicodeEncodeError):  # only a name is encoded
            reason = "its name is not in UTF-8; rename it"
        if isinstance(error, MemoryError):
            reason += ", as there is too little memory or it is damaged"
        raise TableError(f"{name!r} cannot be read: {reason}.") from error
