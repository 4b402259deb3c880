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
    data: Data, seed: Seed = 0, *, columns: ColumnOptions, options: TableOptions, json: Json = False
) -> None:
    """Show what the columns of a table read as, and what fit would make of them."""
    show_survey(survey(data, options, columns, seed, json), json)


def show_survey(survey: Survey, json: bool) -> None:
    """Print what was found in a table, with the warnings first."""
    from keras_tied.tables import ROWS_TO_COUNT

    source = survey.source
    if json:
        print_json({"data": source.name, "rows": source.n_rows} | survey.to_json())
        return
    for note in source.notes:
        print(f"note: {note}")
    for warning in survey.warnings:
        print(f"warning: {warning.rstrip('.')}")
    n = survey.sample.num_rows
    some = "" if survey.whole else f", of which {n:,} were looked at"
    if n > ROWS_TO_COUNT:
        some += f", {ROWS_TO_COUNT:,} of these for distinct numbers"
    features = len(survey.columns.features)
    print(f"{source.name}: {source.n_rows:,} rows{some}, {features:,} numbers a row")
    print_columns(survey.facts)


def print_columns(facts: Sequence[Fact]) -> None:
    """Print what was found in each column, and what becomes of it."""
    header = "column", "reads as", "missing", "misread", "distinct", "examples", "becomes"
    rows = []
    for fact in facts:
        counts = [f"{n:,}" for n in (fact.missing, fact.misread, fact.distinct)]
        rows.append([fact.name, fact.reads_as, *counts, ", ".join(fact.examples), fact.becomes])
    print_table(header, rows)
