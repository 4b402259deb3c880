"""What a solver gives is judged: R², the outlier score with its tail, the threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tied_tables._layout import NUMBER
from tied_tables._types import Array
from tied_tables.fit.plan import Plan
from tied_tables.fit.rows import GivenRows, PreparedRows
from tied_tables.fit.solver import Solution
from tied_tables.model import imputation, outlier_score
from tied_tables.model.blocks import split_rows
from tied_tables.model.tail import fit_tail
from tied_tables.model.value import (
    TableModel,
    compute_block,
    explained_share,
    explained_shares,
)


def finish_model(
    plan: Plan,
    rows: PreparedRows,
    solution: Solution,
    previous_model: TableModel | None = None,
) -> TableModel:
    """Fit the outlier score, its tail and its threshold, and find R².

    `previous_model` is that of the batches before these rows, if there were any.
    """
    imputation_weights = _weigh_imputations(plan, rows, solution)
    block = compute_block(solution.network, rows.scaled, rows.complete, solution.link)
    n = len(rows.scaled)
    given = rows.given
    preprocessing = rows.preprocessing
    weights = given.weights
    distances = given.distances
    sums = np.zeros((4, rows.scaled.shape[1]))
    for part in split_rows(n, solution.network.block_rows):
        part_block = block.select(part)
        mean = preprocessing.mean
        sums += part_block.sums_of_squares(mean, weights[part], solution.link)
    if n > outlier_score.SCORE_SAMPLE_ROWS:
        sample = plan.random.permutation(n)[: outlier_score.SCORE_SAMPLE_ROWS]
        block = block.select(sample)
        weights = weights[sample]
        distances = distances[sample]
    fences = given.fences.scale(*preprocessing.scaling)
    score = outlier_score.fit_outlier_score(block, weights, preprocessing, fences)
    scores = score.score(block)
    is_far = distances > 0
    optimism = _find_optimism(solution, sums)
    other_scores = score.score_held_out(block, optimism)[~is_far]
    tail = fit_tail(other_scores, scores[~is_far], float(is_far.mean()), n)
    scores += tail.limit * distances
    smallest, largest = _find_value_range(given, previous_model)
    training = solution.training._replace(
        reconstruction_r2=explained_share(sums),
        feature_r2=explained_shares(sums),
        n_trimmed=given.n_trimmed,
        trimmed=given.trimmed,
        empty=given.empty,
    )
    return TableModel(
        preprocessing,
        solution.network,
        replace(score, tail=tail),
        smallest,
        largest,
        offset=outlier_score.find_weighted_quantile(
            -scores, weights, plan.contamination
        ),
        feature_names=given.names,
        imputation_weights=imputation_weights,
        link=solution.link,
        training=training,
    )


def _weigh_imputations(
    plan: Plan,
    rows: PreparedRows,
    solution: Solution,
) -> Array | None:
    """Weigh the network against the normal distribution, if there is one."""
    preprocessing = rows.preprocessing
    if preprocessing.gaussian is None:
        return None
    sample = plan.random.permutation(len(rows.scaled))[
        : imputation.IMPUTATION_SAMPLE_ROWS
    ]
    imputed, hidden = preprocessing.hide(rows.scaled[sample], 1, plan.random)
    block = compute_block(solution.network, imputed, imputed, solution.link)
    weights = imputation.fit_network_weights(
        hidden, imputed, block.reconstruction, rows.given.weights[sample]
    )
    return np.where(preprocessing.layout.kinds == NUMBER, weights, 0.0)


def _find_value_range(
    rows: GivenRows, previous_model: TableModel | None
) -> tuple[Array, Array]:
    """The smallest and largest values of rows and of those before, `(d,)` each."""
    smallest = rows.smallest
    largest = rows.largest
    if previous_model is not None:
        is_known = np.isfinite(previous_model.smallest)
        known_smallest = np.where(is_known, previous_model.smallest, np.nan)
        known_largest = np.where(is_known, previous_model.largest, np.nan)
        smallest = np.fmin(smallest, known_smallest)
        largest = np.fmax(largest, known_largest)
    is_unknown = np.isnan(smallest)
    smallest = np.where(is_unknown, -np.inf, smallest)
    largest = np.where(is_unknown, np.inf, largest)
    return smallest, largest


def _find_optimism(solution: Solution, sums: Array) -> float:
    """The error of rows held out over that of training rows; 1 where none were."""
    error, _, count, _ = sums.sum(axis=1)
    training = solution.training
    errors = training.validation_curve
    if training.is_pca or not errors or error <= 0:
        return 1.0
    return float(min(errors) * count / error)
