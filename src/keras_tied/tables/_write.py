"""Tables written to disk, batch by batch."""

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pyarrow as pa

from keras_tied import _files
from keras_tied.tables._errors import TableError, WriteError
from keras_tied.tables._paths import OUTPUT_ENDINGS
from keras_tied.tables._writers import Writer, open_text_writer, open_writer

STANDARD_OUTPUT = "-"
OpenWriter = Callable[[pa.Schema], Writer]


def check_output(path: str | os.PathLike[str]) -> None:
    """Raise if `write_table` could not write to a path, before any work is done.

    Raises:
        TableError: if its ending is not one of ours, it is a folder, or its folder does not exist
            or may not be written to.
    """
    if os.fspath(path) != STANDARD_OUTPUT:
        _check_target(os.fspath(path))


def write_table(
    path: str | os.PathLike[str], batches: Iterable[pa.RecordBatch], *, safe_csv: bool = False
) -> int:
    r"""Write a table, whole or not at all.

    The ending tells the format, as in `open_table`, but for `.bz2`, which is only read. The rows
    go to a temporary file in the same folder, which replaces the file at the end. After an error,
    the temporary file is deleted, and an old file is unchanged.

    Args:
        path: the file, or `"-"` for CSV on the standard output.
        batches: its rows, with the same columns in each; at least one batch. For `.npy` and `.npz`
            all columns are numbers or booleans, and their names are not kept.
        safe_csv: whether to put a `'` before text and names of columns, in CSV, that a spreadsheet
            could take for a formula because they begin with `=`, `+`, `-`, `@`, a tab or a line
            break. Numbers stay numbers. Defaults to `False`.

    Returns:
        The number of rows written.

    Raises:
        TableError: if the path or the columns cannot be written.
        WriteError: if writing failed, such as on a full disk.

    Examples:
        >>> import pathlib, tempfile
        >>> import pyarrow as pa
        >>> from keras_tied.tables import write_table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "fruit.csv")
        ...     n_rows = write_table(path, [pa.record_batch({"name": ["plum"], "weight": [31.5]})])
        ...     n_rows, path.read_text()
        (1, 'name,weight\nplum,31.5\n')
    """
    name = os.fspath(path)
    if name == STANDARD_OUTPUT:
        sys.stdout.flush()
        output = sys.stdout.buffer
        return _write_all(batches, lambda schema: open_text_writer(output, schema, safe=safe_csv))
    target = _check_target(name)
    with _report_errors(name), _files.replace_atomically(target) as part:
        return _write_all(batches, lambda schema: open_writer(name, part, schema, safe_csv))


def _check_target(name: str) -> Path:
    with _report_errors(name):
        try:
            return _files.check_writable(Path(name), OUTPUT_ENDINGS)
        except ValueError as error:
            raise TableError(str(error)) from error


def _write_all(batches: Iterable[pa.RecordBatch], opener: OpenWriter) -> int:
    rows = iter(batches)
    first = next(rows, None)
    if first is None:
        raise TableError("there are no rows to write.")
    n_rows = 0
    with opener(first.schema) as write:
        for batch in chain([first], rows):
            write(batch)
            n_rows += batch.num_rows
    return n_rows


@contextmanager
def _report_errors(name: str) -> Iterator[None]:
    """Turn an error while a file is written into a `WriteError`."""
    try:
        yield
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        reason = os.strerror(error.errno) if error.errno else str(error)
        todo = "free some space" if error.errno == errno.ENOSPC else "name another file"
        raise WriteError(f"cannot write {name!r}: {reason}; {todo}.") from error
    except pa.ArrowException as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise WriteError(f"cannot write {name!r}: {reason}; use Parquet.") from error
