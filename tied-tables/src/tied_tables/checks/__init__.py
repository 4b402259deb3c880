"""What is wrong in a table: a file for each check, all of which give `Doubt`s."""

from tied_tables.checks._absurd import find_far_values
from tied_tables.checks._columns import describe_columns
from tied_tables.checks._contradictory import ContradictionFinder
from tied_tables.checks._corrections import CORRECTIONS_EFFORT, FIELDS, find_corrections
from tied_tables.checks._misread import list_misread
from tied_tables.checks._odd import Oddest, find_oddest
from tied_tables.checks._repeated import RepeatFinder
from tied_tables.rules import Doubt

__all__ = [
    "CORRECTIONS_EFFORT",
    "FIELDS",
    "ContradictionFinder",
    "Doubt",
    "Oddest",
    "RepeatFinder",
    "describe_columns",
    "find_corrections",
    "find_far_values",
    "find_oddest",
    "list_misread",
]
