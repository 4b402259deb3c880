"""Why rows are odd: what the other columns suggest, and the scores with that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tied_tables._layout import NUMBER
from tied_tables._text import format_quantity
from tied_tables._types import Array
from tied_tables.model.blocks import map_blocks
from tied_tables.model.outlier_score import OutlierScore

if TYPE_CHECKING:
    from tied_tables.model.value import TableModel

EXPLAINED_NUMBERS = 2**21  # of the rows that are scored at a time
CLEARLY = 3.0
"""So many times as likely as the class of a row another has to be, to be suggested."""
SMALLEST_DROP = 0.1
"""A column has a share if the score drops by so much of the largest drop."""

LARGEST_DROP = 1e300  # of infinite ones, so that some can be added


class Attribution(NamedTuple):
    """Why rows are odd; see `TiedAutoencoder.explain`.

    Attributes:
        shares: `(n, columns)`.
        expected: `(n, d)`, in the units of the features.
        scores: those with what is expected in a column, `(n, columns)`.
        ratios: how many times as likely as the class of the row the likeliest is, 1 of
            numbers, `(n, columns)`.
    """

    shares: Array
    expected: Array
    scores: Array
    ratios: Array

    def __repr__(self) -> str:
        return f"Attribution of {format_quantity(len(self.shares), 'row')}"


def explain_rows(fitted: TableModel, X: Any) -> Attribution:
    """Explain rows, `(n, d)`; what is expected is within the values of training."""
    n, d = X.shape
    score = fitted.outlier_score
    preprocessing = fitted.imputer
    starts = score.layout.starts
    k = len(starts)
    influences = np.arange(k)[:, None] == score.layout.columns  # (k, d)
    columns = fitted.columns
    if columns is not None:
        influences = columns.influences
    shift, scale = preprocessing.scaling
    smallest = (fitted.smallest - shift) / scale
    largest = (fitted.largest - shift) / scale

    def explain_part(part: slice) -> Attribution:
        scaled, complete = preprocessing.forward(X, part)
        expected, ratios = _predict(score, influences, scaled, complete)
        expected = np.clip(expected, smallest, largest).astype(np.float32)
        # The rows as they are, and with what is expected in each column: (n, k + 1, d).
        rows = complete[:, None]
        corrected = np.where(influences, expected[:, None], rows)
        if columns is not None:
            for place in columns.dates:
                numbers = preprocessing.scaling.backward(
                    corrected[:, place], np.float64
                )
                columns.renew_times(numbers, place)
                corrected[:, place] = (numbers - shift) / scale
        rows = np.hstack([rows, corrected])
        missing = np.isnan(scaled)
        rows = np.where(missing[:, None], np.float32(np.nan), rows).reshape(-1, d)
        block = fitted.forward(rows, preprocessing.impute(rows))
        scores = fitted.score_block(block)
        scores = scores.reshape(-1, k + 1)
        added = score.find_added(scaled)
        with np.errstate(invalid="ignore"):  # both may be infinite
            score_drops = np.fmax(scores[:, :1] - scores[:, 1:], added)
        score_drops[missing[:, starts]] = 0.0
        values = preprocessing.scaling.backward(expected, np.float64)
        return Attribution(
            shares=_find_shares(score_drops),
            expected=np.clip(values, fitted.smallest, fitted.largest),
            scores=scores[:, 1:],
            ratios=ratios,
        )

    size = max(1, EXPLAINED_NUMBERS // (d * (k + 1)))
    parts = map_blocks(explain_part, n, size, threads=False)
    return Attribution(*map(np.concatenate, zip(*parts, strict=True)))


def _find_shares(score_drops: Array) -> Array:
    """Drops, `(n, k)`, relative to their sum; next to infinite ones no others count."""
    score_drops = np.minimum(score_drops, LARGEST_DROP)
    largest = score_drops.max(axis=1, keepdims=True)
    score_drops[score_drops < SMALLEST_DROP * largest] = 0.0
    total = score_drops.sum(axis=1, keepdims=True)
    total[total == 0] = 1.0
    return score_drops / total


def _predict(
    score: OutlierScore,
    influences: Array,
    scaled: Array,
    complete: Array,
) -> tuple[Array, Array]:
    """What the other columns suggest, `(n, d)`, and `Attribution.ratios`.

    It is the conditional mean in a normal distribution, of which values beyond a fence
    are not a part, nor what changes with the columns that they alone belong to. In a
    column of classes it is the likeliest one; the class of the row stays if another is
    less than `CLEARLY` times as likely.
    """
    layout = score.layout
    shift, scale = score.scaling
    beyond = score.fences.find(scaled)
    is_shared = influences.sum(axis=0) > 1  # by two columns, either of which is wrong
    columns_beyond = np.logical_or.reduceat(beyond & ~is_shared, layout.starts, axis=1)
    is_likely = columns_beyond @ influences | beyond | np.isnan(scaled)
    nan = np.float32(np.nan)
    ordinary = np.where(is_likely, nan, complete)
    ordinary = score.gaussian.impute(ordinary)
    means = ordinary - score.find_surprises(ordinary)
    expected = np.where(is_likely, ordinary, means)
    probability, largest_probability, is_on = score.compare_classes(scaled, ordinary)
    ratios = largest_probability / probability
    is_clear = ratios >= CLEARLY
    likeliest = (is_on - shift) / scale
    classes = np.where(is_clear[:, layout.columns], likeliest, complete)
    expected = np.where(layout.kinds == NUMBER, expected, classes)
    return expected, ratios
