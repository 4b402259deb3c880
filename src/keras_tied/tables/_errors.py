"""The errors of tables, each of one sentence."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa


class TableError(ValueError):
    """A table cannot be used as it is; the message is one sentence for the user."""


class WriteError(TableError):
    """A table cannot be written; the message is one sentence for the user."""


def quote(names: list[str], most: int = 8) -> str:
    """List the first names for a message."""
    text = ", ".join(repr(name) for name in names[:most])
    return f"{text} and {len(names) - most} more" if len(names) > most else text


@contextmanager
def report_read_errors(name: str, what: str) -> Iterator[None]:
    """Turn an error while a file is read into a `TableError`.

    Args:
        name: of the file.
        what: the kind of file, such as `"a Parquet file"`.
    """
    try:
        yield
    except TableError:
        raise
    except pa.ArrowException as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise TableError(f"{name!r} cannot be read as {what}: {reason}.") from error
    except OSError as error:
        if not error.errno:  # Arrow's own, for a file whose content is not what it should be
            reason = " ".join(str(error).split()).rstrip(".")
            raise TableError(f"{name!r} cannot be read as {what}: {reason}.") from error
        reason = os.strerror(error.errno)
        raise TableError(f"cannot read {name!r}: {reason}; name another file.") from error
