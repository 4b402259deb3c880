"""The networks of a fit: what each learns from, and the rows that are held out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keras_tied._types import Array
from keras_tied.estimator._fitted.dense_network import DenseNetwork
from keras_tied.estimator._fitted.pca import Components
from keras_tied.estimator._fitted.value import compute_block
from keras_tied.estimator._training.held_out import make_folds, split_rows
from keras_tied.estimator._training.plan import Plan
from keras_tied.estimator._training.rows import TrainingRows
from keras_tied.estimator._training.start import start_network

MOST_HELD_OUT = 20_000  # at most so many rows are held out: more would only take time

Start = Callable[[Components], DenseNetwork]  # makes the network that computes PCA


@dataclass(frozen=True)
class Training:
    """What training makes of some members."""

    networks: list[DenseNetwork]  # that of each member, after the best step
    losses: list[float]  # of the last one, after each iteration or in each pass up to that step
    errors: list[float]  # the mean error on held-out rows beside each; empty without such rows


@dataclass
class Member:
    """A network in training, the rows that it learns from, and those held out of it.

    All members of a fit have the same arrays of rows, with other weights.
    """

    network: DenseNetwork  # the network at the start
    rows: TrainingRows  # those to learn from
    learning_weights: Array  # of these, `(n,)`, 0 for those that are held out
    held_out: TrainingRows  # those with a weight in `weights`
    weights: Array  # of the held-out rows, `(n,)`
    of_pca: Array  # the error of PCA on each row of `held_out`, `(n,)`
    principal: Components  # PCA of the rows to learn from
    # of the rows that are held out, among all; None if they are those of a fold
    places: Array | None = None

    def measure(self, network: DenseNetwork) -> Array:
        """The errors of a network on the held-out rows, times their weights, `(n,)`."""
        errors, places = np.zeros(len(self.weights)), np.flatnonzero(self.weights)
        if len(places):
            all_held_out = len(places) == len(errors)
            rows = self.held_out if all_held_out else self.held_out.select_places(places)
            block = compute_block(network, rows.flat, rows.flat)
            outputs = rows.undo_projection(block.reconstruction)
            outputs = outputs if rows.link is None else rows.link.apply(outputs)
            errors[places] = self.weights[places] * (rows.errors(outputs) - rows.lost)
        return errors


def make_members(plan: Plan, rows: TrainingRows) -> list[Member]:
    """The networks to train: for few rows one for each fold, and one for all rows; else one."""
    seed = plan.random.randint(2**31 - 1)

    def start(principal: Components) -> DenseNetwork:
        draws = np.random.default_rng(seed)  # the same for each network
        return start_network(principal, plan.hidden, plan.activation, draws)

    if plan.few_rows and plan.early_stopping and rows.validation is None:
        return _hold_out_folds(plan, start, rows)
    return [_hold_out_part(plan, start, rows)]


def _hold_out_folds(plan: Plan, start: Start, rows: TrainingRows) -> list[Member]:
    """A network for each fold, and one for all rows."""
    members = []
    for held_out in [*make_folds(rows.count, plan), np.arange(0)]:
        mask = np.ones(rows.count, bool)
        mask[held_out] = False
        principal = rows.select(np.flatnonzero(mask)).principal.truncate(plan.n_components)
        weights, others = rows.weights * mask, rows.weights * ~mask
        learned = weights / weights.mean()
        of_pca = rows.pca_errors(principal)
        members.append(Member(start(principal), rows, learned, rows, others, of_pca, principal))
    return members


def _hold_out_part(plan: Plan, start: Start, rows: TrainingRows) -> Member:
    """A network, and the part of the rows that is held out of it, if any is."""
    places: Array | None = None
    if rows.validation is not None:
        train_rows, held_out = rows, rows.validation
        weights = held_out.weights
    elif plan.early_stopping:
        train_places, places = split_rows(rows.count, plan)
        train_rows = rows.select(np.concatenate([train_places, places[MOST_HELD_OUT:]]))
        places = places[:MOST_HELD_OUT]
        held_out = rows.select(places)
        weights = held_out.weights
    else:
        train_rows, held_out = rows, rows.select(np.arange(1))
        weights = np.zeros(len(held_out.weights))
    principal = train_rows.principal.truncate(plan.n_components)
    network, of_pca = start(principal), held_out.pca_errors(principal)
    learned = train_rows, train_rows.weights
    return Member(network, *learned, held_out, weights, of_pca, principal, places)
