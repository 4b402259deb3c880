"""The columns of a table: what kind each is, and its numbers."""

try:
    import pyarrow  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"columns that are not numeric, and table files, need {error.name}; run pip"
        ' install "tied-tables[cli]".',
        name=error.name,
    ) from error

from tied_tables._text import OTHER
from tied_tables.columns._column import (
    Column,
    MisfitError,
    drop_marks,
    format_cell,
    get_value,
    list_values,
    snap,
)
from tied_tables.columns._columns import Columns
from tied_tables.columns._facts import ROWS_TO_COUNT, Fact
from tied_tables.columns._frames import (
    Frame,
    FrameSchema,
    find_library,
    read_rows,
    wrap,
)
from tied_tables.columns._kinds import (
    NUMERIC_KINDS,
    Kind,
    find_kind,
    make_distinct,
    merge_types,
    rename_rows,
    simplify_rows,
    simplify_type,
    trim_names,
)
from tied_tables.columns._missing import MISSING
from tied_tables.columns._noted import Doubts, NotedValues
from tied_tables.columns._number_text import (
    LONG_NUMERAL,
    NumberText,
    decide_number_text,
    find_decimal,
    is_number,
)
from tied_tables.columns._remarks import Remark, Role, Topic
from tied_tables.columns._times import (
    Times,
    decide_times,
    decode_days,
    list_months,
)
from tied_tables.columns._truth_text import TruthText

__all__ = [
    "LONG_NUMERAL",
    "MISSING",
    "NUMERIC_KINDS",
    "OTHER",
    "ROWS_TO_COUNT",
    "Column",
    "Columns",
    "Doubts",
    "Fact",
    "Frame",
    "FrameSchema",
    "Kind",
    "MisfitError",
    "NotedValues",
    "NumberText",
    "Remark",
    "Role",
    "Times",
    "Topic",
    "TruthText",
    "decide_number_text",
    "decide_times",
    "decode_days",
    "drop_marks",
    "find_decimal",
    "find_kind",
    "find_library",
    "format_cell",
    "get_value",
    "is_number",
    "list_months",
    "list_values",
    "make_distinct",
    "merge_types",
    "read_rows",
    "rename_rows",
    "simplify_rows",
    "simplify_type",
    "snap",
    "trim_names",
    "wrap",
]
