"""The errors of tables, each of one sentence."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from keras_tied._text import format_value, list_some


class TableError(ValueError):
    """A table cannot be used as it is; the message is one sentence for the user."""


class WriteError(TableError):
    """A table cannot be written; the message is one sentence for the user."""


def quote(names: list[str]) -> str:
    """List the first names in quotes, for a message."""
    return list_some(list(map(repr, names)))


@contextmanager
def open_source(name: str, what: str) -> Iterator[pa.OSFile]:
    """Open a file of Arrow's, and turn an error while it is read into a `TableError`."""
    with report_read_errors(name, what), pa.OSFile(name) as source:
        yield source


def validate(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows if they are sound; any use of others may end the process.

    Raises:
        ArrowException: if they are not, which `report_read_errors` turns into a `TableError`.
    """
    batch.validate(full=True)
    return batch


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
    except OSError as error:
        if not error.errno:  # Arrow's own, for a file whose content is not what it should be
            raise _content_error(name, what, error) from error
        reason = os.strerror(error.errno)
        raise TableError(f"cannot read {name!r}: {reason}; name another file.") from error
    except Exception as error:  # a reader may raise anything at a file that lies
        raise _content_error(name, what, error) from error


def _content_error(name: str, what: str, error: Exception) -> TableError:
    cause = error.__cause__ if str(error) == name else None
    reason = " ".join(str(cause or error).split()).rstrip(".") or type(error).__name__
    return TableError(f"{name!r} cannot be read as {what}: {format_value(reason, 300)}.")
