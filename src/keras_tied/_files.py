"""Files that are written whole or not at all."""

import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path


def check_writable(output: Path, endings: Collection[str], option: str = "") -> Path:
    """Where a file will be written, if it can be.

    Args:
        output: the path that the user gave.
        endings: those that it may have, such as `"csv"` or `"csv.gz"`.
        option: what the user calls the path, such as `"--output"`, for the messages.

    Returns:
        The absolute path, symbolic links followed.

    Raises:
        ValueError: if it has another ending, is a folder, or is in a folder that does not exist or
            may not be written to.
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
def replace_atomically(target: Path) -> Iterator[Path]:
    """A new file beside the target, which becomes the target once it is whole.

    Whatever goes wrong in between, an interruption included, leaves nothing of it.

    Args:
        target: the file to write; what is there already is replaced in one step, at the end.
    """
    part = target.with_name(f".keras-tied-{secrets.token_hex(4)}{target.suffix}")
    try:
        yield part
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
