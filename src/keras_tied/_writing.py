"""Files that are whole, or not there."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def moved_into_place(target: Path) -> Iterator[Path]:
    """A new file beside the target, which becomes the target once it is whole.

    Args:
        target: the file to write; what is there already is replaced in one step, at the end.
    """
    part = target.with_name(f".keras-tied-{secrets.token_hex(4)}{target.suffix}")
    try:
        yield part
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
