"""Files that are written whole or not at all."""

import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from tied_tables._signals import clean_up_at_signal
from tied_tables._table_errors import TableError, WriteError

# Not on Windows, where a file that is open cannot be replaced.
CANNOT_FLUSH_FOLDERS = {
    getattr(errno, name)
    for name in "EACCES EBADF EINVAL EISDIR ENOSYS ENOTSUP EPERM".split()
}
"""What systems answer that cannot flush folders; others could, and have not."""
PART_PREFIX = ".tied-tables-"  # how the name of a part file begins
LOCK = ".lock"  # the file in a temporary folder that tells that a process uses it
fcntl: Any = import_module("fcntl") if os.name == "posix" else None
_new_files: ContextVar[frozenset[Path]] = ContextVar("new_files", default=frozenset())


def check_writable(output: Path, endings: Collection[str]) -> None:
    """Raise a `TableError` if a file could not be written.

    It has one of the endings, such as `"csv.gz"`.
    """
    known = [f".{ending}" for ending in endings]
    if not output.name.lower()[1:].endswith(tuple(known)):
        known_endings = ", ".join(known)
        raise TableError(
            f"{str(output)!r} has no supported extension; use {known_endings}."
        )
    with report_write_errors(str(output), TableError):
        find_target(output)


def find_target(path: Path) -> Path:
    """Return the absolute path of a file to write, with links followed.

    An `OSError` says why it cannot be written.
    """
    with suppress(FileNotFoundError):
        path.stat()  # raises if links lead in a loop
    target = Path(os.path.realpath(path))
    number, reason = 0, ""
    if target.is_dir():
        number, reason = errno.EISDIR, "it is a folder"
    elif target.exists() and not target.is_file():
        number, reason = errno.EEXIST, "it is a pipe or a device, and would be replaced"
    elif not target.parent.is_dir():
        number, reason = errno.ENOENT, f"there is no folder {str(target.parent)!r}"
    elif not os.access(target.parent, os.W_OK | os.X_OK):
        number, reason = errno.EACCES, "you may not write to its folder"
    if number:
        raise OSError(number, reason, str(path))
    return target


@contextmanager
def report_write_errors(
    name: str, kind: type[TableError] = WriteError
) -> Iterator[None]:
    """Turn an `OSError` while a file is written into an error of one sentence."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = error.strerror or str(error)
        if isinstance(error, FileExistsError):  # which the user has ruled out
            kind = TableError
        todo = "free some space" if is_full else "choose another file"
        raise kind(f"cannot write {name!r}: {reason}; {todo}.") from error


@contextmanager
def temporary_folder() -> Iterator[str]:
    """A folder of the system's that is deleted at the end, also by a signal.

    What a killed process left, the next one deletes.
    """
    for orphan in Path(gettempdir()).glob(f"tied-tables-*/{LOCK}"):
        with suppress(OSError):
            # One that is new may be about to be locked.
            if time.time() - orphan.stat().st_mtime > 60 and _delete_orphan(orphan):
                shutil.rmtree(orphan.parent, ignore_errors=True)
    with (
        TemporaryDirectory(prefix="tied-tables-", ignore_cleanup_errors=True) as folder,
        clean_up_at_signal(partial(shutil.rmtree, folder, ignore_errors=True)),
        _hold(Path(folder, LOCK)),
    ):
        yield folder


@contextmanager
def require_new(*paths: Path) -> Iterator[None]:
    """Within, the first write of each of some files fails if it is there by then."""
    before = _new_files.set(frozenset(Path(os.path.realpath(path)) for path in paths))
    try:
        yield
    finally:
        _new_files.reset(before)


@contextmanager
def replace_atomically(path: Path) -> Iterator[Path]:
    """A new file beside the target, which becomes it once it is whole, and on the disk.

    The target is the path, or what it links to. Errors and interruptions leave nothing
    of the new file; what a killed process left, the next one deletes.
    """
    target = find_target(path)
    # The name is short, whatever the target's.
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]
    start = f"{PART_PREFIX}{digest}-"
    _delete_orphans(target.parent, start)
    part = target.with_name(f"{start}{secrets.token_hex(8)}{target.suffix}")
    remove = partial(part.unlink, missing_ok=True)
    with clean_up_at_signal(remove), _hold(part):
        try:
            yield part
            with open(part, "r+b") as file:
                os.fsync(file.fileno())
            new_files = _new_files.get()
            if target in new_files:
                _create(part, target)
                _new_files.set(new_files - {target})
            else:
                with suppress(FileNotFoundError):  # there is no target yet
                    shutil.copymode(target, part)
                os.replace(part, target)
            _flush_folder(target.parent)
        finally:
            remove()


@contextmanager
def keep_tidy(folder: Path) -> Iterator[None]:
    """Delete what other processes leave in a folder, at the end or at a signal.

    They may be ended while they write.
    """
    delete = partial(_delete_orphans, folder, PART_PREFIX)
    with clean_up_at_signal(delete):
        try:
            yield
        finally:
            delete()


def _create(part: Path, target: Path) -> None:
    """Give a file its name, or raise if another has it."""
    try:
        try:
            os.link(part, target)
        except FileExistsError:
            raise
        except OSError:  # some file systems have no links
            target.touch(exist_ok=False)
            os.replace(part, target)
    except FileExistsError as error:
        raise FileExistsError(error.errno, "it already exists", target) from error


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


def _delete_orphans(folder: Path, start: str) -> None:
    with suppress(OSError):  # the folder may not be one
        for orphan in folder.glob(f"{start}*"):
            _delete_orphan(orphan)


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
