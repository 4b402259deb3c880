"""A folder of part files and a manifest, on a disk or in an object store."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from keras_tied._files import temporary_folder
from keras_tied.tables import TableError, WriteError, write_table

if TYPE_CHECKING:
    from pyarrow import fs

MANIFEST = "_manifest.json"  # tables leave out names that begin with an underscore


@dataclass(frozen=True)
class OutputFolder:
    """Where parts are written: each whole, or not at all.

    Attributes:
        uri: a path, or a URI of a file system that pyarrow knows, such as
            `s3://bucket/folder`.
        format: the ending of the parts, `"parquet"` or `"arrow"`.
    """

    uri: str
    format: str = "parquet"

    def _locate(self) -> tuple[fs.FileSystem, str, bool]:
        """Return the file system, the folder in it, and whether it is local."""
        from pyarrow import fs  # which takes long

        with _report_errors(self.uri):
            if "://" in self.uri:
                system, folder = fs.FileSystem.from_uri(self.uri.rstrip("/"))
            else:
                system, folder = fs.LocalFileSystem(), os.path.abspath(self.uri)
        return system, folder, isinstance(system, fs.LocalFileSystem)

    def write_table(self, name: str, batches: Iterable[pa.RecordBatch]) -> int:
        """Write a part, and return its number of rows."""
        from pyarrow import fs

        system, folder, is_local = self._locate()
        if is_local:
            return write_table(os.path.join(folder, name), batches)
        # An object appears when it was sent in full; until then the rows are on this
        # disk.
        with temporary_folder() as scratch:
            part = os.path.join(scratch, name)
            n_rows = write_table(part, batches)
            with _report_errors(f"{self.uri}/{name}"):
                fs.copy_files(part, f"{folder}/{name}", destination_filesystem=system)
        return n_rows

    def names(self) -> list[str]:
        """Return the files in the folder, which is made if it is not there."""
        from pyarrow import fs

        system, folder, _ = self._locate()
        with _report_errors(self.uri):
            system.create_dir(folder)
            infos = system.get_file_info(fs.FileSelector(folder))
            return [info.base_name for info in infos]

    def read_manifest(self) -> Any:
        """Return the JSON of the manifest, which is there."""
        system, folder, _ = self._locate()
        with (
            _report_errors(f"{self.uri}/{MANIFEST}"),
            system.open_input_stream(f"{folder}/{MANIFEST}") as file,
        ):
            return json.loads(file.read(2**24))

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Replace the manifest."""
        system, folder, is_local = self._locate()
        path = f"{folder}/{MANIFEST}"
        part = f"{folder}/.{MANIFEST}" if is_local else path
        with _report_errors(f"{self.uri}/{MANIFEST}"):
            with system.open_output_stream(part) as file:
                file.write(json.dumps(manifest, indent=1).encode())
            if part != path:
                system.move(part, path)


@contextmanager
def _report_errors(path: str) -> Iterator[None]:
    """Turn an error of a file system into a `WriteError` that names the path."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise WriteError(
            f"cannot use {path!r}: {reason}; check it, and that you may write to it."
        ) from error


def resume(folder: OutputFolder, facts: dict[str, Any]) -> dict[str, int]:
    """Return the rows of the parts that an earlier run has finished, if any."""
    names = folder.names()
    if MANIFEST not in names:
        if others := sorted(name for name in names if not name.startswith(".")):
            raise TableError(
                f"{folder.uri!r} holds {others[0]!r} and no {MANIFEST}; name a new"
                " folder."
            )
        folder.write_manifest({"of": facts, "parts": {}, "complete": False})
        return {}
    manifest = folder.read_manifest()
    if not isinstance(manifest, dict) or manifest.get("of") != facts:
        raise TableError(
            f"{folder.uri!r} holds the parts of another model, table or command; name a"
            " new folder, or delete this one."
        )
    return {name: int(n) for name, n in manifest["parts"].items() if name in names}
