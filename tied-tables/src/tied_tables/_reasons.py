"""Why a row is odd, in words."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from tied_tables._text import OTHER, format_number, format_value

MAIN_SHARE = 0.75  # a column with such a share is the reason alone
# Two columns contradict each other if the second share is at least so much of the
# first.
CONTRADICTION = 0.5
SMALLEST_WITH_COMMA = 10_000  # of numbers; a year has none
ORDINARY = 20  # a row is ordinary if at least one in so many is as odd


class Cause(NamedTuple):
    """A column that makes a row odd: its share, its value, and what is likely.

    `expected` is None where that is the value that is there, `ratio` is how many times
    as likely as the value that is, if they are categories.
    """

    column: str
    share: float
    value: str
    expected: str | None
    ratio: float = 1.0

    @property
    def suggestion(self) -> str | None:
        """What is expected, unless that is any of the rare categories."""
        return None if self.expected == OTHER else self.expected

    @property
    def suggested(self) -> str:
        """What is expected, in a sentence."""
        return self.suggestion or "another value"


def describe_reason(
    causes: Sequence[Cause], is_ordinary: bool, is_alone: bool = False
) -> str:
    """Tell why a row is odd, by the columns with the largest shares, largest first.

    `is_ordinary` is whether the row would be ordinary with what is expected in the
    first column, `is_alone` whether the table has no other one.
    """
    if not causes:
        return "no single column explains the score"
    first, *other_causes = causes
    if first.expected is None:
        values = [f"{cause.column} {cause.value}" for cause in causes[:2]]
        ending = (
            "seldom go together"
            if other_causes
            else "is rare with the other values of the row"
        )
        return f"{' and '.join(values)} {ending}"
    if first.share >= MAIN_SHARE or not other_causes:
        suggestion = f"suggest {first.suggested}"
        if first.ratio > 1:
            times = format_number(float(f"{first.ratio:.2g}"))
            suggestion = f"make {first.suggested} {times} times as likely"
        if is_ordinary:
            suggestion += ", and with that the row would be ordinary"
        source = "its other values" if is_alone else "the other columns"
        return f"{first.column} {first.value}; {source} {suggestion}"
    second = other_causes[0]
    is_contradiction = second.share >= CONTRADICTION * first.share
    if is_contradiction and first.share + second.share >= MAIN_SHARE:
        suggested = f"{first.column} {first.suggested}"
        ending = f"; with {suggested} the row would be ordinary" * is_ordinary
        return (
            f"{first.column} {first.value} and {second.column} {second.value} seldom go"
            f" together; the other columns suggest {suggested} or"
            f" {second.column} {second.suggested}{ending}"
        )
    values = [
        f"{cause.column} {cause.value} (suggested {cause.suggested})"
        for cause in causes
    ]
    return f"several columns: {', '.join(values)}"


def format_given(value: Any) -> str:
    """Format a value of a table."""
    if value is None:
        return "missing"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return format_value(value, 40)
    size = abs(value)
    comma = "," if size >= SMALLEST_WITH_COMMA else ""
    # Whole decimals are there in a column with gaps.
    is_whole = value % 1 == 0 or size >= 1e6
    return format(value, f"{comma}.0f" if is_whole and size < 1e15 else f"{comma}.6g")


def format_suggestion(value: Any) -> str:
    """Format a value that is about what is expected."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return format_given(value)
    value = round_suggestion(value)
    if 1000 <= abs(value) < SMALLEST_WITH_COMMA:
        return f"{value:.0f}"
    if SMALLEST_WITH_COMMA <= abs(value) < 1e15:
        return format_given(value)  # as the value beside it
    return format_number(value)


def round_suggestion(value: float) -> float:
    """Round a number that is about what is expected to three digits."""
    if math.isinf(value):
        return float(value)
    if 1000 <= abs(value) < SMALLEST_WITH_COMMA:  # a year, which needs all digits
        return float(round(value))
    return float(f"{value:.3g}")
