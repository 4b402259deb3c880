"""The solver of the estimator's own networks: training, calibration, comparison with PCA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from keras_tied._types import Array
from keras_tied.estimator._fitted.dense_network import DenseNetwork
from keras_tied.estimator._fitted.link import Link
from keras_tied.estimator._fitted.pca import Components
from keras_tied.estimator._training import nadam
from keras_tied.estimator._training.held_out import (
    Solution,
    is_clearly_less,
    is_clearly_less_in_folds,
)
from keras_tied.estimator._training.members import Member, make_members
from keras_tied.estimator._training.nadam import Nadam, take_steps
from keras_tied.estimator._training.plan import Plan
from keras_tied.estimator._training.rows import TrainingRows
from keras_tied.estimator._training.stack import Objective, Stack
from keras_tied.estimator._training.start import pca_network, undo_projection

RATE_OF_BATCHES = 1 / 3  # of `partial_fit`, beside the largest learning rate of a fit


def fit(
    plan: Plan, rows: TrainingRows, principal: Components, is_interrupted: Callable[[], bool]
) -> Solution:
    """Train the estimator's own network, and keep its weights of the least error on held-out rows.

    Of few rows, each of five parts is held out of a network, and a sixth network learns from all
    rows. The sixth is kept from the step with the lowest cross-validation error.
    """
    axes = None if plan.n_axes is None else principal.truncate(plan.n_axes)
    rows = rows if axes is None else rows.project(axes)
    members = make_members(plan, rows)
    objective = make_objective(plan, rows)
    train = nadam.train
    if plan.method == "lbfgs":
        from keras_tied.estimator._training import lbfgs  # SciPy takes long to import

        train = lbfgs.train
    training = train(members, plan, objective, is_interrupted)
    network = training.networks[-1]
    network = network if axes is None else undo_projection(network, axes)
    n_iter = len(training.losses)
    solution = Solution(network, training.losses, training.errors, n_iter)
    return _compare(solution, rows, members, training.networks) if plan.early_stopping else solution


def fit_batch(
    plan: Plan, rows: TrainingRows, network: DenseNetwork, state: Nadam | None
) -> tuple[Solution, Nadam]:
    """Train a network on some rows once, in steps of `batch_size`, on from a state of Nadam."""
    stack = Stack([network])
    state = Nadam.begin(stack.numbers) if state is None else state.copy()
    n, size = len(rows.inputs), min(plan.batch_size, len(rows.inputs))
    n_steps = -(-n // size)
    # Full batches only: some rows come twice.
    batches = np.resize(plan.random.permutation(n), (n_steps, size))
    rates = np.full(n_steps, plan.learning_rate * RATE_OF_BATCHES)
    weights = rows.weights[None].astype(np.float32)
    objective = make_objective(plan, rows)
    losses = take_steps(stack, state, rows, weights, batches, rates, objective)
    return Solution(stack.make_network(0), [float(losses.mean())], [], 1), state


def make_objective(plan: Plan, rows: TrainingRows) -> Objective:
    """What a plan minimises on some rows."""
    return Objective(
        weight_decay=plan.weight_decay,
        sparsity=plan.sparsity,
        noise=plan.noise,
        seed=plan.seed,
        share=rows.share,
        link=rows.link,
        axes=rows.axes,
    )


def _compare(
    solution: Solution, rows: TrainingRows, members: list[Member], networks: list[DenseNetwork]
) -> Solution:
    """The solution with its errors on held-out rows beside PCA's, and with calibrated links."""
    link = pca_link = None
    errors = [m.measure(network) for m, network in zip(members, networks, strict=True)]
    of_pca = [member.weights * member.of_pca for member in members]
    if rows.link is not None:
        link, errors = _calibrate(members, networks)
        of_members = [pca_network(member.principal) for member in members]
        pca_link, of_pca = _calibrate(members, of_members)
    errors = [e + m.weights * m.held_out.lost for e, m in zip(errors, members, strict=True)]
    weight = sum(float(member.weights.sum()) for member in members)
    means = tuple(float(sum(map(np.sum, each)) / weight) for each in (errors, of_pca))
    plain = rows.plain if rows.validation is None else rows.validation.plain
    if plain is not None:
        means = _measure_plain(plain, members, networks, (link, pca_link))
    return replace(
        solution,
        better=_is_better(members, errors, of_pca),
        held_out=members[-1].places,
        held_out_errors=means,
        link=link,
        pca_link=pca_link,
    )


def _calibrate(members: list[Member], networks: list[DenseNetwork]) -> tuple[Link, list[Array]]:
    """The link that suits the rows held out of each member, and their errors times weights."""
    rows = members[0].held_out
    weights, outputs = np.zeros(len(rows.targets)), np.zeros(rows.targets.shape)
    for member, network in zip(members, networks, strict=True):
        places = np.flatnonzero(member.weights)
        weights[places], inputs = member.weights[places], rows.flat[places]
        outputs[places] = rows.undo_projection(network.decode(network.encode(inputs)))
    assert rows.link is not None
    link = rows.link.calibrate(outputs, rows.targets, weights)
    errors = replace(rows, link=link).errors(link.apply(outputs))
    return link, [member.weights * errors for member in members]


def _measure_plain(
    plain: TrainingRows,
    members: list[Member],
    networks: list[DenseNetwork],
    links: tuple[Link | None, Link | None],
) -> tuple[float, ...]:
    """The mean errors of the networks and of PCA for the values in rows held out, none hidden."""
    totals = np.zeros(3)
    for member, network in zip(members, networks, strict=True):
        places = member.places
        if places is None:  # a fold, or all
            places = np.flatnonzero(member.weights[: plain.count])
        rows = plain.select(places)
        totals[2] += rows.weights @ np.mean(~np.isnan(rows.targets), axis=1)
        for of, link in enumerate(links):
            each = pca_network(member.principal) if of else network
            outputs = each.decode(each.encode(rows.flat))
            outputs = outputs if link is None else link.apply(outputs)
            totals[of] += rows.weights @ replace(rows, link=link).errors(outputs)
    return tuple((totals[:2] / totals[2]).tolist())


def _is_better(members: list[Member], errors: list[Array], of_pca: list[Array]) -> bool:
    """Whether errors are less than PCA's on held-out rows."""
    if len(members) == 1:
        weights, count = members[0].weights, members[0].held_out.count
        return is_clearly_less(errors[0] / weights, of_pca[0] / weights, weights, count)
    of_folds = [np.array([each.sum() for each in parts[:-1]]) for parts in (errors, of_pca)]
    return is_clearly_less_in_folds(of_folds[0], of_folds[1], len(members[0].weights))
