"""A folder of part files and a manifest, on a disk or in an object store."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import fs

from keras_tied.tables import TableError, WriteError, write_table

MANIFEST = "_manifest.json"
"""Tables leave out names that begin with an underscore."""


@dataclass(frozen=True)
class OutputFolder:
    """Where parts are written: each whole, or not at all.

    Attributes:
        uri: a path, or a URI of a file system that pyarrow knows, such as `s3://bucket/folder`.
        format: the ending of the parts, `"parquet"` or `"arrow"`.
    """

    uri: str
    format: str = "parquet"

    def _locate(self) -> tuple[fs.FileSystem, str]:
        if "://" not in self.uri:
            return fs.LocalFileSystem(), os.path.abspath(self.uri)
        try:
            system, folder = fs.FileSystem.from_uri(self.uri.rstrip("/"))
        except (pa.ArrowException, OSError) as error:
            raise _report(self.uri, error) from error
        return system, folder

    def write_table(self, name: str, batches: Iterable[pa.RecordBatch]) -> int:
        """Write a part, and return its number of rows."""
        system, folder = self._locate()
        if isinstance(system, fs.LocalFileSystem):
            return write_table(os.path.join(folder, name), batches)
        # An object appears when it was sent in full; until then the rows are on this disk.
        with tempfile.TemporaryDirectory() as scratch:
            n_rows = write_table(os.path.join(scratch, name), batches)
            try:
                fs.copy_files(
                    os.path.join(scratch, name),
                    f"{folder}/{name}",
                    source_filesystem=fs.LocalFileSystem(),
                    destination_filesystem=system,
                )
            except (pa.ArrowException, OSError) as error:
                raise _report(f"{self.uri}/{name}", error) from error
        return n_rows

    def names(self) -> list[str]:
        """The files in the folder, which is made if it is not there."""
        system, folder = self._locate()
        try:
            system.create_dir(folder)
            return [info.base_name for info in system.get_file_info(fs.FileSelector(folder))]
        except (pa.ArrowException, OSError) as error:
            raise _report(self.uri, error) from error

    def read_manifest(self) -> Any:
        """The JSON of the manifest, which is there."""
        system, folder = self._locate()
        try:
            with system.open_input_stream(f"{folder}/{MANIFEST}") as file:
                return json.loads(file.read(2**24))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _report(f"{self.uri}/{MANIFEST}", error) from error

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Replace the manifest."""
        system, folder = self._locate()
        content = json.dumps(manifest, indent=1).encode()
        part = f"{folder}/.{MANIFEST}" if isinstance(system, fs.LocalFileSystem) else None
        try:
            with system.open_output_stream(part or f"{folder}/{MANIFEST}") as file:
                file.write(content)
            if part is not None:
                system.move(part, f"{folder}/{MANIFEST}")
        except (pa.ArrowException, OSError) as error:
            raise _report(f"{self.uri}/{MANIFEST}", error) from error


def _report(name: str, error: Exception) -> WriteError:
    reason = " ".join(str(error).split()).rstrip(".")
    return WriteError(f"cannot use {name!r}: {reason}; check it, and that you may write to it.")


def resume(folder: OutputFolder, facts: dict[str, Any]) -> dict[str, int]:
    """Find which parts an earlier run has finished, by their rows; starts a new manifest.

    Args:
        folder: the output.
        facts: what the parts depend on, as JSON has it.

    Raises:
        TableError: if the folder holds something else.
    """
    names = folder.names()
    if MANIFEST not in names:
        if others := [name for name in names if not name.startswith(".")]:
            raise TableError(
                f"{folder.uri!r} holds {sorted(others)[0]!r} and no {MANIFEST}; name a new folder."
            )
        folder.write_manifest({"of": facts, "parts": {}, "complete": False})
        return {}
    manifest = folder.read_manifest()
    if not isinstance(manifest, dict) or manifest.get("of") != facts:
        raise TableError(
            f"{folder.uri!r} holds the parts of another model, table or command; name a new "
            "folder, or delete this one."
        )
    return {name: int(n) for name, n in manifest["parts"].items() if name in names}
