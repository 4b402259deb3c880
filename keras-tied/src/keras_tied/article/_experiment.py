"""The experiment of the article "Autoencoder in Keras": 4-2-4, with tied weights."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import keras
import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_tied import training
from keras_tied.article._numpy import NumpyDescent, Weights, sigmoid
from keras_tied.article._pytensor import PyTensorDescent
from keras_tied.autoencoder import Autoencoder
from keras_tied.layers import TiedDense

Engine: TypeAlias = Literal["keras", "numpy", "pytensor"]
Rows: TypeAlias = NDArray[np.float32]
History: TypeAlias = Mapping[str, Sequence[float]]
Trained: TypeAlias = tuple[History, Sequence[Rows], float, keras.Model | None]

N_COMPONENTS = 2
EPOCHS = 3000
LEARNING_RATE = 0.1
MOMENTUM = 0.95
DECAY = 1e-5  # Keras 1's: the learning rate of step t is 0.1 / (1 + 1e-5 t)
VALIDATION_SPLIT = 0.33


@dataclass(frozen=True, eq=False)
class Experiment:
    """The results of a run on n rows, of which the first n_train were trained on.

    Attributes:
        history: ``{"loss": ..., "val_loss": ...}``, (epochs,) float64 each: the cost of
            the training rows before each epoch's step, and of the others after it, as
            Keras logs them.
        code, reconstruction: (n, 2) and (n, 4) float32, of all rows.
        train_mse, validation_mse: mean squared errors after the last epoch, of the
            training rows and of the rows held out.
        pca_train_mse, pca_validation_mse: the same of a PCA of as many components.
        seconds: the time of training, with compilation and without imports.
        parameters, untied_parameters: how many are trained, and would be with two
            kernels.
        model: the trained Keras model, or None if another engine trained.
    """

    history: dict[str, NDArray[np.float64]]
    code: Rows
    reconstruction: Rows
    train_mse: float
    validation_mse: float
    pca_train_mse: float
    pca_validation_mse: float
    seconds: float
    parameters: int
    untied_parameters: int
    model: keras.Model | None


def run(
    X: ArrayLike,
    *,
    epochs: int = EPOCHS,
    engine: Engine = "keras",
    random_state: int | None = 0,
) -> Experiment:
    """Train the autoencoder on the first 67 % of the rows, and a PCA like it.

    The cost is the mean of (x' - x)², where x' = sigmoid(x W + b) Wᵀ + c. It is
    minimised by gradient descent on all training rows at once, with momentum 0.95 and a
    learning rate of 0.1 / (1 + 1e-5 t) at step t.

    Args:
        X: (n, features) rows in [0, 1] and in random order, as
            `keras_tied.article.prepare` gives them; n ≥ 3 and features ≥ 2.
        epochs: Steps of training.
        engine: What trains: "keras", on the backend that Keras is set to, or the same
            network written out by hand, "numpy" or "pytensor" (`keras_tied.article`).
        random_state: Fixes the initial weights, which are the same for all engines.

    Raises:
        ImportError, ValueError: If the engine is not installed, or unknown, or X is too
            small.
        FloatingPointError: If training diverges, as it may on rows far from [0, 1];
            PyTensor goes on with NaN.

    Examples:
        >>> from keras_tied import article
        >>> donuts = article.make_correlated_donuts(90, random_state=0)
        >>> X, y = article.prepare(*donuts)
        >>> result = run(X, epochs=3, engine="numpy")
        >>> result.code.shape, result.parameters, result.untied_parameters
        ((90, 2), 14, 22)
    """
    parts = split(X)
    kernel = _draw_kernel(parts[0].shape[1], random_state)
    train = _train_with_keras if engine == "keras" else partial(_train_by_hand, engine)
    history, weights, seconds, model = train(parts, kernel, epochs)
    kernel, code_bias, output_bias = weights
    code: Any = sigmoid(np.concatenate(parts) @ kernel + code_bias)
    reconstruction = code @ kernel.T + output_bias
    n_parameters = kernel.size + sum(kernel.shape)
    train_mse, validation_mse = _compute_errors(parts, reconstruction)
    pca_train_mse, pca_validation_mse = _compute_pca_errors(parts)
    return Experiment(
        history={key: np.asarray(costs, np.float64) for key, costs in history.items()},
        code=code,
        reconstruction=reconstruction,
        train_mse=train_mse,
        validation_mse=validation_mse,
        pca_train_mse=pca_train_mse,
        pca_validation_mse=pca_validation_mse,
        seconds=seconds,
        parameters=n_parameters,
        untied_parameters=n_parameters + kernel.size,
        model=model,
    )


def split(X: ArrayLike) -> tuple[Rows, Rows]:
    """Split rows, (n ≥ 3, features ≥ 2), as Keras does for ``validation_split=0.33``.

    They are in float32.

    Raises:
        ValueError: If X has too few rows or columns.

    Examples:
        >>> [len(part) for part in split(np.zeros((9000, 4)))]
        [6029, 2971]
    """
    rows = np.asarray(X, dtype=np.float32)
    if rows.ndim != 2 or len(rows) < N_COMPONENTS + 1 or rows.shape[1] < N_COMPONENTS:
        raise ValueError(
            f"X has the shape {rows.shape}; the experiment needs at least"
            f" {N_COMPONENTS + 1} rows and {N_COMPONENTS} columns."
        )
    n_train = int(len(rows) * (1 - VALIDATION_SPLIT))
    return rows[:n_train], rows[n_train:]


def build_model(kernel: ArrayLike) -> keras.Model:
    """Build and compile the article's Keras model, of an "encoder" and a "decoder".

    The decoder is tied to the encoder, whose kernel, (features, components), is given.

    Examples:
        >>> build_model(np.zeros((4, 2))).count_params()
        14
    """
    start = np.asarray(kernel)
    features, components = start.shape
    rows = keras.Input((features,), name="rows")
    encoder = keras.layers.Dense(components, activation="sigmoid", name="encoder")
    decoder = TiedDense(encoder, name="decoder")
    model = keras.Model(rows, decoder(encoder(rows)), name="autoencoder")
    encoder.kernel.assign(start)
    decay = keras.optimizers.schedules.InverseTimeDecay
    rate = decay(LEARNING_RATE, 1, decay_rate=DECAY)
    model.compile(optimizer=keras.optimizers.SGD(rate, momentum=MOMENTUM), loss="mse")
    return model


def run_from_pca(X: ArrayLike) -> tuple[float, float]:
    """Train the article's network with gains from PCA's weights, by L-BFGS.

    Returns:
        The mean squared errors of the training rows and of those held out, `split` as
        for `run`.

    Raises:
        ValueError: If X has too few rows or columns.

    Examples:
        >>> from keras_tied import article
        >>> donuts = article.make_correlated_donuts(90, random_state=0)
        >>> X, y = article.prepare(*donuts)
        >>> train_mse, validation_mse = run_from_pca(X)
        >>> result = run(X, epochs=3, engine="numpy")
        >>> bool(train_mse < 1.001 * result.pca_train_mse)
        True
    """
    train, _ = parts = split(X)
    units = keras.layers.Dense(N_COMPONENTS, activation="sigmoid")
    autoencoder = Autoencoder(keras.Sequential([keras.Input(train.shape[1:]), units]))
    autoencoder.compile("lbfgs")
    autoencoder.fit(train, start="pca", epochs=EPOCHS, verbose=0)
    reconstruction = keras.ops.convert_to_numpy(autoencoder(np.concatenate(parts)))
    return _compute_errors(parts, reconstruction)


def _draw_kernel(features: int, random_state: int | None) -> Rows:
    """Draw a kernel from U(-a, a), a² = 6 / (features + components), on any backend."""
    limit = np.sqrt(6.0 / (features + N_COMPONENTS))
    rng = np.random.RandomState(random_state)
    kernel = rng.uniform(-limit, limit, (features, N_COMPONENTS))
    return np.asarray(kernel, dtype=np.float32)


def _train_with_keras(
    parts: tuple[Rows, Rows],
    kernel: Rows,
    epochs: int,
) -> Trained:
    model = build_model(kernel)
    train, validation = parts
    begin = time.perf_counter()
    callback = training.fit(
        model,
        train,
        train,
        batch_size=len(train),
        epochs=epochs,
        verbose=0,
        validation_data=(validation, validation),
        shuffle=False,
        validation_batch_size=len(validation),
    )
    seconds = time.perf_counter() - begin
    return callback.history, model.get_weights(), seconds, model


def _train_by_hand(
    engine: Engine,
    parts: tuple[Rows, Rows],
    kernel: Rows,
    epochs: int,
) -> Trained:
    kinds: dict[str, Any] = {"numpy": NumpyDescent, "pytensor": PyTensorDescent}
    if engine not in kinds:
        raise ValueError(f"engine={engine!r} must be 'keras', 'numpy' or 'pytensor'.")
    features, components = kernel.shape
    biases = np.zeros(components, np.float32), np.zeros(features, np.float32)
    start = Weights(kernel, *biases)
    begin = time.perf_counter()
    descent = kinds[engine](*parts, start, MOMENTUM)
    rates = LEARNING_RATE / (1 + DECAY * np.arange(epochs))
    with np.errstate(over="raise", invalid="raise"):
        logs = [descent.step(rate) for rate in rates.tolist()]
    seconds = time.perf_counter() - begin
    history = {key: [each[key] for each in logs] for key in ("loss", "val_loss")}
    return history, descent.weights, seconds, None


def _compute_errors(
    parts: tuple[Rows, Rows], reconstruction: NDArray[Any]
) -> tuple[float, float]:
    """The mean squared errors of the rows to train on, and of those held out."""
    squares = (np.concatenate(parts) - reconstruction) ** 2
    n_train = len(parts[0])
    train_mse = np.mean(squares[:n_train], dtype=np.float64)
    validation_mse = np.mean(squares[n_train:], dtype=np.float64)
    return float(train_mse), float(validation_mse)


def _compute_pca_errors(parts: tuple[Rows, Rows]) -> tuple[float, float]:
    """The errors of the projection on the first right singular vectors."""
    train = parts[0].astype(np.float64)
    mean = train.mean(axis=0)
    _, _, vectors = np.linalg.svd(train - mean, full_matrices=False)
    components = vectors[:N_COMPONENTS]
    code = (np.concatenate(parts, dtype=np.float64) - mean) @ components.T
    return _compute_errors(parts, code @ components + mean)
