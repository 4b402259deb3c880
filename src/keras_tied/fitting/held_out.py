"""Rows that are held out of training, and whether a network beats PCA on them."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_tied._types import Array
from keras_tied.fitted.link import Link
from keras_tied.fitted.value import Network
from keras_tied.fitting.plan import FEW_ROWS, Plan

FOLDS = 5
STANDARD_ERRORS, STANDARD_ERRORS_OF_ROWS = 2, 1
"""By which the network's error has to be below PCA's, over the folds, or over the rows. Chosen on
other splits of the benchmark's small tables than those that it reports."""
MARGIN, MARGIN_OF_ROWS = 0.01, 5


@dataclass(frozen=True)
class Solution:
    """What a solver finds."""

    network: Network  # the network
    losses: list[float]  # the loss after each iteration or epoch
    validation_errors: list[
        float
    ]  # the error on held-out rows after each; empty without such rows
    n_iter: int  # the iterations of L-BFGS, or the passes of Nadam over the rows
    # whether the network is better than PCA on held-out rows; None without such rows
    better: bool | None = None
    # the places of rows that the network has not learned from; None without such rows
    held_out: Array | None = None
    # the mean errors of the network and of PCA on rows that neither has learned from
    held_out_errors: tuple[float, ...] | None = None
    is_pca: bool = False  # whether the network is PCA
    link: Link | None = None  # of the network
    pca_link: Link | None = None  # of PCA
    interrupted: bool = False  # whether Ctrl-C ended training, and no caller reports it
    checkpoint: Path | None = (
        None  # the folder of its state, of no use once it is judged
    )


def make_folds(n: int, plan: Plan) -> list[Array]:
    """The places of the rows that are held out, in turn, as those of scikit-learn's `KFold`."""
    if n >= FEW_ROWS:
        return [split_rows(n, plan)[1]]
    places = np.arange(n)
    plan.random.shuffle(places)
    return [np.sort(part) for part in np.array_split(places, min(FOLDS, n))]


def split_rows(n: int, plan: Plan) -> tuple[Array, Array]:
    """The places of the rows to train on, and of the held-out rows, as those of `ShuffleSplit`."""
    n_held_out = math.ceil(plan.validation_fraction * n)
    if n_held_out >= n:
        raise ValueError(
            f"validation_fraction={plan.validation_fraction} leaves none of {n} rows to"
            " train on."
        )
    places = plan.random.permutation(n)
    return places[n_held_out:], places[:n_held_out]


def _choose_margin(count: float) -> float:
    """By what share of PCA's error the network's has to be smaller, for so many rows."""
    return MARGIN + MARGIN_OF_ROWS / count


def is_clearly_less_in_folds(errors: Array, others: Array, count: float) -> bool:
    """Whether the sums of errors of folds of `count` rows, `(folds,)`, are less than others.

    They have to be so by a margin, and by standard errors over the folds.
    """
    gains = others - errors
    ahead = gains.sum() > _choose_margin(count) * others.sum()
    if len(gains) > 1:
        standard_error = gains.std(ddof=1) / np.sqrt(len(gains))
        ahead &= gains.mean() > STANDARD_ERRORS * standard_error
    return bool(ahead)


def is_clearly_less(errors: Array, others: Array, weights: Array, count: int) -> bool:
    """Whether the errors of rows, `(n,)`, `count` of which differ, are less than others.

    They have to be so by a margin, and by standard errors over the rows.
    """
    differences = others - errors
    mean = np.average(differences, weights=weights)
    variance = np.average((differences - mean) ** 2, weights=weights)
    certain = mean > STANDARD_ERRORS_OF_ROWS * np.sqrt(variance / count)
    return bool(
        certain and mean > _choose_margin(count) * np.average(others, weights=weights)
    )
