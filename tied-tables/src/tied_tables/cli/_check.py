"""``tied-tables check``, and the table that a model is trained on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tied_tables._text import format_quantity, list_some
from tied_tables.cli._app import command
from tied_tables.cli._messages import (
    FailedError,
    UsageError,
    be_quiet,
    mark_reported,
    name_options,
    remark,
)
from tied_tables.cli._options import (
    STANDARD_INPUT,
    Categories,
    Data,
    Json,
    Seed,
    option,
)
from tied_tables.cli._output import print_json, print_table
from tied_tables.cli._progress import show_rows, show_stages
from tied_tables.cli._proposals import join
from tied_tables.cli._table import (
    ColumnOptions,
    TableOptions,
    remark_notes,
)
from tied_tables.cli._text_layout import print_line
from tied_tables.cli._validate import validate_table

if TYPE_CHECKING:
    import pyarrow as pa

    from tied_tables._column_words import FactText
    from tied_tables._types import Array
    from tied_tables.columns import Columns, Fact
    from tied_tables.io import Source
    from tied_tables.rows import Scan, Workers
    from tied_tables.rules import Rules

MOST_FACTS = 1_000  # columns that the notes of a model tell of, to stay readable
# Columns that are printed: a table of 40,000 takes half a minute to lay out.
MOST_SHOWN_COLUMNS = 500
MOST_SHOWN_RULES = 12
MOST_COMPARED = 100_000  # rows in which duplicates are found


@dataclass(frozen=True)
class Survey:
    """A table, and what its columns read as."""

    source: Source
    training: Source  # the rows to train on, without one that adds up the others
    sample: pa.RecordBatch  # all of these, or some, in a random order
    rules: Rules  # among the columns
    columns: Columns  # those that are used
    facts: list[Fact]  # about all columns
    texts: list[FactText]  # the same in words
    warnings: list[str]

    @property
    def is_complete(self) -> bool:
        """Whether the sample is all rows to train on."""
        return bool(self.sample.num_rows == self.training.n_rows)

    def require_usable(self) -> None:
        """Raise a `TableError` if a column is refused, or none can be used."""
        from tied_tables._column_words import require_usable
        from tied_tables.cli._column_words import REMEDIES

        require_usable(self.columns, self.facts, REMEDIES)

    def to_json(self, most: int | None = None) -> dict[str, Any]:
        """Return the facts as JSON, about all columns or the first ones."""
        return {
            "notes": list(map(name_options, self.source.notes)),
            "warnings": self.warnings[:most],
            "sampled_rows": self.sample.num_rows,
            "columns": [asdict(text) for text in self.texts[:most]],
        }


@dataclass(frozen=True)
class Table:
    """A table, and the rows of it that are in memory."""

    survey: Survey
    rows: Array  # all rows, or some in random order, (n, features) float32


@command("tied-tables check rows.csv")
def check(
    data: Data,
    seed: Seed = 0,
    *,
    strict: bool = option("Fail if there is a warning.", "--strict", default=False),
    rules: str | None = option(
        "A file of tied-tables rules; exit with code 1 if the table breaks one.",
        "--rules",
        metavar="FILE",
    ),
    columns: ColumnOptions,
    options: TableOptions,
    categories: Categories = False,
    json: Json = False,
) -> None:
    """Show how the columns of a table are read, and how fit would use them."""
    if json:
        be_quiet(True)
    if rules is not None:
        validate_table(data, rules, columns, options, json)
        return
    table = survey(data, options, columns, seed)
    words = table.rules.list_words()
    if json:
        facts = {"data": table.source.name, "rows": table.source.n_rows}
        print_json(facts | table.to_json() | {"rules": words})
    else:
        _print_survey(table, categories)
        print_rules(words, "check")
        is_refused = any(fact.is_refused for fact in table.facts)
        is_pipe = data == STANDARD_INPUT  # which can be read once
        is_plain = not (strict or categories or seed)  # which score has not
        if table.columns.features and is_plain and not (is_refused or is_pipe):
            remark(f"next: {join(['score', *sys.argv[2:]])}")
    if strict:
        table.require_usable()
        if table.warnings:
            n_warnings = format_quantity(len(table.warnings), "warning")
            raise FailedError(f"{data!r} has {n_warnings}.")


def describe_repeats(rows: Scan) -> list[str]:
    """Describe the first duplicate rows, unless rows are many."""
    from tied_tables.checks import RepeatFinder

    if rows.source.n_rows > MOST_COMPARED:
        return []
    finder = RepeatFinder(rows.ids)
    for batch in rows.source.batches():
        finder.add(batch)
    sentences = [doubt.reason for doubt in finder.find()]
    return [f"{list_some(sentences, 3)}."] if sentences else []


def _print_survey(survey: Survey, has_categories: bool) -> None:
    """Print what the columns of a table read as, with the warnings first."""
    from tied_tables.columns import ROWS_TO_COUNT

    source = survey.source
    for note in source.notes:
        print_line(f"note: {name_options(note)}")
    for warning in survey.warnings:
        print_line(f"warning: {warning.rstrip('.')}")
    n_sample = survey.sample.num_rows
    rows = format_quantity(source.n_rows, "row")
    if not survey.is_complete:
        rows += f", of which {n_sample:,} were examined"
    if n_sample > ROWS_TO_COUNT:
        rows += f", {ROWS_TO_COUNT:,} of these for distinct numbers"
    numbers = format_quantity(len(survey.columns.features), "number")
    print_line(f"{source.name}: {rows}, {numbers} a row")
    print()
    columns = survey.columns if has_categories else None
    print_columns(survey.texts[:MOST_SHOWN_COLUMNS], columns)
    if more := survey.texts[MOST_SHOWN_COLUMNS:]:
        quantity = format_quantity(len(more), "more column")
        print(f"and {quantity}; check --json lists all")


def print_rules(rules: Sequence[str], command: str) -> None:
    """Print the first rules of a table, in words, after an empty line."""
    print("\n" * bool(rules), end="")
    for rule in rules[:MOST_SHOWN_RULES]:
        print_line(rule)
    if len(rules) > MOST_SHOWN_RULES:
        more = format_quantity(len(rules) - MOST_SHOWN_RULES, "more rule")
        print(f"and {more}; {command} --json lists all")


def print_columns(facts: Sequence[FactText], columns: Columns | None = None) -> None:
    """Print what each column reads as, and what becomes of it.

    With `columns`, print the categories of each, or the parts of its times, instead of
    examples.
    """
    names = ["missing", "misread", "distinct", "numbers"]
    counts = [name for name in names if any(getattr(fact, name) for fact in facts)]
    labels = {}
    if columns is not None:
        labels = {column.name: ", ".join(column.labels) for column in columns.used}
    rows = []
    for fact in facts:
        numbers = [f"{getattr(fact, name):,}" for name in counts]
        text = fact.summarize(labels.get(fact.name, ""))
        rows.append([fact.name, *numbers, text])
    print_table(("column", *counts, "reads as"), rows)


def survey(
    data: str,
    options: TableOptions,
    columns: ColumnOptions,
    seed: int,
    *,
    as_text: bool = False,
) -> Survey:
    """Open a table, and decide which columns to use and how."""
    import pyarrow as pa

    from tied_tables.checks import describe_columns
    from tied_tables.cli._column_words import REMEDIES
    from tied_tables.fit.sample import choose_sample_size
    from tied_tables.io import find_total
    from tied_tables.rows import Scan
    from tied_tables.rules import Rules

    with show_stages("reading"):
        source = options.open(data, None if as_text else columns.names_of_text)
        total = find_total(source)
        training = source.head(total.row - 1) if total else source
        sample = training.sample(choose_sample_size(len(source.schema)), seed=seed)
        rules = Rules.find(pa.Table.from_batches([sample]))
        used, facts = columns.survey(sample, training, rules)
        texts = describe_columns(training, sample, used, facts, REMEDIES)
    warnings = [str(total)] if total else []
    for text in texts:
        warnings += [f"column {text.name!r} {warning}." for warning in text.warnings]
    warnings += describe_repeats(Scan(training, used))
    return Survey(source, training, sample, rules, used, facts, texts, warnings)


def learn(survey: Survey, seed: int, workers: Workers | None = None) -> Table:
    """Read all rows, keep those that fit into memory, and warn."""
    import numpy as np

    from tied_tables._column_words import describe_misread
    from tied_tables.columns import Doubts
    from tied_tables.rows import Here, Scan, sample_table

    source, columns = survey.training, survey.columns
    if source.n_rows < 2:
        raise UsageError(
            f"{source.name!r} has one row, but training needs at least 2; add rows."
        )
    survey.require_usable()
    remark_notes(source.name, source.notes)
    remark(*survey.warnings)
    rows = Scan(source, columns)
    if survey.is_complete:
        mark_reported(source.name)
        with show_stages("reading"):
            batches = rows.read(Doubts())
            return Table(survey, np.concatenate([numbers for _, numbers in batches]))
    with show_rows("sampling", rows) as shown_rows:
        n = survey.sample.num_rows
        sample_rows, doubts = sample_table(workers or Here(), shown_rows, n, seed)
    # What the sample tells is among the warnings already: of rare categories, and of
    # values that are not of their kind.
    sample_names = {fact.name for fact in survey.facts if fact.misread}
    for name, text in describe_misread(doubts.misread).items():
        if name not in sample_names:
            remark(f"column {name!r} {text}.")
    return Table(survey, sample_rows)
