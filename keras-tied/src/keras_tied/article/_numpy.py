"""The autoencoder in NumPy: its gradient by hand, with both paths of the kernel."""

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
Logs: TypeAlias = dict[str, float]
DTYPES = ("float32", "float64")


class Weights(NamedTuple):
    """The numbers that are trained, or the gradient of the loss in them."""

    kernel: Array  # (n_features, n_components), W; transposed, of the decoder
    code_bias: Array  # (n_components,), b
    output_bias: Array  # (n_features,), c


Engine: TypeAlias = tuple[Callable[[float], Logs], Callable[[], Weights]]
"""A step of training with a learning rate, which gives the loss before it and, if there
are rows to validate on, val_loss after it; and the weights as they are now."""


@dataclass(eq=False)
class NumpyAutoencoder:
    """A tied autoencoder of one hidden layer, computed with NumPy alone.

    With sigmoid(z) = 1 / (1 + exp(-z)), it minimises the mean of (X̂ - X)² over all
    entries, where

        code = sigmoid(X W + b),    X̂ = code Wᵀ + c,

    by gradient descent with momentum on all rows at once, as ``keras.optimizers.SGD``
    does it:

        v ← momentum · v - rate · gradient,    w ← w + v,    rate = learning_rate / (1 +
        decay · t)

    at step t = 0, 1, ... (the decay is Keras 1's, ``InverseTimeDecay`` today), as in
    the 2017 article series on autoencoders in NumPy, Theano and Keras.

    Args:
        n_components: Units of the code.
        learning_rate, momentum, decay: Of the rates above: > 0, in [0, 1), and ≥ 0.
        epochs: Steps of training, at least 1.
        dtype: "float32" or "float64", of all arrays.
        random_state: Seed or ``numpy.random.Generator`` for the start; None for another
            each time.

    Attributes:
        kernel_, code_bias_, output_bias_: W, b and c, as of `Weights`.
        history_: ``{"loss": [...]}`` and, with rows to validate on, ``"val_loss"``: one
            number an epoch. As in Keras, "loss" is taken before the epoch's step and
            "val_loss" after it.

    Examples:
        >>> X = np.random.default_rng(0).uniform(size=(100, 4))
        >>> autoencoder = NumpyAutoencoder(2, epochs=200, random_state=0).fit(X)
        >>> autoencoder.inverse_transform(autoencoder.transform(X)).shape
        (100, 4)
        >>> autoencoder.history_["loss"][-1] < autoencoder.history_["loss"][0]
        True
    """

    n_components: int = 2
    _: KW_ONLY
    learning_rate: float = 0.1
    momentum: float = 0.95
    decay: float = 1e-5
    epochs: int = 3000
    dtype: Literal["float32", "float64"] = "float32"
    random_state: int | np.random.Generator | None = None

    def fit(
        self,
        X: ArrayLike,
        X_val: ArrayLike | None = None,
        *,
        initial_weights: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
        on_epoch: Callable[[int, Logs], object] | None = None,
    ) -> Self:
        """Train on all rows at once, `epochs` times.

        Args:
            X: (n, n_features) finite numbers, n ≥ 1, best scaled to about [0, 1].
            X_val: (m, n_features) rows to watch the loss on, not trained on; none by
                default.
            initial_weights: (W, b, c) to start from. By default W is drawn from U(-a,
                a) with a² = 6 / (n_features + n_components) (Glorot & Bengio, AISTATS
                2010), b = c = 0.
            on_epoch: Called after each epoch as ``on_epoch(epoch, logs)``, with epoch
                from 0 and logs like ``{"loss": 0.1, "val_loss": 0.2}``.

        Raises:
            ValueError: If a setting, X, X_val or initial_weights is not as said above.
            FloatingPointError: If the loss stops being finite.
        """
        self._check_settings()
        rows, validation_rows = _check_rows(X, "X", self.dtype), None
        n_features = rows.shape[1]
        if X_val is not None:
            validation_rows = _check_rows(X_val, "X_val", self.dtype, n_features)
        if initial_weights is None:
            initial_weights = self._draw_weights(n_features)
        start = _check_weights(
            initial_weights, n_features, self.n_components, self.dtype
        )
        step, weights = self._start_engine(rows, validation_rows, start)
        history: dict[str, list[float]] = {}
        for epoch in range(self.epochs):
            logs = step(self.learning_rate / (1.0 + self.decay * epoch))
            if not all(map(math.isfinite, logs.values())):
                raise FloatingPointError(
                    f"Training with learning_rate={self.learning_rate} diverged at"
                    f" epoch {epoch}, where the logs are {logs}; lower learning_rate,"
                    " or scale X to [0, 1]."
                )
            for name, value in logs.items():
                history.setdefault(name, []).append(value)
            if on_epoch is not None:
                on_epoch(epoch, logs)

        self.kernel_, self.code_bias_, self.output_bias_ = weights()
        self.history_ = history
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Encode rows, (n, n_features), to codes, (n, n_components): sigmoid(X W + b).

        Raises:
            ValueError: Before `fit`, or if X is not a table of as many finite features
                as were fitted.
        """
        kernel, code_bias, _ = self._get_weights()
        rows = _check_rows(X, "X", kernel.dtype, kernel.shape[0])
        return _sigmoid(rows @ kernel + code_bias)

    def inverse_transform(self, code: ArrayLike) -> Array:
        """Decode codes, (n, n_components), to rows, (n, n_features): code Wᵀ + c.

        Raises:
            ValueError: Before `fit`, or if code is not a table of n_components finite
                columns.
        """
        kernel, _, output_bias = self._get_weights()
        codes = _check_rows(code, "code", kernel.dtype, kernel.shape[1])
        return np.asarray(codes @ kernel.T + output_bias)

    def _start_engine(
        self,
        X: Array,
        X_val: Array | None,
        start: Weights,
    ) -> Engine:
        rows = _transpose(X)
        held_out = None if X_val is None else _transpose(X_val)
        velocities = Weights(*map(np.zeros_like, start))

        def step(learning_rate: float) -> Logs:
            # What overflows shows in the loss, which the caller checks.
            with np.errstate(over="ignore", invalid="ignore"):
                loss, gradient = _differentiate(rows, start)
                logs = {"loss": loss}
                arrays = zip(start, velocities, gradient, strict=True)
                for weight, velocity, slope in arrays:
                    velocity *= self.momentum
                    velocity -= learning_rate * slope
                    weight += velocity
                if held_out is not None:
                    _, residual = _run_forward(held_out, start)
                    logs["val_loss"] = _mean_square(residual)
            return logs

        return step, lambda: start

    def _draw_weights(self, n_features: int) -> Weights:
        limit = math.sqrt(6.0 / (n_features + self.n_components))
        rng = np.random.default_rng(self.random_state)
        kernel = rng.uniform(-limit, limit, (n_features, self.n_components))
        return Weights(kernel, np.zeros(self.n_components), np.zeros(n_features))

    def _get_weights(self) -> Weights:
        if not hasattr(self, "kernel_"):
            raise ValueError(
                f"This {type(self).__name__} is not fitted yet; call fit first."
            )
        return Weights(self.kernel_, self.code_bias_, self.output_bias_)

    def _check_settings(self) -> None:
        count, rate = "a whole number of at least 1", self.learning_rate
        for name, is_valid, condition in (
            ("n_components", _is_count(self.n_components), count),
            ("epochs", _is_count(self.epochs), count),
            ("learning_rate", 0 < rate < math.inf, "finite and above 0"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and below 1"),
            ("decay", 0 <= self.decay < math.inf, "finite and at least 0"),
            ("dtype", self.dtype in DTYPES, f"one of {DTYPES}"),
        ):
            if not is_valid:
                value = getattr(self, name)
                raise ValueError(f"{name} must be {condition}, not {value!r}.")


def _is_count(value: object) -> bool:
    return isinstance(value, int | np.integer) and bool(value >= 1)


def loss_and_gradient(
    X: ArrayLike,
    kernel: ArrayLike,
    code_bias: ArrayLike,
    output_bias: ArrayLike,
) -> tuple[float, Weights]:
    """The reconstruction error of the rows X, and its gradient in the weights.

    With code = sigmoid(X W + b) and R = code Wᵀ + c - X, for n rows of d features the
    loss is Σ R² / (n d). Let G = 2 R / (n d) be its derivative in the reconstruction,
    and D = (G W) ∘ code ∘ (1 - code) that in X W + b. The kernel is used twice, so that
    its gradient has two terms:

        ∂loss/∂W = Gᵀ code + Xᵀ D      (through the decoder, and through the encoder)
        ∂loss/∂b = Σ D over the rows
        ∂loss/∂c = Σ G over the rows

    This is backpropagation (Rumelhart, Hinton & Williams, Nature 1986) with a shared
    weight. X, (n, d) with n ≥ 1, and W, b and c, of the shapes of `Weights`, hold
    finite numbers. The loss and its gradient are in float32 if all arguments are, else
    in float64.

    Raises:
        ValueError: If an argument is not numeric, not finite, or of another shape.

    Examples:
        >>> from keras_tied.article import loss_and_gradient
        >>> weights = [[0.0], [0.0]], [0.0], [0.0, 1.0]
        >>> loss, gradient = loss_and_gradient([[1.0, 3.0]], *weights)
        >>> loss, gradient.kernel.tolist(), gradient.output_bias.tolist()
        (2.5, [[-0.5], [-1.0]], [-1.0, -2.0])
    """
    arrays_of_weights = kernel, code_bias, output_bias
    dtypes = {np.asarray(array).dtype.name for array in (X, *arrays_of_weights)}
    dtype = "float32" if dtypes == {"float32"} else "float64"
    rows = _check_rows(X, "X", dtype)
    n_components = np.atleast_1d(kernel).shape[-1]
    weights = _check_weights(arrays_of_weights, rows.shape[1], n_components, dtype)
    return _differentiate(_transpose(rows), weights)


def _differentiate(X: Array, weights: Weights) -> tuple[float, Weights]:
    """The loss of rows, features by rows, and its gradient in the weights."""
    code, residual = _run_forward(X, weights)
    loss = _mean_square(residual)
    residual *= 2.0 / residual.size
    delta = weights.kernel.T @ residual
    delta *= code
    delta *= 1.0 - code
    through_decoder = residual @ code.T
    through_encoder = X @ delta.T
    kernel = through_decoder + through_encoder
    return loss, Weights(kernel, delta.sum(axis=1), residual.sum(axis=1))


def _run_forward(X: Array, weights: Weights) -> tuple[Array, Array]:
    """The code, and what its reconstruction has more than the rows, as they lie."""
    kernel, code_bias, output_bias = weights
    code = _sigmoid(kernel.T @ X + code_bias[:, None])
    residual = kernel @ code
    residual += output_bias[:, None]
    residual -= X
    return code, residual


def _sigmoid(values: Array) -> Array:
    """1 / (1 + exp(-z)) as (1 + tanh(z / 2)) / 2, which never overflows."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * values))


def _mean_square(residual: Array) -> float:
    # NumPy's own sums, here and above, not BLAS's dot products: at these sizes those
    # may start threads, which save nothing, and cost fiftyfold where other work fills
    # the cores.
    return float(np.square(residual).mean())


def _transpose(X: Array) -> Array:
    """Features by rows: of few features and many rows, the lines in memory are long."""
    return np.ascontiguousarray(X.T)


def _check_rows(
    values: ArrayLike,
    name: str,
    dtype: DTypeLike,
    n_columns: int | None = None,
) -> Array:
    """Copy a table of finite numbers with a row and a column at least, or raise."""
    table = _check_array(values, name, dtype)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(
            f"{name} has the shape {table.shape}; give a table of rows and columns, at"
            " least one of each."
        )
    if n_columns is not None and table.shape[1] != n_columns:
        raise ValueError(f"{name} has {table.shape[1]} columns; give it {n_columns}.")
    return table


def _check_weights(
    weights: tuple[ArrayLike, ...],
    n_features: int,
    n_components: int,
    dtype: DTypeLike,
) -> Weights:
    """Copy three arrays of finite numbers of the right shapes, or raise."""
    shapes = (n_features, n_components), (n_components,), (n_features,)
    if len(weights) != len(shapes):
        raise ValueError(
            f"initial_weights holds {len(weights)} arrays; give the kernel, the code's"
            " bias and the output's bias."
        )
    arrays = []
    for value, name, shape in zip(weights, Weights._fields, shapes, strict=True):
        array = _check_array(value, name, dtype)
        if array.shape != shape:
            raise ValueError(f"{name} has the shape {array.shape}; give it {shape}.")
        arrays.append(array)
    return Weights(*arrays)


def _check_array(values: ArrayLike, name: str, dtype: DTypeLike) -> Array:
    """Copy finite real numbers, or raise."""
    given = np.asarray(values)
    if given.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} holds values of type {given.dtype}; give real numbers."
        )
    with np.errstate(over="ignore"):  # what is infinite then is refused
        array = np.array(given, dtype=dtype)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has NaN or infinite values; remove or replace them.")
    return array
