"""Decide how each column of a table reads, and whether it is used."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tied_tables._table_errors import TableError
from tied_tables._text import propose, quote
from tied_tables._types import Array
from tied_tables.columns._arrow import to_floats
from tied_tables.columns._categories import decide_categories
from tied_tables.columns._column import EARLIEST, Column, drop_marks, find_form
from tied_tables.columns._facts import ColumnChoice, Fact, leave_out
from tied_tables.columns._kinds import LONGEST_TEXT, NUMERIC_KINDS, Kind, find_kind
from tied_tables.columns._missing import drop_missing
from tied_tables.columns._names import CATEGORIES, find_meaning
from tied_tables.columns._number_text import NumberText, find_decimal
from tied_tables.columns._numbers import decide_numbers
from tied_tables.columns._remarks import Remark, Topic
from tied_tables.columns._text import decide_text, find_digit_times

FEWEST_ROWS_OF_COPIES = 20
MOST_CATEGORY_NUMBERS = 128  # of all columns
FEWEST_CATEGORIES = 8  # of a column, however many columns there are
MOST_SPREAD = 0.5  # of times since others, relative to that of either


def decide_columns(sample: pa.RecordBatch, choice: ColumnChoice) -> list[Fact]:
    """Decide on each column, in the table's order."""
    names = sample.column_names
    arrays = [drop_marks(values, choice.na) for values in sample.columns]
    sample = pa.record_batch(arrays, names=names)
    meanings = {}
    if choice.first_rows is not None:
        for name in names:
            first_rows = choice.first_rows[name]
            meanings[name] = find_meaning(name, sample[name], first_rows)
    reasons = _find_reasons(names, meanings, choice)
    by_name = [name for name in names if meanings.get(name) == CATEGORIES]
    categorical = {*choice.categorical, *by_name}
    # The columns that tell the decimal mark decide for those that do not.
    choice = replace(
        choice,
        categorical=categorical - {*choice.numeric},
        decimal=choice.decimal or find_decimal(arrays),
    )
    facts = []
    for name in names:
        values = sample[name]
        if name in reasons:
            fact = leave_out(name, values, reasons[name], meanings.get(name))
        else:
            fact = _decide(name, values, choice)
        facts.append(fact)
    facts = _leave_out_copies(facts, sample)
    facts = _limit_categories(facts, sample, choice)
    facts = [_add_marks(fact, choice.na) for fact in facts]
    return _relate_times(facts, sample)


def _find_reasons(
    names: list[str],
    meanings: dict[str, str | None],
    choice: ColumnChoice,
) -> dict[str, Remark]:
    """Return why columns are not examined; raise if a named one does not exist."""
    exclusions = dict.fromkeys(choice.exclude, Topic.excluded)
    if choice.id is not None:
        exclusions[choice.id] = Topic.id
    if choice.label is not None:
        exclusions[choice.label] = Topic.label
    chosen = [*(choice.columns or ()), *choice.categorical, *choice.numeric]
    named = dict.fromkeys([*chosen, *exclusions])
    if absent := [name for name in named if name not in names]:
        raise TableError(
            f"the table has no column {quote(absent)}; {propose(absent[0], names)}."
        )
    allowed = set(names if choice.columns is None else choice.columns)
    topics = {}
    for name in names:
        meaning = meanings.get(name)
        if name not in allowed:
            topics[name] = Topic.unasked
        elif meaning not in (None, CATEGORIES) and name not in chosen:
            topics[name] = Topic(meaning)
    topics |= exclusions
    return {name: Remark(topic) for name, topic in topics.items()}


def _decide(name: str, values: pa.Array, choice: ColumnChoice) -> Fact:
    """Decide on a column by the type of its values."""
    kind = find_kind(values.type)
    if kind is Kind.other:
        reason = Remark(Topic.other_type, text=str(values.type))
        return Fact(name, "other values", reason=reason)
    cells = drop_missing(values) if kind is Kind.text else values
    if cells.is_null(nan_is_null=True).true_count == len(values):
        n_rows = len(values)
        reason = Remark(Topic.empty, n=n_rows)
        return Fact(name, "no value", reason=reason, missing=n_rows)
    if kind is Kind.text:
        lengths = pc.utf8_length(values.cast(pa.string()))
        if pc.max(lengths).as_py() > LONGEST_TEXT:
            return leave_out(name, values, Remark(Topic.long_text, n=LONGEST_TEXT))
    if name in choice.categorical and kind in (*NUMERIC_KINDS, Kind.text):
        if kind is Kind.number:
            _require_whole(name, to_floats(values))
        by_type = choice.first_rows is None
        words = Column(name, Kind.text, whole=kind in NUMERIC_KINDS, exact=by_type)
        return decide_categories(values, words, "names", choice.most_categories)
    if kind is Kind.text:
        return decide_text(name, values, choice)
    form = find_form(values.type)
    if kind in NUMERIC_KINDS:
        form = find_digit_times(name, values, choice)
    if form is None and kind is Kind.integer and choice.decimal == ",":
        form = NumberText(",", places=0)  # in another file, 1.234 is a whole number
    kind = kind if form is None else form.kind
    return decide_numbers(Column(name, kind, form=form), values, choice)


def _require_whole(name: str, numbers: Array) -> None:
    """Raise a `TableError` if numbers that name categories are not whole."""
    is_whole = (numbers % 1 == 0) & (np.abs(numbers) < 2**63)
    if not np.all(is_whole | np.isnan(numbers)):
        raise TableError(
            f"column {name!r} has fractions, which cannot be category codes; convert it"
            " to text."
        )


def _leave_out_copies(facts: list[Fact], sample: pa.RecordBatch) -> list[Fact]:
    """Leave out each column whose values are those of another."""
    if sample.num_rows < FEWEST_ROWS_OF_COPIES:
        return facts
    alike: dict[object, list[str]] = {}  # the columns that begin with the same values
    different = []
    for fact in facts:
        if fact.column is not None:
            values = sample[fact.name]
            start = values.type, str(values[:FEWEST_ROWS_OF_COPIES])
            names = alike.setdefault(start, [])
            same = [name for name in names if sample[name].equals(values)]
            if same:
                fact = replace(
                    fact, column=None, reason=Remark(Topic.copy, text=same[0])
                )
            else:
                names.append(fact.name)
        different.append(fact)
    return different


def _limit_categories(
    facts: list[Fact], sample: pa.RecordBatch, choice: ColumnChoice
) -> list[Fact]:
    """Let categories make no more numbers than a network learns from in a second.

    Columns that others determine are left out first. Of the others, those with most
    categories keep the most frequent ones.
    """
    if sum(map(_count_categories, facts)) <= MOST_CATEGORY_NUMBERS:
        return facts
    facts = _leave_out_determined(facts, choice)
    most = _find_most_categories(list(map(_count_categories, facts)))
    choice = replace(choice, most_categories=most)
    limited = []
    for fact in facts:
        if _count_categories(fact) > most:
            fewer = _decide(fact.name, sample[fact.name], choice)
            fact = fact if fewer.column is None else fewer
        limited.append(fact)
    return limited


def _count_categories(fact: Fact) -> int:
    return 0 if fact.column is None else len(fact.column.categories)


def _leave_out_determined(facts: list[Fact], choice: ColumnChoice) -> list[Fact]:
    """Leave out each column of categories that another one determines, which is used.

    It may determine a third one, which is left out and determines the column. Columns
    with more categories go first.
    """

    def find_root(name: str) -> str:
        while name in determined_by:
            name = determined_by[name]
        return name

    by_name = {fact.name: fact for fact in facts}
    used = {fact.name for fact in facts if fact.column is not None}
    determined_by: dict[str, str] = {}
    chosen = {*(choice.columns or ()), *choice.categorical}
    for fact in sorted(facts, key=_count_categories, reverse=True):
        determinants = choice.determinants.get(fact.name, ())
        roots = used - {fact.name}
        known = [name for name in determinants if find_root(name) in roots]
        if known and _count_categories(fact) and fact.name not in chosen:
            reason = Remark(Topic.determined, text=known[0])
            by_name[fact.name] = replace(fact, column=None, reason=reason)
            used.remove(fact.name)
            determined_by[fact.name] = known[0]
    return list(by_name.values())


def _find_most_categories(counts: list[int]) -> int:
    """Return how many categories a column may have for all to be within the most."""
    most = max(counts)
    while most > FEWEST_CATEGORIES:
        if sum(min(count, most) for count in counts) <= MOST_CATEGORY_NUMBERS:
            break
        most -= 1
    return most


def _add_marks(fact: Fact, na: Collection[str]) -> Fact:
    """Let texts of a missing value be marks of a column that is used."""
    if fact.column is None:
        return fact
    marks = (*fact.column.marks, *na)
    return replace(fact, column=replace(fact.column, marks=marks))


def _relate_times(facts: list[Fact], sample: pa.RecordBatch) -> list[Fact]:
    """Let a column of times count the days since an earlier one that it follows.

    It follows the one from which its distance varies least, if that is much less than
    either column varies.
    """
    earlier: dict[str, Array] = {}
    related = []
    for fact in facts:
        column = fact.column
        if column is not None and column.kind is Kind.time:
            days = column.parse(sample[column.name])
            least = np.inf
            for name, days_before in earlier.items():
                spread = _find_spread(column.wrap(days - days_before, EARLIEST))
                spreads = _find_spread(days), _find_spread(days_before)
                most = MOST_SPREAD * min(spreads)
                if spread < min(least, most):
                    least = spread
                    column = replace(column, since=name)
            earlier[column.name] = days
            fact = replace(fact, column=column)
        related.append(fact)
    return related


def _find_spread(days: Array) -> float:
    """Return the distance between the quartiles of days, NaN where there are none."""
    present = days[~np.isnan(days)]
    if not len(present):
        return np.nan
    return float(np.ptp(np.quantile(present, (0.25, 0.75))))
