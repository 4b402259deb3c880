"""The networks of a fit, what each learns from, and the rows held out of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tied_tables._types import Array
from tied_tables.fit.held_out import (
    is_clearly_less,
    make_folds,
    split_rows,
)
from tied_tables.fit.loss import Loss
from tied_tables.fit.plan import Plan
from tied_tables.fit.progress import call_back
from tied_tables.fit.rows import TrainingRows
from tied_tables.fit.stack import Stack
from tied_tables.fit.start import start_network
from tied_tables.model.dense_network import DenseNetwork
from tied_tables.model.pca import fit_pca

STANDARD_ERRORS = 2
STANDARD_ERRORS_OF_ROWS = 1
"""By which the network's error has to be below PCA's, over the folds, or over the rows.
Chosen on other splits of the benchmark's small tables than those that it reports."""
MOST_HELD_OUT = 20_000  # at most so many rows are held out: more would only take time


@dataclass(frozen=True)
class Member:
    """A network in training, the rows that it learns from, and those held out of it.

    All members of a fit have the same rows to learn from, with other weights.

    Attributes:
        network: the network at the start.
        pca: PCA of the rows to learn from, as a network.
        rows: those to learn from.
        weights: of these, `(n,)`, 0 for those that are held out.
        held_out: those to measure the network on, or none.
    """

    network: DenseNetwork
    pca: DenseNetwork
    rows: TrainingRows
    weights: Array
    held_out: TrainingRows

    def measure(self, network: DenseNetwork) -> float:
        """The sum of the errors of a network on the rows that are held out."""
        errors = self.held_out.measure(network)
        return float(np.sum(self.held_out.weights * errors))


@dataclass(frozen=True)
class HeldOut:
    """How some networks do on the rows held out of each.

    Attributes:
        errors: of the rows of each member, `(n,)`.
        sums: of these, times the weights of the rows, `(members,)`.
        mean: of the values that are not hidden.
        loss: that of the errors, with the link that suits these rows.
    """

    errors: list[Array]
    sums: Array
    mean: float
    loss: Loss


class Run:
    """A training so far, which begins with the networks of its members.

    Attributes:
        rows: those to learn from.
        weights: of these for each network, `(networks, n)`.
        losses: of the last network, before each step or after each iteration.
        errors: the mean held-out error after each part.
        n_parts_to_best: the number of parts until the least of these.
        best_parameters: the weights after them.
    """

    def __init__(self, members: list[Member], dtype: type[np.floating]) -> None:
        self.members = members
        self.rows = members[-1].rows
        self.weights = np.array([member.weights for member in members], dtype)
        self.stack = Stack([member.network for member in members], dtype)
        self.losses: list[float] = []
        self.errors: list[float] = []
        self.n_parts_to_best = 0
        self.best_parameters = self.stack.parameters.copy()

    def measure(self) -> float:
        """The mean error of the networks on the rows held out of them."""
        networks = map(self.stack.make_network, self.stack.parameters)
        total = sum(map(Member.measure, self.members, networks))
        return total / (sum_weights(self.members) or 1.0)

    def add_part(self, losses: list[float]) -> None:
        """Note the losses of another part, and measure."""
        self.losses += losses
        least = min(self.errors, default=np.inf)
        self.errors.append(self.measure())
        if self.errors[-1] <= least:
            self.n_parts_to_best = len(self.errors)
            self.best_parameters = self.stack.parameters.copy()

    def finish_part(self, n_parts: int, patience: int, plan: Plan) -> bool:
        """Report the last part; whether training is ended, or gains nothing more."""
        logs = {"loss": self.losses[-1]}
        if plan.early_stopping:
            logs["val_error"] = self.errors[-1]
        part = len(self.errors)
        is_late = part - self.n_parts_to_best >= patience
        if plan.verbose:
            print(f"Part {part}/{n_parts} - loss: {logs['loss']:.4g}", flush=True)
        return call_back(part, n_parts, logs) or is_late

    def make_best(self) -> list[DenseNetwork]:
        """The networks with the least error."""
        return list(map(self.stack.make_network, self.best_parameters))


def sum_weights(members: list[Member]) -> float:
    """The weight of all rows that are held out."""
    return float(sum(member.held_out.weights.sum() for member in members))


def measure_held_out(members: list[Member], networks: list[DenseNetwork]) -> HeldOut:
    """Calibrate the loss of the networks of members with rows held out, and measure."""
    rows = [member.held_out for member in members]
    loss = rows[0].loss
    if loss.link is not None:
        outputs = list(map(TrainingRows.compute_outputs, rows, networks))
        loss = loss.calibrate(
            np.concatenate(outputs),
            np.concatenate([part.targets for part in rows]),
            np.concatenate([part.weights for part in rows]),
        )
    errors = []
    sums = []
    for part, network in zip(rows, networks, strict=True):
        part_errors = part.measure(network, loss)
        errors.append(part_errors)
        sums.append(part.weights @ part_errors)
    mean = np.sum(sums) / sum_weights(members)
    unmasked = rows[0].unmasked
    if unmasked is not None:  # there is one member alone
        present = np.mean(~np.isnan(unmasked.targets), axis=1)
        total = unmasked.weights @ unmasked.measure(networks[0], loss)
        mean = total / (unmasked.weights @ present)
    return HeldOut(errors, np.array(sums), float(mean), loss)


def is_better(members: list[Member], network: HeldOut, pca: HeldOut) -> bool:
    """Whether networks have clearly smaller errors than PCA on held-out rows."""
    if len(members) == 1:
        rows = members[0].held_out
        return is_clearly_less(
            network.errors[0],
            pca.errors[0],
            rows.weights,
            STANDARD_ERRORS_OF_ROWS,
            freedom=rows.count,
            n_rows=rows.count,
        )
    n_folds = len(members)
    return is_clearly_less(
        network.sums,
        pca.sums,
        np.ones(n_folds),
        STANDARD_ERRORS,
        freedom=n_folds - 1,
        n_rows=members[0].rows.count,
    )


def make_members(
    plan: Plan,
    rows: TrainingRows,
    validation: TrainingRows | None,
) -> list[Member]:
    """The networks to train: for few rows one for each fold and for all; else one.

    `validation` are rows to hold out instead of some of these.
    """
    seed = plan.random.randint(2**31 - 1)  # the same for each network
    if validation is not None or not plan.early_stopping:
        held_out = validation or rows.select(np.arange(0))
        return [_make_member(plan, seed, rows, held_out)]
    if not plan.few_rows:
        train_places, places = split_rows(rows.count, plan)
        train_places = np.concatenate([train_places, places[MOST_HELD_OUT:]])
        places = places[:MOST_HELD_OUT]
        train = rows.select(train_places)
        return [_make_member(plan, seed, train, rows.select(places))]
    members = []
    folds = make_folds(rows.count, plan)
    for places in [*folds, np.arange(0)]:
        train_places = np.delete(np.arange(rows.count), places)
        train = rows.select(train_places)
        member = _make_member(plan, seed, train, rows.select(places))
        weights = rows.weights.copy()
        weights[places] = 0.0
        weights /= weights.mean()
        members.append(replace(member, rows=rows, weights=weights))
    return members


def _make_member(
    plan: Plan,
    seed: int,
    rows: TrainingRows,
    held_out: TrainingRows,
) -> Member:
    """The network that learns from some rows, at its start."""
    principal = fit_pca(rows.inputs, rows.weights).truncate(plan.n_components)
    network = start_network(principal, plan.hidden, plan.activation, seed)
    pca = start_network(principal)
    return Member(network, pca, rows, rows.weights, held_out)
