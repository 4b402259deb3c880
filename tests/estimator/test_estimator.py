"""What the estimator gives, against NumPy, its own Keras models, and itself on other
input.
"""

import copy
import functools
import signal

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from keras_tied import TiedAutoencoder
from keras_tied.fitting import solver
from keras_tied.fitting.progress import epoch_callback

slow = pytest.mark.slow


class Centred(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.mean, self.scale = X.mean(axis=0), np.sqrt(X.var(axis=0).mean())
        return self

    def transform(self, X):
        return (X - self.mean) / self.scale

    def inverse_transform(self, Z):
        return Z * self.scale + self.mean


SCALERS = {"standard": StandardScaler(), "minmax": MinMaxScaler(), None: Centred()}


def quick(**parameters) -> TiedAutoencoder:
    return TiedAutoencoder(
        **({"n_components": 1, "max_iter": 3, "random_state": 0} | parameters)
    )


@pytest.fixture(scope="module")
def plain(iris) -> TiedAutoencoder:
    """Trained for the error of reconstruction alone; tests must not change it."""
    return quick(solver="nadam", max_iter=1).fit(iris)


@pytest.mark.parametrize("scaler", SCALERS)
def test_codes_and_rows_are_those_of_the_keras_models(scaler, iris):
    estimator = quick(scaler=scaler).fit(iris)
    scaled = SCALERS[scaler].fit_transform(iris)
    codes = np.asarray(estimator.encoder_.predict(scaled, verbose=0))
    np.testing.assert_allclose(estimator.transform(iris), codes, atol=1e-5)
    decoded = np.asarray(estimator.decoder_.predict(codes, verbose=0))
    reconstruction = SCALERS[scaler].inverse_transform(decoded)
    np.testing.assert_allclose(estimator.reconstruct(iris), reconstruction, atol=1e-5)
    np.testing.assert_allclose(
        estimator.inverse_transform(codes), reconstruction, atol=1e-5
    )
    error = np.mean((decoded - scaled) ** 2, axis=1)
    np.testing.assert_allclose(estimator.reconstruction_error(iris), error, atol=1e-5)


@pytest.mark.parametrize("scaler", ["standard", "minmax", None])
def test_inverse_transform_undoes_the_scaling(scaler, rng):
    """Rows on a plane, in units that differ by a factor of a million, come back."""
    X = (
        rng.normal(size=(60, 2)) @ rng.normal(size=(2, 4)) * [1e-3, 1.0, 1e3, 10.0]
        + 5.0
    )
    estimator = TiedAutoencoder(2, scaler=scaler, random_state=0).fit(X)
    reconstruction = estimator.inverse_transform(estimator.transform(X))
    unit = X.std() if scaler is None else X.std(axis=0)
    np.testing.assert_allclose((reconstruction - X) / unit, 0, atol=1e-4)


def test_kernels_are_tied(fitted):
    first = fitted.encoder_.layers[0]
    assert fitted.decoder_.layers[-1].tied_to is first


def test_error_per_feature_is_the_square_of_each(fitted, iris):
    scaled = StandardScaler().fit_transform(iris)
    reconstruction = (fitted.reconstruct(iris) - iris.mean(axis=0)) / iris.std(axis=0)
    squares = fitted.reconstruction_error(iris, per_feature=True)
    np.testing.assert_allclose(squares, (reconstruction - scaled) ** 2, atol=1e-5)
    np.testing.assert_allclose(fitted.reconstruction_error(iris), squares.mean(axis=1))


def test_score_is_the_share_of_variance_that_is_reconstructed(fitted, iris):
    scaled = StandardScaler().fit_transform(iris)
    reconstruction = (fitted.reconstruct(iris) - iris.mean(axis=0)) / iris.std(axis=0)
    expected = 1 - np.sum((reconstruction - scaled) ** 2) / np.sum(scaled**2)
    np.testing.assert_allclose(fitted.score(iris), expected, rtol=1e-5)
    np.testing.assert_allclose(fitted.reconstruction_r2_, expected, rtol=1e-5)


def test_score_weighs_rows(fitted, iris, rng):
    weights = rng.integers(0, 3, len(iris))
    np.testing.assert_allclose(
        fitted.score(iris, sample_weight=weights),
        fitted.score(np.repeat(iris, weights, axis=0)),
        rtol=1e-6,
    )


def test_predict_calls_the_lowest_scores_outliers(iris):
    estimator = quick(contamination=0.2).fit(iris)
    scores = estimator.score_samples(iris)
    assert np.mean(estimator.predict(iris) == -1) == pytest.approx(
        0.2, abs=1 / len(iris)
    )
    np.testing.assert_allclose(
        estimator.decision_function(iris), scores - estimator.offset_
    )
    assert scores[estimator.predict(iris) == -1].max() < estimator.offset_
    np.testing.assert_array_equal(estimator.fit_predict(iris), estimator.predict(iris))


def test_a_threshold_of_ones_own_is_used(iris):
    estimator = quick().fit(iris)
    estimator.offset_ = np.median(estimator.score_samples(iris))
    assert np.mean(estimator.predict(iris) == -1) == 0.5


def test_far_rows_score_lowest(rng):
    X = np.vstack(
        [make_blobs(200, 5, centers=1, random_state=0)[0], np.full((3, 5), 60.0)]
    )
    with pytest.warns(
        UserWarning, match="medians of their columns in place of .* absurd values"
    ):
        estimator = quick().fit(X)
    assert set(np.argsort(estimator.score_samples(X))[:3]) == {200, 201, 202}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(dtype, fitted, iris):
    X = iris.astype(dtype)
    for name in ("transform", "reconstruct"):
        assert getattr(fitted, name)(X).dtype == dtype, name
    assert fitted.inverse_transform(fitted.transform(X)).dtype == dtype
    assert quick().fit_transform(X).dtype == dtype


def test_integers_and_lists_are_taken(fitted, iris):
    rows = [[5, 3, 1, 0], [6, 3, 5, 2]]
    np.testing.assert_array_equal(
        fitted.transform(rows), fitted.transform(np.array(rows, dtype=float))
    )


@pytest.mark.parametrize(
    "kind",
    [
        sparse.csr_matrix,
        pytest.param(sparse.csc_array, marks=slow),
        pytest.param(sparse.coo_matrix, marks=slow),
    ],
)
def test_sparse_rows_are_as_good_as_dense_ones(kind, digits):
    X = digits[:120]
    dense, thin = quick().fit(X), quick().fit(kind(X))
    for name in ("transform", "reconstruct", "score_samples"):
        np.testing.assert_allclose(
            getattr(thin, name)(kind(X)),
            getattr(dense, name)(X),
            atol=1e-5,
            err_msg=name,
        )
    np.testing.assert_allclose(thin.score(kind(X)), dense.score(X), rtol=1e-6)


def test_same_seed_same_estimator(iris):
    codes = [quick(random_state=3).fit(iris).transform(iris) for _ in range(2)]
    np.testing.assert_array_equal(*codes)


def test_the_callers_random_numbers_are_left_alone(iris):
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.uniform(size=3)  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    quick().fit(iris)
    np.testing.assert_array_equal(np.random.uniform(size=3), expected)  # noqa: NPY002


@functools.cache
def of_width(width):
    X = np.random.default_rng(0).normal(size=(60, width))
    return TiedAutoencoder(
        1, random_state=0, hidden_layer_sizes=4, max_iter=1, trim=False
    ).fit(X)


@given(n=st.integers(1, 700), width=st.sampled_from([1, 40]))
def test_blocks_of_rows_are_as_good_as_all_at_once(n, width):
    rng, estimator = np.random.default_rng(1), of_width(width)
    rows = rng.normal(size=(n, width)).astype("float32")
    by_one = np.vstack(
        [estimator.transform(rows[i : i + 1]) for i in range(0, n, max(1, n // 3))]
    )
    np.testing.assert_allclose(
        estimator.transform(rows)[:: max(1, n // 3)][: len(by_one)], by_one, atol=1e-5
    )


@slow
@pytest.mark.parametrize("solver", ["lbfgs", "nadam"])
def test_row_of_weight_two_counts_as_two(solver, iris, rng):
    """To 1e-4, whatever the batches; scikit-learn's own check of it takes few rows."""
    weights = rng.integers(0, 3, len(iris))
    settings_of_both = {
        "solver": solver,
        "early_stopping": False,
        "batch_size": 1000,
        "hidden_layer_sizes": 6,
        "activation": "tanh",  # smooth: L-BFGS amplifies what rounding does at corners
        "weight_decay": 1e-3,
        "max_iter": 10 if solver == "lbfgs" else 2,
    }
    weighted = quick(**settings_of_both).fit(iris, sample_weight=weights)
    repeated = quick(**settings_of_both).fit(np.repeat(iris, weights, axis=0))
    errors = [e.reconstruction_error(iris).mean() for e in (weighted, repeated)]
    np.testing.assert_allclose(*errors, rtol=1e-4)


@pytest.mark.parametrize("value", [0.0, 7.5, 1e8])
def test_constant_columns_come_back_and_do_no_harm(value, iris):
    X = np.column_stack([iris, np.full(len(iris), value)])
    estimator = quick().fit(X)
    np.testing.assert_allclose(
        estimator.reconstruct(X)[:, 4], value, rtol=1e-6, atol=1e-6
    )
    assert np.isfinite(estimator.score_samples(X)).all()
    assert estimator.reconstruction_r2_ > 0.7


def test_all_constant_rows_are_reconstructed():
    X = np.full((60, 3), 2.5)
    estimator = quick().fit(X)
    np.testing.assert_allclose(estimator.reconstruct(X), X)
    assert np.isfinite(estimator.score_samples(X)).all()
    assert estimator.score(X) == 1.0


@slow
@pytest.mark.parametrize(
    "objective",
    [
        {"noise": 0.3},
        {"sparsity": 0.05},
    ],
    ids=str,
)
def test_objectives_change_what_is_learned_and_keep_the_network(objective, plain, iris):
    other = quick(solver="nadam", max_iter=1, **objective).fit(iris)
    assert not other.is_pca_
    assert np.abs(other.transform(iris) - plain.transform(iris)).max() > 1e-4


@slow
def test_sparsity_makes_codes_smaller(iris):
    sizes = [
        np.abs(quick(sparsity=s, max_iter=60).fit_transform(iris)).mean()
        for s in (1e-3, 1.0)
    ]
    assert sizes[1] < 0.2 * sizes[0]


def test_weight_decay_makes_kernels_smaller(iris):
    norms = []
    for decay in (0.0, 0.1):
        estimator = quick(weight_decay=decay, max_iter=60, early_stopping=False).fit(
            iris
        )
        norms.append(
            sum(
                np.square(layer.kernel).sum()
                for layer in estimator.encoder_.layers[::2]
            )
        )
    assert norms[1] < norms[0]


@slow
@pytest.mark.parametrize("sizes", [6, (6,), [6, 4], np.array([6, 4, 3])], ids=repr)
def test_hidden_layers_are_as_wide_as_told(sizes, iris):
    encoder = quick(hidden_layer_sizes=sizes, noise=0.1).fit(iris).encoder_
    units = [layer.units for layer in encoder.layers if isinstance(layer, layers.Dense)]
    assert units == [size + 1 for size in np.atleast_1d(sizes)] + [1]


@slow
def test_encoder_of_images_is_mirrored(digits):
    encoder = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )
    before = encoder.get_weights()
    images = digits[:256].reshape(-1, 8, 8, 1)
    estimator = TiedAutoencoder(encoder=encoder, max_iter=10, random_state=0).fit(
        images
    )
    assert estimator.transform(images).shape == (256, 5)
    np.testing.assert_array_equal(
        estimator.transform(images), estimator.transform(digits[:256])
    )
    assert estimator.reconstruct(images).shape == (256, 64)
    assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]
    for weight, now in zip(before, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(
            weight, now, err_msg="the encoder that was given is trained"
        )


@slow
def test_encoder_of_sequences_is_mirrored(rng):
    encoder = keras.Sequential(
        [
            keras.Input((12, 2)),
            layers.Conv1D(3, 4, strides=4),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    X = rng.normal(size=(80, 24))
    estimator = TiedAutoencoder(encoder=encoder, max_iter=1, random_state=0).fit(X)
    assert estimator.n_components_ == 2
    assert estimator.inverse_transform(estimator.transform(X)).shape == (80, 24)


@slow
def test_partial_fit_learns_from_batches(digits, rng):
    X = digits[rng.permutation(len(digits))]
    estimator = TiedAutoencoder(8, random_state=0)
    scores = []
    for _ in range(3):
        for batch in np.array_split(X, 4):
            estimator.partial_fit(batch)
        scores.append(estimator.score(X))
    assert scores == sorted(scores)
    assert estimator.n_iter_ == 12
    assert not estimator.is_pca_


def test_partial_fit_goes_on_after_fit(iris):
    estimator = quick().fit(iris)
    codes = estimator.transform(iris)
    estimator.partial_fit(iris)
    assert 0 < np.abs(estimator.transform(iris) - codes).max() < 1


@slow
def test_a_shallow_copy_is_trained_further_by_itself(iris):
    estimator, other = (
        TiedAutoencoder(1, random_state=0).partial_fit(iris) for _ in range(2)
    )
    copy.copy(estimator).partial_fit(iris + 1)
    again = [each.partial_fit(iris).transform(iris) for each in (estimator, other)]
    np.testing.assert_array_equal(*again)


def test_early_stopping_off_uses_every_row(iris):
    estimator = quick(early_stopping=False, max_iter=20).fit(iris)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 20


def test_losses_of_lbfgs_fall(iris):
    losses = quick(solver="lbfgs", max_iter=20).fit(iris).loss_curve_
    assert losses == sorted(losses, reverse=True)


@slow
@pytest.mark.parametrize(
    ("n", "solver"), [(900, "auto"), (1500, "auto"), (900, "lbfgs"), (1500, "lbfgs")]
)
def test_validation_errors_are_those_of_rows_not_trained_on(n, solver, rng):
    def draw(n):
        z = rng.uniform(
            -2, 2, size=(n, 2)
        )  # without rows far away, which a few are held out of
        return np.column_stack([z, np.sin(2 * z), z**2]) + 0.3 * rng.normal(size=(n, 6))

    X, new = draw(n), draw(5000)
    max_iter = 30 if solver == "lbfgs" else None
    estimator = TiedAutoencoder(solver=solver, max_iter=max_iter, random_state=0).fit(X)
    errors = estimator.validation_curve_
    assert len(errors) == len(estimator.loss_curve_)
    scale = X.std(axis=0)
    expected = np.mean(((estimator.reconstruct(new) - new) / scale) ** 2)
    assert errors[-1] == pytest.approx(expected, rel=0.2)
    pca = PCA(2).fit(X / scale)
    of_pca = np.mean(
        (pca.inverse_transform(pca.transform(new / scale)) - new / scale) ** 2
    )
    assert errors[0] == pytest.approx(of_pca, rel=0.25)
    assert errors[-1] < 0.9 * errors[0]


@slow
@pytest.mark.parametrize(
    ("solver", "batch_size", "max_iter", "n"),
    [("auto", 7, 3, 60), ("auto", 5000, 9, 1200), ("nadam", 500, 2, 1200)],
)
def test_there_is_a_validation_error_for_each_loss(
    n, batch_size, max_iter, solver, rng
):
    X = rng.normal(size=(n, 4))
    settings = {"batch_size": batch_size, "max_iter": max_iter, "solver": solver}
    estimator = TiedAutoencoder(random_state=0, **settings).fit(X)
    assert len(estimator.validation_curve_) == len(estimator.loss_curve_)
    assert np.isfinite(estimator.validation_curve_).all()


def test_there_are_no_validation_errors_without_rows_held_out(iris):
    assert quick(early_stopping=False).fit(iris).validation_curve_ == []
    assert quick().fit(iris[:20]).validation_curve_ == []
    assert quick().fit(iris).partial_fit(iris).validation_curve_ == []


def test_refit_forgets(iris, digits):
    estimator = quick().fit(digits[:60])
    estimator.fit(iris)
    np.testing.assert_array_equal(
        estimator.transform(iris), quick().fit_transform(iris)
    )


def test_a_clone_of_the_network_has_kernels_of_its_own(iris):
    model = TiedAutoencoder(random_state=0, max_iter=2).fit(iris).model_
    clone = keras.models.clone_model(model.encoder)
    for layer in clone.layers:
        for weight in layer.trainable_weights:
            assert np.any(weight.numpy()) == ("kernel" in weight.path)


def test_ctrl_c_ends_nadam_with_the_best_so_far(ctrl_c, iris):
    def tell(epoch, *_):
        if epoch == 3:
            ctrl_c()

    estimator = quick(solver="nadam", max_iter=1000)
    with (
        epoch_callback(tell),
        pytest.warns(UserWarning, match="this TiedAutoencoder is the best so far"),
    ):
        estimator.fit(iris)
    assert 3 <= estimator.n_iter_ < 1000
    assert np.isfinite(estimator.score_samples(iris)).all()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_while_iterations_are_counted_raises(ctrl_c, iris):
    with epoch_callback(ctrl_c), pytest.raises(KeyboardInterrupt):
        quick(solver="lbfgs").fit(iris)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_in_the_last_fit_of_lbfgs_leaves_curves_of_one_length(ctrl_c, iris):
    fits = []

    def tell(epoch, *_):
        fits.extend([epoch] * (epoch == 1))
        if len(fits) == 6 and epoch == 3:  # after those of five folds
            ctrl_c()

    estimator = quick(solver="lbfgs", max_iter=20)
    with epoch_callback(tell), pytest.warns(UserWarning, match="the best so far"):
        estimator.fit(iris)
    assert len(estimator.validation_curve_) == len(estimator.loss_curve_) < 20


def test_a_batch_is_learned_before_ctrl_c_raises(ctrl_c, monkeypatch, iris):
    take_steps = solver.take_steps

    def press(*arguments):
        ctrl_c()
        return take_steps(*arguments)

    estimator = quick()
    with monkeypatch.context() as patch:
        patch.setattr(solver, "take_steps", press)
        with pytest.raises(KeyboardInterrupt):
            estimator.partial_fit(iris)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 1
    assert estimator.partial_fit(iris).n_iter_ == 2
