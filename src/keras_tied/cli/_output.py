"""Figures and pages, written whole or not at all."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from keras_tied._files import check_writable, replace_atomically
from keras_tied.cli._messages import FailedError, say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GLYPH = re.compile(r"Glyph (\d+) .*missing from")
"""Matplotlib's warning of a character that no font has."""


def check_figure_path(output: Path) -> Path:
    """Return the absolute path of a figure, if it can be written."""
    from keras_tied.plotting import FORMATS

    return check_writable(output, FORMATS, "--output")


@contextmanager
def replace_output(output: Path, target: Path) -> Iterator[Path]:
    """Yield a temporary file, which replaces the target; the messages name `output`."""
    with report_write_errors(output), replace_atomically(target) as part:
        yield part


@contextmanager
def report_write_errors(output: Path) -> Iterator[None]:
    """Turn an `OSError` into the message that the output could not be written."""
    try:
        yield
    except OSError as error:
        raise FailedError(
            f"cannot write {str(output)!r}: {error.strerror or error}; free some space, or name "
            "another file."
        ) from error


def save_figure(figure: Figure, output: Path, target: Path, quiet: bool) -> None:
    """Write a figure; say once that a character which no font has is drawn as a box."""
    with replace_output(output, target) as part, warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        figure.savefig(part, dpi=160)
    missing = [GLYPH.match(str(warning.message)) for warning in found]
    characters = "".join(dict.fromkeys(chr(int(match[1])) for match in missing if match))
    if characters and not quiet:
        some = characters if len(characters) <= 8 else f"{characters[:8]} and others"
        say(f"no font here has {some}, drawn as boxes; install one that does, such as Noto Sans.")
