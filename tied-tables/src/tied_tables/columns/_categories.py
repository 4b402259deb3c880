"""Decide which texts, or whole numbers, of a column are categories."""

from collections import Counter
from dataclasses import dataclass, replace

import pyarrow as pa

from tied_tables.columns._arrow import count_values, measure_matches
from tied_tables.columns._column import Column
from tied_tables.columns._facts import Fact, leave_out_constant, list_examples
from tied_tables.columns._missing import MOST_MISREAD
from tied_tables.columns._number_text import ROWS_TO_DECIDE, measure_numeric
from tied_tables.columns._remarks import Remark, Topic
from tied_tables.columns._spelling import find_similar

FEW_CATEGORIES = 40
# Of more categories, the smallest share of the rows in one with a number of its own.
LEAST_CATEGORY_SHARE = 0.01
# Text of which more than this share differ is a name or an id, and no category.
ALL_DIFFERENT = 0.8
FEWEST_AMOUNTS = 10  # of fewer different values, <5 or "unknown" may be a kind
NUMBERED = r"^\d.*\pL"  # text of a number and a word
# Text that looks like numbers in more values has no other categories than its own.
MOST_NUMERIC = 0.25
# A misspelling that is there k times is one of what is there 10 k² times or more.
MISSPELLING_FACTOR = 10
MOST_FREQUENT = 100  # texts that others may be misspellings of
MOST_OTHER = 0.5  # a larger share of values in rare categories is warned of


@dataclass(frozen=True)
class WordCounts:
    """How often the words of a column are there.

    Attributes:
        counts: by the most frequent spelling of each word.
        n_spellings: how many spellings there are.
        misspelt: rare words, and the frequent ones that they are misspellings of.
        similar: words that are similar to a more frequent one, and that one.
    """

    counts: Counter[str]
    n_spellings: int
    misspelt: dict[str, str]
    similar: dict[str, str]

    @property
    def n_rows(self) -> int:
        """How many values there are."""
        return self.counts.total()

    @property
    def are_all_different(self) -> bool:
        """Whether nearly every value is another word."""
        return len(self.counts) > max(2, ALL_DIFFERENT * self.n_rows)


def decide_categories(
    values: pa.Array,
    column: Column,
    reads_as: str = "",
    most: int | None = None,
) -> Fact:
    """Decide on text, or whole numbers, that name categories.

    `reads_as` is what they are if that is known, and else empty. At most so many have a
    number of their own, and those that are similar to one.
    """
    cells = column.clean(values)
    present = cells.drop_null()
    words = _count_words(present, column.exact)
    column = _choose_categories(words, column, most)
    first = present[:ROWS_TO_DECIDE]
    is_numeric = not reads_as and measure_numeric(first) > MOST_NUMERIC
    reason = _find_reason(words, column, is_numeric)
    are_many = len(words.counts) >= FEWEST_AMOUNTS and not reads_as
    is_irregular = are_many and measure_matches(first, NUMBERED) > 1 - MOST_MISREAD
    if reason is not None:
        is_irregular |= is_numeric
    examples = list_examples(present)
    remarks = [Remark(Topic.irregular, examples[0])] if is_irregular else []
    if reason is None:
        remarks = [*_find_spellings(words), *remarks, *_find_rare(words, column)]
    fact = Fact(
        column.name,
        reads_as or ("categories" if reason is None else "text"),
        column if reason is None else None,
        reason,
        missing=cells.null_count,
        distinct=words.n_spellings,
        examples=examples,
        remarks=tuple(remarks),
    )
    return leave_out_constant(fact, present) if len(words.counts) == 1 else fact


def _count_words(present: pa.Array, exact: bool) -> WordCounts:
    """Count texts: if not exact, whatever their case, and with their misspellings."""
    spellings = count_values(present)
    counts: Counter[str] = Counter()
    names: dict[str, str] = {}
    for text in sorted(spellings, key=lambda text: (-spellings[text], text)):
        name = names.setdefault(text if exact else text.lower(), text)
        counts[name] += spellings[text]
    misspelt: dict[str, str] = {}
    similar: dict[str, str] = {}
    texts = [] if exact else [text for text, _ in counts.most_common()]
    frequent = [text for text in texts if counts[text] >= MISSPELLING_FACTOR]
    frequent = frequent[:MOST_FREQUENT]
    for place, name_place in find_similar(texts, frequent):
        text, name = texts[place], frequent[name_place]
        if MISSPELLING_FACTOR * counts[text] ** 2 <= counts[name]:
            misspelt.setdefault(text, name)
        elif counts[text] < counts[name]:
            similar.setdefault(text, name)
    return WordCounts(counts, len(spellings), misspelt, similar)


def _choose_categories(words: WordCounts, column: Column, most: int | None) -> Column:
    """Return a column with the categories that have a number of their own."""
    counts, misspelt = words.counts, words.misspelt
    n_words = len(counts)
    fewest = LEAST_CATEGORY_SHARE * words.n_rows if n_words > FEW_CATEGORIES else 0
    frequent = counts.most_common(most)
    common = [text for text, times in frequent if times >= fewest]
    if n_words - len(misspelt) > 1:
        common = [text for text in common if text not in misspelt]
    # What is similar to a category, and none that is misspelt, is one, too.
    for text, name in words.similar.items():
        if name in common and text not in common:
            common.append(text)
    has_other = len({*common, *misspelt}) < n_words
    return replace(column, categories=tuple(sorted(common)), other=has_other)


def _find_reason(words: WordCounts, column: Column, is_numeric: bool) -> Remark | None:
    """Return why words are no categories, or None if they are."""
    n_words = len(words.counts)
    if words.are_all_different:
        return Remark(Topic.all_different, n=n_words, total=words.n_rows)
    if not column.categories:
        return Remark(Topic.all_rare, n=n_words)
    if n_words > FEW_CATEGORIES and is_numeric:
        return Remark(Topic.numeric_text)
    return None


def _find_spellings(words: WordCounts) -> list[Remark]:
    """Return what to say of spellings that are merged, and of misspellings."""
    counts = words.counts
    remarks = []
    if len(counts) < words.n_spellings:
        remarks.append(Remark(Topic.spellings, n=words.n_spellings, total=len(counts)))
    for text, name in words.misspelt.items():
        remarks.append(
            Remark(Topic.misspelt, text, name, n=counts[text], total=counts[name])
        )
    return remarks


def _find_rare(words: WordCounts, column: Column) -> list[Remark]:
    """Return what to say of the words that have no number of their own."""
    if not column.other:
        return []
    n_common = sum(words.counts[text] for text in column.categories)
    share = 1 - n_common / words.n_rows
    remarks = [Remark(Topic.other, share=share)]
    if share > MOST_OTHER:
        n_words, n_categories = len(words.counts), len(column.categories)
        remarks.append(
            Remark(Topic.mostly_rare, n=n_words, total=n_categories, share=share)
        )
    return remarks
