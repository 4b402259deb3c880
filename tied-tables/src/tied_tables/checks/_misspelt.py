"""Values that are maybe a category of their column, misspelt."""

from tied_tables.checks._odd import Oddest
from tied_tables.rules import Doubt


def find_misspelt(oddest: Oddest) -> list[Doubt]:
    """Doubt the first misspelt value of each of the oddest rows."""
    doubts = []
    for place, causes in enumerate(oddest.causes):
        cause = next((cause for cause in causes if cause.is_misspelt), None)
        if cause is not None:
            doubts.append(oddest.doubt(place, cause))
    return doubts
