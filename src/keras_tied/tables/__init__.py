"""Tables on disk: read in batches, turned into numbers and back, and written, without Keras."""

try:
    import pyarrow  # noqa: F401
except ImportError as error:
    raise ImportError(
        f'reading tables needs {error.name}; run pip install "keras-tied[cli]".', name=error.name
    ) from error

from keras_tied.tables._column import OTHER, Column, get_value
from keras_tied.tables._columns import Columns, MisreadValues
from keras_tied.tables._errors import TableError, WriteError
from keras_tied.tables._facts import ROWS_TO_COUNT, ColumnChoice, Fact
from keras_tied.tables._file import ENDINGS, OUTPUT_ENDINGS, ReadOptions
from keras_tied.tables._kinds import Kind
from keras_tied.tables._number_text import MISSING, NumberText, TruthText
from keras_tied.tables._open import open_table
from keras_tied.tables._scan import Batch, Here, Scan, Workers
from keras_tied.tables._source import Source
from keras_tied.tables._times import Times
from keras_tied.tables._write import check_output, write_table

__all__ = [
    "ENDINGS",
    "MISSING",
    "OTHER",
    "OUTPUT_ENDINGS",
    "ROWS_TO_COUNT",
    "Batch",
    "Column",
    "ColumnChoice",
    "Columns",
    "Fact",
    "Here",
    "Kind",
    "MisreadValues",
    "NumberText",
    "ReadOptions",
    "Scan",
    "Source",
    "TableError",
    "Times",
    "TruthText",
    "Workers",
    "WriteError",
    "check_output",
    "get_value",
    "open_table",
    "write_table",
]
