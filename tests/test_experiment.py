import numpy as np
import pytest

from keras_tied import datasets, experiment

import keras  # isort: skip  after keras_tied, which settles the backend


@pytest.fixture(scope="module")
def donuts():
    X, _ = datasets.prepare(
        *datasets.make_correlated_donuts(600, random_state=0), random_state=0
    )
    return X


@pytest.fixture(scope="module")
def result(donuts):
    return experiment.run(donuts, epochs=30, random_state=1)


def weights(model):
    """W, b and c, read from the two layers."""
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    variables = encoder.kernel, encoder.bias, decoder.bias
    return [keras.ops.convert_to_numpy(variable.value) for variable in variables]


def mse(X, rebuilt):
    return np.mean((X.astype(float) - rebuilt.astype(float)) ** 2)


def test_the_decoder_is_tied_to_the_encoder(result):
    assert result.model.get_layer("decoder").tied_to is result.model.get_layer(
        "encoder"
    )


def test_the_kernels_do_not_differ_at_all(result):
    assert result.tie_error == 0.0


def test_the_code_is_the_sigmoid_of_an_affine_map(donuts, result):
    W, b, _ = weights(result.model)
    np.testing.assert_allclose(
        result.code, 1 / (1 + np.exp(-(donuts @ W + b))), atol=1e-5
    )


def test_the_reconstruction_is_the_code_times_the_kernel_transposed(result):
    W, _, c = weights(result.model)
    np.testing.assert_allclose(result.reconstruction, result.code @ W.T + c, atol=1e-5)


def test_the_errors_are_those_that_keras_evaluates_after_training(donuts, result):
    for part, error in (
        (donuts[:401], result.train_mse),
        (donuts[401:], result.validation_mse),
    ):
        assert error == pytest.approx(
            result.model.evaluate(part, part, verbose=0), rel=1e-4
        )


def test_history_is_that_of_keras_own_fit_with_validation_split(donuts):
    kernel = np.array([[0.5, -0.2], [0.1, 0.9], [-0.7, 0.3], [0.2, 0.4]])
    stock = experiment.build_model(kernel).fit(
        donuts,
        donuts,
        batch_size=len(donuts),
        epochs=8,
        validation_split=0.33,
        verbose=0,
    )
    history, *_ = experiment._train_with_keras(
        experiment.split(donuts), kernel, 8, None
    )
    for key in ("loss", "val_loss"):
        np.testing.assert_allclose(history[key], stock.history[key], rtol=1e-4)


def test_the_learning_rate_decays_as_in_keras_1():
    rate = experiment.build_model(np.zeros((4, 2))).optimizer._learning_rate
    for step in (0, 1, 3000):
        expected = 0.1 / (1 + 1e-5 * step)
        assert float(rate(step)) == pytest.approx(expected, rel=1e-6)


def test_momentum_is_the_articles():
    assert experiment.build_model(np.zeros((4, 2))).optimizer.momentum == 0.95


def test_tied_it_has_14_parameters_and_untied_22(result):
    assert (result.parameters, result.untied_parameters) == (14, 22)


def test_the_errors_of_pca_are_the_variance_it_leaves(donuts, result):
    train, validation = donuts[:401].astype(float), donuts[401:].astype(float)
    mean = train.mean(axis=0)
    _, values, axes = np.linalg.svd(train - mean, full_matrices=False)
    assert result.pca_train_mse == pytest.approx((values[2:] ** 2).sum() / train.size)
    left = ((validation - mean) @ axes[2:].T) ** 2
    assert result.pca_validation_mse == pytest.approx(left.sum() / validation.size)


def test_the_same_random_state_gives_the_same_run(donuts, result):
    again = experiment.run(donuts, epochs=30, random_state=1)
    np.testing.assert_array_equal(again.reconstruction, result.reconstruction)


def test_another_random_state_starts_elsewhere(donuts, result):
    other = experiment.run(donuts, epochs=1, random_state=2)
    assert other.history["loss"][0] != result.history["loss"][0]


def test_a_run_leaves_numpys_global_random_state_alone(donuts):
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    experiment.run(donuts, epochs=1, random_state=1)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(
    "engine", ["numpy", pytest.param("pytensor", marks=pytest.mark.slow)]
)
def test_another_engine_takes_the_same_path(donuts, result, engine):
    if engine == "pytensor":
        pytest.importorskip("pytensor")
    by_hand = experiment.run(donuts, epochs=30, random_state=1, engine=engine)
    for key in ("loss", "val_loss"):
        np.testing.assert_allclose(by_hand.history[key], result.history[key], rtol=1e-3)
    np.testing.assert_allclose(by_hand.code, result.code, atol=1e-3)
    np.testing.assert_allclose(by_hand.reconstruction, result.reconstruction, atol=1e-3)
    assert (by_hand.parameters, by_hand.tie_error, by_hand.model) == (14, 0.0, None)


@pytest.mark.parametrize("engine", ["keras", "numpy"])
def test_on_epoch_sees_every_epoch_in_order_with_its_costs(donuts, engine):
    seen = []
    result = experiment.run(
        donuts,
        epochs=5,
        engine=engine,
        on_epoch=lambda epoch, logs: seen.append((epoch, {**logs})),
    )
    history = result.history
    assert [epoch for epoch, _ in seen] == [0, 1, 2, 3, 4]
    for key in ("loss", "val_loss"):
        np.testing.assert_allclose([logs[key] for _, logs in seen], history[key])


@pytest.mark.parametrize(
    ("n_rows", "n_train"), [(3, 2), (4, 2), (101, 67), (9000, 6029)]
)
def test_the_last_third_is_held_out(n_rows, n_train):
    X = np.arange(2 * n_rows, dtype=np.float32).reshape(n_rows, 2)
    train, validation = experiment.split(X)
    np.testing.assert_array_equal(train, X[:n_train])
    np.testing.assert_array_equal(validation, X[n_train:])


@pytest.mark.parametrize("shape", [(2, 4), (0, 4), (9, 1), (9,)])
def test_too_few_rows_or_columns_are_refused(shape):
    with pytest.raises(ValueError, match="at least 3 rows and 2 columns"):
        experiment.run(np.zeros(shape))


def test_an_unknown_engine_is_refused(donuts):
    with pytest.raises(ValueError, match="'steam'"):
        experiment.run(donuts, engine="steam")


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))]
)
def test_after_3000_epochs_the_errors_on_the_articles_file_are_low(donut_file, seed):
    X, _ = datasets.prepare(*datasets.load_donuts(donut_file), random_state=seed)
    result = experiment.run(X, random_state=seed)
    assert result.train_mse <= 1.5e-4
    assert result.validation_mse <= 1.5e-4
    assert result.tie_error == 0.0
