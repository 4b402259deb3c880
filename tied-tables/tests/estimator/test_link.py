"""Booleans and categories: their probabilities and their loss, against formulas by
hand.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax

from tied_tables._layout import CATEGORY, NUMBER, Layout
from tied_tables.estimator import TiedAutoencoder
from tied_tables.fit.fit import fit
from tied_tables.fit.loss import Deviance, Projected
from tied_tables.fit.plan import Parameters
from tied_tables.fit.rows import Features
from tied_tables.model.file import write
from tied_tables.model.file.contents import Contents
from tied_tables.model.link import fit_link
from tied_tables.model.pca import fit_pca
from tied_tables.model.scaling import fit_scaling

from .classes import LAYOUT, N_COLUMNS, both, draw_classes

IS_CLASS = LAYOUT.kinds != NUMBER


def make_link(X, scaler="standard", temperature=1.0, mixture=0.001):
    """A link that is not calibrated, and the scaled rows."""
    weights = np.ones(len(X))
    scaling = fit_scaling(X, scaler, weights)
    scaled = scaling.forward(X)
    link = replace(
        fit_link(scaled, weights, LAYOUT, scaling),
        temperatures=np.where(IS_CLASS, temperature, 1.0),
        mixtures=np.where(IS_CLASS, mixture, 0.0),
    )
    return link, scaled


make = partial(Parameters, hidden_layer_sizes=6, max_iter=20, random_state=0)


def quick_fit(X, layout=LAYOUT, **parameters):
    return fit(make(**parameters), X, features=Features(layout=layout))


def find_costs(X, rows):
    """By hand, the deviances of classes and the squared errors of numbers."""
    costs = (rows - X)[:, LAYOUT.starts] ** 2
    for part in LAYOUT.classes:
        likelihood = np.sum(
            both(X[:, part]) * both(rows[:, part]),
            axis=1,
        )
        costs[:, LAYOUT.columns[part.start]] = -np.log(likelihood)
    return costs


@pytest.mark.parametrize("scaler", ["standard", "minmax", None])
def test_probabilities_are_those_of_the_formula(scaler, rng):
    link, _ = make_link(draw_classes(200), scaler, temperature=1.7, mixture=0.1)
    outputs = rng.normal(size=(30, 8))
    double = np.dtype(float)
    expected = link.scaling.backward(outputs, double)
    for part in LAYOUT.classes:
        p = both(link.frequencies[part])
        logits = np.log(p) + 1.7 * (both(expected[:, part]) / p - 1)
        q = 0.9 * softmax(logits, axis=1) + 0.1 * p
        expected[:, part] = q[:, part.start - part.stop :]
    found = link.scaling.backward(link.apply(outputs), double)
    assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_frequencies_are_those_of_training_with_half_a_row_more_of_each():
    X = draw_classes(200, missing=0.2)
    link, _ = make_link(X)
    for part in LAYOUT.classes:
        counts = np.nansum(both(X[:, part]), axis=0)
        counts += 0.5
        expected = counts / counts.sum()
        assert_allclose(both(link.frequencies[part]), expected)
    assert_array_equal(link.frequencies[~IS_CLASS], 1)


def test_errors_are_relative_to_the_best_constant_and_each_column_weighs_1(rng):
    X = draw_classes(300, missing=0.1)
    link, scaled = make_link(X)
    reconstruction = link.apply(rng.normal(size=scaled.shape))
    errors = link.find_errors(scaled, reconstruction)
    backward = link.scaling.backward
    costs = find_costs(X, backward(reconstruction, errors.dtype))
    mean = np.where(
        IS_CLASS,
        link.frequencies,
        np.nanmean(X, axis=0),
    )
    least = np.nanmean(
        find_costs(X, mean[None]),
        axis=0,
    )
    found = np.add.reduceat(errors, LAYOUT.starts, axis=1) / 8
    assert_allclose(found, costs / least / N_COLUMNS, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("is_projected", [False, True])
def test_the_loss_is_the_mean_error_and_has_the_gradient_of_differences(
    is_projected, rng
):
    X = draw_classes(12, missing=0.0 if is_projected else 0.2)
    link, scaled = make_link(X, temperature=1.3, mixture=0.05)
    axes = fit_pca(scaled).truncate(4) if is_projected else None
    outputs = rng.normal(size=(1, 4 if is_projected else 8, 12))
    features = outputs[0].T
    if is_projected:
        features = features @ axes.vectors.T + axes.mean
    errors = link.find_errors(scaled, link.apply(features))
    loss = Deviance(link)
    if is_projected:
        loss = Projected(loss, axes)
    found, gradient = loss.compare(outputs, scaled.T)
    assert_allclose(
        found[0],
        np.nansum(errors, axis=1) / 8,
        rtol=1e-9,
    )
    step = 1e-6 * rng.normal(size=outputs.shape)
    after, _ = loss.compare(outputs + step, scaled.T)
    before, _ = loss.compare(outputs - step, scaled.T)
    expected = np.sum(2 * gradient * step, axis=1)
    assert_allclose(after - before, expected, rtol=1e-4, atol=1e-10)


def test_calibration_finds_the_temperature_and_the_mixture(rng):
    n = 10_000
    link, _ = make_link(draw_classes(n))
    truth, _ = make_link(
        draw_classes(n),
        temperature=2**0.5,
        mixture=0.2,
    )
    outputs = rng.normal(size=(n, 8))
    q = link.scaling.backward(truth.apply(outputs), outputs.dtype)
    for part in LAYOUT.classes:
        drawn = rng.multinomial(1, both(q[:, part]))
        q[:, part] = drawn[:, part.start - part.stop :]
    found = link.calibrate(
        outputs,
        link.scaling.forward(q),
        np.ones(n),
    )
    assert_allclose(found.temperatures, truth.temperatures, rtol=0.2)
    assert_array_equal(found.mixtures, truth.mixtures)


# Whole fits.


@pytest.fixture(scope="module")
def model():
    """Of 1,000 rows, which a network restores better than PCA."""
    return quick_fit(draw_classes(1000), hidden_layer_sizes=16, max_iter=60)


def test_the_score_is_the_share_of_deviance_that_is_explained(model):
    training = model.training
    assert not training.is_pca
    X = draw_classes(1000)
    preprocessing = model.preprocessing
    mean = preprocessing.scaling.backward(preprocessing.mean, X.dtype)
    costs = find_costs(X, model.reconstruct(X)).sum(axis=0)
    of_mean = find_costs(X, mean[None]).sum(axis=0)
    shares = 1 - costs / of_mean
    assert_allclose(training.feature_r2, shares[LAYOUT.columns], rtol=1e-3)
    assert training.reconstruction_r2 == pytest.approx(model.score(X), rel=1e-6)
    assert training.reconstruction_r2 == pytest.approx(shares.mean(), rel=1e-2)


def test_numbers_and_fits_without_held_out_rows_have_no_link():
    X = draw_classes(300)
    assert quick_fit(X, early_stopping=False).link is None
    one = quick_fit(X, layout=None)
    other = quick_fit(X, layout=Layout.of_numbers(8))
    assert one.link is None is other.link
    assert_array_equal(
        one.reconstruct(X),
        other.reconstruct(X),
    )


@pytest.mark.parametrize("n", [40, 1000])
def test_columns_that_are_constant_or_lack_a_level_do_no_harm(n):
    X = draw_classes(n)
    X[:, [1, 6, 7]] = 1, 0, 1
    X[:, 2] += X[:, 3]
    X[:, 3] = 0
    X[::9, LAYOUT.columns == 2] = np.nan
    model = quick_fit(X, random_state=1)
    rows = model.reconstruct(X)
    assert_allclose(
        rows[:, [1, 6, 7]],
        [[1, 0, 1]] * n,
        atol=1 / n,
    )
    assert (rows[:, 3] < 0.1).all()
    assert model.training.reconstruction_r2 > 0
    X[:, 2:5] = 0  # a level that no row had
    assert np.isfinite(model.score_samples(X)).all()
    assert np.isfinite(model.score(X))


def test_more_features_than_axes_train_on_their_scores(rng):
    numbers = rng.normal(size=(120, 40)) + rng.normal(size=40)
    X = np.eye(4)[np.digitize(numbers, [-1, 0, 1])].reshape(120, 160)
    layout = Layout(
        np.repeat(np.arange(40), 4),
        np.full(160, CATEGORY),
    )
    fitted = quick_fit(X, layout, max_iter=3)
    assert fitted.link is not None
    assert fitted.score(X) > 0


def test_further_training_goes_on_with_squared_errors_and_no_link(model, tmp_path):
    write(tmp_path / "m.safetensors", Contents(model, {"random_state": 0}))
    estimator = TiedAutoencoder.load(tmp_path / "m.safetensors")
    X = draw_classes(300, seed=2)
    estimator.partial_fit(X)
    assert estimator._model.link is None
    assert np.isfinite(estimator.reconstruct(X)).all()
