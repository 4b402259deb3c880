"""The plan of a fit: what is done with which settings, decided before training begins."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from keras_tied.estimator._fitted.pca import Components
from keras_tied.estimator._fitted.scaling import Scaler
from keras_tied.estimator._training.rows import PreparedRows

if TYPE_CHECKING:
    import keras

FEW_ROWS = 1000  # with fewer, cross-validation and other defaults: a validation part is too small
FEWEST_NETWORK_ROWS = 50  # with fewer rows, only PCA is fitted: any other structure may be noise
WEIGHT_DECAY, MOST_WEIGHT_DECAY, WEIGHT_DECAY_OF_FEW_ROWS = 1500.0, 600.0, 200.0
"""Times d k / n³ for n rows of d features and k components, but at most the second divided by
n (n + 1000); and the third divided by that where rows are few."""
MISSING_MUCH = 0.1  # from this share of missing values on, the network is trained to impute
HIDING_ROWS, MOST_COPIES = 20_000, 10
LEARNING_RATE, LEARNING_RATE_OF_ENCODER = 0.02, 0.003
UNITS, UNITS_OF_FEW_ROWS, MOST_UNITS, FEWEST_UNITS = 48, 32, 512, 8
ROWS_PER_UNIT = 8  # at least: fewer rows, fewer units
LAYERS, FEWER_LAYERS = 3, 2
MANY_FEATURES = 32  # with more, or few rows, a third layer gained nothing where this was chosen
FEWEST_AXES = 64
ARRAY_ACTIVATIONS = frozenset(
    "elu gelu relu relu6 selu sigmoid silu softplus softsign tanh".split()
)
"""Those of the networks that are trained on arrays, without Keras."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters of `TiedAutoencoder` and their defaults, for fits without scikit-learn.

    `feature_names` are those of the columns, or None.
    """

    n_components: Any = 2
    hidden_layer_sizes: Any = "auto"
    activation: Any = "auto"
    solver: str = "auto"
    scaler: Scaler = "standard"
    noise: Any = 0.0
    sparsity: float = 0.0
    contraction: float = 0.0
    weight_decay: float | Literal["auto"] = "auto"
    encoder: keras.Model | None = None
    categorical_features: Any = "from_dtype"
    max_iter: int | None = None
    batch_size: int = 128
    learning_rate: float | Literal["auto"] = "auto"
    early_stopping: bool = True
    validation_fraction: float = 0.1
    n_iter_no_change: int = 50
    contamination: float = 0.1
    trim: bool = True
    random_state: Any = None
    checkpoint: str | os.PathLike[str] | None = None
    verbose: int = 0
    feature_names: tuple[str, ...] | None = None

    @classmethod
    def read(cls, estimator: object) -> Parameters:
        """Those of an estimator, with the names that it was fitted to."""
        names = getattr(estimator, "feature_names_in_", None)
        params = {name: getattr(estimator, name) for name in PARAMETERS}
        return cls(**params, feature_names=None if names is None else tuple(map(str, names)))

    def to_dict(self) -> dict[str, Any]:
        """The parameters alone, as `TiedAutoencoder.get_params` gives them."""
        return {name: getattr(self, name) for name in sorted(PARAMETERS)}


PARAMETERS = tuple(f.name for f in fields(Parameters) if f.name != "feature_names")


class Objectives(NamedTuple):
    """What is minimised besides the error; see `TiedAutoencoder`."""

    noise: float | keras.layers.Layer = 0.0
    sparsity: float = 0.0
    contraction: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Plan(Parameters):
    """The parameters of a fit, each "auto" replaced by what it stands for with these rows."""

    n_components: int
    learning_rate: float
    weight_decay: float
    # the units of each hidden layer besides the linear ones; none for an `encoder`
    hidden: tuple[int, ...]
    # `"pca"` without a network; `"arrays"` for Nadam on the arrays of the estimator's own network;
    # `"nadam"` and `"lbfgs"` for a Keras model
    method: Literal["pca", "arrays", "nadam", "lbfgs"]
    # the principal axes that a network on arrays learns from; None for the features
    n_axes: int | None
    # the copies of the rows, in each of which other values are hidden; 0 to hide none
    n_copies: int
    # whether Nadam on arrays takes the steps of few rows, as many as are best by cross-validation
    few_rows: bool
    scales_rate: bool  # whether the learning rate falls with the steps beyond the fewest
    # the generator of all random numbers, and `seed` that of what Keras draws
    random: np.random.RandomState
    seed: int
    effort: int  # the factor of the most steps on arrays

    @property
    def objectives(self) -> Objectives:
        """What is minimised besides the error."""
        return Objectives(self.noise, self.sparsity, self.contraction)

    @property
    def may_be_pca(self) -> bool:
        """Whether the error is all that is minimised, so that PCA may replace the network."""
        return self.encoder is None and not any(self.objectives)


def choose_n_components(
    parameters: Parameters, shape: tuple[int, ...], principal: Components
) -> int:
    """The number of components for rows of a shape, `(n, d)`, with this PCA."""
    if parameters.encoder is not None:
        return math.prod(parameters.encoder.output_shape[1:])
    n_components = parameters.n_components
    if n_components < 1:
        return principal.n_components_for(float(n_components))
    if n_components > min(shape):
        raise ValueError(
            f"n_components={n_components} must be between 1 and "
            f"min(n_samples, n_features)={min(shape)}."
        )
    return int(n_components)


def make_plan(
    parameters: Parameters,
    rows: PreparedRows,
    n_components: int,
    random: np.random.RandomState,
    seed: int,
    *,
    effort: int = 1,
    in_batches: bool = False,
) -> Plan:
    """Plan a fit to rows, or one to a batch of `partial_fit`, which trains a Keras model."""
    (n_rows, n_features), missing = rows.scaled.shape, rows.missing
    solver, is_own, few = parameters.solver, parameters.encoder is None, n_rows < FEW_ROWS
    objectives = parameters.noise, parameters.sparsity, parameters.contraction
    hides = solver != "lbfgs" and missing >= MISSING_MUCH and not in_batches
    activation = parameters.activation
    if isinstance(activation, str) and activation == "auto":
        activation = "tanh" if few else "silu"
    hidden = _choose_hidden(parameters.hidden_layer_sizes, n_rows, n_features) if is_own else []
    is_plain = is_own and not any(objectives)
    method: Literal["pca", "arrays", "nadam", "lbfgs"] = "nadam"
    n_axes = None
    if not in_batches:
        if is_plain and n_rows < FEWEST_NETWORK_ROWS:
            method = "pca"
        elif solver == "lbfgs":
            method = "lbfgs"
        elif is_plain and hidden and activation in ARRAY_ACTIVATIONS:
            method, n_axes = "arrays", max(FEWEST_AXES, 2 * n_components)
            n_axes = min(n_axes, n_rows) if not missing and n_features > 2 * n_axes else None
            hidden = _choose_hidden(parameters.hidden_layer_sizes, n_rows, n_axes or n_features)
        elif solver == "auto" and is_own and not parameters.noise and few and not hides:
            method = "lbfgs"
    rate, scales_rate = parameters.learning_rate, False
    if rate == "auto":
        rate, scales_rate = LEARNING_RATE if is_own else LEARNING_RATE_OF_ENCODER, True
    decay = parameters.weight_decay
    if decay == "auto":
        divisor = n_rows * (n_rows + FEW_ROWS)
        decay = WEIGHT_DECAY * n_features * n_components / n_rows**3
        decay = min(decay, MOST_WEIGHT_DECAY / divisor)
        decay = WEIGHT_DECAY_OF_FEW_ROWS / divisor if few else decay
    return Plan(
        **vars(parameters)
        | {
            "n_components": n_components,
            "activation": activation,
            "learning_rate": float(rate),
            "weight_decay": float(decay) if is_own else 0.0,
            "verbose": int(parameters.verbose),
        },
        hidden=tuple(hidden),
        method=method,
        n_axes=n_axes,
        n_copies=min(max(1, HIDING_ROWS // n_rows), MOST_COPIES) if hides else 0,
        few_rows=solver == "auto" and few and not hides,
        scales_rate=scales_rate,
        random=random,
        seed=seed,
        effort=effort,
    )


def _choose_hidden(sizes: Any, n: int, n_features: int) -> list[int]:
    """The units of the hidden layers for `hidden_layer_sizes` and `n` rows."""
    if isinstance(sizes, str):
        most = max(FEWEST_UNITS, n // ROWS_PER_UNIT)
        units = UNITS if n >= FEW_ROWS else UNITS_OF_FEW_ROWS
        size = min(max(units, 2 * n_features), MOST_UNITS, most)
        deep = n_features <= MANY_FEATURES and n >= FEW_ROWS
        return [size + size % 2] * (LAYERS if deep else FEWER_LAYERS)
    array = np.atleast_1d(np.asarray(sizes))
    if array.ndim > 1 or any(size != int(size) or size < 1 for size in array):
        raise ValueError(
            f"hidden_layer_sizes={sizes!r} must be 'auto', a number of units, or a sequence of "
            "such numbers."
        )
    return [int(size) for size in array]
