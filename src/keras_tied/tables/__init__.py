"""Tables on disk: read in batches, turned into numbers and back, and written, without Keras."""

from keras_tied.columns import (
    MISSING,
    OTHER,
    ROWS_TO_COUNT,
    Column,
    Columns,
    Fact,
    Kind,
    MisreadValues,
    NumberText,
    TableError,
    Times,
    TruthText,
    get_value,
)
from keras_tied.tables._errors import WriteError
from keras_tied.tables._file import ENDINGS, OUTPUT_ENDINGS, ReadOptions
from keras_tied.tables._open import open_table
from keras_tied.tables._scan import Batch, Reads, Scan
from keras_tied.tables._source import Source
from keras_tied.tables._total import describe_total
from keras_tied.tables._write import check_output, write_table

__all__ = [
    "ENDINGS",
    "MISSING",
    "OTHER",
    "OUTPUT_ENDINGS",
    "ROWS_TO_COUNT",
    "Batch",
    "Column",
    "Columns",
    "Fact",
    "Kind",
    "MisreadValues",
    "NumberText",
    "ReadOptions",
    "Reads",
    "Scan",
    "Source",
    "TableError",
    "Times",
    "TruthText",
    "WriteError",
    "check_output",
    "describe_total",
    "get_value",
    "open_table",
    "write_table",
]
