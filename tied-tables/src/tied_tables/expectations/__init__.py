"""What rows of a table should satisfy, as a file that Pointblank reads, too."""

from tied_tables.expectations._files import read_yaml, to_schema, to_yaml
from tied_tables.expectations._find import find_steps
from tied_tables.expectations._steps import Step, list_failing, read_kinds
from tied_tables.expectations._values import write_marks

__all__ = [
    "Step",
    "find_steps",
    "list_failing",
    "read_kinds",
    "read_yaml",
    "to_schema",
    "to_yaml",
    "write_marks",
]
