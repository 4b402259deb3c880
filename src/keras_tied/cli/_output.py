"""Figures and pages, written whole or not at all."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from keras_tied._files import check_writable, replace_atomically
from keras_tied.cli._messages import FailedError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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


def save_figure(figure: Figure, output: Path, target: Path) -> None:
    """Write a figure; a character that no font has is drawn as a box."""
    with replace_output(output, target) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure.savefig(part, dpi=160)
