"""Why rows are odd: what the other columns make likely, and how odd the rows were with that."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from keras_tied._types import Array
from keras_tied.fitted.imputation import Preprocessing
from keras_tied.fitted.layout import NUMBER
from keras_tied.fitted.outlier_score import OutlierScore
from keras_tied.fitted.scaling import Scaling

MOST_NUMBERS = 2**21  # of the rows that are scored at a time
CLEARLY = 3.0  # so many times as likely as the class of a row another has to be, to be suggested
SMALLEST_FALL = (
    0.1  # a column has a share if the score falls by so much of the largest fall
)

ScoreRows = Callable[[Array, Array], Array]  # scores scaled rows, with NaN and imputed


class Explanation(NamedTuple):
    """Why rows are odd; see `TiedAutoencoder.explain`."""

    shares: Array  # `(n, columns)`
    expected: Array  # `(n, d)`, in the units of the features
    scores: Array  # those with what is expected in a column, `(n, columns)`
    # how many times as likely as the class of the row the likeliest is, 1 of numbers
    # `(n, columns)`
    ratios: Array


def explain(
    preprocessing: Preprocessing,
    score: OutlierScore,
    score_rows: ScoreRows,
    X: Any,
    smallest: Array | float,
    largest: Array | float,
) -> Explanation:
    """Explain rows, `(n, d)`; what is expected lies between the smallest and the largest values."""
    n, d = X.shape
    shift, scale = preprocessing.scaling
    ends = (smallest - shift) / scale, (largest - shift) / scale
    size = max(1, MOST_NUMBERS // (d * (len(score.layout.starts) + 1)))
    parts = [
        _explain_part(preprocessing, score, score_rows, X[begin : begin + size], ends)
        for begin in range(0, max(1, n), size)
    ]
    return Explanation(*map(np.concatenate, zip(*parts, strict=True)))


def _explain_part(
    preprocessing: Preprocessing,
    score: OutlierScore,
    score_rows: ScoreRows,
    X: Any,
    ends: Any,
) -> Explanation:
    scaled, complete = preprocessing.forward(X, slice(None))
    expected, ratios = _predict(preprocessing.scaling, score, scaled, complete)
    expected = np.clip(expected, *ends).astype(np.float32)
    n, d = scaled.shape
    starts = score.layout.starts
    owners = np.arange(len(starts))[:, None] == score.layout.columns
    # The rows as they are, and with what is expected in each column.
    mended = np.concatenate(
        [complete[:, None], np.where(owners, expected[:, None], complete[:, None])], 1
    )
    missing = np.isnan(scaled)
    of_mended = np.where(missing[:, None], np.float32(np.nan), mended).reshape(-1, d)
    mended = mended.reshape(-1, d)
    with np.errstate(invalid="ignore", over="ignore"):
        scores = score_rows(of_mended, mended).reshape(n, len(owners) + 1)
    of_row, scores = scores[:, :1], scores[:, 1:]
    with np.errstate(invalid="ignore"):
        falls = np.nan_to_num(np.maximum(of_row - scores, 0.0), posinf=np.inf)
    falls[missing[:, starts]] = 0.0
    infinite = np.isinf(falls)
    falls = np.where(infinite.any(axis=1, keepdims=True), infinite, falls)
    falls[falls < SMALLEST_FALL * falls.max(axis=1, keepdims=True)] = 0.0
    total = falls.sum(axis=1, keepdims=True)
    units = preprocessing.scaling.backward(expected, np.dtype(np.float64))
    return Explanation(falls / np.where(total > 0, total, 1.0), units, scores, ratios)


def _predict(
    scaling: Scaling, score: OutlierScore, scaled: Array, complete: Array
) -> tuple[Array, Array]:
    """What the other columns make likely, `(n, d)` float32, and `Explanation.ratios`.

    It is the conditional mean in a normal distribution, of which values beyond the
    fences are not a part. In a column of classes it is the likeliest one; the class of
    the row stays if another is less than `CLEARLY` times as likely.
    """
    beyond, layout = score.fences.find(scaled), score.layout
    ordinary = complete
    if beyond.any():
        ordinary = score.gaussian.impute(np.where(beyond, np.float32(np.nan), complete))
    if score.surprise is None:
        expected = np.broadcast_to(score.gaussian.mean, scaled.shape)
    else:
        expected = ordinary - score.gaussian.find_deviations(ordinary) @ score.surprise
    expected = np.where(
        beyond, ordinary, np.where(np.isnan(scaled), complete, expected)
    )
    given, most, is_on = score.compare_classes(scaled, ordinary)
    ratios = most / given
    classes = np.where(is_on, 1 - scaling.shift, -scaling.shift) / scaling.scale
    classes = np.where((ratios < CLEARLY)[:, layout.columns], complete, classes)
    expected = np.where(layout.kinds == NUMBER, expected, classes)
    return expected.astype(np.float32), ratios
