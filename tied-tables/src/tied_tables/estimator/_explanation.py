"""Why rows are odd, as `TiedAutoencoder.explain` returns it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tied_tables._text import format_quantity
from tied_tables._types import Array

if TYPE_CHECKING:
    from tied_tables._reasons import Cause
    from tied_tables.model.explanation import Attribution
    from tied_tables.model.value import TableModel

MOST_SHOWN_ROWS = 3  # rows in the text of an explanation


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Why n rows are odd; its text has the sentences of the first rows.

    Attributes:
        columns: the names of the k columns that the model uses.
        shares: the part of each column in the outlier score of a row, `(n, k)`. Those
            of a row add up to 1, or are 0 where no value would make it less odd.
        expected: what the other columns suggest, in the units of the columns: an array,
            `(n, n_features_in_)`, or a frame like that which was fitted to.
        scores: the outlier score of a row with what is expected in one column,
            `(n, k)`, which `score_samples` negates.
        ratios: how many times as likely as the category of the row the likeliest one
            is, `(n, k)`; 1 for numbers.
        outlier_scores: those of the rows as they are, `(n,)`.
        rarities: one row in how many is at least as odd, `(n,)`.

    Examples:
        >>> import numpy as np
        >>> from tied_tables import TiedAutoencoder
        >>> X = np.random.default_rng(0).normal(size=(200, 1)) * [1.0, 2.0, 3.0]
        >>> autoencoder = TiedAutoencoder(1, max_iter=1, random_state=0).fit(X)
        >>> autoencoder.explain([[1.0, 2.0, 60.0]])  # doctest: +ELLIPSIS
        Explanation of 1 row:
        0: x2 60; the other columns suggest ..., and with that the row would be ordinary
    """

    columns: list[str]
    shares: Array
    expected: Any
    scores: Array
    ratios: Array
    outlier_scores: Array
    rarities: Array
    _describe: Callable[[], tuple[list[list[Cause]], list[str]]] = field(kw_only=True)
    _given: Any = field(kw_only=True)

    def __len__(self) -> int:
        return len(self.shares)

    def __repr__(self) -> str:
        lines = [f"Explanation of {format_quantity(len(self), 'row')}:"]
        try:
            from tied_tables.columns import find_library

            sentences = self.sentences()
        except ImportError:
            return lines[0].rstrip(":")
        names = range(len(self))
        if find_library(self._given) == "pandas":
            names = self._given.index
        pairs = zip(names, sentences[:MOST_SHOWN_ROWS], strict=False)
        lines += [f"{name}: {sentence}" for name, sentence in pairs]
        if len(self) > MOST_SHOWN_ROWS:
            lines.append("...")
        return "\n".join(lines)

    @cached_property
    def _words(self) -> tuple[list[list[Cause]], list[str]]:
        """The columns that make each row odd, and why, in words."""
        return self._describe()

    def sentences(self) -> list[str]:
        """Why each row is odd, in the words of `tied-tables score`.

        Returns:
            A clause for each row, without a full stop.

        Raises:
            ImportError: without PyArrow.
        """
        return list(self._words[1])

    def to_frame(self) -> Any:
        """A table of the reasons, with the columns of `tied-tables score --explain`.

        Returns:
            A frame of the library of the rows, in pandas with their index; of pandas
            for an array. `score` is the outlier score, `one_in` the rarity, `column1`,
            `share1` and `expected1` the first column that makes the row odd, its share,
            and what the others suggest as text; up to three such, and `why`, the
            sentence.

        Raises:
            ImportError: without PyArrow, or pandas for an array.
        """
        causes, sentences = self._words
        import pyarrow as pa

        from tied_tables.columns import find_library, wrap
        from tied_tables.model.causes import MOST_CAUSES, list_causes

        columns = {"score": self.outlier_scores, "one_in": self.rarities}
        columns |= list_causes(causes, min(MOST_CAUSES, len(self.columns)))
        table = pa.table(columns | {"why": sentences})
        library = find_library(self._given)
        if library not in ("polars", "pyarrow"):
            library = "pandas"
        return wrap(library, table, table.column_names, self._given)


def describe_rows(
    model: TableModel, names: list[str], given: Any, numbers: Array, found: Attribution
) -> tuple[list[list[Cause]], list[str]]:
    """The columns that make each row odd, and why, in words.

    Args:
        model: the fitted value.
        names: of the columns that it uses.
        given: the rows, a `Frame`, or anything else where the numbers are the rows.
        numbers: those that stand for the rows, `(n, d)`.
        found: the attribution of these.
    """
    from tied_tables.columns import Columns, Frame
    from tied_tables.model.causes import describe_reasons, find_causes

    columns = model.columns or Columns.of_numbers(names)
    if isinstance(given, Frame):
        rows = columns.read_frame(given)
    else:
        rows = columns.decode(numbers)
    causes = find_causes(columns, rows, numbers, found, model.orders)
    sentences, _ = describe_reasons(model, names, causes, found)
    return causes, sentences
