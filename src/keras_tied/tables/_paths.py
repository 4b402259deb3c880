"""Find the files of a path, and their format."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from keras_tied.tables._errors import TableError, quote, report_read_errors

TEXTS = {"csv": ",", "tsv": "\t"}  # the formats that are text, and the delimiter of each
COMPRESSIONS = {"gz": "gzip", "bz2": "bz2", "zst": "zstd"}
"""The endings of compressed text, and what Arrow calls the compression."""
ARROWS = ("feather", "arrow")
JSON_LINES = ("jsonl", "ndjson")
WORKBOOKS = ("xlsx", "xlsm", "xlsb", "xls", "ods")
DATABASES = ("duckdb", "ddb", "sqlite", "sqlite3", "db")
WRITTEN = (*TEXTS, "parquet", *ARROWS, "npy", "npz")
FORMATS = (*WRITTEN, *JSON_LINES, "orc", *WORKBOOKS, *DATABASES)
COMPRESSED = (*TEXTS, *JSON_LINES)


ENDINGS = (*FORMATS, *(f"{name}.{ending}" for name in COMPRESSED for ending in COMPRESSIONS))
"""The endings of the files that are read."""
OUTPUT_ENDINGS = (*WRITTEN, *(f"{name}.{ending}" for name in TEXTS for ending in ("gz", "zst")))
"""The endings of the files that are written; Arrow fails at bzip2 on a full disk."""


def find_format(path: str, format: str | None = None) -> str | None:
    """Return the format that is given, or that for the ending of a file; None if it is unknown."""
    _, *endings = Path(path).name.lower().split(".")
    if format or (endings and endings[-1] in FORMATS):
        return format or endings[-1]
    compression = len(endings) > 1 and endings[-1] in COMPRESSIONS and endings[-2] in COMPRESSED
    return endings[-2] if compression else None


def find_compression(path: str) -> str | None:
    """Return the compression for the ending of a text file, or None."""
    return COMPRESSIONS.get(Path(path).name.lower().rsplit(".", 1)[-1])


def find_files(path: str, format: str | None = None) -> list[str]:
    """Return the files of a path, a folder or a pattern, sorted, all of one format.

    Of several, files count that have an ending of ours, or any if a format is given, and whose name
    begins with no dot or underscore; folders in a folder count if they are called `name=value`.
    """
    endings = ", ".join(f".{ending}" for ending in FORMATS)
    with report_read_errors(path, "a table"):
        if os.path.isdir(path):
            paths = list(_walk(path))
        elif os.path.exists(path) or not glob.has_magic(path):
            os.stat(path)  # says why it cannot be read
            if find_format(path, format) is None:
                raise TableError(
                    f"{path!r} has not one of the endings {endings}; say what it is with --format "
                    "(format=...)."
                )
            return [path]
        else:
            paths = glob.glob(path, recursive=True)
    shown = (file for file in paths if not Path(file).name.startswith((".", "_")))
    files = sorted(f for f in shown if find_format(f, format) and os.path.isfile(f))
    if not files:
        raise TableError(f"{path!r} holds no file with one of the endings {endings}; name another.")
    formats = {find_format(file, format): file for file in reversed(files)}
    if len(formats) > 1:
        two = quote(sorted(formats.values())[:2])
        raise TableError(
            f"{path!r} holds files of several formats, such as {two}; choose those of one, for "
            "example with '*.csv'."
        )
    return files


def _walk(folder: str) -> Iterator[str]:
    for entry in os.scandir(folder):
        if entry.is_dir() and "=" in entry.name:
            yield from _walk(entry.path)
        else:
            yield entry.path
