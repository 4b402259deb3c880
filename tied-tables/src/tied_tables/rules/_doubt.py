"""What every check returns: a record of a value or a row that may be wrong."""

from typing import NamedTuple


class Doubt(NamedTuple):
    """A cell, a row or a block of rows that may be wrong.

    Every check of a table gives a list of these, the most certain first.

    Attributes:
        row: its number in the table, counted from 1; the first row of a block.
        column: the column of the cell, or None for a whole row.
        value: the cell as it stands in the table, or None for a whole row.
        suggestion: what the cell should hold, as text, or None if the check knows none.
        reason: one clause for people, without a full stop.
        strength: one row in how many is as odd as this one, or None where a check does
            not measure that, such as that of repeated rows.
        strength_corrected: the same of the row with the suggestion in its place, or
            None.

    Examples:
        >>> from tied_tables.rules import Doubt
        >>> doubt = Doubt(3, "city", "Berlni", "Berlin", "misspelt", strength=200.0)
        >>> doubt.row, doubt.suggestion
        (3, 'Berlin')
    """

    row: int
    column: str | None = None
    value: str | None = None
    suggestion: str | None = None
    reason: str = ""
    strength: float | None = None
    strength_corrected: float | None = None
