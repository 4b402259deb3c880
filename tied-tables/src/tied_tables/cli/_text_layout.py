"""Lines of text and tables for a terminal, in which no word is broken."""

import re
import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

from tied_tables._text import replace_controls

GAP = "  "  # between two columns of a table, and before what belongs to a line above
NARROWEST = 8  # columns of the terminal that the first column of a table has at least
# What stays in one line: a command, an option with its value, a name in quotes, a word.
UNBROKEN = re.compile(
    r"""tied-tables\ [^\s:](?:[^;,]|[;,](?!\s|$))*[;,]?
    | pip\ install\ "[^"]*"\S*
    | --[a-z][a-z-]*\ (?:'[^']{1,40}'\S*|[^\s']+)
    | (?<!\w)(?:'[^']{1,40}'|"[^"]{1,40}")\S*
    | \S+""",
    re.VERBOSE,
)
NUMERIC_CELL = re.compile(r"[>-]? ?[\d,]*\.?\d+(e[+-]?\d+)?|-|")


def find_width() -> int:
    """Return the columns of the terminal; 80 where there is none."""
    return shutil.get_terminal_size().columns


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Break a text between words; lines after the first one are indented.

    A command, a name in quotes or a word that is wider than the lines has its own.

    Examples:
        >>> wrap("a name such as 'Shell weight' stays whole", 22, "  ")
        ['a name such as', "  'Shell weight' stays", '  whole']
    """
    if measure(text) <= width:
        return [text]
    lines, line = [], ""
    for phrase in UNBROKEN.findall(text):
        longer = f"{line} {phrase}" if line.strip() else f"{line}{phrase}"
        if line.strip() and measure(longer) > width:
            lines.append(line)
            longer = f"{indent}{phrase}"
        line = longer
    return [*lines, line]


def wrap_for(stream: TextIO | None, text: str) -> str:
    """Wrap a text for a terminal; a file or a pipe gets it as one line."""
    text = replace_controls(text)
    if stream is None or not stream.isatty():
        return text
    return "\n".join(wrap(text, find_width(), GAP))


def print_line(text: str) -> None:
    """Print a line of text, which may hold names and values of the user's."""
    print(wrap_for(sys.stdout, text))


def lay_out(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int
) -> list[str]:
    """Return the lines of a table of one row or more; without a header, of its cells.

    Only the last cell of a row is wrapped: beside the others or beneath them, whichever
    takes fewer lines. Numbers are aligned at their right.

    Examples:
        >>> for line in lay_out(["name", "n", "why"], [["Oslo", "7", "it is far"]], 40):
        ...     print(line)
        name  n  why
        ────────────
        Oslo  7  it is far
    """
    cells = [[replace_controls(cell) for cell in row] for row in rows]
    *columns, _ = zip(*cells, strict=True)
    *headed, _ = zip(*filter(None, [header, *cells]), strict=True)
    widths = [max(map(measure, column)) for column in headed]
    other_widths = sum(widths[1:]) + len(GAP) * len(widths)
    widths[0] = min(widths[0], max(NARROWEST, min(width - other_widths, width // 3)))
    are_numbers = [all(map(NUMERIC_CELL.fullmatch, column)) for column in columns]
    lines = []
    if header:
        lines = _lay_out_row(header, widths, are_numbers, width)
        lines.append("─" * min(width, max(map(measure, lines))))
    for row in cells:
        lines += _lay_out_row(row, widths, are_numbers, width)
    return lines


def _lay_out_row(
    row: Sequence[str], widths: Sequence[int], are_numbers: Sequence[bool], width: int
) -> list[str]:
    """Return the lines of a row: a cell that is too wide takes a line of its own."""
    *cells, last = row
    lines, line, offset = [], "", 0
    for cell, cell_width, is_number in zip(cells, widths, are_numbers, strict=True):
        blank = " " * (cell_width - measure(cell))
        if measure(line) > offset:
            lines.append(line.rstrip())
            line = " " * offset
        line += (blank + cell if is_number else cell + blank) + GAP
        offset += cell_width + len(GAP)
    beside = wrap(last, max(width - offset, 1))
    beneath = wrap(last, width - len(GAP))
    is_beside = max(map(measure, beside)) + offset <= width
    if is_beside and measure(line) <= offset and len(beside) <= 1 + len(beneath):
        lines.append((line + beside[0]).rstrip())
        return lines + [" " * offset + more for more in beside[1:]]
    return [*lines, line.rstrip(), *(GAP + more for more in beneath)]


def measure(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
