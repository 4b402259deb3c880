"""The solver of the estimator's own networks: Nadam on arrays, part by part, with rows held out.

Of few rows NumPy takes the steps, of others JAX.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from keras_tied._blas import blas_limit
from keras_tied._checkpoint_file import CheckpointFile
from keras_tied._types import Array
from keras_tied.estimator._fitted.dense_network import DenseNetwork
from keras_tied.estimator._fitted.link import Link
from keras_tied.estimator._fitted.pca import Components
from keras_tied.estimator._fitted.value import compute_block
from keras_tied.estimator._training.held_out import (
    Solution,
    is_clearly_less,
    is_clearly_less_in_folds,
    make_folds,
    split_rows,
)
from keras_tied.estimator._training.likelihood import Likelihood
from keras_tied.estimator._training.numpy_steps import Stack
from keras_tied.estimator._training.plan import Plan
from keras_tied.estimator._training.progress import get_epoch_callback
from keras_tied.estimator._training.rows import TrainingRows
from keras_tied.estimator._training.start import pca_network, start_network, undo_projection

STEPS, STEPS_OF_FEW_ROWS = 4200, 450  # at least, but for what `MULTIPLICATIONS` allows
MOST_STEPS, ROWS_PER_STEP = 16_800, 2
"""At most, and the rows for each step: in batches of 128, each row is used 64 times."""
PART_STEPS, PART_STEPS_OF_FEW_ROWS = 200, 25  # at most so many steps in a part
FEWEST_STEPS = 100
MULTIPLICATIONS, MULTIPLICATIONS_OF_FEW_ROWS = 2**38, 2**36  # at most, but for the fewest steps
PART_MULTIPLICATIONS = 2**33  # in a part, which takes a second: Ctrl-C is seen between parts
FEWEST_FOR_THREADS = 2**15  # weights of a network on few rows
PATIENCE = 6  # parts without a smaller error after which the training on few rows ends
WARMUP = 0.05  # the share of the steps in which the learning rate rises
MOST_HELD_OUT = 20_000  # at most so many rows are held out: more would only take time

Start = Callable[[Components], DenseNetwork]  # makes the network that computes PCA
Steps = Callable[[Array, Array], tuple[Array, list[DenseNetwork]]]
"""Takes steps, with places of rows, `(steps, batch_size)`, and rates, `(steps,)`, and returns the
losses before them, `(steps, networks)`, and the networks after them."""


def fit(
    plan: Plan, rows: TrainingRows, principal: Components, is_interrupted: Callable[[], bool]
) -> Solution:
    """Train the estimator's own network, and keep its weights of the least error on held-out rows.

    Of few rows, each of five parts is held out of a network, and a sixth network learns from all
    rows. They are trained side by side. The sixth is kept from the step with the lowest
    cross-validation error.
    """
    axes = None if plan.n_axes is None else principal.truncate(plan.n_axes)
    rows = rows if axes is None else rows.project(axes)
    seed = plan.random.randint(2**31 - 1)

    def start(principal: Components) -> DenseNetwork:
        draws = np.random.default_rng(seed)  # the same for each network
        return start_network(principal, plan.hidden, str(plan.activation), draws)

    if plan.few_rows and plan.early_stopping and rows.validation is None:
        members = _hold_out_folds(plan, start, rows)
    else:
        members = [_hold_out_part(plan, start, rows)]
    schedule = _Schedule.make(members, plan)
    weight = sum(float(member.weights.sum()) for member in members)
    best, link = _Best(), rows.link
    losses: list[float] = []
    likelihood = None if link is None else Likelihood.of_link(link, rows.axes)
    take_steps = (_use_numpy if plan.few_rows else _JaxNetwork)(members, plan, likelihood)
    file, n_done = None, 0
    if plan.checkpoint is not None and isinstance(take_steps, _JaxNetwork):
        file = CheckpointFile(Path(plan.checkpoint, "checkpoint.npz"))
        n_done = take_steps.restore(file, losses, best)
    for rates in schedule.rates[:n_done]:
        schedule.draw_batches(len(rates))  # the orders of the rows are those after these
    for part, rates in enumerate(schedule.rates[n_done:], n_done):
        part_losses, networks = take_steps(schedule.draw_batches(len(rates)), rates)
        losses += part_losses[:, -1].tolist()
        if not np.isfinite(part_losses[-1]).all():
            raise FloatingPointError(
                f"The loss came out not finite at learning_rate={schedule.rate:.3g}: "
                f"try {schedule.rate / 10:.3g}."
            )
        errors = [m.measure(network) for m, network in zip(members, networks, strict=True)]
        best.update(part, networks, errors)
        if file and file.is_due and isinstance(take_steps, _JaxNetwork):
            take_steps.save(file, part + 1, losses, best)
        logs = {"loss": losses[-1]}
        if plan.early_stopping:
            logs["val_error"] = best.totals[-1] / weight
        is_stopped = _report(part + 1, len(schedule.rates), logs, plan.verbose)
        if is_stopped or is_interrupted() or (plan.few_rows and part - best.part >= PATIENCE):
            break
    curve, networks = schedule.average_by_pass(losses, best.part), best.networks
    network = networks[-1] if axes is None else undo_projection(networks[-1], axes)
    if not plan.early_stopping:
        return Solution(network, curve, [], len(curve))
    validation_curve = _make_validation_curve(members, best, schedule)
    pca_link = None
    errors, of_pca = best.errors, [member.weights * member.of_pca for member in members]
    if link is not None:
        link, errors = _calibrate(members, networks)
        pca_link, of_pca = _calibrate(members, [pca_network(each.principal) for each in members])
    errors = [e + m.weights * m.held_out.lost for e, m in zip(errors, members, strict=True)]
    means = tuple(float(sum(map(np.sum, each)) / weight) for each in (errors, of_pca))
    plain = rows.plain if rows.validation is None else rows.validation.plain
    if plain is not None:
        means = _measure_plain(plain, members, networks, (link, pca_link))
    better, held_out = _is_better(members, errors, of_pca), members[-1].places
    solution = Solution(network, curve, validation_curve, len(curve), better, held_out)
    return replace(solution, held_out_errors=means, link=link, pca_link=pca_link)


@dataclass
class _Member:
    """A network in training, the rows that it learns from, and those held out of it."""

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


def _use_numpy(members: list[_Member], plan: Plan, likelihood: Likelihood | None) -> Steps:
    """Steps of all networks at a time."""
    rows = members[-1].rows
    targets = None if rows.targets is rows.inputs else rows.targets
    weights = np.array([member.learning_weights for member in members]) * rows.share
    size = min(plan.batch_size, len(rows.inputs))
    networks = [member.network for member in members]
    stack = Stack(networks, rows.inputs, targets, weights, size, likelihood)
    # For products that are so small, threads only wait for each other.
    is_small = networks[0].n_parameters < FEWEST_FOR_THREADS

    def take_steps(batches: Array, rates: Array) -> tuple[Array, list[DenseNetwork]]:
        with blas_limit.limit_to_one() if is_small else nullcontext():
            losses = stack.take_steps(batches, rates, plan.weight_decay)
        return losses, stack.make_networks()

    return take_steps


class _JaxNetwork:
    """Steps of the one network."""

    def __init__(self, members: list[_Member], plan: Plan, likelihood: Likelihood | None) -> None:
        from keras_tied.estimator._training import jax_steps

        [member] = members
        rows, self.member, self.jax = member.rows, member, jax_steps
        targets = None if rows.targets is rows.inputs else rows.targets
        weights = (member.learning_weights * rows.share).astype(np.float32)
        self.rows = jax_steps.Rows(rows.inputs, targets, weights)
        self.settings = np.float32(plan.weight_decay), likelihood
        self.state = jax_steps.begin(member.network)

    def __call__(self, batches: Array, rates: Array) -> tuple[Array, list[DenseNetwork]]:
        network = self.member.network
        units = {"activation": network.activation, "linear_units": network.linear_units}
        inputs = self.state, self.rows, batches, rates, *self.settings
        self.state, losses = self.jax.take_steps(*inputs, **units)
        network = self.jax.to_network(self.state.weights, network)
        return np.asarray(losses, np.float64)[:, None], [network]

    def restore(self, file: CheckpointFile, losses: list[float], best: _Best) -> int:
        """Set the state that a file holds, if it is there; return after how many parts it is."""
        content = file.read()
        if content is None:
            return 0
        arrays, notes = content
        self.state, weights = self.jax.read_arrays(arrays, self.state)
        network = self.jax.to_network(weights, self.member.network)
        losses += notes["losses"]
        best.part, best.totals = notes["best"], notes["totals"]
        best.error, best.networks = best.totals[best.part], [network]
        best.errors = [self.member.measure(network)]
        return int(notes["parts"])

    def save(self, file: CheckpointFile, parts: int, losses: list[float], best: _Best) -> None:
        """Save the state after so many parts."""
        begin, arrays = time.monotonic(), self.jax.list_arrays(self.state, best.networks[0])
        notes = {"parts": parts, "losses": losses, "best": best.part, "totals": best.totals}
        file.write(arrays, notes, begin)


def _hold_out_folds(plan: Plan, start: Start, rows: TrainingRows) -> list[_Member]:
    """A network for each fold, and one for all rows. Held-out rows have weight 0 in training.

    So all have the same shapes, and are trained by one compiled program.
    """
    members = []
    for held_out in [*make_folds(rows.count, plan), np.arange(0)]:
        mask = np.ones(rows.count, bool)
        mask[held_out] = False
        principal = rows.select(np.flatnonzero(mask)).principal.truncate(plan.n_components)
        weights, others = rows.weights * mask, rows.weights * ~mask
        learned = weights / weights.mean()
        of_pca = rows.pca_errors(principal)
        members.append(_Member(start(principal), rows, learned, rows, others, of_pca, principal))
    return members


def _hold_out_part(plan: Plan, start: Start, rows: TrainingRows) -> _Member:
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
    return _Member(network, *learned, held_out, weights, of_pca, principal, places)


@dataclass
class _Schedule:
    """The rows and the learning rate of each step."""

    batches: Iterator[Array]  # the places of the rows of each batch, without an end
    rate: float  # the largest learning rate
    rates: Array  # `(parts, steps of a part)`; 0 after the last step
    steps: int  # the number of steps
    steps_per_pass: int  # the steps that go through all rows once, about

    @classmethod
    def make(cls, members: list[_Member], plan: Plan) -> _Schedule:
        network, n = members[-1].network, len(members[-1].rows.inputs)
        size = min(plan.batch_size, n)
        steps_per_pass = -(-n // size)
        multiplications = 6 * network.n_parameters * size * len(members)
        steps, most = STEPS_OF_FEW_ROWS, MULTIPLICATIONS_OF_FEW_ROWS
        if not plan.few_rows:
            steps = min(max(STEPS, n // ROWS_PER_STEP), plan.effort * MOST_STEPS)
            most = plan.effort * MULTIPLICATIONS
        steps = max(min(steps, most // multiplications), FEWEST_STEPS, steps_per_pass)
        if plan.max_iter is not None:
            steps = plan.max_iter * steps_per_pass
        part_steps = PART_STEPS_OF_FEW_ROWS if plan.few_rows else PART_STEPS
        part_steps = max(1, min(part_steps, steps, PART_MULTIPLICATIONS // multiplications))
        rate = plan.learning_rate
        if plan.scales_rate:
            rate /= max(1.0, steps / STEPS) ** 0.25
        rates = _make_rates(rate, steps, part_steps)
        return cls(_draw_batches(n, size, plan.random), rate, rates, steps, steps_per_pass)

    def draw_batches(self, steps: int) -> Array:
        """The places of the rows of the next steps, `(steps, batch_size)`."""
        return np.array([next(self.batches) for _ in range(steps)], np.int32)

    def average_by_pass(self, losses: list[float], last_part: int) -> list[float]:
        """The mean loss of each pass up to the end of a part."""
        ends = self.find_ends_of_passes(last_part)
        starts = [0, *ends[:-1]]
        return [float(np.mean(losses[i:j])) for i, j in zip(starts, ends, strict=True)]

    def find_ends_of_passes(self, last_part: int) -> list[int]:
        """The steps until the end of each pass, up to the end of a part."""
        end = min(self.steps, (last_part + 1) * self.rates.shape[1])
        return [*range(self.steps_per_pass, end, self.steps_per_pass), end]


def _make_rates(rate: float, steps: int, part_steps: int) -> Array:
    """Learning rates that rise linearly for the warm-up and then fall along a cosine to 0."""
    step, warmup = np.arange(steps), max(1, int(steps * WARMUP))
    fall = 0.5 * (1 + np.cos(np.pi * (step - warmup) / max(1, steps - warmup)))
    rates = rate * np.where(step < warmup, (step + 1) / warmup, fall)
    return np.pad(rates, (0, -steps % part_steps)).astype(np.float32).reshape(-1, part_steps)


def _draw_batches(n: int, size: int, random: np.random.RandomState) -> Iterator[Array]:
    """Batches of places from one random order of all rows after the other."""
    places = np.arange(n)
    if size == n:
        while True:
            yield places
    remaining = places[:0]
    while True:
        if len(remaining) < size:
            remaining = np.concatenate([remaining, random.permutation(n)])
        yield remaining[:size]
        remaining = remaining[size:]


@dataclass
class _Best:
    """The part after which the held-out rows had the least error; the last, without such rows."""

    error: float = np.inf
    part: int = 0
    networks: list[DenseNetwork] = field(default_factory=list)
    # of the held-out rows of each network, times their weights
    errors: list[Array] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)  # the sum of these errors after each part

    def update(self, part: int, networks: list[DenseNetwork], errors: list[Array]) -> None:
        """Compare a part with the best one before."""
        total = float(sum(map(np.sum, errors)))
        self.totals.append(total)
        if total <= self.error:
            self.error, self.part = total, part
            self.networks, self.errors = networks, errors


def _make_validation_curve(members: list[_Member], best: _Best, schedule: _Schedule) -> list[float]:
    """The mean error of the held-out rows at the end of each pass, interpolated between parts.

    Before the first step it is that of PCA.
    """
    weight = sum(member.weights.sum() for member in members)
    lost = sum((member.weights * member.held_out.lost).sum() for member in members)
    of_pca = sum((member.weights * member.of_pca).sum() for member in members)
    errors = np.array([of_pca, *(np.array(best.totals) + lost)]) / weight
    # The last part may have fewer steps than the others.
    steps = np.minimum(np.arange(len(errors)) * schedule.rates.shape[1], schedule.steps)
    return np.interp(schedule.find_ends_of_passes(best.part), steps, errors).tolist()


def _calibrate(members: list[_Member], networks: list[DenseNetwork]) -> tuple[Link, list[Array]]:
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
    members: list[_Member],
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


def _is_better(members: list[_Member], errors: list[Array], of_pca: list[Array]) -> bool:
    """Whether errors are less than PCA's on held-out rows."""
    if len(members) == 1:
        weights, count = members[0].weights, members[0].held_out.count
        return is_clearly_less(errors[0] / weights, of_pca[0] / weights, weights, count)
    of_folds = [np.array([each.sum() for each in parts[:-1]]) for parts in (errors, of_pca)]
    return is_clearly_less_in_folds(of_folds[0], of_folds[1], len(members[0].weights))


def _report(part: int, parts: int, logs: dict[str, float], verbose: int) -> bool:
    """Tell who wants to know after a part; whether training shall end."""
    if verbose:
        print(f"Part {part}/{parts} - loss: {logs['loss']:.4g}", flush=True)
    on_epoch = get_epoch_callback()
    return on_epoch is not None and bool(on_epoch(part, parts, logs))
