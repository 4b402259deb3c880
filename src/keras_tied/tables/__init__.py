"""Tables on disk: read in batches, and written, whatever their columns mean."""

from keras_tied._table_errors import TableError, WriteError
from keras_tied.tables._file import ENDINGS, OUTPUT_ENDINGS, ReadOptions
from keras_tied.tables._open import open_table
from keras_tied.tables._source import Source
from keras_tied.tables._total import Total, find_total
from keras_tied.tables._write import check_output, write_patch, write_table

__all__ = [
    "ENDINGS",
    "OUTPUT_ENDINGS",
    "ReadOptions",
    "Source",
    "TableError",
    "Total",
    "WriteError",
    "check_output",
    "find_total",
    "open_table",
    "write_patch",
    "write_table",
]
