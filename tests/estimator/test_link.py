"""Booleans and categories: their probabilities and their loss, against formulas by
hand.
"""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax, xlogy

from keras_tied import TiedAutoencoder, load
from keras_tied.fitted.layout import BOOLEAN, CATEGORY, NUMBER, Layout
from keras_tied.fitted.link import Link, fit_link
from keras_tied.fitted.pca import fit_pca
from keras_tied.fitted.scaling import fit_scaling
from keras_tied.fitting import fit as fitting
from keras_tied.fitting.file import write_outcome
from keras_tied.fitting.fit import fit
from keras_tied.fitting.plan import Parameters
from keras_tied.fitting.rows import TrainingRows
from keras_tied.fitting.stack import Objective, Stack
from keras_tied.fitting.start import start_network

LAYOUT = Layout(
    np.array([0, 1, 2, 2, 2, 3, 4, 4]),
    np.array([NUMBER, BOOLEAN, *[CATEGORY] * 3, NUMBER, *[CATEGORY] * 2]),
)
QUICK = {"hidden_layer_sizes": 6, "max_iter": 20, "random_state": 0}


def make_rows(n: int, seed: int = 0, missing: float = 0.0) -> np.ndarray:
    """Rows of two numbers, a boolean and two categories that follow
    them, with noise.
    """
    rng = np.random.default_rng(seed)
    z, noise = rng.normal(size=(2, n))
    level = np.digitize(z + 0.3 * noise, [-0.5, 0.8])
    two = rng.integers(0, 2, n) ^ (z > 0)
    columns = [
        z[:, None],
        (noise > 0.5)[:, None],
        np.eye(3)[level],
        (z**2 + noise)[:, None],
    ]
    X = np.column_stack([*columns, np.eye(2)[two]]).astype(np.float64)
    gaps = rng.uniform(size=(n, 5)) < missing
    return np.where(gaps[:, LAYOUT.columns], np.nan, X)


def make_link(
    X: np.ndarray, scaler="standard", layout: Layout = LAYOUT
) -> tuple[Link, np.ndarray]:
    """A link that is not calibrated, and the scaled rows."""
    weights = np.ones(len(X))
    scaling = fit_scaling(X, scaler, weights)
    scaled = scaling.forward_in_double(X)
    return fit_link(scaled, weights, layout, scaling), scaled


def set_link(link: Link, temperature: float, mixture: float) -> Link:
    is_class = link.layout.kinds != NUMBER
    return replace(
        link,
        temperatures=np.where(is_class, temperature, 1.0),
        mixtures=np.where(is_class, mixture, 0.0),
    )


def deviance_by_hand(X: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The deviance of each row in each column of `LAYOUT` but numbers."""
    boolean, t = probabilities[:, 1], X[:, 1]
    return np.column_stack(
        [
            -xlogy(t, boolean) - xlogy(1 - t, 1 - boolean),
            -np.log((probabilities[:, 2:5] * X[:, 2:5]).sum(axis=1)),
            -np.log((probabilities[:, 6:] * X[:, 6:]).sum(axis=1)),
        ]
    )


@pytest.mark.parametrize("scaler", ["standard", "minmax", None])
def test_probabilities_are_softmax_and_sigmoid_of_the_formula(scaler, rng):
    link, _ = make_link(make_rows(200), scaler)
    link = set_link(link, 1.7, 0.1)
    p, outputs = link.frequencies, rng.normal(size=(30, 8))
    pi = link.scaling.backward(outputs, np.dtype(np.float64))
    found = link.scaling.backward(link.apply(outputs), np.dtype(np.float64))
    expected = pi.copy()
    logit = np.log(p[1] / (1 - p[1])) + 1.7 * (pi[:, 1] - p[1]) / (p[1] * (1 - p[1]))
    expected[:, 1] = 0.9 * expit(logit) + 0.1 * p[1]
    for part in (slice(2, 5), slice(6, 8)):
        logits = np.log(p[part]) + 1.7 * (pi[:, part] / p[part] - 1)
        expected[:, part] = 0.9 * softmax(logits, axis=1) + 0.1 * p[part]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_frequencies_are_those_of_training_with_half_a_row_more_of_each():
    X = make_rows(200, missing=0.2)
    link, _ = make_link(X)
    counts = np.nansum(X, axis=0)
    present = (~np.isnan(X)).sum(axis=0)
    np.testing.assert_allclose(
        link.frequencies[1], (counts[1] + 0.5) / (present[1] + 1)
    )
    np.testing.assert_allclose(
        link.frequencies[2:5], (counts[2:5] + 0.5) / (present[2] + 1.5)
    )
    assert link.frequencies[[0, 5]].tolist() == [1, 1]


def test_errors_are_relative_to_the_best_constant_and_each_column_weighs_1(rng):
    X = make_rows(300, missing=0.1)
    link, scaled = make_link(X)
    link = set_link(link, 1.0, 0.05)
    reconstruction = link.apply(rng.normal(size=scaled.shape))
    errors = link.find_errors(scaled, reconstruction)
    assert np.array_equal(np.isnan(errors), np.isnan(X))
    of_classes = deviance_by_hand(
        X, link.scaling.backward(reconstruction, np.dtype(float))
    )
    squares = (reconstruction - scaled)[:, [0, 5]] ** 2
    p = link.frequencies
    costs = [
        -sum(xlogy(np.nanmean(X[:, j]), p[j]) for j in part)
        for part in ([2, 3, 4], [6, 7])
    ]
    share = np.nanmean(X[:, 1])
    costs.insert(0, -share * np.log(p[1]) - (1 - share) * np.log(1 - p[1]))
    expected = np.nansum(of_classes / costs, axis=1) + np.nansum(squares, axis=1)
    np.testing.assert_allclose(
        np.nan_to_num(errors).mean(axis=1), expected / 5, rtol=1e-5
    )


def test_the_frequencies_themselves_cost_1_in_each_column():
    X = make_rows(300)
    link, scaled = make_link(X)
    constant = np.where(LAYOUT.kinds == NUMBER, 0.0, link.frequencies)
    constant = (constant - link.scaling.shift) / link.scaling.scale
    constant[LAYOUT.kinds == NUMBER] = 0.0
    errors = link.find_errors(scaled, constant[None]).mean(axis=0)
    of_columns = np.add.reduceat(errors, LAYOUT.starts) * 5 / 8
    np.testing.assert_allclose(of_columns, 1.0, rtol=1e-4)


def start_of(rows: TrainingRows):
    return start_network(
        fit_pca(rows.inputs).truncate(2), (6,), "tanh", np.random.default_rng(0)
    )


def find_losses(rows: TrainingRows, networks, dtype=np.float32):
    stack = Stack(networks, dtype)
    weights = np.tile(rows.weights / len(rows.inputs), (len(networks), 1)).astype(dtype)
    objective = Objective(link=rows.link, axes=rows.axes)
    inputs, targets = rows.inputs.astype(dtype), rows.targets.astype(dtype)
    return stack, stack.find_gradient(inputs, targets, weights, objective)


@pytest.mark.parametrize("projected", [False, True])
def test_the_loss_in_training_is_that_of_the_link(projected):
    link, scaled = make_link(make_rows(60, missing=0.0 if projected else 0.2))
    rows = TrainingRows(
        np.nan_to_num(scaled), scaled, np.ones(60), link=set_link(link, 1.3, 0.05)
    )
    rows = rows.project(fit_pca(rows.inputs).truncate(4)) if projected else rows
    network = start_of(rows)
    _, losses = find_losses(rows, [network, network])
    expected = rows.measure(network).mean()
    np.testing.assert_allclose(losses, [expected] * 2, rtol=1e-4)


@pytest.mark.parametrize("projected", [False, True])
def test_the_gradient_of_the_loss_equals_central_differences(projected, rng):
    link, scaled = make_link(make_rows(12, missing=0.0 if projected else 0.2))
    rows = TrainingRows(
        np.nan_to_num(scaled), scaled, np.ones(12), link=set_link(link, 1.3, 0.05)
    )
    rows = rows.project(fit_pca(rows.inputs).truncate(4)) if projected else rows
    stack, _ = find_losses(rows, [start_of(rows)], np.float64)
    stack.numbers += 0.1 * rng.normal(size=stack.numbers.shape)
    start = [stack.make_network(0)]
    stack, _ = find_losses(rows, start, np.float64)
    direction = rng.normal(size=stack.numbers.shape)
    expected = (stack.gradient * direction).sum()
    losses = []
    for step in (-1e-6, 1e-6):
        moved = Stack(start, np.float64)
        moved.numbers += step * direction
        objective = Objective(link=rows.link, axes=rows.axes)
        weights = np.full((1, 12), 1 / 12)
        inputs, targets = rows.inputs.astype(float), rows.targets.astype(float)
        losses.append(moved.find_gradient(inputs, targets, weights, objective)[0])
    np.testing.assert_allclose((losses[1] - losses[0]) / 2e-6, expected, rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(5, 200), spread=st.floats(0.01, 10))
def test_calibration_makes_no_rows_that_it_is_fitted_to_worse(seed, size, spread):
    X = make_rows(size, seed, missing=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        link, scaled = make_link(X)
    outputs = spread * np.random.default_rng(seed).normal(size=scaled.shape)
    rows = TrainingRows(scaled, scaled, np.ones(size), link=link)
    calibrated = link.calibrate(outputs, scaled, rows.weights)
    before, after = (
        np.nansum(each.find_errors(scaled, each.apply(outputs)) / each.weights, axis=0)
        for each in (link, calibrated)
    )
    # Half a row that the frequencies alone explain is among them.
    allowed = 0.5 * np.log(np.maximum(calibrated.mixtures / 0.001, 1.0))
    assert (after <= before * (1 + 1e-6) + allowed + 1e-6).all()


def test_calibration_finds_the_temperature_and_the_mixture(rng):
    p, n = np.array([0.5, 0.3, 0.2]), 10_000
    layout = Layout(np.zeros(3, int), np.full(3, CATEGORY))
    link, _ = make_link(np.eye(3)[rng.choice(3, n, p=p)], layout=layout)
    outputs = rng.normal(size=(n, 3))
    truth = replace(link, temperatures=np.full(3, 2.0**0.5), mixtures=np.full(3, 0.2))
    q = link.scaling.backward(truth.apply(outputs), np.dtype(float))
    X = np.eye(3)[(q.cumsum(axis=1) < rng.uniform(size=(n, 1))).sum(axis=1)]
    found = link.calibrate(outputs, link.scaling.forward(X), np.ones(n))
    np.testing.assert_allclose(found.temperatures, 2.0**0.5, rtol=0.2)
    assert set(found.mixtures) == {0.2}


@pytest.fixture(scope="module")
def outcome():
    """Of 1,000 rows, which a network restores better than PCA."""
    return fit(
        Parameters(random_state=0, max_iter=60),
        make_rows(1000),
        np.ones(1000),
        layout=LAYOUT,
    )


def test_probabilities_of_a_category_add_up_to_1(outcome):
    assert not outcome.is_pca
    rows = outcome.fitted.reconstruct(make_rows(50, 1, missing=0.2))
    probabilities = rows[:, LAYOUT.kinds != NUMBER]
    assert ((probabilities > 0) & (probabilities < 1)).all()
    np.testing.assert_allclose(rows[:, 2:5].sum(axis=1), 1.0, rtol=1e-5)


def test_the_score_is_the_share_of_deviance_that_is_explained(outcome):
    fitted, X = outcome.fitted, make_rows(1000)
    link, rows = fitted.link, fitted.reconstruct(X)
    deviances = np.column_stack(
        [deviance_by_hand(X, rows), ((rows - X) ** 2)[:, [0, 5]]]
    )
    means = np.broadcast_to(
        fitted.preprocessing.scaling.backward(
            fitted.preprocessing.mean, np.dtype(float)
        ),
        X.shape,
    )
    constants = np.column_stack(
        [deviance_by_hand(X, means), ((means - X) ** 2)[:, [0, 5]]]
    )
    shares = 1 - deviances.sum(axis=0) / constants.sum(axis=0)
    expected = shares[[3, 0, 1, 1, 1, 4, 2, 2]]
    np.testing.assert_allclose(outcome.feature_r2, expected, rtol=1e-3)
    assert fitted.score(X) == pytest.approx(shares.mean(), rel=1e-2)
    assert link is not None
    assert outcome.r2 == fitted.score(X)


def test_numbers_have_no_link_and_the_same_bits_as_without_a_layout():
    X = make_rows(300)[:, [0, 1, 5]]
    layout = Layout.of_numbers(3)
    one, other = (
        fit(Parameters(**QUICK), X, np.ones(len(X)), layout=each)
        for each in (None, layout)
    )
    assert one.fitted.link is None is other.fitted.link
    assert one.fitted.reconstruct(X).tobytes() == other.fitted.reconstruct(X).tobytes()


def test_without_held_out_rows_there_is_no_link():
    X = make_rows(60)
    parameters = Parameters(**QUICK | {"early_stopping": False})
    assert fit(parameters, X, np.ones(len(X)), layout=LAYOUT).fitted.link is None


@pytest.mark.parametrize(
    "params", [{"solver": "lbfgs"}, {"noise": 0.1}, {"sparsity": 0.01}]
)
def test_every_objective_is_of_probabilities(params):
    X = make_rows(200)
    parameters = Parameters(**QUICK | params)
    fitted = fit(parameters, X, np.ones(len(X)), layout=LAYOUT).fitted
    np.testing.assert_allclose(
        fitted.reconstruct(X)[:, 2:5].sum(axis=1), 1.0, rtol=1e-5
    )
    assert fitted.score(X) > 0


def errors_of(fitted, X: np.ndarray, weights_of: Link) -> float:
    scaled = fitted.preprocessing.scaling.forward(X)
    errors = weights_of.find_errors(
        scaled, fitted.preprocessing.scaling.forward(fitted.reconstruct(X))
    )
    return float(np.nanmean(errors))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), n=st.sampled_from([30, 80, 150]))
def test_the_error_on_training_rows_is_at_most_that_of_its_start(seed, n):
    X = make_rows(n, seed)
    parameters = Parameters(**QUICK | {"trim": False})
    starts = []
    train = fitting._train

    def note(*args):
        solution = train(*args)
        starts.append(solution.pca_link)
        return solution

    fitting._train = note
    try:
        outcome = fit(parameters, X, np.ones(len(X)), layout=LAYOUT)
    finally:
        fitting._train = train
    fitted = outcome.fitted
    scaled = fitted.preprocessing.scaling.forward_in_double(X)
    principal = fit_pca(scaled, np.ones(n)).truncate(2)
    start = starts[0] if starts else fitted.link
    of_start = start.find_errors(
        scaled, start.apply(principal.reconstruct(scaled))
    ).mean()
    assert errors_of(fitted, X, fitted.link) <= of_start * (1 + 1e-4)


@pytest.mark.parametrize("n", [40, 200, 1000])
def test_columns_that_are_constant_or_have_a_level_that_is_missing_do_no_harm(
    n, tmp_path
):
    X = make_rows(n, missing=0.05)
    X[:, 1] = np.where(np.isnan(X[:, 1]), np.nan, 1.0)  # a boolean that is always true
    X[:, 2] += X[:, 3]
    X[:, 3] *= 0.0  # a level that no row has
    X[:, 6:] = np.where(
        np.isnan(X[:, 6:]), np.nan, [0.0, 1.0]
    )  # always the same category
    outcome = fit(Parameters(**QUICK), X, np.ones(len(X)), layout=LAYOUT)
    fitted = outcome.fitted
    rows = fitted.reconstruct(X)
    np.testing.assert_allclose(rows[:, [1, 6, 7]], [[1, 0, 1]] * n, atol=1 / n)
    assert (rows[:, 3] < 0.1).all()
    assert np.isfinite(fitted.score_samples(X)).all()
    assert outcome.r2 > 0
    unseen = np.where(np.isin(np.arange(8), [2, 3, 4]), 0.0, X[:3])
    assert np.isfinite(fitted.score(unseen))


def test_hidden_values_train_the_network_where_many_are_missing():
    X = make_rows(600, missing=0.2)
    fitted = fit(
        Parameters(random_state=0, max_iter=30), X, np.ones(len(X)), layout=LAYOUT
    ).fitted
    assert fitted.link is not None is not fitted.imputation_weights
    full = make_rows(600, missing=0.0)
    gaps = np.isnan(X[:, 2])
    filled = fitted.reconstruct(X)[gaps, 2:5]
    wrong = (filled.argmax(axis=1) != full[gaps, 2:5].argmax(axis=1)).mean()
    constant = 1 - full[gaps, 2:5].mean(axis=0).max()
    assert wrong < 0.7 * constant


def test_more_features_than_axes_train_on_their_scores():
    rng = np.random.default_rng(0)
    levels = [
        np.digitize(rng.normal(size=300) + z, [-1, 0, 1])
        for z in rng.normal(size=(40, 300))
    ]
    X = np.column_stack([np.eye(4)[level] for level in levels])
    layout = Layout(np.repeat(np.arange(40), 4), np.full(160, CATEGORY))
    fitted = fit(
        Parameters(random_state=0, max_iter=10), X, np.ones(len(X)), layout=layout
    ).fitted
    assert fitted.link is not None
    assert fitted.score(X) > 0


def test_files_and_pickles_give_the_same(outcome, tmp_path):
    X = make_rows(50, 1)
    write_outcome(tmp_path / "m.safetensors", outcome, {"random_state": 0})
    expected = outcome.fitted.reconstruct(X)
    loaded = load(tmp_path / "m.safetensors")
    for fitted in (loaded, pickle.loads(pickle.dumps(outcome.fitted))):
        np.testing.assert_array_equal(fitted.reconstruct(X), expected)
        assert fitted.score(X) == outcome.fitted.score(X)


def test_further_training_goes_on_with_squared_errors_and_no_link(outcome, tmp_path):
    write_outcome(tmp_path / "m.safetensors", outcome, {"random_state": 0})
    estimator = TiedAutoencoder.load(tmp_path / "m.safetensors")
    X = make_rows(300, 2)
    estimator.partial_fit(X)
    assert estimator._fitted.link is None
    assert np.isfinite(estimator.reconstruct(X)).all()
