"""The solver of the estimator's own networks, against JAX's gradients and formulas by
hand.
"""

import subprocess
import sys
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import check_grad

from keras_tied import TiedAutoencoder
from keras_tied.fitted.activations import ACTIVATIONS
from keras_tied.fitted.dense_network import DenseNetwork
from keras_tied.fitted.pca import fit_pca
from keras_tied.fitted.value import baseline_errors
from keras_tied.fitting import lbfgs, schedule
from keras_tied.fitting.fit import fit
from keras_tied.fitting.members import HeldOut, Member, is_better
from keras_tied.fitting.nadam import Nadam, take_steps
from keras_tied.fitting.plan import Parameters
from keras_tied.fitting.rows import TrainingRows
from keras_tied.fitting.stack import Objective, Stack, flatten
from keras_tied.fitting.start import pca_network

SIZES = (5, 8, 7, 2)
NAMES = ("kernels", "biases", "decoder_biases", "gains")


def make_network(activation: str = "tanh", seed: int = 0) -> DenseNetwork:
    rng = np.random.default_rng(seed)
    shapes = list(pairwise(SIZES))
    return DenseNetwork(
        tuple(rng.normal(size=shape, scale=0.5).astype(np.float32) for shape in shapes),
        tuple(rng.normal(size=units).astype(np.float32) for _, units in shapes),
        tuple(rng.normal(size=inputs).astype(np.float32) for inputs, _ in shapes),
        tuple(rng.uniform(0.5, 1, units).astype(np.float32) for _, units in shapes),
        activation,
        linear_units=2,
    )


def make_rows(n: int, missing: float = 0.0) -> TrainingRows:
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(n, SIZES[0])).astype(np.float32)
    hidden = rng.uniform(size=inputs.shape) < missing
    targets = np.where(hidden, np.float32(np.nan), inputs) if missing else inputs
    return TrainingRows(inputs, targets, rng.uniform(0.5, 2, n))


def find_loss(arrays, network, rows, *, weight_decay=0.0, sparsity=0.0):
    """The formula of the loss, in JAX, of arrays by their names."""
    activate = getattr(jax.nn, network.activation)
    activate = (
        (lambda x: jax.nn.gelu(x, approximate=False))
        if "gelu" in str(activate)
        else activate
    )

    def bend(units):
        k = network.linear_units
        return jnp.concatenate([units[:, :k], activate(units[:, k:])], axis=1)

    units = jnp.asarray(rows.inputs)
    layers = list(zip(*(arrays[name] for name in NAMES), strict=True))
    for place, (kernel, bias, _, _) in enumerate(layers):
        units = (bend(units) if place else units) @ kernel + bias
    code = units
    for place, (kernel, _, bias, gain) in enumerate(reversed(layers)):
        units = (bend(units) if place else units) * gain @ kernel.T + bias
    known = ~np.isnan(rows.targets)
    squares = jnp.where(known, units - jnp.nan_to_num(rows.targets), 0.0) ** 2
    errors = squares.mean(axis=1) + sparsity * jnp.abs(code).sum(axis=1)
    decay = sum(jnp.sum(kernel**2) for kernel, *_ in layers)
    return jnp.mean(errors * rows.weights) + weight_decay * decay


def find_gradient(networks, rows, objective):
    stack = Stack(networks, np.float64)
    inputs, targets = rows.inputs.astype(np.float64), rows.targets.astype(np.float64)
    weights = np.tile(rows.weights / len(inputs), (len(networks), 1))
    return stack, stack.find_gradient(inputs, targets, weights, objective)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_losses_and_gradients_are_those_of_jax(activation, missing):
    networks = [make_network(activation, seed) for seed in (0, 1)]
    rows = make_rows(20, missing)
    penalties = {"weight_decay": 0.01, "sparsity": 0.1}
    stack, losses = find_gradient(networks, rows, Objective(**penalties))
    for place, network in enumerate(networks):
        arrays = {name: getattr(network, name) for name in NAMES}
        loss, gradient = jax.value_and_grad(find_loss)(
            arrays, network, rows, **penalties
        )
        np.testing.assert_allclose(losses[place], loss, rtol=1e-5)
        expected = np.concatenate([g.ravel() for name in NAMES for g in gradient[name]])
        np.testing.assert_allclose(
            stack.gradient[place], expected, rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_gradient_equals_central_differences(noise):
    """With noise, too, which is the same for the same step."""
    objective = Objective(
        weight_decay=0.01, sparsity=0.1, noise=noise, seed=3, share=0.7
    )
    network, rows = make_network("silu"), make_rows(6, 0.3)
    stack, _ = find_gradient([network], rows, objective)

    def compute(numbers):
        stack.numbers[0] = numbers
        inputs, targets = rows.inputs.astype(float), rows.targets.astype(float)
        loss = stack.find_gradient(inputs, targets, rows.weights[None] / 6, objective)
        return loss[0], stack.gradient[0].copy()

    start = flatten(network).astype(float)
    error = check_grad(
        lambda x: compute(x)[0], lambda x: compute(x)[1], start, epsilon=1e-7
    )
    assert error < 1e-5 * np.linalg.norm(compute(start)[1])


def test_noise_has_its_standard_deviation_and_is_another_in_each_step():
    """Without hidden layers and with the code as it is, the loss shows it."""
    rows = TrainingRows(*[np.zeros((20_000, 2), np.float32)] * 2, np.ones(20_000))
    eye = (np.eye(2, dtype=np.float32),)
    zeros, ones = (np.zeros(2, np.float32),), (np.ones(2, np.float32),)
    stack = Stack([DenseNetwork(eye, zeros, zeros, ones, "linear", 0)])
    weights = np.full((1, 20_000), 1 / 20_000, np.float32)
    objective = Objective(noise=0.5, seed=1)
    losses = [
        stack.find_gradient(rows.inputs, rows.targets, weights, objective, step)[0]
        for step in (0, 1, 0)
    ]
    np.testing.assert_allclose(losses, 0.25, rtol=0.03)
    assert losses[0] == losses[2] != losses[1]


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_slopes_are_those_of_differences(activation):
    x = np.linspace(-7.3, 7.1, 1001)
    low, high, value, slopes = x - 1e-6, x + 1e-6, x.copy(), np.empty_like(x)
    ACTIVATIONS[activation](value, slopes)
    for each in (low, high):
        ACTIVATIONS[activation](each, None)
    np.testing.assert_allclose(slopes, (high - low) / 2e-6, atol=1e-5)


def test_steps_are_those_of_the_formula(rng):
    numbers, gradients = rng.normal(size=4), rng.normal(size=(3, 4))
    expected, average, square = numbers.copy(), 0.0, 0.0
    nadam = Nadam.begin(numbers)
    for step, (g, rate) in enumerate(
        zip(gradients, (0.01, 0.02, 0.005), strict=True), 1
    ):
        nadam.move(numbers, g.copy(), rate)
        average, square = 0.9 * average + 0.1 * g, 0.99 * square + 0.01 * g**2
        nesterov = 0.9 * average / (1 - 0.9 ** (step + 1)) + 0.1 * g / (1 - 0.9**step)
        expected -= rate * nesterov / (np.sqrt(square / (1 - 0.99**step)) + 1e-7)
    np.testing.assert_allclose(numbers, expected, rtol=1e-12)


def train(networks, rows, weights, batches, rates):
    stack = Stack(networks)
    nadam = Nadam.begin(stack.numbers)
    weights = np.asarray(weights, np.float32)
    take_steps(
        stack,
        nadam,
        rows,
        weights,
        np.array(batches),
        rates,
        Objective(weight_decay=0.01),
    )
    return stack


def test_networks_of_a_stack_do_not_mix(rng):
    """Each is that of its own weights, and of a stack of its own."""
    rows, networks = make_rows(30), [make_network(seed=0), make_network(seed=1)]
    weights = rng.uniform(0, 2, size=(2, 30))
    given = np.arange(30).reshape(3, 10), [0.01] * 3
    both = train(networks, rows, weights, *given)
    for place, network in enumerate(networks):
        alone = train([network], rows, weights[[place]], *given)
        np.testing.assert_allclose(both.numbers[place], alone.numbers[0], atol=1e-6)


def test_a_row_of_weight_2_counts_as_two_rows():
    network, rows = make_network(), make_rows(4)
    twice = TrainingRows(*[rows.inputs[[0, 0, 1, 2, 3]]] * 2, np.ones(5))
    weights = np.array([[2, 1, 1, 1]]) * 4 / 5
    one = train([network], rows, weights, [range(4)] * 3, [0.01] * 3)
    other = train([network], twice, np.ones((1, 5)), [range(5)] * 3, [0.01] * 3)
    np.testing.assert_allclose(one.numbers, other.numbers, atol=1e-5)


def test_numbers_are_those_of_the_network():
    network = make_network()
    again = Stack([make_network(seed=1), network]).make_network(1)
    for name in NAMES:
        for one, other in zip(
            getattr(network, name), getattr(again, name), strict=True
        ):
            np.testing.assert_array_equal(one, other)


def test_lbfgs_ends_where_the_gradient_is_0(rng):
    """Blocks of rows add up, and the gradient at the end is small beside that at the
    start.
    """
    n = lbfgs.BLOCK_ROWS + 5
    inputs = rng.normal(size=(n, SIZES[0])).astype(np.float32)
    rows, network = TrainingRows(inputs, inputs, np.ones(n)), make_network()
    pca = pca_network(fit_pca(inputs))
    nothing = rows.select(np.arange(0))
    member = Member(network, pca, rows, np.ones(n), nothing)
    objective, losses = Objective(weight_decay=1e-3), []

    def note(_, loss):
        losses.append(loss)
        return False

    best = lbfgs.fit_member(member, objective, 150, note)
    assert (np.diff(losses) <= 0).all()
    sizes = []
    for each in (network, best):
        stack, [loss] = find_gradient([each], rows, objective)
        sizes.append(np.linalg.norm(stack.gradient))
    np.testing.assert_allclose(losses[-1], loss, rtol=1e-5)
    assert sizes[1] < 0.01 * sizes[0]


@pytest.mark.parametrize(
    "solver", ["nadam", pytest.param("lbfgs", marks=pytest.mark.slow)]
)
def test_a_curve_is_learned_by_either_solver(solver, rng):
    angle = rng.uniform(-2, 2, 400)
    X = np.column_stack([angle, angle**2, np.sin(2 * angle), np.cos(angle)])
    model = TiedAutoencoder(1, solver=solver, random_state=0).fit(X)
    assert not model.is_pca_
    assert model.reconstruction_r2_ > 0.95
    assert len(model.loss_curve_) == len(model.validation_curve_) == model.n_iter_


def test_sparsity_makes_codes_smaller(rng):
    X = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 6))
    sizes = [
        np.abs(TiedAutoencoder(3, sparsity=s, random_state=0).fit_transform(X)).mean()
        for s in (0.0, 0.03, 0.3)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


def test_without_hidden_layers_the_solver_stays_at_pca(rng):
    X = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 6)) + 0.1 * rng.normal(
        size=(300, 6)
    )
    settings = {"trim": False, "random_state": 0}
    linear = TiedAutoencoder(2, hidden_layer_sizes=(), **settings).fit(X)
    pca = np.linalg.svd((X - X.mean(0)) / X.std(0))[1] ** 2
    assert linear.reconstruction_r2_ == pytest.approx(
        pca[:2].sum() / pca.sum(), abs=1e-3
    )


@pytest.mark.slow
def test_few_rows_are_learned_alike_bit_by_bit_and_without_jax():
    code = (
        "import sys, numpy as np; from keras_tied import TiedAutoencoder; "
        "X = np.random.default_rng(0).normal(size=(300, 3)); X[:, 2] = X[:, 0] ** 2;"
        "codes = TiedAutoencoder(1, max_iter=40, random_state=0).fit(X).transform(X);"
        "assert not {'jax', 'keras'} & set(sys.modules); print(codes.tobytes().hex())"
    )
    done = [
        subprocess.run([sys.executable, "-c", code], capture_output=True)
        for _ in range(2)
    ]
    assert done[0].returncode == 0, done[0].stderr
    assert done[0].stdout == done[1].stdout


ALL_OF_A_LIFE = """
import sys, numpy as np
from keras_tied import TiedAutoencoder, load
X = np.random.default_rng(0).normal(size=(1200, 3))
X[:, 2] = X[:, 0] ** 2
model = TiedAutoencoder(1, max_iter=2, random_state=0, checkpoint={folder!r}).fit(X)
model.score_samples(X), model.explain(X[:5]), model.impute(np.where(X > 2, np.nan, X))
model.partial_fit(X).save({file!r})
TiedAutoencoder.load({file!r}).partial_fit(X)
assert load({file!r}).transform(X).shape == (1200, 1)
assert not {{'jax', 'keras'}} & set(sys.modules)
"""


@pytest.mark.slow
def test_nothing_that_an_estimator_does_imports_a_framework(tmp_path):
    file = str(tmp_path / "m.safetensors")
    code = ALL_OF_A_LIFE.format(file=file, folder=str(tmp_path / "checkpoint"))
    subprocess.run([sys.executable, "-c", code], check=True)


FORKS = """
import os, numpy as np
from keras_tied import TiedAutoencoder
X = np.random.default_rng(0).normal(size=(1200, 3))
X[:, 2] = X[:, 0] ** 2
fit = lambda: TiedAutoencoder(1, max_iter=3, random_state=0).fit(X).transform(X)
expected = fit()
child = os.fork()
if child == 0:
    os._exit(0 if (fit() == expected).all() else 1)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork")
def test_a_fit_in_a_forked_child_ends_as_the_one_in_its_parent():
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS], check=True, timeout=60
    )


def test_the_learning_rate_rises_and_falls():
    rates = schedule.make_rates(0.5, 100, 30)
    assert rates.shape == (4, 30)
    flat = rates.ravel()
    np.testing.assert_allclose(flat[:5], [0.1, 0.2, 0.3, 0.4, 0.5], rtol=1e-6)
    steps = np.arange(5, 100)
    cosine = 0.25 * (1 + np.cos(np.pi * (steps - 5) / 95))
    np.testing.assert_allclose(flat[5:100], cosine, rtol=1e-5, atol=1e-7)
    assert not flat[100:].any()


def test_batches_go_through_all_rows_before_any_comes_again():
    batches = schedule.draw_batches(10, 4, np.random.RandomState(0))
    places = np.concatenate([next(batches) for _ in range(5)])
    for each in places.reshape(2, 10):
        assert sorted(each) == list(range(10))


@pytest.mark.parametrize("rows", [60, 1200])
def test_a_loss_that_is_not_finite_says_so(rows):
    X = np.random.default_rng(0).normal(size=(rows, 3))
    with pytest.raises(FloatingPointError, match=r"learning_rate=1e\+20: try 1e\+19"):
        TiedAutoencoder(1, learning_rate=1e20, max_iter=2, random_state=0).fit(X)


def test_copies_of_rows_are_no_more_evidence():
    """The standard error is that of the different rows, each of which is held out in 10
    copies.
    """
    X = np.zeros((2000, 5), np.float32)
    rows = TrainingRows(
        np.tile(X, (10, 1)), np.tile(X, (10, 1)), np.ones(20_000), copies=10
    )
    gains = np.resize(
        [0.88, 0.88, -0.82, -0.82], 2000
    )  # mean 0.03, standard deviation 0.85
    for count, better in (
        (2000, True),
        (500, False),
    ):  # standard errors of 0.019 and 0.038
        weights = np.ones(10 * count)
        held_out = rows.select(np.arange(count))
        start = make_network()
        member = Member(start, start, held_out, weights, held_out)
        errors = 1.0 - np.tile(gains[:count], 10)
        network = HeldOut([errors], np.array([errors.sum()]), 0.97, None)
        pca = HeldOut([weights], np.array([weights.sum()]), 1.0, None)
        assert is_better([member], network, pca) == better


@pytest.mark.parametrize("n", [400, pytest.param(2000, marks=pytest.mark.slow)])
def test_the_error_of_held_out_rows_is_about_that_of_others(n, rng):
    """Of rows from the same curve, for the network and for PCA."""

    def draw(count):
        angle = rng.uniform(-2, 2, count)
        curve = np.column_stack([angle, angle**2, np.sin(2 * angle), np.cos(angle)])
        return curve + 0.1 * rng.normal(size=(count, 4))

    X, others = draw(n), draw(5000)
    outcome = fit(Parameters(n_components=1, random_state=0, trim=False), X)
    error, of_pca = outcome.held_out_errors
    expected = baseline_errors(outcome.fitted, X, others)
    np.testing.assert_allclose((error, of_pca), expected, rtol=0.2)
    assert error < of_pca
