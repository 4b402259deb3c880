"""Decide how each column of a table reads, and whether it is used."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keras_tied._table_errors import TableError
from keras_tied._text import format_value, list_some, quote
from keras_tied._types import Array
from keras_tied.columns import _number_text
from keras_tied.columns._column import (
    MOST_MISREAD,
    OTHER,
    Column,
    MisfitError,
    format_cell,
    get_value,
)
from keras_tied.columns._durations import Durations, decide_durations
from keras_tied.columns._facts import (
    ROWS_TO_COUNT,
    ColumnChoice,
    Decision,
    Fact,
    Restoration,
)
from keras_tied.columns._kinds import LONGEST_TEXT, Kind, find_kind
from keras_tied.columns._names import (
    IDS,
    ROW_NUMBERS,
    counts_seconds,
    find_names,
    is_id,
    list_digit_formats,
)
from keras_tied.columns._number_text import ROWS_TO_DECIDE, NumberText, count_values
from keras_tied.columns._times import Times, decide_times, find_cycles, limit_century

MOST_CATEGORIES = 40
RAREST = 0.01  # of more categories, the smallest share of the rows in one with a number of its own
ALL_DIFFERENT = (
    0.8  # text of which more than this share differ is a name or an id, and no category
)
FEWEST_READ = (
    0.75  # from this share of numbers on, a column is text only if someone says so
)
FEWEST_DATES = 5  # whole numbers that could be dates are, if so many differ
FEWEST_HUNDREDS = (
    12  # and so many of those that only their name tells of have three digits
)
MOST_DIGITS = 10**15  # whole numbers from here on may be names
FEWEST_LOOKS = (
    0.5  # text of which less than this share looks like numbers or times is neither
)
MOST_NUMERIC = (
    0.25  # text that looks like numbers in more values has no rest of other categories
)
MOST_OTHER = 0.5  # a larger share of values in rare categories is warned of
FEWEST_ROWS_OF_COPIES = 20
FEWEST_SENTINELS = 2
SMALLEST_GAP = 9.0
SENTINEL_DATES = frozenset(  # that programs write where there is none
    "1753-01-01 1899-12-30 1899-12-31 1900-01-01 1970-01-01 2099-12-31 9999-12-31".split()
)
FEET = r"^\d+ ?['′] ?\d+(?:\.\d+)? ?(?:[\"″]|'')?$"  # noqa: RUF001
EXAMPLES = 3
REMEDY = (
    "correct them, name them with --na, or choose --categorical or --exclude for the"
    " column"
)


def choose_columns(sample: pa.RecordBatch, choice: ColumnChoice) -> list[Decision]:
    """Decide on each column, in the table's order."""
    names = sample.schema.names
    beside = {"the id": choice.id, "the label": choice.label}
    settled = {*(choice.columns or []), *choice.categorical, *choice.numeric}
    requested = [
        *(choice.columns or []),
        *choice.exclude,
        *choice.categorical,
        *choice.numeric,
    ]
    requested += [name for name in (choice.label, choice.id) if name is not None]
    if absent := [name for name in dict.fromkeys(requested) if name not in names]:
        raise TableError(
            f"the table has no column {quote(absent)}; it has {quote(names)}."
        )
    allowed = set(names if choice.columns is None else choice.columns)
    reasons = {
        name: "not among those asked for" for name in names if name not in allowed
    }
    reasons |= dict.fromkeys(choice.exclude, "excluded")
    reasons |= {name: what for what, name in beside.items() if name}
    known: dict[str, str] = {}
    if choice.begin is not None:
        known = find_names(sample, choice.begin, MOST_CATEGORIES)
    for name, what in known.items():
        if what in (ROW_NUMBERS, IDS) and name not in settled:
            reasons.setdefault(name, f"{what}, for --id")
    named = [name for name, what in known.items() if what not in (ROW_NUMBERS, IDS)]
    of_kinds = {*choice.categorical, *named} - {*choice.numeric}
    if (
        choice.decimal is None
    ):  # the columns of text that tell decide for those that do not
        texts = (
            values for values in sample.columns if find_kind(values.type) is Kind.text
        )
        choice = replace(choice, decimal=_number_text.find_decimal(texts))
    choice = replace(choice, categorical=of_kinds)
    decisions = [
        (
            Decision(_leave_out(name, values, reasons[name], known))
            if name in reasons
            else _decide(name, values, choice)
        )
        for name, values in zip(names, sample.columns, strict=True)
    ]
    return _leave_out_copies(decisions, sample)


def _leave_out(name: str, values: pa.Array, reason: str, known: dict[str, str]) -> Fact:
    """The fact about a column that is not looked at."""
    what = known.get(name, str(find_kind(values.type)))
    return Fact(
        name, what, f"left out: {reason}", values.null_count, examples=_show(values)
    )


def _decide(name: str, values: pa.Array, choice: ColumnChoice) -> Decision:
    """Decide on a column by the type of its values."""
    dtype, kind = values.type, find_kind(values.type)
    if kind is Kind.other:
        return Decision(Fact(name, "other values", f"left out: values of type {dtype}"))
    if kind is Kind.text and _find_longest(values) > LONGEST_TEXT:
        return Decision(
            _leave_out(name, values, f"text of over {LONGEST_TEXT:,} characters", {})
        )
    if pc.all(values.is_null(nan_is_null=True)).as_py():
        return _decide_empty(name, values)
    if name in choice.categorical and kind is Kind.number:
        values = _require_whole(name, values)
        kind = Kind.integer
    if name in choice.categorical and kind in (Kind.integer, Kind.text):
        words = Column(name, Kind.text, whole=kind is Kind.integer)
        return _decide_words(values, words, "names")
    if kind is Kind.text:
        return _decide_text(name, values, choice)
    form: NumberText | Times | Durations | None = None
    if pa.types.is_duration(dtype):
        kind, form = Kind.number, Durations(is_text=False)
    elif kind is Kind.time:
        form = Times(dtype="timestamp", zone=getattr(dtype, "tz", None) or "")
        if not pa.types.is_timestamp(dtype):
            form = Times(dtype="date" if pa.types.is_date(dtype) else "time")
    elif kind is Kind.integer and (
        dates := _find_numeric_dates(values, "" if choice.begin is None else name)
    ):
        kind, form = Kind.time, dates
    elif kind is Kind.integer and choice.decimal == ",":
        # In another file of the same form, 1.234 is a whole number.
        form = NumberText(",", places=0)
    return _decide_numbers(Column(name, kind, form=form), values, choice)


def _find_longest(values: pa.Array) -> int:
    """Return how many characters the longest text has."""
    words = values.dictionary if pa.types.is_dictionary(values.type) else values
    return pc.max(pc.utf8_length(words.cast(pa.string()))).as_py() or 0


def _require_whole(name: str, values: pa.Array) -> pa.Array:
    """Return numbers that name categories as whole numbers, or raise a `TableError`."""
    whole = values.cast(pa.int64(), safe=False)
    if pc.all(pc.equal(whole.cast(values.type), values)).as_py():
        return whole
    raise TableError(
        f"column {name!r} holds fractions, which name no categories; make it text."
    )


def _decide_text(name: str, values: pa.Array, choice: ColumnChoice) -> Decision:
    """Decide what text reads as: truth values, codes, numbers, times or categories."""
    if (truths := _number_text.decide_truth_text(values)) is not None:
        return _decide_numbers(Column(name, Kind.boolean, form=truths), values, choice)
    cells = _number_text.drop_missing(values).drop_null()
    if not len(cells):
        return _decide_empty(name, values)
    words = Column(name, Kind.text)
    if pc.any(
        pc.match_substring_regex(cells.unique(), _number_text.LONG_NUMERAL)
    ).as_py():
        share = pc.mean(pc.match_substring_regex(cells, r"^\d+$")).as_py()
        if share > 1 - MOST_MISREAD:
            return _decide_words(values, words, "codes of digits")
    column, share, warning = read_text(name, cells, choice)
    if column is not None and share >= 1 - MOST_MISREAD:
        return _decide_numbers(column, values, choice, warning)
    decision = _decide_words(values, words)
    settled = isinstance(decision.column, Column) and not decision.column.other
    if column is None or share < FEWEST_READ or settled:
        return decision
    if choice.begin is not None and is_id(name):
        return Decision(
            replace(decision.fact, reads_as=IDS, becomes=f"left out: {IDS}, for --id")
        )
    odd = cells.filter(pa.array(np.isnan(column.parse(cells))))
    warning = (
        f"holds {column.description} in {share:.0%} of its values, and {len(odd):,}"
        f" others such as {_show(odd)[0]!r}: {REMEDY}"
    )
    reads_as, n = f"mostly {column.description}", len(odd)
    fact = replace(
        decision.fact, reads_as=reads_as, becomes="refused", misread=n, warning=warning
    )
    return Decision(replace(fact, refused=True))


def read_text(
    name: str, text: pa.Array, choice: ColumnChoice
) -> tuple[Column | None, float, str]:
    """Return the numbers or times that text reads as, for which share of it, and a warning."""
    some = text.slice(0, ROWS_TO_DECIDE)
    if pc.all(pc.match_substring_regex(text, r"^\d{8}$")).as_py() and (
        dates := _find_numeric_dates(text.cast(pa.int64()))
    ):
        return Column(name, Kind.time, form=dates), 1.0, ""
    if (durations := decide_durations(some)) is not None:
        lasting = Column(name, Kind.number, form=durations)
        return lasting, float(np.mean(~np.isnan(lasting.parse(text)))), ""
    column, most, warning = None, 0.0, ""
    if _number_text.looks_numeric(some) >= FEWEST_LOOKS:
        form, warning = _number_text.decide_number_text(some, choice.decimal)
        is_plain = form == NumberText(places=form.places)
        kind = Kind.integer if form.places == 0 else Kind.number
        column = Column(name, kind, form=None if is_plain else form)
        present = column.clean(text).drop_null()
        most = form.count(present) / max(1, len(present))
    if most < 1 - MOST_MISREAD:
        times, share, doubt = decide_times(some, choice.day_first)
        if times is not None and share > max(most, FEWEST_LOOKS):
            share = float(np.mean(~np.isnan(times.parse(text))))
            return Column(name, Kind.time, form=times), share, doubt
    return column, most, warning


def _find_numeric_dates(values: pa.Array, name: str = "") -> Times | None:
    """Return the form of dates such as 20260131 if all whole numbers are such.

    A column may have a name that tells of dates such as 260131, or times such as 1430.
    """
    different = values.drop_null().unique()
    least, most = (of.as_py() for of in pc.min_max(different).values())
    formats = list_digit_formats(name)
    if pc.sum(pc.greater_equal(different, 100)).as_py() < FEWEST_HUNDREDS:
        formats = ()
    if least >= 19_000_101 and most <= 21_001_231:
        formats = ("%Y%m%d",)
    for form in formats if len(different) >= FEWEST_DATES and least >= 0 else ():
        times = limit_century(Times(form))
        if not np.isnan(times.parse(different.cast(pa.string()))).any():
            return times
    return None


def _decide_empty(name: str, values: pa.Array) -> Decision:
    fact = Fact(
        name,
        "no value",
        f"left out: no value in {len(values)} rows",
        missing=len(values),
    )
    return Decision(fact, Restoration(name))


def _decide_numbers(
    column: Column, values: pa.Array, choice: ColumnChoice, warning: str = ""
) -> Decision:
    """Decide on numbers, truth values, and dates and times."""
    try:
        numbers = column.parse(values)
    except (
        MisfitError
    ):  # an infinite number, which `Columns.encode` reports with its row
        return Decision(Fact(column.name, column.description, "1 number"), column)
    if is_time := column.kind is Kind.time:
        origin, cycles = float(np.floor(np.nanmin(numbers))), find_cycles(numbers)
        column = replace(column, origin=origin, cycles=cycles)
    is_missing = np.isnan(numbers)
    if column.kind in (Kind.number, Kind.time) and pa.types.is_primitive(values.type):
        column = replace(
            column, whole=bool((numbers == np.rint(numbers))[~is_missing].all())
        )
    misread = column.find_misread(values, numbers)
    present = numbers[~is_missing]
    some = values.slice(0, ROWS_TO_DECIDE).filter(
        pa.array(~is_missing[:ROWS_TO_DECIDE])
    )
    examples, reads_as = _show(some), column.description
    if isinstance(column.form, Times) and column.form.format and examples:
        reads_as += f" such as {examples[0]}"
    becomes = "1 number" if len(column.features) == 1 else _list_features(column)
    different = np.unique(present[:ROWS_TO_COUNT])
    if (
        column.kind is Kind.integer
        and choice.begin is not None
        and column.name not in choice.numeric
    ):
        if (
            np.array_equal(different, np.arange(1, len(different) + 1))
            and 3 <= len(different) <= 9
        ):
            becomes = (
                f"1 number; if 1 to {len(different)} name kinds, say --categorical"
            )
        elif counts_seconds(column.name, present):
            warning = (
                "may hold seconds since 1970, and is read as numbers; write dates if it"
                " does"
            )
    if column.kind is Kind.integer and np.abs(present).max() >= MOST_DIGITS:
        warning = (
            "holds whole numbers of 16 digits or more, which may be names; say"
            " --exclude"
        )
    elif sentinel := _describe_sentinel(column, values, numbers):
        warning = "; ".join(filter(None, [warning, sentinel]))
    fact = Fact(
        column.name,
        reads_as,
        becomes,
        int(is_missing.sum()) - len(misread),
        len(misread),
        len(different),
        examples,
        warning,
    )
    decision = Decision(fact, column)
    if present.min() == present.max():  # in single precision
        same = values.filter(pa.array(~is_missing))
        if len(same.unique()) == 1:
            decision = _leave_out_constant(fact, same)
    if is_time and choice.dates == "off":
        becomes = "left out: a date or time, with --dates off"
        decision = Decision(replace(decision.fact, becomes=becomes))
    return decision


def _describe_sentinel(column: Column, values: pa.Array, numbers: Array) -> str:
    """Describe a value, such as -99, far from all others: it may stand for a missing one; or ""."""
    present = np.sort(numbers[~np.isnan(numbers)])
    if column.kind is Kind.boolean or present[0] == present[-1]:
        return ""
    for mark in (present[0], present[-1]):
        others = present[present != mark]
        number, least, most = float(mark), float(others[0]), float(others[-1])
        times = len(present) - len(others)
        is_far = min(abs(number - least), abs(number - most)) >= max(
            most - least, SMALLEST_GAP
        )
        if times >= FEWEST_SENTINELS and is_far and _is_sentinel(column.kind, number):
            text = format_cell(values, int(np.flatnonzero(numbers == mark)[0]))
            return (
                f"holds {text!r} in {times:,} of {len(present):,} rows, far from its"
                f" other values: if it stands for a missing one, say --na {text}"
            )
    return ""


def _is_sentinel(kind: Kind, number: float) -> bool:
    if kind is Kind.time:
        return str(np.datetime64(int(number), "D")) in SENTINEL_DATES
    digits = f"{abs(number):.10g}"
    return number == int(number) and len(digits) >= 2 and set(digits) == {"9"}


def _decide_words(values: pa.Array, column: Column, reads_as: str = "") -> Decision:
    """Decide on text, or whole numbers, that name categories."""
    cells = column.clean(values)
    present = cells.drop_null()
    if not len(present):
        return _decide_empty(column.name, values)
    counts, n_rows, what = count_values(present), len(present), reads_as or "categories"
    fact = Fact(column.name, what, "", cells.null_count, 0, len(counts), _show(present))
    n, words = len(counts), _merge_cases(counts)
    if len(words) < n:
        warning = (
            f"has {n} spellings of {len(words)} categories, merged whatever their case"
        )
        fact, counts = replace(fact, warning=warning), words
    if len(counts) == 1:
        return _leave_out_constant(fact, present)
    least = RAREST * n_rows if len(counts) > MOST_CATEGORIES else 0
    common = [text for text, times in counts.items() if times >= least]
    common = sorted(common, key=lambda text: (-counts[text], text))[:MOST_CATEGORIES]
    other = len(common) < len(counts)
    all_differ = len(counts) > max(2, ALL_DIFFERENT * n_rows)
    some, looks = present.slice(0, ROWS_TO_DECIDE), 0.0
    if not reads_as:
        looks = _number_text.looks_numeric(some)
        if other and not all_differ:
            looks = max(looks, _number_text.count_digits(some))
    reason = warning = ""
    if all_differ:
        reason = (
            f"text of which nearly every value differs, {len(counts)} in {n_rows} rows"
        )
    elif not common:
        reason = f"text of {len(counts)} categories, all of which are rare"
    elif other and looks > MOST_NUMERIC:
        reason = "text that looks like numbers, of too many kinds for categories"
    if (
        not reads_as
        and pc.mean(pc.match_substring_regex(some, FEET)).as_py() > FEWEST_READ
    ):
        warning = (
            "seems to hold feet and inches, which are no numbers so; write inches alone"
        )
        fact = replace(fact, warning=warning)
    if reason and looks > MOST_NUMERIC:
        warning = (
            f"looks like numbers in {looks:.0%} of its values, but not of one kind,"
            " and is "
        )
        warning += "left out; say --categorical for the column if it names kinds"
    if reason:
        becomes, what = f"left out: {reason}", reads_as or "text"
        return Decision(replace(fact, reads_as=what, becomes=becomes, warning=warning))
    column = replace(column, categories=tuple(sorted(common)), other=other)
    becomes = _list_features(column)
    if other:
        share = 1 - sum(counts[text] for text in common) / n_rows
        becomes += f"; {OTHER} holds {share:.0%} of the values"
        if share > MOST_OTHER:
            warning = (
                f"has {len(counts):,} kinds of values, {len(common)} of which have a"
                f" number of their own; the others, {share:.0%} of the values, count"
                " as one"
            )
            fact = replace(
                fact, warning="; ".join(filter(None, [fact.warning, warning]))
            )
    return Decision(replace(fact, becomes=becomes), column)


def _merge_cases(counts: dict[str, int]) -> dict[str, int]:
    """Count texts whatever their case, by the most frequent spelling of each."""
    merged: dict[str, Counter[str]] = {}
    for text, times in sorted(counts.items()):
        merged.setdefault(text.lower(), Counter())[text] = times
    return {words.most_common(1)[0][0]: words.total() for words in merged.values()}


def _leave_out_constant(fact: Fact, present: pa.Array) -> Decision:
    value = get_value(present, 0)
    becomes = f"left out: always {format_value(value)!r}"
    if fact.missing > MOST_MISREAD * (fact.missing + len(present)):
        warning = (
            f"is {format_value(value)!r} or missing; write what it is where it is"
            " missing"
        )
        fact = replace(fact, warning=warning)
    plain = value if isinstance(value, str | int | float | bool) else str(value)
    restored = Restoration(
        fact.name, value=plain, is_date=pa.types.is_date(present.type)
    )
    return Decision(replace(fact, becomes=becomes, distinct=1), restored)


def _leave_out_copies(
    decisions: list[Decision], sample: pa.RecordBatch
) -> list[Decision]:
    """Leave out each column whose values are those of another."""
    if sample.num_rows < FEWEST_ROWS_OF_COPIES:
        return decisions
    begin = sample.slice(0, FEWEST_ROWS_OF_COPIES)
    alike: dict[object, list[int]] = {}  # the columns that begin with the same values
    for index, decision in enumerate(decisions):
        if not isinstance(decision.column, Column):
            continue
        values = sample.column(index)
        others = alike.setdefault((values.type, str(begin.column(index))), [])
        original = next(
            (other for other in others if sample.column(other).equals(values)), None
        )
        if original is None:
            others.append(index)
        else:
            name = sample.schema.names[original]
            fact = replace(decision.fact, becomes=f"left out: the same as {name!r}")
            decisions[index] = Decision(fact, Restoration(fact.name, copy_of=name))
    return decisions


def _list_features(column: Column) -> str:
    names = [feature[len(column.name) + 1 :] for feature in column.features]
    return f"{len(names)} numbers: {list_some(names, 4)}"


def _show(values: pa.Array) -> tuple[str, ...]:
    """Return the first different values, as text."""
    some = values.slice(0, 100).drop_null()
    shown = dict.fromkeys(
        format_value(get_value(some, row)) for row in range(len(some))
    )
    return tuple(shown)[:EXAMPLES]
