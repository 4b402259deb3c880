"""Values that are not what their column holds, or may not be."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pyarrow as pa

from tied_tables._types import Array
from tied_tables.columns._column import format_cell

MOST_EXAMPLES = 3
MOST_TEXTS = 100  # different values of a column that are noted, and rows of each


@dataclass
class NotedValues:
    """Values of columns: how many, and some of them.

    Attributes:
        counts: how many values there are, by column.
        texts: by column, the first different ones, with the first rows of each, counted
            from 1, and how often it is there.
    """

    counts: Counter[str] = field(default_factory=Counter)
    texts: dict[str, dict[str, tuple[list[int], int]]] = field(default_factory=dict)

    def add(
        self,
        column: str,
        values: pa.Array,
        rows: Array,
        first_row: int,
    ) -> None:
        """Note the values of some rows of a column; `first_row` rows came before."""
        if not len(rows):
            return
        cells = values.take(rows)
        codes = np.asarray(cells.dictionary_encode().indices)
        noted = {}
        for code in range(min(codes.max() + 1, MOST_TEXTS)):
            same = rows[codes == code]
            text = format_cell(values, int(same[0]))
            places = first_row + same[:MOST_TEXTS] + 1
            noted[text] = places.tolist(), len(same)
        n_values = Counter({column: len(rows)})
        self.update(type(self)(n_values, {column: noted}))

    def update(self, later: Self) -> None:
        """Add those of rows that come later, or of another file."""
        self.counts.update(later.counts)
        for column, texts in later.texts.items():
            known = self.texts.setdefault(column, {})
            for text, (places, times) in texts.items():
                if text in known:
                    known_places, n = known[text]
                    known[text] = (known_places + places)[:MOST_TEXTS], n + times
                elif len(known) < MOST_TEXTS:
                    known[text] = places, times

    def describe(self, column: str) -> str:
        """Describe those of a column, for a message: the most frequent ones."""
        texts = self.texts[column]
        most = sorted(texts, key=lambda text: -texts[text][1])[:MOST_EXAMPLES]
        n_more = self.counts[column]
        parts = []
        for text in most:
            (first, *_), times = texts[text]
            n_more -= times
            often = "in" if times == 1 else f"{times:,} times, first in"
            parts.append(f"{text!r} {often} row {first:,}")
        more = f" and {n_more:,} more" if n_more else ""
        return ", ".join(parts) + more


@dataclass
class Doubts:
    """What is doubtful in the values of a table.

    Attributes:
        unseen: values of rare or new categories, and of columns that are not what they
            were in training.
        misread: values that are not of the kind of their column, treated as missing.
        misspelt: values that count as the category of which they may be a misspelling.
        empty: the columns in which there is no value.
    """

    unseen: NotedValues = field(default_factory=NotedValues)
    misread: NotedValues = field(default_factory=NotedValues)
    misspelt: NotedValues = field(default_factory=NotedValues)
    empty: list[str] = field(default_factory=list)

    def update(self, later: Doubts) -> None:
        """Add the values of rows that come later, or of another file."""
        self.unseen.update(later.unseen)
        self.misread.update(later.misread)
        self.misspelt.update(later.misspelt)
