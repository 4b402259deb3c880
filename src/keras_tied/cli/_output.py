"""Results that are printed, and figures and pages, which are written whole or not at all."""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_tied._files import check_writable, replace_atomically, suggest_after
from keras_tied._text import replace_controls
from keras_tied.cli._messages import FailedError, report_wrong_use, say
from keras_tied.cli._options import Json, Quiet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_UNBROKEN = (
    16  # characters of a cell that stay in one line where a table is wrapped
)
WIDEST = 10_000
# Matplotlib's warning of a character that no font has.
GLYPH = re.compile(r"Glyph (\d+) .*missing from")


@dataclass(frozen=True)
class Printing:
    """The options of what is printed."""

    json: Json = False
    quiet: Quiet = False

    def print_result(
        self, facts: Mapping[str, Any], text: str | Mapping[str, str]
    ) -> None:
        """Print the result as JSON, or as text if there is one, or as names and texts."""
        if self.json:
            print_json(facts)
        elif text and not self.quiet:
            print(text) if isinstance(text, str) else print_facts(text)


def print_json(facts: Mapping[str, Any]) -> None:
    """Print facts as one JSON object."""
    print(json.dumps(facts, indent=2, ensure_ascii=False, default=str))


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and texts side by side."""
    print_table((), list(facts.items()))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; without a header, its cells alone."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = (
        Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        if header
        else Table.grid(padding=(0, 2))
    )
    for place, name in enumerate(header):
        is_short = max((len(row[place]) for row in rows), default=0) <= LONGEST_UNBROKEN
        table.add_column(
            Text(replace_controls(name)), overflow="fold", no_wrap=is_short
        )
    for row in rows:
        table.add_row(*(Text(replace_controls(cell), overflow="fold") for cell in row))
    width = (
        None if sys.stdout.isatty() else WIDEST
    )  # what reads a pipe wants a row in a line
    Console(highlight=False, width=width).print(table)


def check_output(output: Path, endings: Collection[str]) -> None:
    """Raise if a file could not be written, before any work is done."""
    with report_wrong_use():
        check_writable(output, endings, "--output")


@contextmanager
def replace_output(output: Path) -> Iterator[Path]:
    """Yield a temporary file, which replaces the output, or what it links to."""
    with report_write_errors(output), replace_atomically(output.resolve()) as part:
        yield part


@contextmanager
def report_write_errors(output: Path) -> Iterator[None]:
    """Turn an `OSError` into the message that the output could not be written."""
    try:
        yield
    except OSError as error:
        reason = f"cannot write {str(output)!r}: {error.strerror or error}"
        raise FailedError(f"{reason}; {suggest_after(error)}.") from error


def save_figure(figure: Figure, output: Path, quiet: bool) -> None:
    """Write a figure; say once that a character which no font has is drawn as a box."""
    with (
        replace_output(output) as part,
        warnings.catch_warnings(record=True) as remarks,
    ):
        warnings.simplefilter("always")
        figure.savefig(part, dpi=160)
    missing = [GLYPH.match(str(warning.message)) for warning in remarks]
    characters = "".join(
        dict.fromkeys(chr(int(match[1])) for match in missing if match)
    )
    if characters:
        some = characters if len(characters) <= 8 else f"{characters[:8]} and others"
        todo = "install one that does, such as Noto Sans."
        say(f"no font here has {some}, drawn as boxes; {todo}", quiet=quiet)
