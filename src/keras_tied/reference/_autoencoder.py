"""The base class of both engines: settings, checks, initial weights, epochs, encoder, decoder."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
Logs: TypeAlias = dict[str, float]

DTYPES = ("float32", "float64")


class NotFittedError(ValueError, AttributeError):
    """Raised where an autoencoder is used before `fit`."""


class Weights(NamedTuple):
    """The numbers that are trained, or the gradient of the loss in them."""

    kernel: Array  # (n_features, n_components), W, of the encoder and, transposed, of the decoder
    code_bias: Array  # (n_components,), b
    output_bias: Array  # (n_features,), c


Engine: TypeAlias = tuple[Callable[[float], Logs], Callable[[], Weights]]
"""A step of training with a learning rate, which gives the loss before it and, if there are rows to
validate on, val_loss after it; and the weights as they are now."""


@dataclass(eq=False)
class HandWrittenAutoencoder(ABC):
    """The autoencoder, without the computation of a step of training."""

    n_components: int = 2
    _: KW_ONLY
    learning_rate: float = 0.1
    momentum: float = 0.95
    decay: float = 1e-5
    epochs: int = 3000
    dtype: Literal["float32", "float64"] = "float32"
    random_state: int | np.random.Generator | None = None

    kernel_: Array = field(init=False, repr=False)
    code_bias_: Array = field(init=False, repr=False)
    output_bias_: Array = field(init=False, repr=False)
    history_: dict[str, list[float]] = field(init=False, repr=False)

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
            X_val: (m, n_features) rows to watch the loss on, not trained on; none by default.
            initial_weights: (W, b, c) to start from. By default W is drawn from U(-a, a) with
                a² = 6 / (n_features + n_components) (Glorot & Bengio, AISTATS 2010), b = c = 0.
            on_epoch: Called after each epoch as ``on_epoch(epoch, logs)``, with epoch from 0 and
                logs like ``{"loss": 0.1, "val_loss": 0.2}``.

        Raises:
            ValueError: If a setting, X, X_val or initial_weights is not as said above.
            FloatingPointError: If the loss stops being finite.
        """
        self._check_settings()
        rows = check_rows(X, "X", self.dtype)
        n_features, validation_rows = rows.shape[1], None
        if X_val is not None:
            validation_rows = check_rows(X_val, "X_val", self.dtype, n_features)
        if initial_weights is None:
            initial_weights = self._draw_weights(n_features)
        start = check_weights(initial_weights, n_features, self.n_components, self.dtype)
        step, weights = self._start_engine(rows, validation_rows, start)
        history: dict[str, list[float]] = {}
        for epoch in range(self.epochs):
            logs = step(self.learning_rate / (1.0 + self.decay * epoch))
            if not all(map(math.isfinite, logs.values())):
                raise FloatingPointError(
                    f"Training with learning_rate={self.learning_rate} diverged at epoch {epoch}, "
                    f"where the logs are {logs}; lower learning_rate, or scale X to [0, 1]."
                )
            for name, value in logs.items():
                history.setdefault(name, []).append(value)
            if on_epoch is not None:
                on_epoch(epoch, logs)

        self.kernel_, self.code_bias_, self.output_bias_ = weights()
        self.history_ = history
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Encode rows, (n, n_features), to codes in [0, 1], (n, n_components): sigmoid(X W + b).

        Raises:
            NotFittedError: Before `fit`.
            ValueError: If X is not a table of as many finite features as were fitted.
        """
        kernel, code_bias, _ = self._get_weights()
        rows = check_rows(X, "X", kernel.dtype, kernel.shape[0])
        # The sigmoid, without its exp(-z), which overflows for z far below zero.
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * (rows @ kernel + code_bias)))

    def inverse_transform(self, code: ArrayLike) -> Array:
        """Decode codes, (n, n_components), to rows, (n, n_features): code Wᵀ + c.

        Raises:
            NotFittedError: Before `fit`.
            ValueError: If code is not a table of n_components finite columns.
        """
        kernel, _, output_bias = self._get_weights()
        codes = check_rows(code, "code", kernel.dtype, kernel.shape[1])
        return np.asarray(codes @ kernel.T + output_bias)

    @abstractmethod
    def _start_engine(self, X: Array, X_val: Array | None, start: Weights) -> Engine: ...

    def _draw_weights(self, n_features: int) -> Weights:
        limit = math.sqrt(6.0 / (n_features + self.n_components))
        rng = np.random.default_rng(self.random_state)
        kernel = rng.uniform(-limit, limit, (n_features, self.n_components))
        return Weights(kernel, np.zeros(self.n_components), np.zeros(n_features))

    def _get_weights(self) -> Weights:
        if not hasattr(self, "kernel_"):
            raise NotFittedError(f"This {type(self).__name__} is not fitted yet; call fit first.")
        return Weights(self.kernel_, self.code_bias_, self.output_bias_)

    def _check_settings(self) -> None:
        for name in ("n_components", "epochs"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}.")
        for name, is_valid, condition in (
            ("learning_rate", 0 < self.learning_rate < math.inf, "finite and above 0"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and below 1"),
            ("decay", 0 <= self.decay < math.inf, "finite and at least 0"),
            ("dtype", self.dtype in DTYPES, f"one of {DTYPES}"),
        ):
            if not is_valid:
                raise ValueError(f"{name} must be {condition}, not {getattr(self, name)!r}.")


def check_rows(
    values: ArrayLike, name: str, dtype: DTypeLike, n_columns: int | None = None
) -> Array:
    """Convert a table of finite numbers, of at least one row and one column, or raise."""
    table = np.asarray(values)
    if table.dtype.kind not in "biuf":
        raise ValueError(f"{name} has the dtype {table.dtype}; give real numbers only.")
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(
            f"{name} has the shape {table.shape}; give a table of at least one row and one column."
        )
    if n_columns is not None and table.shape[1] != n_columns:
        raise ValueError(f"{name} has {table.shape[1]} columns; give it {n_columns}.")
    return _check_finite(table, name, dtype)


def check_weights(
    weights: tuple[ArrayLike, ArrayLike, ArrayLike],
    n_features: int,
    n_components: int,
    dtype: DTypeLike,
) -> Weights:
    """Copy three arrays of finite numbers of the right shapes, or raise."""
    shapes = Weights._fields, ((n_features, n_components), (n_components,), (n_features,))
    if len(weights) != len(Weights._fields):
        raise ValueError(
            f"initial_weights holds {len(weights)} arrays; give the kernel, the code's bias and "
            "the output's bias."
        )
    arrays = []
    for value, name, shape in zip(weights, *shapes, strict=True):
        array = np.asarray(value)
        if array.dtype.kind not in "biuf" or array.shape != shape:
            raise ValueError(
                f"The {name} has the shape {array.shape} and the dtype {array.dtype}; "
                f"give real numbers of the shape {shape}."
            )
        arrays.append(_check_finite(array, f"The {name}", dtype))
    return Weights(*arrays)


def _check_finite(array: NDArray[Any], name: str, dtype: DTypeLike) -> Array:
    with np.errstate(over="ignore"):
        copy = array.astype(dtype)
    n_bad = copy.size - np.count_nonzero(np.isfinite(copy))
    if n_bad:
        raise ValueError(
            f"{name} has {n_bad} values that are not finite in {copy.dtype}; "
            "remove them or fill them in."
        )
    return copy
