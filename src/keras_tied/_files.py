"""Files that are written whole or not at all."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from keras_tied._signals import clean_up_at_signal

MACHINE = os.uname().nodename if hasattr(os, "uname") else ""


def check_writable(output: Path, endings: Collection[str], option: str = "") -> Path:
    """Return the absolute path of a file that will be written, links followed, or raise.

    It has one of the endings, such as `"csv.gz"`; messages call it by the user's option.
    """
    name = f"{option} {str(output)!r}".lstrip()
    if not any(output.name.lower()[1:].endswith(f".{ending}") for ending in endings):
        endings_text = ", ".join(f".{ending}" for ending in endings)
        raise ValueError(f"{name} has not one of the endings {endings_text}; choose one.")
    if output.is_dir():
        raise ValueError(f"{name} is a folder; name a file in it.")
    target = output.resolve()
    if not target.parent.is_dir():
        folder = repr(str(output.parent))
        raise ValueError(f"{name} is in a folder that does not exist; create {folder}.")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise ValueError(f"{name} is in a folder that you may not write to; name another.")
    return target


@contextmanager
def temporary_folder() -> Iterator[str]:
    """A folder of the system's that is deleted at the end, also of a command by a signal."""
    with (
        TemporaryDirectory(prefix="keras-tied-", ignore_cleanup_errors=True) as folder,
        clean_up_at_signal(partial(shutil.rmtree, folder, ignore_errors=True)),
    ):
        yield folder


@contextmanager
def replace_atomically(target: Path) -> Iterator[Path]:
    """A new file beside the target, which becomes the target once it is whole.

    Errors and interruptions leave nothing of it; what a killed process left, the next one deletes.
    """
    # The name is short, whatever the target's, and tells this machine's processes apart.
    digest = hashlib.sha256(os.fsencode(f"{MACHINE}/{target.name}")).hexdigest()[:12]
    for left in target.parent.glob(f".keras-tied-{digest}-*"):
        if not _is_running(left.name.split("-")[3]):
            left.unlink(missing_ok=True)
    token = f"{os.getpid()}-{secrets.token_hex(4)}"
    part = target.with_name(f".keras-tied-{digest}-{token}{target.suffix}")
    remove = partial(part.unlink, missing_ok=True)
    with clean_up_at_signal(remove):
        try:
            yield part
            with suppress(FileNotFoundError):  # there is no target yet
                shutil.copymode(target, part)
            os.replace(part, target)
        finally:
            remove()


def _is_running(process: str) -> bool:
    """Whether there is a process of this number; on Windows, where asking ends it, always."""
    if os.name == "nt":
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (OverflowError, PermissionError, ValueError):
        pass
    return True
