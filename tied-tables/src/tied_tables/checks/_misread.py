"""Values that are not of the kind of their column, or of a category that is new."""

from tied_tables.columns import NotedValues
from tied_tables.rules import Doubt


def list_misread(misread: NotedValues) -> list[Doubt]:
    """Doubt values that are new in their column, or not of its kind."""
    doubts = []
    for column, texts in misread.texts.items():
        for text, (rows, times) in texts.items():
            often = "" if times == 1 else f", {times:,} times"
            reason = f"{column} {text} is unlike the other values of the column{often}"
            for row in rows:
                doubts.append(Doubt(row, column, text, reason=reason))
    return doubts
