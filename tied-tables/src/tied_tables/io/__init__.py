"""Tables on disk: read in batches, and written, whatever their columns mean."""

from tied_tables._table_errors import TableError, WriteError
from tied_tables.io._file import ENDINGS, OUTPUT_ENDINGS, ReadOptions
from tied_tables.io._open import open_table
from tied_tables.io._patch import Patch
from tied_tables.io._source import Source, hold_rows
from tied_tables.io._total import Total, find_total
from tied_tables.io._write import check_output, write_patch, write_table

__all__ = [
    "ENDINGS",
    "OUTPUT_ENDINGS",
    "Patch",
    "ReadOptions",
    "Source",
    "TableError",
    "Total",
    "WriteError",
    "check_output",
    "find_total",
    "hold_rows",
    "open_table",
    "write_patch",
    "write_table",
]
