"""The texts of a missing value."""

import pyarrow as pa
import pyarrow.compute as pc

from tied_tables.columns._arrow import measure_matches, to_text

# The largest share of values that are not of the kind of their column.
MOST_MISREAD = 0.05
# in quotes or without
MISSING = (
    "",
    *"NA N/A n/a n.a. <NA> #N/A #NA NaN nan NAN -NaN -nan".split(),
    *"NULL Null null None none ? #DIV/0! #VALUE! #REF!".split(),
)
POINTS = (".", "..", "...")
# of a missing value too, but where `+` and `-` are the values of a column
DASHES = ("-", "--", "---", "–", "—")  # noqa: RUF001


def drop_missing(texts: pa.Array, has_signs: bool = False) -> pa.Array:
    """Return text without the space around it and the marks of a missing value.

    With `has_signs`, a dash is a value.
    """
    cells = to_text(texts)
    marks = (*MISSING, *POINTS) if has_signs else (*MISSING, *POINTS, *DASHES)
    is_mark = pc.is_in(cells, pa.array(marks))
    return pc.if_else(is_mark, None, cells)


def list_present(texts: pa.Array) -> pa.Array:
    """Return the texts that are no missing value; beside `+` a dash is none."""
    cells = drop_missing(texts).drop_null()
    if measure_matches(cells, r"^\+$") > 1 - MOST_MISREAD:
        return drop_missing(texts, has_signs=True).drop_null()
    return cells
