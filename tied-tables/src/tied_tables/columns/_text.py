"""Decide what the text of a column reads as."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tied_tables.columns._arrow import (
    measure_matches,
    measure_present,
    to_floats,
    to_text,
)
from tied_tables.columns._categories import (
    ALL_DIFFERENT,
    FEW_CATEGORIES,
    FEWEST_AMOUNTS,
    decide_categories,
)
from tied_tables.columns._column import AnyForm, Column
from tied_tables.columns._durations import decide_durations
from tied_tables.columns._facts import ColumnChoice, Fact, leave_out, list_examples
from tied_tables.columns._kinds import Kind
from tied_tables.columns._missing import MOST_MISREAD, list_present
from tied_tables.columns._names import (
    CATEGORIES,
    IDS,
    find_meaning,
    has_word,
    names_rows,
)
from tied_tables.columns._number_text import (
    AT_LEAST,
    BOUND,
    LONG_NUMERAL,
    ROWS_TO_DECIDE,
    NumberText,
    decide_number_text,
    measure_numeric,
)
from tied_tables.columns._numbers import decide_numbers
from tied_tables.columns._remarks import Remark, Topic
from tied_tables.columns._times import Times, decide_times, limit_century
from tied_tables.columns._truth_text import decide_truth_text

# From this share of numbers on, a column is text only if someone says so.
FEWEST_READ = 0.75
MOST_MISSING_MARKS = 3  # so few texts stand for missing values beside numbers
PLAIN_DIGITS = r"^\d{1,8}(?:\.\d+)?$"
# Text of which less than this share looks like numbers or times is neither.
FEWEST_LOOKS = 0.5
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


def decide_text(name: str, values: pa.Array, choice: ColumnChoice) -> Fact:
    """Decide what text reads as: truth values, codes, numbers, times or categories."""
    cells = list_present(values)
    words = Column(name, Kind.text)
    categorize = partial(
        decide_categories, values, column=words, most=choice.most_categories
    )
    marks, amounts = _split_marks(cells)
    column, share, doubt = read_text(name, amounts, choice)
    are_times = column is not None and column.kind is Kind.time
    if not are_times and _are_codes(cells):
        return categorize(reads_as="codes of digits")
    meaning = _find_meaning(column, name, cells, amounts, choice)
    if meaning == CATEGORIES:
        is_whole = column is not None and column.kind is Kind.number  # such as 3.0
        return categorize(reads_as="names", column=replace(words, whole=is_whole))
    if meaning is not None:
        return leave_out(name, values, Remark(Topic(meaning)), meaning)
    if column is None:
        return categorize()
    reads_as = column.description
    if marks:
        column = replace(column, marks=marks)
        share_of_marks = 1 - len(amounts) / len(cells)
        doubt = Remark(Topic.marks, text=reads_as, texts=marks, share=share_of_marks)
    if share >= 1 - MOST_MISREAD:
        return decide_numbers(column, values, choice, doubt)
    fact = categorize()
    if share < FEWEST_READ:
        return fact
    misread = amounts.filter(np.isnan(column.text_form.parse(amounts)))
    example, *_ = list_examples(misread)
    if fact.column is not None and fact.distinct <= FEW_CATEGORIES:
        remark = Remark(Topic.maybe_numeric, example, reads_as)
        return replace(fact, remarks=(*fact.remarks, remark))
    n_misread = len(misread)
    reason = Remark(Topic.mixed, example, reads_as, n=n_misread, share=share)
    return replace(
        fact,
        reads_as=reads_as,
        column=None,
        reason=reason,
        misread=n_misread,
        remarks=(),
    )


def _find_meaning(
    column: Column | None,
    name: str,
    cells: pa.Array,
    amounts: pa.Array,
    choice: ColumnChoice,
) -> str | None:
    """Return what its name tells of a column of text, None if it tells nothing.

    `column` is what the amounts among its cells read as, if anything.
    """
    if choice.first_rows is None or not choice.by_name(name):
        return None
    if column is None:
        are_different = len(cells.unique()) > max(2, ALL_DIFFERENT * len(cells))
        return IDS if are_different and names_rows(name) else None
    form = column.text_form
    if column.kind is Kind.time:
        form = NumberText()  # which times such as 20260131 have
    elif column.kind is not Kind.integer and column.form is not None:
        return None
    numbers = form.parse(amounts)
    numbers = numbers[~np.isnan(numbers)]
    if len(numbers) < FEWEST_READ * len(amounts):
        return None
    begin = form.parse(column.clean(choice.first_rows[name]))
    meaning = find_meaning(name, pa.array(numbers), pa.array(begin))
    if meaning == CATEGORIES:
        are_numbers = column.kind is not Kind.number or len(numbers) == len(cells)
        return CATEGORIES if are_numbers else None
    is_chosen = name in (choice.columns or ())
    return None if is_chosen else meaning


def _are_codes(texts: pa.Array) -> bool:
    """Return whether texts are digits that name something, such as 007."""
    share = measure_matches(texts, r"^\d+$")
    return share > 1 - MOST_MISREAD and measure_matches(texts, LONG_NUMERAL) > 0


def _split_marks(texts: pa.Array) -> tuple[tuple[str, ...], pa.Array]:
    """Return the few texts without a digit beside many with one, and these."""
    has_digit = pc.match_substring_regex(texts, r"\d")
    amounts = texts.filter(has_digit)
    marks = texts.filter(pc.invert(has_digit)).unique()
    are_few = (
        len(marks) <= MOST_MISSING_MARKS and len(amounts.unique()) >= FEWEST_AMOUNTS
    )
    if are_few and len(amounts) < (1 - MOST_MISREAD) * len(texts):
        return tuple(marks.to_pylist()), amounts
    return (), texts


def read_text(
    name: str,
    texts: pa.Array,
    choice: ColumnChoice,
) -> tuple[Column | None, float, Remark | None]:
    """Return the numbers or times that text reads as, for which share, and a doubt."""
    best, most, doubt = None, FEWEST_LOOKS, None
    for form, form_doubt in _find_forms(name, texts, choice):
        share = 0.0 if form is None else measure_present(form.parse(texts))
        if share > most:
            best, most, doubt = form, share, form_doubt
        if most >= 1 - MOST_MISREAD:
            break
    if best is None:
        return None, 0.0, None
    is_plain = isinstance(best, NumberText) and best == NumberText(places=best.places)
    column = Column(name, best.kind, form=None if is_plain else best)
    return column, most, doubt


def _find_forms(
    name: str,
    texts: pa.Array,
    choice: ColumnChoice,
) -> Iterator[tuple[AnyForm | None, Remark | None]]:
    """Yield the forms that texts may be of, with a doubt about each."""
    yield decide_truth_text(texts), None
    texts = texts[:ROWS_TO_DECIDE]
    if measure_matches(texts, PLAIN_DIGITS) == 1:
        yield find_digit_times(name, texts, choice), None
    yield decide_durations(texts), None
    has_bounds = measure_matches(texts, f"^{BOUND}|{AT_LEAST}$") > 0
    are_ranges = has_bounds and len(texts.unique()) < FEWEST_AMOUNTS
    if measure_numeric(texts) >= FEWEST_LOOKS and not are_ranges:
        yield decide_number_text(texts, choice.decimal)
    yield decide_times(texts, choice.day_first)


def find_digit_times(
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
