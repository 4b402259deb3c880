"""Which features belong to which column of a table, and what they hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from keras_tied._types import Array

NUMBER, BOOLEAN, CATEGORY = (
    0,
    1,
    2,
)  # a boolean is 0 or 1; of the features of a category one is 1


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

    @cached_property
    def starts(self) -> Array:
        """The first feature of each column."""
        return np.flatnonzero(np.diff(self.columns, prepend=-1))

    @cached_property
    def parts(self) -> list[slice]:
        """The features of each column."""
        return list(map(slice, self.starts, [*self.starts[1:], len(self.columns)]))

    @cached_property
    def categories(self) -> list[slice]:
        """The features of each column of categories."""
        return [part for part in self.parts if self.kinds[part.start] == CATEGORY]

    @property
    def has_classes(self) -> bool:
        """Whether some columns hold booleans or categories."""
        return bool(self.kinds.any())
