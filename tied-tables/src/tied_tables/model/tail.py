"""How rare an outlier score is, and the place of each row by its score."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tied_tables._types import Array

TAIL_SHARE = 0.01
FEWEST_EXCESSES = 30
"""The share of the scores that the tail is fitted to, or so many, but at most half."""
SHAPES = -0.5, 0.9  # the shapes of a tail are within these
BODY = (
    *(1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3),
    *(0.2, 0.15, 0.1, 0.075, 0.05, 0.035, 0.025, 0.015),
)
"""The shares of scores above, for which scores below the tail are kept. Tail and body
were chosen by their calibration on one half of 149 tables, not on the other."""
N_FACTS = 8  # of a tail, besides its body
N_NUMBERS = N_FACTS + len(BODY)
FAR = 1.5  # times the largest score of ordinary training rows: it stands out
MOST_FAR = 5
HEAVY = 0.4
UNLIKELY = 0.01
"""The largest scores stand out if a tail of at least this shape, fitted to those below
them, has fewer than so many as large: at most in one table of twenty without such rows,
but of the heaviest tails. They must not bend what judges them."""
DRIFT_PLACE = BODY.index(0.1)
DRIFT = 2.0
DEVIATIONS = 5.0
"""Rows have drifted if so many times the usual share of them is beyond the score that a
tenth exceeds, and by so many standard deviations: a model fits unseen rows a little
worse."""


class Tail(NamedTuple):
    r"""The share of rows that have at least some score.

    Above a threshold u that a share p of the scores exceed, it is a generalised Pareto
    distribution,

    $$p \left(1 + \xi \frac{s - u}{\sigma}\right)^{-1 / \xi}$$

    fitted by probability-weighted moments (Hosking and Wallis, "Parameter and quantile
    estimation for the generalized Pareto distribution", Technometrics 29, 1987). Rows
    beyond fences add to it: their scores are multiples of a limit, and a share of
    theirs is the inverse multiple.

    Attributes:
        threshold, share, scale, shape: u, p, sigma and xi.
        trimmed: the share of rows with a value beyond a fence.
        limit: the largest score of other rows.
        far: the least score that stands out, beside those that hardly any row has.
        n_rows: the number of training rows: no row is rarer than one in so many.
        body: the scores that shares of `BODY` exceed.
    """

    threshold: float
    share: float
    scale: float
    shape: float
    trimmed: float
    limit: float
    far: float
    n_rows: float
    body: Array

    @classmethod
    def from_numbers(cls, numbers: Array) -> Tail:
        """The tail of what `numbers` gives, `(N_NUMBERS,)`, or `ValueError`."""
        facts = numbers[:N_FACTS].tolist()
        parts = [*facts, numbers[N_FACTS:]]
        tail = cls(*parts)
        steps = np.diff(tail.body, append=tail.threshold)
        is_valid = [
            0 < tail.share <= 1,
            tail.scale > 0,
            0 <= tail.trimmed <= 1,
            tail.limit > 0,
            tail.far > 0,
            tail.n_rows >= 1,
            (steps >= 0).all(),
        ]
        if not all(is_valid):
            raise ValueError(
                "the numbers of its outlier score's tail are those of none"
            )
        return tail

    @property
    def numbers(self) -> Array:
        """All of it in one array, `(N_NUMBERS,)`."""
        return np.array([*self[:N_FACTS], *self.body])

    def find_shares(self, scores: Array) -> Array:
        """The share of rows that are at least as odd, `(n,)` float64, not limited."""
        with np.errstate(over="ignore"):
            excess = (scores - self.threshold) / self.scale
            multiple = scores / self.limit
        excess = np.maximum(excess, 0.0)
        if abs(self.shape) < 1e-6:
            above = np.exp(-excess)
        else:
            base = 1 + self.shape * excess
            base = np.maximum(base, 0.0)
            above = base ** (-1 / self.shape)
        above *= self.share
        knots = np.append(self.body, self.threshold)
        body_shares = np.maximum(BODY, self.share)
        shares = np.append(body_shares, self.share)
        # Turned, since of equal scores the largest share counts.
        knots = -knots[::-1]
        shares = shares[::-1]
        below = np.interp(-scores, knots, shares)
        is_above = scores > self.threshold
        kept = np.where(is_above, above, below)
        beyond = self.trimmed / np.maximum(multiple, 1.0)
        shares = (1 - self.trimmed) * kept + beyond
        return np.minimum(shares, 1.0)

    def has_drifted(self, scores: Array) -> bool:
        """Whether far more rows are odd than were in training, by scores `(n,)`."""
        score = self.body[DRIFT_PLACE]
        [usual] = self.find_shares(np.array([score]))
        share = float(np.mean(scores > score))
        inverse_rows = 1 / len(scores) + 1 / self.n_rows
        variance = usual * (1 - usual) * inverse_rows
        chance = DEVIATIONS * np.sqrt(variance)
        is_clear = share - usual > chance
        return bool(is_clear and share > DRIFT * usual)

    def find_rarity(self, scores: Array) -> Array:
        """One row in how many is at least as odd, at most `n_rows`, `(n,)` float64."""
        with np.errstate(divide="ignore", over="ignore"):
            rarity = 1 / self.find_shares(scores)
        return np.minimum(rarity, self.n_rows)


def fit_tail(
    scores: Array,
    trained: Array,
    trimmed: float,
    n_rows: int,
) -> Tail:
    """Fit to the scores of rows as if they were not trained on, and to these, `(n,)`.

    The share of other rows, with a value beyond a fence, is `trimmed`.
    """
    is_finite = np.isfinite(scores)
    ordered = np.sort(scores[is_finite])
    n = len(ordered)
    m = max(int(TAIL_SHARE * n), FEWEST_EXCESSES)
    m = min(m, n // 2)
    place = max(n - 1 - m, 0)
    threshold = float(ordered[place])
    excesses = ordered[n - m :] - threshold
    scale, shape = _fit_pareto(excesses)
    shares_below = 1 - np.array(BODY)
    body = np.quantile(ordered, shares_below)
    largest = float(trained.max(initial=0.0))
    limit = max(largest, 1e-300)
    return Tail(
        threshold=threshold,
        share=max(m, 1) / n,
        scale=scale,
        shape=shape,
        trimmed=trimmed,
        limit=limit,
        far=min(_find_far(trained, m), FAR * limit),
        n_rows=float(n_rows),
        body=np.minimum(body, threshold),
    )


def _find_far(scores: Array, m: int) -> float:
    """Below the largest scores that the tail of m below hardly has, or infinity."""
    ordered = np.sort(scores)[::-1]
    far = np.inf
    most = min(MOST_FAR, m // 3)
    for place in range(most):
        *below, threshold = ordered[place + 1 : place + m + 2]
        excesses = np.sort(below) - threshold
        scale, shape = _fit_pareto(excesses, HEAVY)
        excess = (ordered[place] - threshold) / scale
        base = 1 + shape * excess
        n_expected = m * base ** (-1 / shape)
        if n_expected < UNLIKELY:
            neighbours = ordered[place : place + 2]
            far = float(neighbours.mean())
    return far


def _fit_pareto(
    excesses: Array,
    least: float = SHAPES[0],
) -> tuple[float, float]:
    """Scale and shape of a generalised Pareto distribution, of ascending excesses."""
    m = len(excesses)
    mean = float(excesses.mean()) if m else 0.0
    if mean <= 0:
        return 1e-12, max(least, 0.0)
    positions = (np.arange(1, m + 1) - 0.35) / m
    weighted_excesses = excesses * (1 - positions)
    weighted = float(weighted_excesses.mean())
    shape = least
    if mean > 2 * weighted:
        shape = 2 - mean / (mean - 2 * weighted)
    shape = float(np.clip(shape, least, SHAPES[1]))
    return mean * (1 - shape), shape


def ranks(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """The place of each row, 1 for the largest score; equal ones as the rows are.

    Scores are `(n,)`, not NaN.

    Examples:
        >>> import numpy as np
        >>> ranks(np.array([0.1, 0.7, 0.3], np.float32)).tolist()
        [3, 1, 2]
    """
    order = np.argsort(-scores, kind="stable")
    places = np.empty(len(scores), np.int64)
    places[order] = np.arange(1, len(scores) + 1)
    return places
