"""The solver of the estimator's own networks, against formulas and differences."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import check_grad
from sklearn.decomposition import PCA
from tests.marks import slow
from tests.processes import run_python

from tied_tables.fit import lbfgs, schedule
from tied_tables.fit.loss import Squares
from tied_tables.fit.members import HeldOut, Member, is_better
from tied_tables.fit.nadam import Nadam, take_steps
from tied_tables.fit.rows import TrainingRows
from tied_tables.fit.stack import Objective, Stack, flatten
from tied_tables.fit.start import start_network
from tied_tables.model.activations import ACTIVATIONS
from tied_tables.model.dense_network import DenseNetwork
from tied_tables.model.pca import fit_pca

from .near import assert_near
from .networks import compute_by_hand, draw_curve, draw_network, seeded, with_gaps

SIZES = (5, 8, 7, 2)
PENALTIES = {"weight_decay": 0.01, "sparsity": 0.1}


def make_rows(n, missing=0.0):
    rng = default_rng(1)
    inputs = rng.normal(size=(n, SIZES[0])).astype(np.float32)
    return TrainingRows(
        inputs,
        with_gaps(inputs, missing, rng),
        rng.uniform(0.5, 2, n),
        Squares(share=0.7),
    )


def draw_networks(activation="tanh"):
    return [draw_network(SIZES, activation, seed) for seed in (0, 1)]


def find_losses(stack, rows, objective, step=0):
    """The losses, in double precision; the gradient is that of the stack.

    To the second network each row counts twice, and so on.
    """
    factors = np.arange(1, len(stack.parameters) + 1)[:, None]
    weights = factors * rows.weights / len(rows.inputs)
    return stack.find_gradient(
        rows,
        slice(None),
        weights,
        objective,
        step,
    )


@pytest.mark.parametrize(
    "hidden",
    [(), (8,), (8, 6)],
    ids=str,
)
def test_a_network_computes_pca_at_its_start(hidden, rng):
    X = draw_curve(60)
    principal = fit_pca(X).truncate(2)
    network = start_network(
        principal,
        hidden,
        "silu",
        seed=3,
    )
    pca = PCA(2).fit(X)
    expected = pca.inverse_transform(pca.transform(X))
    assert_near(compute_by_hand(network, X)[1], expected)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_losses_are_those_of_the_formula(activation, missing):
    networks = draw_networks(activation)
    rows = make_rows(20, missing)
    stack = Stack(networks, np.float64)
    losses = find_losses(stack, rows, Objective(**PENALTIES))
    for place, network in enumerate(networks):
        codes, reconstruction = compute_by_hand(network, rows.inputs)
        squares = np.nan_to_num((reconstruction - rows.targets) ** 2)
        errors = 0.7 * squares.mean(axis=1) + 0.1 * np.abs(codes).sum(axis=1)
        decay = sum(np.sum(kernel**2) for kernel in network.kernels)
        error = np.mean(errors * rows.weights)
        assert_near(losses[place], (1 + place) * error + 0.01 * decay)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_gradient_equals_central_differences(activation, noise):
    """With noise, too, which is the same for the same step."""
    objective = Objective(
        **PENALTIES,
        noise=noise,
        seed=3,
    )
    rows = make_rows(6, 0.3)
    stack = Stack(draw_networks(activation), np.float64)

    def find_loss(numbers):
        stack.parameters.flat = numbers
        return find_losses(stack, rows, objective).sum()

    def find_gradient(numbers):
        find_loss(numbers)
        return stack.gradient.flatten()

    start = stack.parameters.flatten()
    error = check_grad(
        find_loss,
        find_gradient,
        start,
        epsilon=1e-7,
    )
    assert error < 1e-5 * np.linalg.norm(find_gradient(start))


def test_noise_has_its_standard_deviation_and_is_another_in_each_step():
    """Without hidden layers and with the code as it is, the loss shows it."""
    X = np.zeros((20_000, 2), np.float32)
    rows = TrainingRows(X, X, np.ones(20_000), Squares())
    zeros = (X[0],)
    identity = DenseNetwork(
        (np.eye(2, dtype=np.float32),), zeros, zeros, (X[0] + 1,), "linear"
    )
    stack = Stack([identity])
    objective = Objective(noise=0.5, seed=1)
    losses = [find_losses(stack, rows, objective, step)[0] for step in (0, 1, 0)]
    assert_allclose(
        losses,
        0.25,
        rtol=0.03,
    )
    assert losses[0] == losses[2] != losses[1]


def test_steps_are_those_of_nadams_formula(rng):
    numbers = rng.normal(size=4)
    gradients = rng.normal(size=(3, 4))
    expected = numbers.copy()
    average = square = 0.0
    nadam = Nadam.begin(numbers)
    for place, rate in enumerate((0.01, 0.02, 0.005)):
        gradient = gradients[place]
        step = place + 1
        nadam.move(
            numbers,
            gradient.copy(),
            rate,
        )
        average = 0.9 * average + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient**2
        nesterov = 0.9 * average / (1 - 0.9 ** (step + 1))
        nesterov += 0.1 * gradient / (1 - 0.9**step)
        expected -= rate * nesterov / (np.sqrt(square / (1 - 0.99**step)) + 1e-7)
    assert_near(numbers, expected, 1e-12)


def test_steps_are_those_of_the_gradient_of_each_batch(rng):
    """The weights are those of all rows, of mean 1."""
    networks = draw_networks()
    rows = make_rows(30)
    weights = rng.uniform(0, 2, size=(2, 30)).astype(np.float32)
    batches = np.arange(30).reshape(3, 10)
    rates = [0.01, 0.02, 0.005]
    objective = Objective(weight_decay=0.01)
    stack, expected = Stack(networks), Stack(networks)
    state = Nadam.begin(stack.parameters)
    take_steps(
        stack,
        state,
        rows,
        weights,
        batches,
        rates,
        objective,
    )
    state = Nadam.begin(expected.parameters)
    for batch, rate in zip(batches, rates, strict=True):
        expected.find_gradient(
            rows,
            batch,
            weights[:, batch] / 10,
            objective,
        )
        state.move(
            expected.parameters,
            expected.gradient,
            rate,
        )
    assert_near(stack.parameters, expected.parameters)
    found = flatten(stack.make_network(stack.parameters[1]))
    assert_array_equal(found, stack.parameters[1])


@dataclass(frozen=True)
class LongTraining(Objective):
    """What L-BFGS needs of a plan."""

    max_iter: int = 150
    early_stopping: bool = False
    n_iter_no_change: int = 50
    verbose: int = 0


def test_lbfgs_ends_where_the_gradient_is_0(monkeypatch):
    """Blocks of rows add up, and the gradient at the end is small beside that at the
    start.
    """
    monkeypatch.setattr(lbfgs, "BLOCK_ROWS", 16)
    rows = make_rows(37)
    network = draw_network(SIZES, "silu", seed=3)
    member = Member(
        network,
        network,
        rows,
        rows.weights,
        rows.select(np.arange(0)),
    )
    objective = LongTraining(weight_decay=1e-2)
    [best], training = lbfgs.train([member], objective, lambda: False)
    losses = training.loss_curve
    assert (np.diff(losses) <= 0).all()
    sizes = []
    for each in (network, best):
        stack = Stack([each], np.float64)
        [loss] = find_losses(stack, rows, objective)
        sizes.append(np.linalg.norm(stack.gradient))
    assert_near(losses[-1], loss)
    start, end = sizes
    assert end < 0.01 * start


def test_the_learning_rate_rises_and_falls():
    rates = schedule.make_rates(0.5, 100, 30)
    assert list(map(len, rates)) == [30, 30, 30, 10]
    flat = np.concatenate(rates)
    assert_near(flat[:5], [0.1, 0.2, 0.3, 0.4, 0.5])
    cosine = 0.25 * (1 + np.cos(np.pi * np.arange(95) / 95))
    assert_near(flat[5:], cosine, 1e-6)


def test_batches_go_through_all_rows_before_any_comes_again():
    batches = schedule.draw_batches(
        10,
        4,
        np.random.RandomState(0),
    )
    places = np.concatenate([next(batches) for _ in range(5)])
    assert_array_equal(
        np.sort(places.reshape(2, 10)),
        [range(10)] * 2,
    )


@pytest.mark.parametrize("rows", [60, 1200])
def test_a_loss_that_is_not_finite_says_so(rows):
    X = default_rng(0).normal(size=(rows, 3))
    with pytest.raises(FloatingPointError, match=r"learning_rate=1e\+20: try 1e\+19"):
        seeded(
            1,
            learning_rate=1e20,
            max_iter=2,
        ).fit(X)


@pytest.mark.parametrize(
    ("count", "better"),
    [(2000, True), (500, False)],
)
def test_copies_of_rows_are_no_more_evidence(count, better):
    """The standard error is that of the different rows, each of which is held out in 10
    copies: of gains of mean 0.03 and standard deviation 0.85 it is 0.019 or 0.038.
    """
    X = np.zeros((10 * count, 5), np.float32)
    rows = TrainingRows(X, X, np.ones(10 * count), Squares())
    rows = replace(rows, unmasked=rows.select(np.arange(count)))
    gains = np.resize([0.88, 0.88, -0.82, -0.82], 10 * count)
    network, pca = (
        HeldOut(
            [errors],
            np.array([errors.sum()]),
            errors.mean(),
            rows.loss,
        )
        for errors in (1.0 - gains, rows.weights)
    )
    start = draw_network(SIZES)
    member = Member(
        start,
        start,
        rows,
        rows.weights,
        rows,
    )
    assert is_better([member], network, pca) == better


ALL_OF_A_LIFE = """
import os, sys, numpy as np
from tied_tables import TiedAutoencoder, load
X = np.random.default_rng(0).normal(size=(1200, 3))
X[:, 2] = X[:, 0] ** 2
settings = {"max_iter": 2, "random_state": 0}
fit = lambda: TiedAutoencoder(1, **settings).fit(X)
model = fit()
model.score_samples(X), model.explain(X[:5]), model.impute(np.where(X > 2, np.nan, X))
codes = model.transform(X)
if hasattr(os, "fork"):
    child = os.fork()
    if child == 0:
        os._exit(0 if (fit().transform(X) == codes).all() else 1)
    assert os.waitpid(child, 0)[1] == 0
model.partial_fit(X).save("m.safetensors")
TiedAutoencoder.load("m.safetensors").partial_fit(X)
assert load("m.safetensors").transform(X).shape == (1200, 1)
assert not {"jax", "keras"} & set(sys.modules)
"""


@slow
def test_no_framework_is_imported_and_a_forked_child_fits_as_its_parent(tmp_path):
    run_python("-W", "ignore", "-c", ALL_OF_A_LIFE, cwd=tmp_path)


def test_an_absurd_value_among_rows_to_validate_on_changes_nothing(rng):
    a = rng.uniform(-2, 2, size=(1500, 1))
    X = np.hstack([a, a**2, np.sin(2 * a)])
    others = X[:300].copy()
    unmasked = seeded(1, max_iter=9).fit(X, X_val=others)
    others[0, 0] = 1e7
    assert_array_equal(
        seeded(1, max_iter=9).fit(X, X_val=others).transform(X), unmasked.transform(X)
    )
