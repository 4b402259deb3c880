"""Files that are written whole or not at all."""

import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from keras_tied._signals import clean_up_at_signal

# Not on Windows, where a file that is open cannot be replaced.
CANNOT_FLUSH_FOLDERS = {
    getattr(errno, name)
    for name in "EACCES EBADF EINVAL EISDIR ENOSYS ENOTSUP EPERM".split()
}
"""What systems answer that cannot flush folders; others could, and have not."""
LOCK = ".lock"  # the file in a temporary folder that tells that a process uses it
fcntl: Any = import_module("fcntl") if os.name == "posix" else None


def check_writable(output: Path, endings: Collection[str], option: str = "") -> Path:
    """Return the absolute path of a file to write, links followed, or raise.

    It has one of the endings, such as `"csv.gz"`; messages call it by the user's
    option.
    """
    name = f"{option} {str(output)!r}".lstrip()
    file_name = output.name.lower()[1:]
    if not file_name.endswith(tuple(f".{ending}" for ending in endings)):
        endings_text = ", ".join(f".{ending}" for ending in endings)
        raise ValueError(
            f"{name} has not one of the endings {endings_text}; choose one."
        )
    if output.is_dir():
        raise ValueError(f"{name} is a folder; name a file in it.")
    if output.exists() and not output.is_file():
        raise ValueError(
            f"{name} is a pipe or a device, and would be replaced; name a file."
        )
    target = output.resolve()
    if not target.parent.is_dir():
        folder = repr(str(output.parent))
        raise ValueError(f"{name} is in a folder that does not exist; create {folder}.")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise ValueError(
            f"{name} is in a folder that you may not write to; name another."
        )
    return target


def suggest_after(error: OSError) -> str:
    """What to do where a file cannot be written."""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "free some space" if is_full else "name another file"


@contextmanager
def temporary_folder() -> Iterator[str]:
    """A folder of the system's that is deleted at the end, also by a signal.

    What a killed process left, the next one deletes.
    """
    for orphan in Path(gettempdir()).glob(f"keras-tied-*/{LOCK}"):
        with suppress(OSError):
            # One that is new may be about to be locked.
            if time.time() - orphan.stat().st_mtime > 60 and _delete_orphan(orphan):
                shutil.rmtree(orphan.parent, ignore_errors=True)
    with (
        TemporaryDirectory(prefix="keras-tied-", ignore_cleanup_errors=True) as folder,
        clean_up_at_signal(partial(shutil.rmtree, folder, ignore_errors=True)),
        _hold(Path(folder, LOCK)),
    ):
        yield folder


@contextmanager
def replace_atomically(target: Path) -> Iterator[Path]:
    """A new file beside the target, which becomes it once it is whole, and on the disk.

    Errors and interruptions leave nothing of it; what a killed process left, the next
    one deletes.
    """
    if target.is_dir():
        reason = "this is a folder; name a file in it"
        raise IsADirectoryError(errno.EISDIR, reason, str(target))
    if not target.parent.is_dir():
        reason = "there is no such folder; create it first"
        raise FileNotFoundError(errno.ENOENT, reason, str(target.parent))
    # The name is short, whatever the target's.
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]
    start = f".keras-tied-{digest}-"
    for orphan in target.parent.glob(f"{start}*"):
        _delete_orphan(orphan)
    part = target.with_name(f"{start}{secrets.token_hex(8)}{target.suffix}")
    remove = partial(part.unlink, missing_ok=True)
    with clean_up_at_signal(remove), _hold(part):
        try:
            yield part
            with open(part, "r+b") as file:
                os.fsync(file.fileno())
            with suppress(FileNotFoundError):  # there is no target yet
                shutil.copymode(target, part)
            os.replace(part, target)
            _flush_folder(target.parent)
        finally:
            remove()


@contextmanager
def _hold(part: Path) -> Iterator[None]:
    """Create a file, locked as long as this process lives, which tells that it is used.

    A number of a process would not, where containers share a folder and count from 1
    each.
    """
    if fcntl is None:
        yield
        return
    while True:
        file = open(part, "ab")  # noqa: SIM115
        with suppress(OSError):  # some file systems of networks have no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(part)):
                break
        file.close()  # another has deleted it before it was locked
    with file:
        yield


def _delete_orphan(part: Path) -> bool:
    """Delete a file unless a process holds it, or may hold it; return if it is gone."""
    if fcntl is None:
        return False
    with suppress(OSError):
        with open(part, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink(missing_ok=True)
        return True
    return False


def _flush_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, or raise if it refuses."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_FLUSH_FOLDERS:
            raise
