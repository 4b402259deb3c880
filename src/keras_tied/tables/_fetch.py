"""Tables that are no local file: they are copied to one first."""

import fnmatch
import glob
import os
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path, PurePosixPath

import pyarrow as pa
from pyarrow import fs, ipc

from keras_tied._table_errors import TableError
from keras_tied.tables._errors import report_read_errors
from keras_tied.tables._file import ReadOptions, check_width, find_format, is_pipe
from keras_tied.tables._rows import select_all

PAGES = ("http://", "https://")
MAGICS = {  # how a file of each format begins; any other is CSV
    b"ARROW1": "arrow",
    b"\xff\xff\xff\xff": "arrow",
    b"PAR1": "parquet",
    b"ORC": "orc",
    b"\x93NUMPY": "npy",
    b'{"': "json",
    b"[{": "json",
    b"[\n": "json",
    b"\x1f\x8b": "csv.gz",
}


class Copy(str):
    """The path of a copy; messages show where it came from."""

    origin: str

    def __repr__(self) -> str:
        return repr(self.origin)


def copy_here(path: str, format: str | None, folder: str) -> Copy:
    """Copy the standard input, or what is at an address; return its path."""
    with report_read_errors(path, "a table"):
        if path == "-" or is_pipe(path):
            place = _copy_stream(path, format, folder)
        elif path.startswith(PAGES):
            place = _copy_page(path, format, folder)
        else:
            place = _copy_files(path, format, folder)
    copy = Copy(place)
    copy.origin = path
    return copy


def _copy_stream(path: str, format: str | None, folder: str) -> str:
    """Copy the standard input, or a pipe, which is what its first bytes tell."""
    with nullcontext(sys.stdin.buffer) if path == "-" else open(path, "rb") as file:
        if not (head := file.read(8)):
            where = "on the standard input" if path == "-" else f"in {path!r}"
            raise TableError(f"there is nothing {where}; pipe a table to it.")
        ending = format or find_format(path)
        for magic in MAGICS if ending is None else ():
            if head.startswith(magic):
                ending = MAGICS[magic]
        place = os.path.join(folder, f"input.{ending or 'csv'}")
        with open(place, "wb") as target:
            target.write(head)
            shutil.copyfileobj(file, target, 2**20)
    return place


def _copy_page(address: str, format: str | None, folder: str) -> str:
    try:
        import fsspec
        import fsspec.implementations.http
    except ImportError as error:
        fault = (
            f"{address!r} needs fsspec and aiohttp; run pip install"
            ' "keras-tied[remote]".'
        )
        raise TableError(fault) from error
    name = PurePosixPath(address.partition("?")[0]).name or "page"
    place = os.path.join(folder, name if format is None else f"{name}.{format}")
    with fsspec.open(address, "rb") as source, open(place, "wb") as target:
        shutil.copyfileobj(source, target, 2**20)
    return place


def split_address(address: str) -> tuple[str, str, str]:
    """Return an address up to a pattern, the pattern, and settings behind it."""
    if address.startswith(PAGES):
        return address, "", ""
    path, question, settings = address.partition("?")
    root = path
    while glob.has_magic(root):
        root = root.rpartition("/")[0]
    return root.rstrip("/"), path[len(root) :], question + settings


def _copy_files(address: str, format: str | None, folder: str) -> str:
    """Copy a file, a folder, or the files of a pattern, by pyarrow."""
    base, pattern, settings = split_address(address)
    system, root = fs.FileSystem.from_uri(base + settings)
    info = system.get_file_info(root)
    is_file = info.type == fs.FileType.File
    infos, top = [info], PurePosixPath(root).parent
    if not is_file:
        infos = system.get_file_info(fs.FileSelector(root, recursive=True))
        top = PurePosixPath(root)
    for info in infos:
        path = info.path
        inside = PurePosixPath(path).relative_to(top)
        is_table = info.type == fs.FileType.File and find_format(path, format)
        is_meant = not pattern or fnmatch.fnmatch(path, root + pattern)
        if ".." in inside.parts or not is_table or not is_meant:
            continue
        target = Path(folder, inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        with system.open_input_stream(path) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 2**20)
    return os.path.join(folder, PurePosixPath(root).name) if is_file else folder


def copy_query(name: str, options: ReadOptions, folder: str) -> Copy:
    """Write the result of a query of DuckDB, or its only table, to an Arrow file."""
    try:
        import duckdb
    except ImportError as error:
        raise TableError(
            f'{name!r} needs DuckDB; run pip install "keras-tied[sql]".'
        ) from error
    place = Copy(os.path.join(folder, "result.arrow"))
    place.origin = name
    # What a database holds, such as a view, must not read other files.
    config = {"enable_external_access": "false", "temp_directory": folder}
    with (
        report_read_errors(name, "a DuckDB database"),
        duckdb.connect(str(name), read_only=True, config=config) as database,
    ):
        kinds = database.execute(
            "SELECT table_name, table_type FROM information_schema.tables"
        ).fetchall()
        query = options.query
        if query is None:
            tables = [table for table, kind in kinds if kind != "VIEW"]
            views = [table for table, kind in kinds if kind == "VIEW"]
            query = select_all(name, tables, views)
        reader = pa.RecordBatchReader.from_stream(database.sql(query))
        check_width(name, len(reader.schema), options)
        with (
            pa.OSFile(str(place), "wb") as file,
            ipc.new_file(file, reader.schema) as writer,
        ):
            for batch in reader:
                writer.write_batch(batch)
    return place
