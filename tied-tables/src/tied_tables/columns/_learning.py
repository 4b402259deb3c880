"""Decide how each column of a table reads, and whether it is used."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from tied_tables._table_errors import TableError
from tied_tables._text import format_value, list_some, propose, quote
from tied_tables._types import Array
from tied_tables.columns._arrow import (
    count_values,
    measure_matches,
    measure_present,
    to_floats,
    to_text,
)
from tied_tables.columns._column import (
    EARLIEST,
    OTHER,
    AnyForm,
    Column,
    MisfitError,
    drop_marks,
    find_form,
    find_step,
    find_step_of_days,
    format_cell,
    get_value,
    list_values,
)
from tied_tables.columns._durations import decide_durations
from tied_tables.columns._facts import (
    ROWS_TO_COUNT,
    ColumnChoice,
    Decision,
    Fact,
    Restoration,
)
from tied_tables.columns._kinds import LONGEST_TEXT, NUMBERS, Kind, find_kind
from tied_tables.columns._missing import MOST_MISREAD, drop_missing, list_present
from tied_tables.columns._names import (
    CATEGORIES,
    IDS,
    describe_doubt,
    find_meaning,
    has_word,
    judge_name,
    names_rows,
)
from tied_tables.columns._number_text import (
    AT_LEAST,
    BOUND,
    LONG_NUMERAL,
    ROWS_TO_DECIDE,
    NumberText,
    decide_number_text,
    find_decimal,
    measure_numeric,
)
from tied_tables.columns._spelling import find_similar
from tied_tables.columns._times import (
    Times,
    decide_times,
    find_cycles,
    find_first_hour,
    limit_century,
)
from tied_tables.columns._truth_text import decide_truth_text

MOST_CATEGORIES = 40
# Of more categories, the smallest share of the rows in one with a number of its own.
RAREST = 0.01
# Text of which more than this share differ is a name or an id, and no category.
ALL_DIFFERENT = 0.8
# From this share of numbers on, a column is text only if someone says so.
FEWEST_READ = 0.75
FEWEST_AMOUNTS = 10  # of fewer different values, <5 or "unknown" may be a kind
MOST_MARKS = 3  # so few texts stand for missing values beside numbers
DIGITS = r"^\d{1,8}(?:\.\d+)?$"
# Text of which less than this share looks like numbers or times is neither.
FEWEST_LOOKS = 0.5
NUMBERED = r"^\d.*\pL"  # text of a number and a word
# Text that looks like numbers in more values has no rest of other categories.
MOST_NUMERIC = 0.25
# A misspelling that is there k times is one of what is there 10 k² times or more.
RARER = 10
MOST_FREQUENT = 100  # texts that others may be misspellings of
MOST_OTHER = 0.5  # a larger share of values in rare categories is warned of
DATE_WORDS = "date datum dob dt fecha"
# Numbers that are times: the form; between which numbers at least how many differ; and
# the words of which one is in the name, if it has to tell.
DIGIT_TIMES = (
    ("%Y%m%d", 19_000_101, 21_001_231, 5, ""),
    ("%H%M", 100, 1700, 12, "heure hora time uhrzeit"),
    ("%Y%m", 190_001, 210_012, 5, f"{DATE_WORDS} month monat yearmonth ym"),
    ("%y%m%d", 10_101, 991_231, 5, DATE_WORDS),
    ("%m%d%y", 10_100, 123_199, 5, DATE_WORDS),
    ("%E", 20_000, 75_000, 5, DATE_WORDS),  # days of a spreadsheet
)
FEWEST_ROWS_OF_COPIES = 20
FEWEST_SENTINELS = 2
SMALLEST_GAP = 9.0
SENTINEL_DATES = frozenset(  # that programs write where there is none
    "1753-01-01 1899-12-30 1899-12-31 1900-01-01 1970-01-01 2099-12-31"
    " 9999-12-31".split()
)
# Of single precision: half a whole number, and the share of a standard deviation.
LARGEST_LOSS, LARGEST_LOSS_OF_SPREAD = 0.5, 1e-3
MOST_SPREAD = 0.5  # of times since others, relative to that of either
EXAMPLES = 3


def choose_columns(sample: pa.RecordBatch, choice: ColumnChoice) -> list[Decision]:
    """Decide on each column, in the table's order."""
    names = sample.column_names
    arrays = [drop_marks(values, choice.na) for values in sample.columns]
    sample = pa.record_batch(arrays, names=names)
    meanings = {}
    if choice.begin is not None:
        for name in names:
            begin = choice.begin[name]
            meanings[name] = find_meaning(name, sample[name], begin)
    reasons = _find_reasons(names, meanings, choice)
    by_name = [name for name in names if meanings.get(name) == CATEGORIES]
    categorical = {*choice.categorical, *by_name}
    # The columns that tell the decimal mark decide for those that do not.
    choice = replace(
        choice,
        categorical=categorical - {*choice.numeric},
        decimal=choice.decimal or find_decimal(arrays),
    )
    decisions = []
    for name in names:
        values = sample[name]
        if name in reasons:
            reads_as = meanings.get(name)
            fact, column = _leave_out(name, values, reasons[name], reads_as)
        else:
            fact, column = _decide(name, values, choice)
        if isinstance(column, Column):
            column = replace(column, marks=(*column.marks, *choice.na))
        decisions.append((fact, column))
    decisions = _leave_out_copies(decisions, sample)
    return _relate_times(decisions, sample)


def _find_reasons(
    names: list[str],
    meanings: dict[str, str | None],
    choice: ColumnChoice,
) -> dict[str, str]:
    """Return why columns are not looked at; raise if one that is named is not there."""
    beside = {"the id": choice.id, "the label": choice.label}
    exclusions = dict.fromkeys(choice.exclude, "excluded")
    exclusions |= {name: what for what, name in beside.items() if name is not None}
    chosen = [*(choice.columns or ()), *choice.categorical, *choice.numeric]
    named = dict.fromkeys([*chosen, *exclusions])
    if absent := [name for name in named if name not in names]:
        raise TableError(
            f"the table has no column {quote(absent)}; {propose(absent[0], names)}."
        )
    allowed = set(names if choice.columns is None else choice.columns)
    reasons = {}
    for name in names:
        meaning = meanings.get(name)
        if name not in allowed:
            reasons[name] = "not among those asked for"
        elif meaning not in (None, CATEGORIES) and name not in chosen:
            reasons[name] = f"{meaning}, for --id"
    return reasons | exclusions


def _leave_out(
    name: str,
    values: pa.Array,
    reason: str,
    reads_as: str | None = None,
) -> Decision:
    """Decide not to look at a column."""
    reads_as = reads_as or str(find_kind(values.type))
    becomes = f"left out: {reason}"
    n_missing = values.null_count
    fact = Fact(name, reads_as, becomes, n_missing, examples=_show(values))
    return fact, None


def _decide(name: str, values: pa.Array, choice: ColumnChoice) -> Decision:
    """Decide on a column by the type of its values."""
    kind = find_kind(values.type)
    if kind is Kind.other:
        becomes = f"left out: values of type {values.type}"
        return Fact(name, "other values", becomes), None
    cells = drop_missing(values) if kind is Kind.text else values
    is_missing = cells.is_null(nan_is_null=True)
    if pc.all(is_missing).as_py():
        n_rows = len(values)
        fact = Fact(name, "no value", f"left out: no value in {n_rows} rows", n_rows)
        return fact, Restoration(name)
    if kind is Kind.text:
        lengths = pc.utf8_length(values.cast(pa.string()))
        if pc.max(lengths).as_py() > LONGEST_TEXT:
            return _leave_out(name, values, f"text of over {LONGEST_TEXT:,} characters")
    if name in choice.categorical and kind in (*NUMBERS, Kind.text):
        if kind is Kind.number:
            _require_whole(name, to_floats(values))
        by_type = choice.begin is None
        words = Column(name, Kind.text, whole=kind in NUMBERS, exact=by_type)
        return _decide_words(values, words, "names")
    if kind is Kind.text:
        return _decide_text(name, values, choice)
    form = find_form(values.type)
    if kind in NUMBERS:
        form = _find_digit_times(name, values, choice)
    if form is None and kind is Kind.integer and choice.decimal == ",":
        form = NumberText(",", places=0)  # in another file, 1.234 is a whole number
    kind = kind if form is None else form.kind
    return _decide_numbers(Column(name, kind, form=form), values, choice)


def _require_whole(name: str, numbers: Array) -> None:
    """Raise a `TableError` if numbers that name categories are not whole."""
    is_whole = (numbers % 1 == 0) & (np.abs(numbers) < 2**63)
    if not np.all(is_whole | np.isnan(numbers)):
        raise TableError(
            f"column {name!r} holds fractions, which name no categories; make it text."
        )


def _decide_text(
    name: str,
    values: pa.Array,
    choice: ColumnChoice,
) -> Decision:
    """Decide what text reads as: truth values, codes, numbers, times or categories."""
    cells = list_present(values)
    words = Column(name, Kind.text)
    marks, others = _split_marks(cells)
    column, share, warning = read_text(name, others, choice)
    are_times = column is not None and column.kind is Kind.time
    if not are_times and _are_codes(cells):
        return _decide_words(values, words, "codes of digits")
    by_name = choice.by_name(name)
    if column is None:
        are_different = len(cells.unique()) > max(2, ALL_DIFFERENT * len(cells))
        if are_different and by_name and names_rows(name):
            return _leave_out(name, values, f"{IDS}, for --id", IDS)
        return _decide_words(values, words)
    if marks:
        column = replace(column, marks=marks)
        warning = (
            f"holds {quote(marks)} in {1 - len(others) / len(cells):.0%} of its values,"
            f" beside {column.description}: they count as missing; say --categorical"
            f" {shlex.quote(name)} if they name kinds"
        )
    is_read = ~np.isnan(column.text_form.parse(others))
    if column.kind is Kind.integer and by_name and share >= FEWEST_READ:
        numbers = column.text_form.parse(others.filter(is_read))
        meaning = judge_name(name, pa.array(numbers))
        if meaning == IDS and name not in (choice.columns or ()):
            return _leave_out(name, values, f"{IDS}, for --id", IDS)
        if meaning == CATEGORIES:
            return _decide_words(values, words, "names")
    if share >= 1 - MOST_MISREAD:
        return _decide_numbers(column, values, choice, warning)
    fact, used = _decide_words(values, words)
    if share < FEWEST_READ:
        return fact, used
    odd = others.filter(~is_read)
    example = _show(odd)[0]
    if isinstance(used, Column) and not used.other:
        doubt = f"if they are {column.description}, say --na {shlex.quote(example)}"
        return replace(fact, becomes=_join(fact.becomes, doubt)), used
    remedy = choice.remedy.format(column=shlex.quote(name), value=shlex.quote(example))
    fact = replace(
        fact,
        reads_as=f"mostly {column.description}",
        becomes="refused",
        misread=len(odd),
        warning=(
            f"holds {column.description} in {share:.0%} of its values, and"
            f" {len(odd):,} others such as {example!r}: {remedy}"
        ),
        refused=True,
    )
    return fact, None


def _are_codes(texts: pa.Array) -> bool:
    """Return whether texts are digits that name something, such as 007."""
    share = measure_matches(texts, r"^\d+$")
    return share > 1 - MOST_MISREAD and measure_matches(texts, LONG_NUMERAL) > 0


def _split_marks(texts: pa.Array) -> tuple[tuple[str, ...], pa.Array]:
    """Return the few texts without a digit beside many with one, and the others."""
    has_digit = pc.match_substring_regex(texts, r"\d")
    others = texts.filter(has_digit)
    marks = texts.filter(pc.invert(has_digit)).unique()
    are_few = len(marks) <= MOST_MARKS and len(others.unique()) >= FEWEST_AMOUNTS
    if are_few and len(others) < (1 - MOST_MISREAD) * len(texts):
        return tuple(marks.to_pylist()), others
    return (), texts


def read_text(
    name: str,
    texts: pa.Array,
    choice: ColumnChoice,
) -> tuple[Column | None, float, str]:
    """Return the numbers or times that text reads as, for which share, and a doubt."""
    best, most, doubt = None, FEWEST_LOOKS, ""
    for form, own_doubt in _find_forms(name, texts, choice):
        share = 0.0 if form is None else measure_present(form.parse(texts))
        if share > most:
            best, most, doubt = form, share, own_doubt
        if most >= 1 - MOST_MISREAD:
            break
    if best is None:
        return None, 0.0, ""
    is_plain = isinstance(best, NumberText) and best == NumberText(places=best.places)
    column = Column(name, best.kind, form=None if is_plain else best)
    return column, most, doubt


def _find_forms(
    name: str,
    texts: pa.Array,
    choice: ColumnChoice,
) -> Iterator[tuple[AnyForm | None, str]]:
    """Yield the forms that texts may be of, with a doubt about each."""
    yield decide_truth_text(texts), ""
    texts = texts[:ROWS_TO_DECIDE]
    if measure_matches(texts, DIGITS) == 1:
        yield _find_digit_times(name, texts, choice), ""
    yield decide_durations(texts), ""
    has_bounds = measure_matches(texts, f"^{BOUND}|{AT_LEAST}$") > 0
    are_ranges = has_bounds and len(texts.unique()) < FEWEST_AMOUNTS
    if measure_numeric(texts) >= FEWEST_LOOKS and not are_ranges:
        yield decide_number_text(texts, choice.decimal)
    yield decide_times(texts, choice.day_first)


def _find_digit_times(
    name: str,
    values: pa.Array,
    choice: ColumnChoice,
) -> Times | None:
    """Return the form of numbers that are times, such as 20260131, or None.

    The name of their column tells the times that may be other numbers, such as 1430.
    """
    numbers = to_floats(values)
    for form, least, most, n_least, words in DIGIT_TIMES:
        if words and not (choice.by_name(name) and has_word(name, words)):
            continue
        usual = numbers[(least <= numbers) & (numbers <= most)]
        if len(np.unique(usual)) < n_least:
            continue
        texts = to_text(values.drop_null().unique())
        shortest = pc.min(pc.utf8_length(texts)).as_py()
        times = limit_century(Times(form, padded=shortest >= len(form)))
        if measure_present(times.parse(texts)) >= 1 - MOST_MISREAD:
            return times
    return None


def _decide_numbers(
    column: Column,
    values: pa.Array,
    choice: ColumnChoice,
    warning: str = "",
) -> Decision:
    """Decide on numbers, truth values, and dates and times."""
    try:
        numbers = replace(column, double=True).parse(values)
    except MisfitError:
        # an infinite number, which `Columns.encode` reports with its row
        fact = Fact(column.name, column.description, "1 number")
        return fact, column
    kind = column.kind
    is_missing = np.isnan(numbers)
    if kind in NUMBERS:
        column = replace(column, double=_needs_double(numbers[~is_missing]))
        if not column.double:
            numbers = numbers.astype(np.float32)
    present = numbers[~is_missing]
    different = np.unique(present[:ROWS_TO_COUNT])
    if kind is Kind.time:
        origin = present.min()
        if column.is_clock:
            origin = find_first_hour(present)
        days = column.wrap(different - origin)
        step = find_step_of_days(days - days.min(), origin)
        if step:  # else the day of times of day begins before the first
            origin += days.min() % step
        column = replace(
            column, origin=float(origin), step=step, cycles=find_cycles(numbers)
        )
    elif kind is not Kind.boolean:
        column = replace(column, step=find_step(different))
    if kind is Kind.number and types.is_primitive(values.type):
        is_whole = np.array_equal(present, np.rint(present))
        column = replace(column, whole=is_whole)
    read = values.filter(~is_missing)
    examples = _show(read)
    reads_as = column.description
    if isinstance(column.form, Times) and column.form.format:
        reads_as += f" such as {examples[0]}"
    warning = _join(warning, _describe_sentinel(column, values, numbers))
    n_misread = len(column.find_misread(values, numbers))
    n_missing = int(is_missing.sum()) - n_misread
    fact = Fact(
        column.name,
        reads_as,
        _describe_features(column),
        n_missing,
        n_misread,
        len(different),
        examples,
        warning,
    )
    if len(read.unique()) == 1:
        return _leave_out_constant(fact, read)
    if kind is Kind.time and choice.dates == "off":
        becomes = "left out: a date or time, with --dates off"
        return replace(fact, becomes=becomes), None
    if choice.by_name(column.name) and kind is Kind.integer:
        doubt = describe_doubt(column.name, different)
        fact = replace(fact, becomes=_join(fact.becomes, doubt))
    return fact, column


def _needs_double(numbers: Array) -> bool:
    """Whether single precision would lose much of what numbers differ by."""
    with np.errstate(over="ignore"):
        losses = np.abs(numbers.astype(np.float32) - numbers)
        most = min(LARGEST_LOSS, LARGEST_LOSS_OF_SPREAD * numbers.std())
    return bool(losses.max() > most)


def _describe_sentinel(
    column: Column,
    values: pa.Array,
    numbers: Array,
) -> str:
    """Describe a value that may stand for a missing one, such as -99; or return ""."""
    present = numbers[~np.isnan(numbers)].astype(np.float64)
    for mark in (present.min(), present.max()):
        if not _is_sentinel(column.kind, mark):
            continue
        others = present[present != mark]
        times = len(present) - len(others)
        if times < FEWEST_SENTINELS or not len(others):
            continue
        if np.abs(others - mark).min() >= max(np.ptp(others), SMALLEST_GAP):
            row = int((numbers == mark).argmax())
            text = format_cell(values, row)
            return (
                f"holds {text!r} in {times:,} of {len(present):,} rows, far from its"
                f" other values: if it stands for a missing one, say --na {text}"
            )
    return ""


def _is_sentinel(kind: Kind, number: float) -> bool:
    if kind is Kind.time:
        return str(np.datetime64(int(number), "D")) in SENTINEL_DATES
    return re.fullmatch("-?99+", f"{number:.10g}") is not None


def _decide_words(
    values: pa.Array,
    column: Column,
    reads_as: str = "",
) -> Decision:
    """Decide on text, or whole numbers, that name categories."""
    cells = column.clean(values)
    present = cells.drop_null()
    spellings = count_values(present)
    counts = _merge_spellings(spellings, column.exact)
    n, n_rows = len(counts), len(present)
    warning = ""
    if n < len(spellings):
        warning = (
            f"has {len(spellings)} spellings of {n} categories, merged whatever their"
            " case"
        )
    misspelt, similar = ({}, {}) if column.exact else _find_misspelt(counts)
    if misspelt:
        warning = _join(warning, _describe_misspelt(misspelt, counts))
    least = RAREST * n_rows if n > MOST_CATEGORIES else 0
    most = counts.most_common(MOST_CATEGORIES)
    common = [text for text, times in most if times >= least]
    if n - len(misspelt) > 1:
        common = [text for text in common if text not in misspelt]
    # What is similar to a category, and none that is misspelt, is one, too.
    for text, name in similar.items():
        if name in common and text not in common:
            common.append(text)
    has_other = len({*common, *misspelt}) < n
    some = present[:ROWS_TO_DECIDE]
    is_numeric = not reads_as and measure_numeric(some) > MOST_NUMERIC
    examples = _show(present)
    reason, doubt = "", ""
    if n > max(2, ALL_DIFFERENT * n_rows):
        reason = f"text of which nearly every value differs, {n} in {n_rows} rows"
    elif not common:
        reason = f"text of {n} categories, all of which are rare"
    elif has_other and is_numeric:
        reason = "text that looks like numbers, of too many kinds for categories"
    are_many = n >= FEWEST_AMOUNTS and not reads_as
    is_numbered = are_many and measure_matches(some, NUMBERED) > 1 - MOST_MISREAD
    if is_numbered or (reason and is_numeric):
        doubt = (
            f"holds text such as {examples[0]!r}, which is not read as numbers or times"
            " of one form: write it so, or say --categorical"
            f" {shlex.quote(column.name)} if it names kinds"
        )
    categories = tuple(sorted(common))
    column = replace(column, categories=categories, other=has_other)
    becomes = _describe_features(column)
    warning = _join(warning, doubt)
    if has_other:
        share = 1 - sum(counts[text] for text in common) / n_rows
        becomes += f"; {OTHER} holds {share:.0%} of the values"
        if share > MOST_OTHER:
            rare = (
                f"has {n:,} kinds of values, {len(common)} of which have a number of"
                f" their own; the others, {share:.0%} of the values, count as one"
            )
            warning = _join(warning, rare)
    if reason:
        becomes, warning = f"left out: {reason}", doubt
    fact = Fact(
        column.name,
        reads_as or ("text" if reason else "categories"),
        becomes,
        missing=cells.null_count,
        distinct=len(spellings),
        examples=examples,
        warning=warning,
    )
    if n == 1:
        return _leave_out_constant(fact, present)
    return fact, None if reason else column


def _merge_spellings(spellings: dict[str, int], exact: bool) -> Counter[str]:
    """Count texts, whatever their case if not exact: by the most frequent spelling."""
    counts: Counter[str] = Counter()
    names: dict[str, str] = {}
    for text in sorted(spellings, key=lambda text: (-spellings[text], text)):
        name = names.setdefault(text if exact else text.lower(), text)
        counts[name] += spellings[text]
    return counts


def _find_misspelt(counts: Counter[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return rare texts with the frequent ones that they are misspellings of.

    The second are others that are similar to a more frequent one.
    """
    texts = [text for text, _ in counts.most_common()]
    frequent = [text for text in texts if counts[text] >= RARER]
    frequent = frequent[:MOST_FREQUENT]
    misspelt: dict[str, str] = {}
    similar: dict[str, str] = {}
    for place, name_place in find_similar(texts, frequent):
        text, name = texts[place], frequent[name_place]
        if RARER * counts[text] ** 2 <= counts[name]:
            misspelt.setdefault(text, name)
        elif counts[text] < counts[name]:
            similar.setdefault(text, name)
    return misspelt, similar


def _describe_misspelt(misspelt: dict[str, str], counts: dict[str, int]) -> str:
    pairs = [
        f"{text!r} {counts[text]:,} and {name!r} {counts[name]:,} times"
        for text, name in misspelt.items()
    ]
    return f"holds {list_some(pairs, 3)}: correct what is misspelt"


def _leave_out_constant(fact: Fact, present: pa.Array) -> Decision:
    value: Any = get_value(present, 0)
    shown = repr(format_value(value))
    fact = replace(fact, becomes=f"left out: always {shown}", distinct=1)
    if fact.missing > MOST_MISREAD * (fact.missing + len(present)):
        warning = f"is {shown} or missing; write what it is where it is missing"
        fact = replace(fact, warning=warning)
    if not isinstance(value, str | int | float | bool):
        value = str(value)
    is_date = types.is_date(present.type)
    restoration = Restoration(fact.name, value=value, is_date=is_date)
    return fact, restoration


def _leave_out_copies(
    decisions: list[Decision], sample: pa.RecordBatch
) -> list[Decision]:
    """Leave out each column whose values are those of another."""
    if sample.num_rows < FEWEST_ROWS_OF_COPIES:
        return decisions
    alike: dict[object, list[str]] = {}  # the columns that begin with the same values
    different = []
    for fact, column in decisions:
        if isinstance(column, Column):
            values = sample[fact.name]
            start = values.type, str(values[:FEWEST_ROWS_OF_COPIES])
            others = alike.setdefault(start, [])
            same = [name for name in others if sample[name].equals(values)]
            if same:
                fact = replace(fact, becomes=f"left out: the same as {same[0]!r}")
                column = Restoration(fact.name, copy_of=same[0])
            else:
                others.append(fact.name)
        different.append((fact, column))
    return different


def _relate_times(decisions: list[Decision], sample: pa.RecordBatch) -> list[Decision]:
    """Let a column of times count the days since an earlier one that it follows.

    It follows the one from which its distance varies least, if that is much less than
    either column varies.
    """
    earlier: dict[str, Array] = {}
    related = []
    for fact, column in decisions:
        if isinstance(column, Column) and column.kind is Kind.time:
            days = column.parse(sample[column.name])
            least = np.inf
            for name, others in earlier.items():
                spread = _find_spread(column.wrap(days - others, EARLIEST))
                spreads = _find_spread(days), _find_spread(others)
                most = MOST_SPREAD * min(spreads)
                if spread < min(least, most):
                    least = spread
                    column = replace(column, since=name)
            earlier[column.name] = days
            fact = replace(fact, becomes=_describe_features(column))
        related.append((fact, column))
    return related


def _find_spread(days: Array) -> float:
    """Return the distance between the quartiles of days, NaN where there are none."""
    present = days[~np.isnan(days)]
    if not len(present):
        return np.nan
    return float(np.ptp(np.quantile(present, (0.25, 0.75))))


def _join(*warnings: str) -> str:
    return "; ".join(filter(None, warnings))


def _describe_features(column: Column) -> str:
    """Return how many numbers a column becomes, and which."""
    if len(column.features) == 1 and column.kind is not Kind.text:
        return "1 number"
    begin = len(column.name) + 1
    names = [feature[begin:] for feature in column.features]
    return f"{len(names)} numbers: {list_some(names, 4)}"


def _show(values: pa.Array) -> tuple[str, ...]:
    """Return the first different values, as text."""
    some = values[:100].drop_null()
    examples = dict.fromkeys(map(format_value, list_values(some)))
    return tuple(examples)[:EXAMPLES]
