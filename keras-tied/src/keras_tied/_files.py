"""Files that are written whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replace_atomically(path: Path) -> Iterator[Path]:
    """A new file in the target's folder, which replaces it once it is on the disk.

    The target is the path, or what it links to. An error leaves the target as it was.
    The new file always has the same name, so that what a killed process left is
    overwritten.
    """
    target = Path(os.path.realpath(path))
    part = target.with_name(f".{target.stem}.part{target.suffix}")
    try:
        yield part
        with open(part, "r+b") as file:
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):  # there is no target yet
            shutil.copymode(target, part)
        os.replace(part, target)
        _flush_folder(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, on systems that can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
