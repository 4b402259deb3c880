"""Tables that are no local file: they are copied to one first."""

import base64
import fnmatch
import glob
import os
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from pyarrow import fs

from keras_tied._table_errors import TableError
from keras_tied._text import hide_secrets
from keras_tied.tables._copy import PART, Copy, copy_bytes, name_copy, split_file
from keras_tied.tables._errors import report_read_errors
from keras_tied.tables._file import ReadOptions, find_format, is_pipe

PAGES = ("http://", "https://")
SECONDS = 30  # to wait for a server that sends nothing
FEWEST_BYTES = 2**10  # a second of a server, after as many seconds again
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


def copy_here(path: str, options: ReadOptions, folder: str) -> Copy:
    """Copy the standard input, or what is at an address; return its path."""
    name = hide_secrets(path)
    try:
        with report_read_errors(name, "a table"):
            if path == "-" or is_pipe(path):
                return _copy_stream(path, options, folder)
            if path.startswith(PAGES):
                return _copy_page(path, options, folder)
            return _copy_files(path, options, folder)
    except TableError as error:
        # Its cause may tell the address.
        raise TableError(str(error).replace(path, name)) from None


def _copy_stream(path: str, options: ReadOptions, folder: str) -> Copy:
    """Copy the standard input, or a pipe, which is what its first bytes tell."""
    with nullcontext(sys.stdin.buffer) if path == "-" else open(path, "rb") as file:
        if not (head := file.read(8)):
            where = "on the standard input" if path == "-" else f"in {path!r}"
            raise TableError(f"there is nothing {where}; pipe a table to it.")
        ending = find_format(path, options.format)
        for magic in MAGICS if ending is None else ():
            if head.startswith(magic):
                ending = MAGICS[magic]
        copy = name_copy(os.path.join(folder, f"input.{ending or 'csv'}"), path)
        copy_bytes(chain([head], split_file(file)), copy, options)
    return copy


def _copy_page(address: str, options: ReadOptions, folder: str) -> Copy:
    parts = urlsplit(address)
    *_, host = parts.netloc.rpartition("@")
    request = Request(parts._replace(netloc=host).geturl())
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        key = base64.b64encode(pair.encode()).decode()
        # It does not go where the server leads.
        request.add_unredirected_header("Authorization", f"Basic {key}")
    name = PurePosixPath(parts.path).name or "page"
    if options.format is not None:
        name += f".{options.format}"
    copy = name_copy(os.path.join(folder, name), hide_secrets(address))
    try:
        with urlopen(request, timeout=SECONDS) as response:
            n_bytes = copy_bytes(_receive(copy, response), copy, options)
            n_expected = int(response.headers.get("Content-Length", n_bytes))
    except HTTPError as error:
        error.close()
        raise TableError(
            f"{copy!r} is not given by its server, which answers {error.code}; look at"
            " the address."
        ) from error
    if n_bytes != n_expected:
        raise TableError(
            f"{copy!r} ended after {n_bytes:,} of {n_expected:,} bytes; try again."
        )
    return copy


def _receive(copy: Copy, response: Any) -> Iterator[bytes]:
    """Yield what a server sends, unless it takes its time."""
    start, n_bytes = time.monotonic(), 0
    while part := response.read1(PART):
        n_bytes += len(part)
        yield part
        most_seconds = SECONDS + n_bytes / FEWEST_BYTES
        if time.monotonic() - start > most_seconds:
            raise TableError(
                f"{copy!r} comes at less than {FEWEST_BYTES:,} bytes a second; download"
                " it first, and give the file."
            )


def split_address(address: str) -> tuple[str, str, str]:
    """Return an address up to a pattern, the pattern, and settings behind it."""
    if address.startswith(PAGES):
        return address, "", ""
    path, question, settings = address.partition("?")
    root = path
    while glob.has_magic(root):
        root = root.rpartition("/")[0]
    return root.rstrip("/"), path[len(root) :], question + settings


def _copy_files(address: str, options: ReadOptions, folder: str) -> Copy:
    """Copy a file, a folder, or the files of a pattern, by pyarrow."""
    base, pattern, settings = split_address(address)
    system, root = fs.FileSystem.from_uri(base + settings)
    info = system.get_file_info(root)
    is_file = info.type == fs.FileType.File
    place = PurePosixPath(root)
    infos, top = [info], place.parent
    if not is_file:
        infos = system.get_file_info(fs.FileSelector(root, recursive=True))
        top = place
    name = hide_secrets(address)
    n_bytes = 0
    for info in infos:
        path = info.path
        inside = PurePosixPath(path).relative_to(top)
        is_table = info.type == fs.FileType.File and find_format(path, options.format)
        is_meant = not pattern or fnmatch.fnmatch(path, root + pattern)
        if ".." in inside.parts or not is_table or not is_meant:
            continue
        target = Path(folder, inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = name_copy(str(target), name)
        stamp = _find_stamp(system, path)
        with system.open_input_stream(path) as source:
            n_bytes = copy_bytes(split_file(source), copy, options, n_bytes)
        if _find_stamp(system, path) != stamp:
            raise TableError(
                f"{name!r} was changed while it was copied; run the command again when"
                " nobody writes to it."
            )
    return name_copy(os.path.join(folder, place.name) if is_file else folder, name)


def _find_stamp(system: fs.FileSystem, path: str) -> tuple[int, int]:
    """Return what tells a file of a file system from itself before a change."""
    info = system.get_file_info(path)
    return info.size, info.mtime_ns
