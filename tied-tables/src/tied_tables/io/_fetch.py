"""Tables that are no local file: they are copied to one first."""

import base64
import errno
import fnmatch
import os
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from io import BufferedReader, RawIOBase
from itertools import chain
from pathlib import PurePosixPath
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import (
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    Request,
    build_opener,
)

from pyarrow import fs

from tied_tables._table_errors import TableError
from tied_tables._text import hide_secrets
from tied_tables.io._copy import Copies, Copy, split_file
from tied_tables.io._errors import report_read_errors
from tied_tables.io._file import choose_files, find_format, find_root

PAGES = ("http://", "https://")
TIMEOUT_SECONDS = 30  # to wait for a server that sends nothing, or too little
SLOWEST = 1000  # bytes a second
OK = 200
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


def fetch(path: str, format: str | None, copies: Copies) -> list[Copy]:
    """Copy the standard input, a pipe, or the files at an address."""
    name = hide_secrets(path)
    try:
        with report_read_errors(name):
            if "://" not in path:
                return [_copy_stream(path, format, copies)]
            if path.startswith(PAGES):
                return [_copy_page(path, copies)]
            return list(_copy_objects(path, format, copies))
    except TableError as error:
        # Its cause may tell the address.
        raise TableError(str(error).replace(path, name)) from None


def _copy_stream(path: str, format: str | None, copies: Copies) -> Copy:
    """Copy the standard input, or a pipe, which is what its first bytes tell."""
    is_piped = path == "-"
    if is_piped and sys.stdin is None:
        raise OSError(errno.EBADF, "it is closed")
    with nullcontext(sys.stdin.buffer) if is_piped else open(path, "rb") as file:
        if not (head := file.read(8)):
            where = "on the standard input" if path == "-" else f"in {path!r}"
            raise TableError(f"there is nothing {where}; pipe a table to it.")
        ending = find_format(path, format)
        for magic in MAGICS if ending is None else ():
            if head.startswith(magic):
                ending = MAGICS[magic]
        parts = chain([head], split_file(file))
        return copies.copy_bytes(parts, path, f"input.{ending or 'csv'}")


def _copy_page(address: str, copies: Copies) -> Copy:
    parts = urlsplit(address)
    *_, host = parts.netloc.rpartition("@")
    request = Request(parts._replace(netloc=host).geturl())
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        key = base64.b64encode(pair.encode()).decode()
        # It does not go where the server leads.
        request.add_unredirected_header("Authorization", f"Basic {key}")
    name = PurePosixPath(parts.path).name or "page"
    shown = hide_secrets(address)
    try:
        opener = build_opener(_PagesOnly, _HTTP, _HTTPS)
        with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
            # Others are of a part of the page, or of what a proxy made of it.
            if response.status != OK:
                raise HTTPError("", response.status, "", response.headers, response)
            copy = copies.copy_bytes(split_file(response), address, name)
            lengths = response.headers.get_all("Content-Length", ())
    except HTTPError as error:
        error.close()
        raise TableError(
            f"the server of {shown!r} answers with status {error.code}; check the"
            " address."
        ) from error
    n_bytes = os.path.getsize(copy)
    for length in map(str.strip, lengths):  # a server may name several
        if length != str(n_bytes):
            expected = f"{int(length):,}" if length.isdecimal() else repr(length)
            raise TableError(
                f"{shown!r} ended after {n_bytes:,} of {expected} bytes; try again."
            )
    return copy


class _PagesOnly(HTTPRedirectHandler):
    """Follows a server to other pages, and not to files of other protocols."""

    def redirect_request(self, *arguments: Any) -> Request | None:
        """Return the request of the page that a server leads to."""
        request, response, *_, address = arguments
        if not address.startswith(PAGES):
            response.close()
            page, target = map(hide_secrets, (request.full_url, address))
            raise TableError(
                f"{page!r} redirects to {target!r}, which is not a web page; check the"
                " address."
            )
        return super().redirect_request(*arguments)


class _SteadyBytes(RawIOBase):
    """The bytes that a server sends, from the status on; it may not be slow."""

    def __init__(self, stream: RawIOBase) -> None:
        self.stream = stream
        self.begin = 0.0  # of a part of the time
        self.n_bytes = 0  # since then

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read some bytes, or raise if those of the last seconds are too few."""
        n_bytes: int | None = self.stream.readinto(buffer)
        now = time.monotonic()
        self.begin = self.begin or now
        self.n_bytes += n_bytes or 0
        seconds = now - self.begin
        if seconds > TIMEOUT_SECONDS:
            if self.n_bytes < SLOWEST * seconds:
                raise TimeoutError(
                    f"its server sends less than {SLOWEST} bytes a second"
                )
            self.begin, self.n_bytes = now, 0
        return n_bytes

    def close(self) -> None:
        """Close the stream."""
        self.stream.close()
        super().close()


class _SteadyResponse(HTTPResponse):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.fp = BufferedReader(_SteadyBytes(self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = _SteadyResponse


class _SecureConnection(HTTPSConnection):
    response_class = _SteadyResponse


class _HTTP(HTTPHandler):
    def http_open(self, request: Request) -> Any:
        return self.do_open(_Connection, request)


class _HTTPS(HTTPSHandler):
    def https_open(self, request: Request) -> Any:
        return self.do_open(_SecureConnection, request)


def _copy_objects(address: str, format: str | None, copies: Copies) -> Iterator[Copy]:
    """Copy a file, the files in a folder, or those of a pattern, by pyarrow."""
    path, question, settings = address.partition("?")
    base = find_root(path).rstrip("/")
    system, root = fs.FileSystem.from_uri(base + question + settings)
    files = [root]
    if system.get_file_info(root).type != fs.FileType.File:
        files = []
        for info in system.get_file_info(fs.FileSelector(root, recursive=True)):
            folders = PurePosixPath(info.path).relative_to(root).parts[:-1]
            if info.type == fs.FileType.File and all("=" in name for name in folders):
                files.append(info.path)
        if base != path.rstrip("/"):
            files = fnmatch.filter(files, root + path.removeprefix(base))
        files = choose_files(hide_secrets(address), files, format)
    for file in files:
        origin = base + file.removeprefix(root) + question + settings
        stamp = _find_stamp(system, file)
        with system.open_input_stream(file, compression=None) as source:
            name = PurePosixPath(file).name
            copy = copies.copy_bytes(split_file(source), origin, name)
        if _find_stamp(system, file) != stamp:
            raise TableError(
                f"{copy!r} was changed while it was copied; run the command again when"
                " nobody writes to it."
            )
        yield copy


def _find_stamp(system: fs.FileSystem, path: str) -> tuple[int, int]:
    """Return what tells a file of a file system from itself before a change."""
    info = system.get_file_info(path)
    return info.size, info.mtime_ns
