"""Several widths of the code: how well each reconstructs rows, and hidden values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tied_tables.cli._messages import report_wrong_use
from tied_tables.cli._progress import show_stages

if TYPE_CHECKING:
    from tied_tables._types import Array

MOST_WIDTHS = 64
WIDTHS = re.compile(r"([1-9][0-9]{0,4})(?:\.\.([1-9][0-9]{0,4}))?")  # one, or a range


def parse_widths(text: str) -> list[int] | None:
    """Read numbers of components: `4`, `1,2,4`, `1..16`; None for another text.

    Examples:
        >>> parse_widths("1..3,8"), parse_widths("0.9")
        ([1, 2, 3, 8], None)
    """
    widths: set[int] = set()
    for part in text.split(","):
        match = WIDTHS.fullmatch(part.strip())
        if match is None:
            return None
        width_range = range(int(match[1]), int(match[2] or match[1]) + 1)
        if not width_range:
            return None
        widths.update(width_range)
    return sorted(widths) if len(widths) <= MOST_WIDTHS else None


def find_width(
    numbers: Array, widths: list[int], column_of: Array, seed: int
) -> tuple[int, list[dict[str, float]]]:
    """Choose one of some widths by rows that are held out; return the errors of all."""
    from tied_tables.comparison import choose_width, compare_widths

    with show_stages("starting") as on_stage, report_wrong_use():
        curve = compare_widths(
            numbers,
            widths,
            column_of=column_of,
            random_state=seed,
            on_width=lambda width: on_stage(f"{width} of {widths[-1]} components"),
        )
        n_components = choose_width(curve)
    return n_components, [width._asdict() for width in curve]


def explain_choice(widths: Sequence[Mapping[str, float]]) -> str:
    """Return what to add to the width that was chosen of some."""
    first, last = (widths[place]["n_components"] for place in (0, -1))
    choice = f", of {first} to {last} the one that reconstructs hidden values best"
    if min(width["hidden_error"] for width in widths) >= 1:
        choice += (
            ", and not better than by their mean: the columns have little in common"
        )
    return choice
