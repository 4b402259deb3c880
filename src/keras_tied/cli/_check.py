"""``keras-tied check``, and the table that a model is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from keras_tied._text import format_quantity
from keras_tied.cli import _table
from keras_tied.cli._app import command
from keras_tied.cli._lazy import Array, np, pa, pipeline, table_columns, tables
from keras_tied.cli._messages import FailedError, UsageError, say
from keras_tied.cli._options import Data, Json, Seed, option
from keras_tied.cli._output import print_json, print_table
from keras_tied.cli._progress import show_rows, show_stages
from keras_tied.cli._table import ColumnOptions, TableOptions

if TYPE_CHECKING:
    from keras_tied.fitted.fences import Fences
    from keras_tied.fitted.moments import Moments

MOST_FACTS = (
    1_000  # columns that the notes of a model tell of, so that they can be read
)
MOST_SHOWN = (
    500  # columns that are printed: a table of 40,000 takes half a minute to lay out
)


@dataclass(frozen=True)
class Survey:
    """A table, and what its columns read as."""

    source: tables.Source
    sample: pa.RecordBatch  # all rows, or some, in a random order
    columns: table_columns.Columns  # those that are used
    facts: list[table_columns.Fact]  # about all columns
    warnings: list[str]
    ends: Fences  # of the columns

    @property
    def whole(self) -> bool:
        """Whether the sample is all rows."""
        return bool(self.sample.num_rows == self.source.n_rows)

    def to_json(self, most: int | None = None) -> dict[str, Any]:
        """Return the facts as JSON, about all columns or the first ones."""
        return {
            "notes": self.source.notes,
            "warnings": self.warnings[:most],
            "sampled_rows": self.sample.num_rows,
            "columns": [asdict(fact) for fact in self.facts[:most]],
        }


@dataclass(frozen=True)
class Table:
    """A table, and the rows of it that are in memory."""

    survey: Survey
    rows: Array  # all rows, or some in random order, (n, features) float32
    moments: Moments | None = None  # of all rows, if these are some


@command("keras-tied check rows.csv")
def check(
    data: Data,
    seed: Seed = 0,
    *,
    strict: bool = option("Fail if there is a warning.", "--strict", default=False),
    every: bool = option(
        f"Show more columns than {MOST_SHOWN}.", "--all", default=False
    ),
    columns: ColumnOptions,
    options: TableOptions,
    json: Json = False,
) -> None:
    """Show what the columns of a table read as, and what fit would make of them."""
    of_table = survey(data, options, columns, seed, json)
    show_survey(of_table, json, None if every else MOST_SHOWN)
    if strict:
        of_table.columns.require_usable(of_table.facts)
    if strict and of_table.warnings:
        raise FailedError(
            f"{data!r} has {format_quantity(len(of_table.warnings), 'warning')}."
        )


def show_survey(survey: Survey, json: bool, most: int | None = MOST_SHOWN) -> None:
    """Print what the columns of a table read as, with the warnings first."""
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
    if n > table_columns.ROWS_TO_COUNT:
        some += f", {table_columns.ROWS_TO_COUNT:,} of these for distinct numbers"
    features = len(survey.columns.features)
    rows, numbers = (
        format_quantity(source.n_rows, "row"),
        format_quantity(features, "number"),
    )
    print(f"{source.name}: {rows}{some}, {numbers} a row")
    print_columns(survey.facts[:most])
    if more := len(survey.facts[most:]) if most else 0:
        print(
            f"and {format_quantity(more, 'more column')}; check --all and --json"
            " show all"
        )


def print_columns(facts: Sequence[table_columns.Fact]) -> None:
    """Print what each column reads as, and what becomes of it."""
    counts = ["missing", "misread", "distinct"]
    if not any(fact.misread for fact in facts):
        counts.remove("misread")
    rows = []
    for fact in facts:
        numbers = [f"{getattr(fact, name):,}" for name in counts]
        rows.append(
            [fact.name, fact.reads_as, *numbers, ", ".join(fact.examples), fact.becomes]
        )
    print_table(("column", "reads as", *counts, "examples", "becomes"), rows)


def survey(
    data: str, options: TableOptions, columns: ColumnOptions, seed: int, quiet: bool
) -> Survey:
    """Open a table, and decide which columns to use and how."""
    from keras_tied.fitting.sample import choose_sample_size

    with show_stages("reading", quiet):
        source = options.open(data, columns.names_of_text)
        sample = source.sample(choose_sample_size(len(source.schema)), seed=seed)
        used, facts = columns.survey(sample, source)
        doubtful = [fact.name for fact in facts if fact.misread and not fact.refused]
        misread = used.find_misread(source.batches(names=doubtful), doubtful)
        ends, far = pipeline.find_far_values(source, sample, used)
        total = (
            tables.describe_total(source)
            if source.n_rows <= table_columns.ROWS_TO_COUNT
            else ""
        )
    lost = _table.describe_misread(misread)
    texts = [
        (fact.name, text)
        for fact in facts
        for text in (far.get(fact.name), lost.get(fact.name), fact.warning)
    ]
    warnings = [f"column {name!r} {text}." for name, text in texts if text]
    warnings += [total] if total else []
    return Survey(source, sample, used, facts, warnings, ends)


def learn(
    survey: Survey, seed: int, quiet: bool, workers: pipeline.Workers | None = None
) -> Table:
    """Read the rows that fit into memory, measure all of a larger table, and print warnings."""
    source, columns = survey.source, survey.columns
    if source.n_rows < 2:
        raise UsageError(
            f"{source.name!r} has one row, and training needs 2 at least; add rows."
        )
    columns.require_usable(survey.facts)
    _table.say_notes(source, quiet)
    say(*survey.warnings, quiet=quiet)
    rows = pipeline.Scan(source, columns)
    if survey.whole:
        with show_stages("reading", quiet):
            batches = rows.read(pipeline.Doubts())
            return Table(survey, np.concatenate([numbers for _, numbers in batches]))
    with show_rows("measuring", rows, quiet) as shown_rows:
        moments, some, doubts = pipeline.measure_table(
            workers or pipeline.Here(),
            shown_rows,
            survey.sample.num_rows,
            seed,
            survey.ends,
        )
    # What the sample tells is among the warnings already: of rare categories, and of
    # values that are not of their kind.
    known = {fact.name for fact in survey.facts if fact.misread}
    misread = _table.describe_misread(doubts.misread)
    new = [f"column {name!r} {misread[name]}." for name in misread if name not in known]
    say(*new, quiet=quiet)
    return Table(survey, some, moments)
