import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit
from tests.marks import slow_but

from keras_tied import article

import keras  # isort: skip  after keras_tied, which settles the backend


@pytest.fixture(scope="module")
def donuts():
    drawn = article.make_correlated_donuts(600, random_state=0)
    return article.prepare(*drawn, random_state=0)[0]


@pytest.fixture(scope="module")
def result(donuts):
    return article.run(donuts, epochs=30, random_state=1)


def test_the_tied_network_is_that_of_the_formula(donuts, result):
    encoder, decoder = map(result.model.get_layer, ["encoder", "decoder"])
    assert decoder.tied_to is encoder
    assert result.untied_parameters == 22
    W, b, c = map(
        keras.ops.convert_to_numpy,
        [encoder.kernel, encoder.bias, decoder.bias],
    )
    assert_allclose(result.code, expit(donuts @ W + b), atol=1e-5)
    assert_allclose(result.reconstruction, result.code @ W.T + c, atol=1e-5)


def test_losses_are_those_of_keras_own_fit(donuts, result):
    """From a kernel that is uniform between -1 and 1 in 4 + 2 units."""
    kernel = np.random.RandomState(1).uniform(-1, 1, (4, 2))
    stock = article.build_model(kernel)
    history = stock.fit(
        donuts,
        donuts,
        batch_size=len(donuts),
        epochs=30,
        validation_split=0.33,
        verbose=0,
    ).history
    for key in ("loss", "val_loss"):
        assert_allclose(result.history[key], history[key], rtol=1e-3)
    assert result.train_mse < result.history["loss"][-1]
    assert result.validation_mse == pytest.approx(
        history["val_loss"][-1],
        rel=1e-3,
    )


def test_momentum_and_the_decay_of_the_learning_rate_are_the_articles():
    optimizer = article.build_model(np.zeros((4, 2))).optimizer
    assert optimizer.momentum == 0.95
    for step in (0, 1, 3000):
        expected = 0.1 / (1 + 1e-5 * step)
        rate = float(optimizer._learning_rate(step))
        assert rate == pytest.approx(expected, rel=1e-6)


def test_the_errors_of_pca_are_the_variance_it_leaves(donuts, result):
    train, validation = article.split(donuts.astype(float))
    mean = train.mean(axis=0)
    _, _, axes = np.linalg.svd(train - mean)
    for rows, error in (
        (train, result.pca_train_mse),
        (validation, result.pca_validation_mse),
    ):
        left = (rows - mean) @ axes[2:].T
        lost = np.sum(left**2)
        assert error == pytest.approx(lost / rows.size, rel=1e-4)


@pytest.mark.parametrize("engine", slow_but(["numpy", "pytensor"], "numpy"))
def test_each_engine_takes_the_same_path(donuts, result, engine):
    if engine == "pytensor":
        pytest.importorskip("pytensor")
    ours = article.run(donuts, epochs=30, random_state=1, engine=engine)
    for key, losses in result.history.items():
        assert_allclose(ours.history[key], losses, rtol=1e-3)
    assert_allclose(ours.code, result.code, atol=1e-3)
    assert_allclose(ours.reconstruction, result.reconstruction, atol=1e-3)
    assert ours.parameters == 14


@pytest.mark.parametrize(
    ("shape", "engine", "message"),
    [
        ((2, 4), "keras", "at least 3 rows and 2 columns"),
        ((9, 1), "keras", "at least 3 rows and 2 columns"),
        ((9,), "keras", "at least 3 rows and 2 columns"),
        ((9, 4), "steam", "'steam'"),
    ],
)
def test_what_cannot_be_trained_is_refused(shape, engine, message):
    with pytest.raises(ValueError, match=message):
        article.run(np.zeros(shape), engine=engine)


@pytest.mark.parametrize("engine", ["keras", "numpy"])
def test_training_that_diverges_is_an_error(donuts, engine):
    with pytest.raises(FloatingPointError):  # squares that float32 cannot hold
        article.run(1e25 * donuts, epochs=3, engine=engine)


@pytest.mark.parametrize("seed", slow_but(range(10), 0))
def test_after_3000_epochs_the_errors_on_the_articles_file_are_low(donut_file, seed):
    X, _ = article.prepare(np.load(donut_file)[:, :4], random_state=seed)
    result = article.run(X, random_state=seed)
    assert result.train_mse <= 1.5e-4
    assert result.validation_mse <= 1.5e-4
