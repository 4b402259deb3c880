"""``keras-tied check``: show what the columns of a table read as, and what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_tied.cli._app import command
from keras_tied.cli._options import Data, Json, Seed
from keras_tied.cli._show import print_json, print_table
from keras_tied.cli._table import ColumnOptions, TableOptions
from keras_tied.cli._training_table import Survey, survey

if TYPE_CHECKING:
    from keras_tied.tables import Fact


@command("keras-tied check rows.csv")
def check(
    data: Data,
    seed: Seed = 0,
    *,
    columns: ColumnOptions,
    options: TableOptions,
    json: Json = False,
) -> None:
    """Show what the columns of a table read as, and what fit would make of them."""
    found = survey(data, options, columns, seed, json)
    show_survey(found, json)


def show_survey(found: Survey, json: bool) -> None:
    """Print what was found in a table, with the warnings first."""
    from keras_tied.tables import ROWS_TO_COUNT

    source = found.source
    if json:
        print_json({"data": source.name, "rows": source.n_rows} | found.to_json())
        return
    for note in source.notes:
        print(f"note: {note}")
    for warning in found.warnings:
        print(f"warning: {warning.rstrip('.')}")
    n = found.sample.num_rows
    some = "" if found.whole else f", of which {n:,} were looked at"
    if n > ROWS_TO_COUNT:
        some += f", {ROWS_TO_COUNT:,} of these for distinct numbers"
    features = len(found.columns.features)
    print(f"{source.name}: {source.n_rows:,} rows{some}, {features:,} numbers a row")
    print_columns(found.facts)


def print_columns(facts: Sequence[Fact]) -> None:
    """Print what was found in each column, and what becomes of it."""
    header = ("column", "reads as", "missing", "misread", "distinct", "examples", "becomes")
    print_table(
        header,
        [
            (
                fact.name,
                fact.reads_as,
                f"{fact.missing:,}",
                f"{fact.misread:,}",
                f"{fact.distinct:,}",
                ", ".join(fact.examples),
                fact.becomes,
            )
            for fact in facts
        ],
    )
