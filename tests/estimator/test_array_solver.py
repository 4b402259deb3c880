"""The solver on arrays, against NumPy, finite differences and the formulas of Nadam."""

from itertools import pairwise

import jax
import numpy as np
import pytest

from keras_tied import TiedAutoencoder
from keras_tied.estimator._fitted.dense_network import DenseNetwork
from keras_tied.estimator._training import array_solver, jax_steps, numpy_steps, plan
from keras_tied.estimator._training.jax_steps import Rows, begin, take_steps
from keras_tied.estimator._training.rows import TrainingRows
from keras_tied.estimator.internal import Parameters, baseline_errors, fit_rows

SIZES = (5, 8, 7, 2)


def make_network(activation: str = "tanh") -> DenseNetwork:
    rng = np.random.default_rng(0)
    shapes = list(pairwise(SIZES))
    return DenseNetwork(
        tuple(rng.normal(size=shape, scale=0.5).astype(np.float32) for shape in shapes),
        tuple(rng.normal(size=units).astype(np.float32) for _, units in shapes),
        tuple(rng.normal(size=inputs).astype(np.float32) for inputs, _ in shapes),
        tuple(rng.uniform(0.5, 1, units).astype(np.float32) for _, units in shapes),
        activation,
        linear_units=2,
    )


def make_rows(n: int, missing: float = 0.0) -> Rows:
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(n, SIZES[0])).astype(np.float32)
    targets = np.where(rng.uniform(size=inputs.shape) < missing, np.nan, inputs)
    return Rows(
        inputs, targets.astype(np.float32) if missing else None, rng.uniform(0.5, 2, n).astype("f4")
    )


def train(state, rows, batches, rates, network, weight_decay=0.01):
    return take_steps(
        state,
        rows,
        np.asarray(batches, np.int32),
        np.asarray(rates, np.float32),
        np.float32(weight_decay),
        activation=network.activation,
        linear_units=network.linear_units,
    )


def test_the_plan_names_the_activations_that_are_trained_on_arrays():
    assert set(jax_steps.ACTIVATIONS) == set(numpy_steps.SLOPES) == plan.ARRAY_ACTIVATIONS


@pytest.mark.parametrize("activation", sorted(jax_steps.ACTIVATIONS))
def test_errors_are_those_of_the_network_in_numpy(activation):
    network, rows = make_network(activation), make_rows(20)
    steps = train(begin(network), rows, [range(20)], [0.0], network)
    outputs = network.decode(network.encode(rows.inputs))
    errors = rows.weights * np.mean((outputs - rows.inputs) ** 2, axis=1)
    decay = 0.01 * sum(float(np.sum(kernel**2)) for kernel in network.kernels)
    np.testing.assert_allclose(steps.losses, [errors.mean() + decay], rtol=1e-4)


def make_stack(networks, rows, size, likelihood=None, dtype=np.float32):
    weights = np.tile(rows.weights, (len(networks), 1))
    arrays = rows.inputs, rows.targets, weights
    return numpy_steps.Stack(networks, *arrays, size, likelihood, dtype)


@pytest.mark.parametrize("activation", sorted(numpy_steps.SLOPES))
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_steps_in_numpy_are_those_of_jax(activation, missing):
    network, rows = make_network(activation), make_rows(40, missing)
    batches = np.random.default_rng(3).permutation(40).reshape(4, 10)
    rates = [0.02, 0.01, 0.01, 0.005]
    expected = train(begin(network), rows, batches, rates, network)
    stack = make_stack([network, network], rows, 10)
    losses = stack.take_steps(batches, np.array(rates), 0.01)
    for of_stack in losses.T:
        np.testing.assert_allclose(of_stack, expected.losses, rtol=1e-4)
    like = jax_steps.to_network(expected.state.weights, network)
    for found in stack.make_networks():
        for name in ("kernels", "biases", "decoder_biases", "gains"):
            for a, b in zip(getattr(found, name), getattr(like, name), strict=True):
                # A gradient near 0 has a sign of rounding, which a step divides by its size.
                assert np.abs(a - b).mean() < 2e-5


@pytest.mark.parametrize("activation", sorted(numpy_steps.SLOPES))
def test_slopes_are_those_of_differences(activation):
    x = np.linspace(-7.3, 7.1, 1001)
    step = 1e-6
    low, high, value = x - step, x + step, x.copy()
    slopes = numpy_steps.SLOPES[activation](value)
    for each in (low, high):
        numpy_steps.SLOPES[activation](each)
    np.testing.assert_allclose(slopes, (high - low) / (2 * step), atol=1e-5)


def test_networks_of_a_stack_do_not_mix():
    """Each is that of its own weights, and of a stack of its own."""
    rows, networks = make_rows(30), [make_network("tanh"), make_network("tanh")]
    weights = np.random.default_rng(4).uniform(0, 2, size=(2, 30))
    batches, rates = np.arange(30).reshape(3, 10), np.full(3, 0.01)
    both = numpy_steps.Stack(networks, rows.inputs, None, weights, 10)
    both.take_steps(batches, rates, 0.01)
    for place, found in enumerate(both.make_networks()):
        alone = numpy_steps.Stack(networks[:1], rows.inputs, None, weights[[place]], 10)
        alone.take_steps(batches, rates, 0.01)
        np.testing.assert_allclose(found.kernels[1], alone.make_networks()[0].kernels[1], atol=1e-6)


def test_few_rows_are_learned_alike_bit_by_bit_and_without_jax(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys, numpy as np; from keras_tied import TiedAutoencoder; "
        "X = np.random.default_rng(0).normal(size=(300, 3)); X[:, 2] = X[:, 0] ** 2;"
        "codes = TiedAutoencoder(1, max_iter=40, random_state=0).fit(X).transform(X);"
        "assert not {'jax', 'keras'} & set(sys.modules); print(codes.tobytes().hex())"
    )
    done = [subprocess.run([sys.executable, "-c", code], capture_output=True) for _ in range(2)]
    assert done[0].returncode == 0, done[0].stderr
    assert done[0].stdout == done[1].stdout


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_gradient_equals_central_differences(missing):
    with jax.enable_x64(True):
        network, rows = make_network(), make_rows(6, missing)
        rows = jax.tree.map(lambda array: array.astype(np.float64), rows)
        state = jax.tree.map(lambda array: array.astype(np.float64), begin(network))
        state = state._replace(step=np.int32(0))

        def loss(weights):
            return float(
                train(state._replace(weights=weights), rows, [range(6)], [0.0], network).losses[0]
            )

        steps = train(state, rows, [range(6)], [0.0], network)
        gradient = jax.tree.map(lambda average: average / 0.1, steps.state.averages)
        direction = jax.tree.map(
            lambda weight: np.random.default_rng(2).normal(size=weight.shape), state.weights
        )
        move = lambda step: jax.tree.map(lambda w, u: w + step * u, state.weights, direction)  # noqa: E731
        slope = (loss(move(1e-4)) - loss(move(-1e-4))) / 2e-4
        expected = sum(
            float(np.vdot(g, u))
            for g, u in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
        )
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


def test_steps_are_those_of_nadam():
    network, rows = make_network(), make_rows(12)
    batches, rates = np.arange(12).reshape(3, 4), [0.01, 0.02, 0.005]
    weight = np.asarray(network.kernels[0], np.float64)
    state, average, square = begin(network), 0.0, 0.0
    for step, (batch, rate) in enumerate(zip(batches, rates, strict=True), 1):
        steps = train(state, rows, [batch], [rate], network)
        g = (np.asarray(steps.state.averages.kernels[0]) - 0.9 * average) / 0.1
        average, square = 0.9 * average + 0.1 * g, 0.99 * square + 0.01 * g**2
        nesterov = 0.9 * average / (1 - 0.9 ** (step + 1)) + 0.1 * g / (1 - 0.9**step)
        weight -= rate * nesterov / (np.sqrt(square / (1 - 0.99**step)) + 1e-7)
        state = steps.state
        np.testing.assert_allclose(state.weights.kernels[0], weight, atol=2e-5)
    at_once = train(begin(network), rows, batches, rates, network)
    np.testing.assert_allclose(at_once.state.weights.kernels[0], weight, atol=2e-5)


def test_a_row_of_weight_2_counts_as_two_rows():
    network, rows = make_network(), make_rows(4)
    weighted = rows._replace(weights=np.array([2, 1, 1, 1], np.float32) * 4 / 5)
    twice = Rows(rows.inputs[[0, 0, 1, 2, 3]], None, np.ones(5, np.float32))
    one = train(begin(network), weighted, [range(4)] * 3, [0.01] * 3, network)
    other = train(begin(network), twice, [range(5)] * 3, [0.01] * 3, network)
    for a, b in zip(jax.tree.leaves(one.state), jax.tree.leaves(other.state), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_learning_rate_rises_and_falls():
    rates = array_solver._make_rates(0.5, 100, 30)
    assert rates.shape == (4, 30)
    flat = rates.ravel()
    np.testing.assert_allclose(flat[:5], [0.1, 0.2, 0.3, 0.4, 0.5], rtol=1e-6)
    steps = np.arange(5, 100)
    np.testing.assert_allclose(
        flat[5:100], 0.25 * (1 + np.cos(np.pi * (steps - 5) / 95)), rtol=1e-5, atol=1e-7
    )
    assert not flat[100:].any()


def test_batches_go_through_all_rows_before_any_comes_again():
    batches = array_solver._draw_batches(10, 4, np.random.RandomState(0))
    places = np.concatenate([next(batches) for _ in range(5)])
    for each in places.reshape(2, 10):
        assert sorted(each) == list(range(10))


@pytest.mark.parametrize("rows", [60, 1200])
def test_a_loss_that_is_not_finite_says_so(rows):
    X = np.random.default_rng(0).normal(size=(rows, 3))
    with pytest.raises(FloatingPointError, match=r"learning_rate=1e\+20: try 1e\+19"):
        TiedAutoencoder(1, learning_rate=1e20, max_iter=2, random_state=0).fit(X)


def test_fit_needs_no_keras():
    import subprocess
    import sys

    code = (
        "import sys, numpy as np; from keras_tied import TiedAutoencoder; "
        "X = np.random.default_rng(0).normal(size=(1200, 3)); "
        "TiedAutoencoder(1, max_iter=2).fit(X).transform(X); assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_copies_of_rows_are_no_more_evidence():
    """The standard error is that of the different rows, each of which is held out in 10 copies."""
    X = np.zeros((2000, 5), np.float32)
    rows = TrainingRows(np.tile(X, (10, 1)), np.tile(X, (10, 1)), np.ones(20_000), copies=10)
    gains = np.resize([0.88, 0.88, -0.82, -0.82], 2000)  # mean 0.03, standard deviation 0.85
    for count, better in ((2000, True), (500, False)):  # standard errors of 0.019 and 0.038
        of_pca = np.ones(10 * count)
        held_out = rows.select(np.arange(count))
        member = array_solver._Member(
            make_network(), held_out, of_pca, held_out, of_pca, of_pca, held_out.principal
        )
        errors = 1.0 - np.tile(gains[:count], 10)
        assert array_solver._is_better([member], [errors], [of_pca]) == better


@pytest.mark.parametrize("n", [400, pytest.param(2000, marks=pytest.mark.slow)])
def test_the_error_of_held_out_rows_is_about_that_of_others(n, rng):
    """Of rows from the same curve, for the network and for PCA."""

    def draw(count):
        angle = rng.uniform(-2, 2, count)
        curve = np.column_stack([angle, angle**2, np.sin(2 * angle), np.cos(angle)])
        return curve + 0.1 * rng.normal(size=(count, 4))

    X, others = draw(n), draw(5000)
    outcome = fit_rows(Parameters(n_components=1, random_state=0, trim=False), X)
    error, of_pca = outcome.held_out_errors
    expected = baseline_errors(outcome.fitted, X, others)
    np.testing.assert_allclose((error, of_pca), expected, rtol=0.2)
    assert error < of_pca
