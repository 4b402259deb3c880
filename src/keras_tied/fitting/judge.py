"""What a solver gives is judged: R², the outlier score with its tail, the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from keras_tied._types import Array
from keras_tied.fitted import imputation, outlier_score
from keras_tied.fitted.blocks import map_blocks
from keras_tied.fitted.layout import NUMBER
from keras_tied.fitted.outlier_score import Block
from keras_tied.fitted.tail import fit_tail
from keras_tied.fitted.value import (
    Fitted,
    compute_block,
    explained_share,
    explained_shares,
)
from keras_tied.fitting.held_out import Solution
from keras_tied.fitting.nadam import Nadam
from keras_tied.fitting.plan import Plan
from keras_tied.fitting.rows import PreparedRows


class Outcome(NamedTuple):
    """What training gives."""

    fitted: Fitted  # the fitted value
    losses: list[float]  # after each iteration or epoch
    n_iter: int  # iterations of L-BFGS or passes of Nadam over the rows
    is_pca: bool  # whether the network is PCA
    weight_decay: float  # of the network
    r2: float  # the share of the variance of the training rows that is reconstructed
    feature_r2: Array | None  # that of each feature, `(d,)`
    n_trimmed: int  # the number of absurd values, for which the fit took medians
    # on held-out rows, as long as `losses`; empty without such rows
    validation_errors: Sequence[float] = ()
    # the mean errors of the model and of PCA on rows that they have not learned from,
    # if any were
    held_out_errors: tuple[float, ...] | None = None
    interrupted: bool = False  # whether Ctrl-C ended training, and no caller reports it
    nadam: Nadam | None = (
        None  # the state that `partial_fit` goes on from; None after `fit`
    )


def weigh_imputations(plan: Plan, rows: PreparedRows, fitted: Fitted) -> Array | None:
    """Weigh the network against the normal distribution, if there is one, at hidden values."""
    preprocessing = rows.preprocessing
    if preprocessing.gaussian is None:
        return None
    sample = plan.random.permutation(len(rows.scaled))[: imputation.MOST_ROWS]
    imputed, numbers = preprocessing.hide(rows.scaled[sample], 1, plan.random)
    reconstruction = compute_block(
        fitted.network, imputed, imputed, fitted.link
    ).reconstruction
    weights = rows.weights[sample]
    of_numbers = imputation.fit_network_weights(
        numbers, imputed, reconstruction, weights
    )
    return np.where(preprocessing.layout.kinds == NUMBER, of_numbers, 0.0)


def judge(
    plan: Plan,
    rows: PreparedRows,
    solution: Solution,
    fitted: Fitted,
    block: Block,
) -> Outcome:
    """Fit the outlier score, its tail and its threshold, and compute R² of rows in a block."""
    n, weights, given = len(rows.scaled), rows.weights, rows.given
    distances = given.distances
    network, mean = fitted.network, rows.preprocessing.mean

    def add_up(part: slice) -> Array:
        return block.select(part).sums_of_squares(mean, weights[part], fitted.link)

    sums = np.sum(map_blocks(add_up, n, network.block_rows, network.threads), axis=0)
    held_out = None
    if solution.held_out is not None:
        held_out = block.select(solution.held_out[distances[solution.held_out] == 0])
    if rows.validation is not None:
        others = rows.validation.scaled, rows.validation.complete
        held_out = compute_block(network, *others, fitted.link)
    if n > outlier_score.MOST_ROWS:
        sample = plan.random.permutation(n)[: outlier_score.MOST_ROWS]
        block, weights, distances = (
            block.select(sample),
            weights[sample],
            distances[sample],
        )
    fences = given.fences.scale(*rows.preprocessing.scaling)
    score = outlier_score.fit_outlier_score(block, weights, rows.preprocessing, fences)
    scores = score.score(block)
    if held_out is None:
        of_others = score.score_held_out(block, _find_optimism(solution, sums))
    else:
        of_others = score.score(held_out)
    is_far = distances > 0
    limit = float(scores[~is_far].max(initial=0.0))
    if held_out is None:
        of_others = of_others[~is_far]
    tail = fit_tail(of_others, float(is_far.mean()), limit, n)
    score = replace(score, tail=tail)
    fitted = replace(fitted, outlier_score=score, feature_names=plan.feature_names)
    scores[is_far] += tail.limit * distances[is_far]
    threshold = outlier_score.find_weighted_quantile(
        -scores, weights, plan.contamination
    )
    return Outcome(
        replace(fitted, offset=threshold),
        solution.losses,
        max(1, solution.n_iter),
        solution.is_pca,
        0.0 if solution.is_pca else plan.weight_decay,
        explained_share(sums),
        explained_shares(sums),
        given.n_trimmed,
        solution.validation_errors,
        solution.held_out_errors,
        solution.interrupted,
    )


def _find_optimism(solution: Solution, sums: Array) -> float:
    """The error of rows held out, divided by that of training rows; 1 where none were."""
    error, count = sums[0].sum(), sums[2].sum()
    validation_errors = solution.validation_errors
    if solution.is_pca or not len(validation_errors) or error <= 0:
        return 1.0
    return float(min(validation_errors) * count / error)
