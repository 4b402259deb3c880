"""The networks of a fit: what each learns from, and the rows that are held out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from keras_tied._types import Array
from keras_tied.fitted.dense_network import DenseNetwork
from keras_tied.fitted.link import Link
from keras_tied.fitted.pca import Components
from keras_tied.fitted.value import compute_block
from keras_tied.fitting.held_out import (
    is_clearly_less,
    is_clearly_less_in_folds,
    make_folds,
    split_rows,
)
from keras_tied.fitting.plan import Plan
from keras_tied.fitting.rows import TrainingRows
from keras_tied.fitting.start import start_network

MOST_HELD_OUT = 20_000  # at most so many rows are held out: more would only take time

Start = Callable[[Components], DenseNetwork]  # makes the network that computes PCA


@dataclass(frozen=True)
class Training:
    """What training makes of some members."""

    networks: list[DenseNetwork]  # that of each member, after the best step
    losses: list[
        float
    ]  # of the last one, after each iteration or in each pass up to that step
    errors: list[
        float
    ]  # the mean error on held-out rows beside each; empty without such rows


@dataclass(frozen=True)
class Member:
    """A network in training, the rows that it learns from, and those held out of it.

    All members of a fit have the same arrays of rows, with other weights.
    """

    network: DenseNetwork  # the network at the start
    rows: TrainingRows  # those to learn from
    learning_weights: Array  # of these, `(n,)`, 0 for those that are held out
    held_out: TrainingRows  # those with a weight in `weights`
    weights: Array  # of the held-out rows, `(n,)`
    principal: Components  # PCA of the rows to learn from
    # of the rows that are held out, among all; None if they are those of a fold
    places: Array | None = None

    def measure(self, network: DenseNetwork, link: Link | None = None) -> Array:
        """The errors of a network on the held-out rows, times their weights, `(n,)`.

        `link` is by default that which training begins with.
        """
        errors, places = np.zeros(len(self.weights)), np.flatnonzero(self.weights)
        if len(places):
            rows = self.held_out
            if len(places) < len(errors):
                rows = rows.select_places(places)
            if link is not None:
                rows = replace(rows, link=link)
            outputs = rows.undo_projection(decode_rows(network, rows))
            outputs = outputs if rows.link is None else rows.link.apply(outputs)
            errors[places] = self.weights[places] * rows.errors(outputs)
        return errors


@dataclass(frozen=True)
class HeldOut:
    """The errors of the networks of some members on the rows held out of each."""

    errors: list[
        Array
    ]  # of each that has such rows, times the weights of these, `(n,)`
    mean: float  # over the values that are not hidden
    link: Link | None  # that suits these rows; None if all errors are squares


def measure_held_out(
    members: list[Member], networks: list[DenseNetwork], plain: TrainingRows | None
) -> HeldOut:
    """Calibrate the link of some networks, and measure their errors.

    `plain` are the rows as they are, if values of those of the members are hidden.
    """
    every = zip(members, networks, strict=True)
    pairs = [(member, network) for member, network in every if member.weights.any()]
    link = members[0].held_out.link
    if link is not None:
        link = _calibrate(link, pairs)
    errors = [member.measure(network, link) for member, network in pairs]
    if plain is not None:
        return HeldOut(errors, _measure_plain(plain, pairs, link), link)
    total = sum(of_member.sum() for of_member in errors)
    weight = sum(member.weights.sum() for member, _ in pairs)
    return HeldOut(errors, float(total / weight), link)


def is_better(members: list[Member], network: HeldOut, pca: HeldOut) -> bool:
    """Whether networks have clearly smaller errors than PCA on held-out rows."""
    if len(members) == 1:
        weights, count = members[0].weights, members[0].held_out.count
        errors = network.errors[0] / weights, pca.errors[0] / weights
        return is_clearly_less(*errors, weights, count)
    of_folds = np.array([errors.sum() for errors in network.errors])
    of_pca = np.array([errors.sum() for errors in pca.errors])
    return is_clearly_less_in_folds(of_folds, of_pca, len(members[0].weights))


def _calibrate(link: Link, pairs: list[tuple[Member, DenseNetwork]]) -> Link:
    """The link that suits the rows held out of each member."""
    rows = pairs[0][0].held_out
    weights, outputs = np.zeros(len(rows.targets)), np.zeros(rows.targets.shape)
    for member, network in pairs:
        places = np.flatnonzero(member.weights)
        weights[places] = member.weights[places]
        some = decode_rows(network, rows.select_places(places))
        outputs[places] = rows.undo_projection(some)
    return link.calibrate(outputs, rows.targets, weights)


def _measure_plain(
    plain: TrainingRows, pairs: list[tuple[Member, DenseNetwork]], link: Link | None
) -> float:
    """The mean error of the values in rows held out, none of which is hidden."""
    total = weight = 0.0
    for member, network in pairs:
        places = member.places
        if places is None:  # a fold, or all
            places = np.flatnonzero(member.weights[: plain.count])
        rows = replace(plain.select(places), link=link)
        outputs = decode_rows(network, rows)
        outputs = outputs if link is None else link.apply(outputs)
        total += float(rows.weights @ rows.errors(outputs))
        weight += float(rows.weights @ np.mean(~np.isnan(rows.targets), axis=1))
    return total / weight


def decode_rows(network: DenseNetwork, rows: TrainingRows) -> Array:
    """What the decoder puts out for rows, `(n, d)`."""
    return compute_block(network, rows.flat, rows.flat).reconstruction


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
        principal = rows.select(np.flatnonzero(mask)).principal.truncate(
            plan.n_components
        )
        weights, others = rows.weights * mask, rows.weights * ~mask
        learned = weights / weights.mean()
        members.append(Member(start(principal), rows, learned, rows, others, principal))
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
    learned = train_rows, train_rows.weights
    return Member(start(principal), *learned, held_out, weights, principal, places)
