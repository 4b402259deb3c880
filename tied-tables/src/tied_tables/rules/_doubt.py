"""What is doubtful in a cell."""

from typing import NamedTuple


class Doubt(NamedTuple):
    """A doubtful cell, and what it may be instead.

    Attributes:
        row: the place of the row, from 0.
        column: the name of the column.
        value: the text that is there.
        suggestion: the text that may be right, or None.
        reason: why, in words.
        strength: the logarithm of the odds that the cell is wrong, up to a constant.
    """

    row: int
    column: str
    value: str | None
    suggestion: str | None
    reason: str
    strength: float
