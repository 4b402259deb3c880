"""Results that are printed, and figures and pages, which are written whole."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tied_tables._files import replace_atomically, report_write_errors
from tied_tables._text import (
    escape_controls,
    format_number,
    format_rarity,
)
from tied_tables.cli._messages import is_quiet, remark
from tied_tables.cli._options import STANDARD_OUTPUT
from tied_tables.cli._text_layout import find_width, lay_out, print_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADINGS = {"one_in": "one in"}  # of facts of rows
# Matplotlib's warning of a character that no font has.
NO_GLYPH = "missing from font"


def print_result(
    as_json: bool, facts: Mapping[str, Any], text: str | Mapping[str, str]
) -> None:
    """Print the result as JSON, or else a text, or names with texts, unless quiet.

    Where the output is the standard output, nothing is printed beside.
    """
    if as_json:
        print_json(facts)
    elif facts["output"] != STANDARD_OUTPUT and not is_quiet():
        print_line(text) if isinstance(text, str) else print_facts(text)


def print_json(facts: Mapping[str, Any]) -> None:
    """Print facts as one JSON object; a number that is not finite is null."""
    plain = json.dumps(facts, default=str)
    finite = json.loads(plain, parse_constant=lambda _: None)
    text = json.dumps(finite, indent=2, ensure_ascii=False)
    print(escape_controls(text))


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and texts side by side."""
    print_table((), list(facts.items()))


def print_rows(
    names: Sequence[str], rows: Sequence[Mapping[str, Any]], most: float
) -> None:
    """Print some facts of rows; `most` is the largest rarity that a model can tell."""
    formats: dict[str, Callable[[Any], str]] = {
        "score": format_number,
        "error": format_number,
        "one_in": partial(format_rarity, most=most),
    }
    cells = []
    for row in rows:
        texts = []
        for name in names:
            value = row[name]
            is_text = isinstance(value, str)  # an id can have any name
            write = str if is_text else formats.get(name, str)
            texts.append("" if value is None else write(value))
        cells.append(texts)
    print_table([HEADINGS.get(name, name) for name in names], cells)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; without a header, its cells alone."""
    print(*lay_out(header, rows, find_width()), sep="\n")


@contextmanager
def replace_output(output: Path) -> Iterator[Path]:
    """Yield a temporary file, which replaces the output, or what it links to."""
    with report_write_errors(str(output)), replace_atomically(output) as part:
        yield part


def save_figure(figure: Figure, output: Path) -> None:
    """Write a figure; say once that characters which no font has are drawn as boxes."""
    with (
        replace_output(output) as part,
        warnings.catch_warnings(record=True) as remarks,
    ):
        warnings.simplefilter("always")
        figure.savefig(part, dpi=160)
    if any(NO_GLYPH in str(warning.message) for warning in remarks):
        remark(
            "some characters are drawn as boxes, as no installed font has them; install"
            " one that does, such as Noto Sans."
        )
