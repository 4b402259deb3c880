"""Options and messages for the tables of commands."""

from __future__ import annotations

import csv
import os
import sys
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatch
from types import ModuleType
from typing import TYPE_CHECKING

from tied_tables._text import format_quantity, propose
from tied_tables.cli._messages import UsageError, is_reported, remark
from tied_tables.cli._options import ID, STANDARD_OUTPUT, column_option, read_option

if TYPE_CHECKING:
    import pyarrow as pa

    from tied_tables.columns import Columns, Doubts, Fact
    from tied_tables.io import Source
    from tied_tables.rows import Scan
    from tied_tables.rules import Rules

FIRST_ROWS = 1_000  # the first rows, of which columns may be the numbers
# Delimiters that are hard to type at a shell.
DELIMITER_NAMES = {"tab": "\t", r"\t": "\t", "space": " "}
DateOrder = StrEnum("DateOrder", ["auto", "dmy", "mdy", "off"])


@dataclass(frozen=True)
class TableOptions:
    """The options of how to read a table; see `tied_tables.io.open_table`."""

    delimiter: str | None = read_option(
        "CSV delimiter (default: detected).", metavar="CHAR"
    )
    encoding: str | None = read_option(
        "Encoding of CSV (default: detected).", metavar="NAME"
    )
    decimal: str | None = read_option(
        "Decimal mark in text, . or a comma (default: detected).", metavar="CHAR"
    )
    no_header: bool = read_option(
        "The first line of CSV or a sheet holds values, not names.",
        "--no-header",
        default=False,
    )
    format: str | None = read_option(
        "Format of DATA, such as csv (default: by extension).", metavar="NAME"
    )
    array: str | None = read_option("Array of an .npz file to read.", metavar="NAME")
    sheet: str | None = read_option(
        "Sheet of a workbook (default: the first).", metavar="NAME"
    )
    query: str | None = read_option(
        "Query that selects the rows of a database.", metavar="SQL"
    )
    skip: int = read_option(
        "Number of lines of CSV or a sheet before the names.",
        metavar="N",
        default=0,
        min=0,
    )
    comment: str | None = read_option(
        "Skip lines of CSV that start with TEXT, such as #.", metavar="TEXT"
    )
    max_columns: int = read_option(
        "Maximum number of columns.", metavar="N", default=50_000, min=1
    )
    max_copy: int = read_option(
        "Maximum size of temporary copies of remote files and databases, in bytes.",
        metavar="N",
        default=2**34,
        min=1,
    )

    def open(
        self, path: str, text: Collection[str] | None = (), absent: Collection[str] = ()
    ) -> Source:
        """Open a table; the absent columns are missing only if this is asked for."""
        import_arrow()
        from tied_tables.io import open_table

        options = dict(vars(self))
        header = not options.pop("no_header")
        options["absent"] = absent if options.pop("impute_absent", False) else ()
        options["delimiter"] = DELIMITER_NAMES.get(self.delimiter or "", self.delimiter)
        return open_table(path, text=text, header=header, **options)


def import_arrow() -> None:
    """Import Arrow without pandas, which its first array would import.

    That takes longer than most commands, and none needs it.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    too_old = ModuleType("pandas")
    vars(too_old)["__version__"] = "0"  # which Arrow takes for none
    sys.modules["pandas"] = too_old
    with warnings.catch_warnings(action="ignore"):
        pa.array([0])
    del sys.modules["pandas"]


@dataclass(frozen=True)
class ColumnOptions:
    """The options of which columns to use, and how; see `Columns.survey`."""

    columns: str | None = column_option("Columns to use (default: all).", metavar="A,B")
    exclude: list[str] | None = column_option(
        "Columns to leave out; can be given several times.", metavar="A,B"
    )
    label: str | None = column_option(
        "Column of labels, used for colour; never trained on.", metavar="COLUMN"
    )
    id: str | None = column_option(ID, metavar="COLUMN")
    categorical: list[str] | None = column_option(
        "Columns of category codes, such as zip codes.", metavar="A,B"
    )
    numeric: list[str] | None = column_option(
        "Columns of quantities, even if their names look like those of codes or ids.",
        metavar="A,B",
    )
    dates: DateOrder = column_option(
        "Order of ambiguous dates such as 1/2/2026: dmy or mdy; off leaves dates out.",
        metavar="ORDER",
        default=DateOrder.auto,
    )
    na: list[str] | None = column_option(
        "Also treat TEXT as missing; can be given several times.", metavar="TEXT"
    )

    def survey(
        self, sample: pa.RecordBatch, source: Source, rules: Rules
    ) -> tuple[Columns, list[Fact]]:
        """Decide which columns of some rows to use and how, with a fact about each."""
        from tied_tables.columns import Columns

        return Columns.survey(
            sample,
            columns=None if self.columns is None else split_names([self.columns]),
            exclude=split_names(self.exclude),
            label=self.label,
            id=self.id,
            categorical=[*split_names(self.categorical), *source.categorical],
            numeric=split_names(self.numeric),
            decimal=source.decimal,
            dates=self.dates,
            na=self.na or (),
            determinants=rules.determinants,
            first_rows=next(source.batches(FIRST_ROWS)),
        )

    def find_choices(self) -> list[str]:
        """The options that are given and tell how to fit a model."""
        chosen = vars(replace(self, id=None, label=None))
        return [
            f"--{name}"
            for name, given in chosen.items()
            if given and given is not DateOrder.auto
        ]

    @property
    def names_of_text(self) -> list[str]:
        """The columns whose values are names, also where they look like numbers."""
        beside = [name for name in (self.label, self.id) if name is not None]
        return [*beside, *split_names(self.categorical)]


def split_names(texts: list[str] | None) -> list[str]:
    """Split names at commas, as in a line of CSV."""
    lines = [next(csv.reader([text]), []) for text in texts or []]
    return [name.strip() for line in lines for name in line if name.strip()]


def require_output(
    output: str, json: bool, data: str, endings: Collection[str] = ()
) -> None:
    """Raise if a table could not be written, or over the one that is read."""
    from tied_tables.io import OUTPUT_ENDINGS, check_output

    check_output(output, endings or OUTPUT_ENDINGS)
    target, source = map(os.path.realpath, (output, data))
    folder = os.path.join(source, "")
    is_source = fnmatch(target, source) or target.startswith(folder) or target == source
    if is_source and os.path.isfile(target):
        raise UsageError(
            f"{output!r} is a table that is read; choose another file with -o."
        )
    if json and output == STANDARD_OUTPUT:
        raise UsageError(
            "--json and --output - both write to the standard output; drop one of them."
        )


def require_column(source: Source, name: str | None, option: str) -> None:
    """Raise if a table lacks the column that an option names."""
    names = source.schema.names
    if name is not None and name not in names:
        raise UsageError(
            f"{source.name!r} has no column {name!r} for {option}; "
            f"{propose(name, names)}."
        )


def remark_notes(name: str, notes: Sequence[str]) -> None:
    """Print what was detected when a table was opened."""
    remark(*(f"{name!r}: {note}." for note in notes))


def remark_doubtful(rows: Scan, doubts: Doubts) -> None:
    """Print what is doubtful in rows, less what was when a model was fitted to them."""
    from tied_tables.columns import Doubts

    if is_reported(rows.source.name):
        doubts = Doubts(misread=doubts.misread, empty=doubts.empty)
    remark(*describe_doubtful(rows, doubts))


def describe_doubtful(rows: Scan, doubts: Doubts) -> list[str]:
    """Tell which values were in no category, not of their kind, or all missing."""
    from tied_tables._column_words import describe_left_out, describe_misread
    from tied_tables.cli._column_words import REMEDIES

    sentences = []
    left_out = describe_left_out(rows.columns, REMEDIES)
    for column, times in doubts.unseen.counts.items():
        what = "in rare or new categories, treated as (other) or as missing"
        if column not in rows.columns.names:
            in_training = left_out.get(column, "another")
            what = f"that differ from training ({in_training}) and are kept"
        values = f"{format_quantity(times, 'value')} {what}"
        examples = doubts.unseen.describe(column)
        sentences.append(f"column {column!r} has {values}: {examples}.")
    for column in doubts.empty:
        sentences.append(f"column {column!r} has no value in any row, and is imputed.")
    for column, times in doubts.misspelt.counts.items():
        values = format_quantity(times, "value")
        examples = doubts.misspelt.describe(column)
        sentences.append(
            f"column {column!r} has {values} that may be misspelt, read as the most"
            f" similar category: {examples}."
        )
    is_filled = rows.reads == "stored"
    kept = ", but not filled unless --na names it" if is_filled else ""
    for column, text in describe_misread(doubts.misread, kept).items():
        sentences.append(f"column {column!r} {text}.")
    return sentences
