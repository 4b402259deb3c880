"""Which features belong to which column of a table, and what they hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tied_tables._types import Array

NUMBER = 0
BOOLEAN = 1
CATEGORY = 2
"""A boolean is 0 or 1; of the features of a category one is 1."""


@dataclass(frozen=True, eq=False)
class Layout:
    """The columns of a table, and the features that each has become.

    Attributes:
        columns: the column that each feature belongs to, `(d,)` int64, from 0 on, not
            falling.
        kinds: what it holds, `NUMBER`, `BOOLEAN` or `CATEGORY`, the same for all
            features of a column, `(d,)` int64.
    """

    columns: Array
    kinds: Array

    @classmethod
    def of_numbers(cls, n_features: int) -> Layout:
        """Columns of one number each."""
        return cls(np.arange(n_features), np.full(n_features, NUMBER))

    def select(self, features: Array) -> Layout:
        """The layout of all features in another order, column by column."""
        begins = np.diff(self.columns[features], prepend=-1) != 0
        return Layout(np.cumsum(begins) - 1, self.kinds[features])

    @cached_property
    def starts(self) -> Array:
        """The first feature of each column."""
        return np.flatnonzero(np.diff(self.columns, prepend=-1))

    @cached_property
    def sizes(self) -> Array:
        """How many features the column of each feature has, `(d,)`."""
        return np.bincount(self.columns)[self.columns]

    @cached_property
    def parts(self) -> list[slice]:
        """The features of each column."""
        ends = np.append(self.starts[1:], len(self.columns))
        return list(map(slice, self.starts, ends))

    @cached_property
    def numbers(self) -> Array:
        """The features of numbers."""
        return np.flatnonzero(self.kinds == NUMBER)

    @cached_property
    def classes(self) -> list[slice]:
        """The features of each column of booleans or categories."""
        return [part for part in self.parts if self.kinds[part.start] != NUMBER]

    @cached_property
    def categories(self) -> list[slice]:
        """The features of each column of categories."""
        return [part for part in self.parts if self.kinds[part.start] == CATEGORY]

    @cached_property
    def indicators(self) -> Indicators:
        """The indicators of the categories of all columns of classes."""
        classes = np.flatnonzero(self.kinds != NUMBER)
        counts = np.where(self.kinds[classes] == BOOLEAN, 2, 1)
        features = np.repeat(classes, counts)
        last = np.cumsum(counts) - 1
        is_opposite = np.ones((len(features), 1), bool)
        is_opposite[last] = False
        _, starts, columns = np.unique(
            self.columns[features], return_index=True, return_inverse=True
        )
        return Indicators(features, is_opposite, columns, starts, classes, last)

    @property
    def has_classes(self) -> bool:
        """Whether some columns hold booleans or categories."""
        return bool(self.kinds.any())


class Indicators(NamedTuple):
    """The m categories of all columns of booleans and categories, one after the other.

    A feature is the indicator of a category. That of a boolean is the indicator of two
    categories, the first of which has one less it.

    Attributes:
        features: the feature of each category, `(m,)`.
        is_opposite: whether the category is the first one of a boolean, `(m, 1)`.
        columns: the column of each, `(m,)`, numbered without those of numbers.
        starts: the first category of each such column.
        classes: the features of these columns.
        last: the category that each of these features indicates.
    """

    features: Array
    is_opposite: Array
    columns: Array
    starts: Array
    classes: Array
    last: Array

    def select(self, values: Array) -> Array:
        """Values of features, `(d, n)`, as those of their categories, `(m, n)`."""
        selected = values[self.features]
        return np.where(self.is_opposite, 1 - selected, selected)

    def add_up(self, values: Array) -> Array:
        """The sums over the categories of each column, `(..., columns, n)`."""
        return np.add.reduceat(values, self.starts, axis=-2)
