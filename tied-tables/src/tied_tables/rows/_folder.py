"""A folder of part files and a manifest, on a disk or in an object store."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tied_tables._files import replace_atomically, require_new, temporary_folder
from tied_tables._text import hide_secrets
from tied_tables.io import TableError, WriteError, write_table

if TYPE_CHECKING:
    from pyarrow import fs

MANIFEST = "_manifest.json"  # tables leave out names that begin with an underscore


@dataclass(frozen=True)
class OutputFolder:
    """Where parts are written: each whole, or not at all.

    Attributes:
        uri: a path, or a URI of a file system that pyarrow knows, such as
            `s3://bucket/folder`.
    """

    uri: str

    def _locate(self) -> tuple[fs.FileSystem, str, bool]:
        """Return the file system, the folder in it, and whether it is local."""
        from pyarrow import fs  # which takes long

        with _report_errors(self.uri):
            if "://" in self.uri:
                system, folder = fs.FileSystem.from_uri(self.uri.rstrip("/"))
            else:
                system, folder = fs.LocalFileSystem(), os.path.abspath(self.uri)
        return system, folder, isinstance(system, fs.LocalFileSystem)

    def write_table(self, name: str, batches: Iterable[pa.RecordBatch]) -> str:
        """Write a part, and return its checksum."""
        from pyarrow import fs

        system, folder, is_local = self._locate()
        if is_local:
            return _write(os.path.join(folder, name), batches)
        # An object appears when it was sent in full; until then the rows are on this
        # disk.
        with temporary_folder() as scratch:
            path = os.path.join(scratch, name)
            checksum = _write(path, batches)
            with _report_errors(f"{self.uri}/{name}"):
                fs.copy_files(path, f"{folder}/{name}", destination_filesystem=system)
        return checksum

    def is_whole(self, name: str, checksum: str) -> bool:
        """Whether a part is there as it was written."""
        system, folder, _ = self._locate()
        with suppress(OSError), system.open_input_stream(f"{folder}/{name}") as file:
            return _digest(file) == checksum
        return False

    def read_manifest(self) -> Any:
        """Return the JSON of the manifest, or None in a new folder, which is made."""
        from pyarrow import fs

        system, folder, _ = self._locate()
        with _report_errors(self.uri):
            system.create_dir(folder)
            infos = system.get_file_info(fs.FileSelector(folder))
            names = sorted(info.base_name for info in infos)
            if MANIFEST in names:
                with system.open_input_stream(f"{folder}/{MANIFEST}") as file:
                    return json.loads(file.read(2**24))
        if foreign_names := [name for name in names if not name.startswith(".")]:
            raise TableError(
                f"{self.uri!r} holds {foreign_names[0]!r} and no {MANIFEST}; use a new"
                " folder."
            )
        return None

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Replace the manifest."""
        content = json.dumps(manifest, indent=1).encode()
        system, folder, is_local = self._locate()
        path = f"{folder}/{MANIFEST}"
        with _report_errors(f"{self.uri}/{MANIFEST}"):
            if is_local:
                with replace_atomically(Path(path)) as part:
                    part.write_bytes(content)
            else:
                with system.open_output_stream(path) as file:
                    file.write(content)


def _write(path: str, batches: Iterable[pa.RecordBatch]) -> str:
    """Write a table to a file, and return the checksum of that."""
    write_table(path, batches)
    with open(path, "rb") as file:
        return _digest(file)


def _digest(file: Any) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _report_errors(path: str) -> Iterator[None]:
    """Turn an error of a file system into a `WriteError` that names the path."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        # Of an error of the system, what it is; the path is the user's.
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, UnicodeEncodeError):
            reason = "its name is not in UTF-8"
        reason = " ".join(reason.split()).rstrip(".")
        message = f"cannot use {path!r}: {reason}; check the path and its permissions."
        raise WriteError(hide_secrets(message)) from None


def resume(folder: OutputFolder, digest: str) -> dict[str, str]:
    """Return the checksums of the parts that an earlier run has written, if any.

    `digest` is that of what the parts depend on.
    """
    manifest = folder.read_manifest()
    if manifest is None:
        # Another command may begin at this moment.
        with require_new(Path(folder.uri, MANIFEST)):
            folder.write_manifest({"of": digest, "parts": {}, "complete": False})
        return {}
    if not isinstance(manifest, dict) or manifest.get("of") != digest:
        raise TableError(
            f"{folder.uri!r} holds the parts of another model, table or command; choose"
            " a new folder, or delete this one."
        )
    return dict(manifest["parts"])
