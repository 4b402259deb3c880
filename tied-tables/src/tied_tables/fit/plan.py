"""The plan of a fit: what is done with which settings."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import Any, Literal

import numpy as np

from tied_tables.fit.rows import PreparedRows
from tied_tables.fit.stack import Objective
from tied_tables.model.pca import Components
from tied_tables.model.scaling import Scaler

FEW_ROWS = 1000
"""With fewer, cross-validation and other defaults: a validation part is too small."""
FEWEST_NETWORK_ROWS = 50
"""With fewer rows, only PCA is fitted: any other structure may be noise."""
WEIGHT_DECAY = 1500.0
MOST_WEIGHT_DECAY = 600.0
WEIGHT_DECAY_OF_FEW_ROWS = 200.0
"""Times d k / n³ for n rows of d features and k components, but at most the second
divided by n (n + 1000); and the third divided by that where rows are few."""
MISSING_MUCH = 0.1
"""From this share of missing values on, the network is trained to impute."""
HIDING_ROWS = 20_000
MOST_COPIES = 10
LEARNING_RATE = 0.02
HIDDEN_UNITS = 48
HIDDEN_UNITS_OF_FEW_ROWS = 32
MOST_HIDDEN_UNITS = 512
FEWEST_HIDDEN_UNITS = 8
ROWS_PER_UNIT = 8  # at least: fewer rows, fewer units
LAYERS = 3
FEWER_LAYERS = 2
MANY_FEATURES = 32
"""With more, or few rows, a third layer gained nothing where this was chosen."""
FEWEST_AXES = 64
BATCH_SIZE = 128
BATCH_SIZE_OF_MANY_ROWS = 256
MANY_ROWS = 16_384
"""Chosen on tables of ADBench: for fewer rows, larger batches take as many steps."""


@dataclass(eq=False)
class Parameters:
    """The parameters of `TiedAutoencoder` and their defaults, without scikit-learn."""

    n_components: int | float | Literal["auto"] = 2
    _: KW_ONLY
    hidden_layer_sizes: Any = "auto"
    activation: str = "auto"
    solver: Literal["auto", "lbfgs", "nadam"] = "auto"
    scaler: Scaler = "standard"
    noise: float = 0.0
    sparsity: float = 0.0
    weight_decay: float | Literal["auto"] = "auto"
    categorical_features: Any = "from_dtype"
    max_iter: int | None = None
    batch_size: int | Literal["auto"] = "auto"
    learning_rate: float | Literal["auto"] = "auto"
    early_stopping: bool = True
    validation_fraction: float = 0.1
    n_iter_no_change: int = 50
    contamination: float = 0.1
    trim: bool = True
    random_state: Any = None
    verbose: int = 0

    @property
    def chooses_width(self) -> bool:
        """Whether the number of components is chosen by several fits."""
        return self.n_components == "auto"


@dataclass(frozen=True, kw_only=True)
class Plan(Objective):
    """What a fit does: each parameter that training needs, as it is for these rows.

    It is the objective of the training, too. Those that are not described here are
    parameters of `TiedAutoencoder`.

    Attributes:
        method: `"pca"` without a network, or the solver of the network.
        hidden: the units of each hidden layer besides the linear ones.
        n_axes: the principal axes that the network learns from; None for the features.
        n_copies: the copies of the rows, in each of which other values are hidden; 0 to
            hide none.
        few_rows: whether Nadam takes the steps of few rows, as many as are best by
            cross-validation.
        scales_rate: whether the learning rate falls with the steps beyond the fewest.
        random, seed: the generator of all random numbers, and the seed of those that
            are drawn step by step.
        effort: the factor of the steps, where rows are not few.
    """

    method: Literal["pca", "nadam", "lbfgs"]
    n_components: int
    hidden: tuple[int, ...]
    activation: str
    n_axes: int | None
    n_copies: int
    few_rows: bool
    learning_rate: float
    scales_rate: bool
    batch_size: int
    max_iter: int | None
    effort: float
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    contamination: float
    random: np.random.RandomState
    verbose: int


def choose_n_components(
    parameters: Parameters,
    shape: tuple[int, ...],
    principal: Components,
) -> int:
    """The number of components for rows of a shape, `(n, d)`, with this PCA."""
    n_components: Any = parameters.n_components
    if n_components < 1:
        return principal.n_components_for(float(n_components))
    if n_components > min(shape):
        raise ValueError(
            f"n_components={n_components} must be between 1 and "
            f"min(n_samples, n_features)={min(shape)}."
        )
    return int(n_components)


def make_generator(state: Any) -> tuple[np.random.RandomState, int]:
    """The generator of all random numbers of a fit, and a seed for each step."""
    if isinstance(state, Integral):
        random = np.random.RandomState(int(state))
    else:
        from sklearn.utils import check_random_state

        random = check_random_state(state)
    return random, random.randint(2**31 - 1)


def make_plan(
    parameters: Parameters,
    rows: PreparedRows,
    n_components: int,
    random: np.random.RandomState,
    seed: int,
    *,
    effort: float = 1,
    in_batches: bool = False,
) -> Plan:
    """Plan a fit to rows, or one to a batch of `partial_fit`."""
    n_rows, n_features = rows.scaled.shape
    few = n_rows < FEW_ROWS
    missing = np.isnan(rows.scaled).mean()
    method = _choose_method(parameters, n_rows, in_batches)
    is_whole = method != "pca" and not in_batches
    n_axes = None
    n_copies = 0
    if is_whole and not missing:
        most_axes = min(max(FEWEST_AXES, 2 * n_components), n_rows)
        n_axes = most_axes if n_features > 2 * most_axes else None
    if missing >= MISSING_MUCH and method != "lbfgs" and not in_batches:
        n_copies = min(max(1, HIDING_ROWS // n_rows), MOST_COPIES)
    hidden = _choose_hidden(parameters, n_rows, n_axes or n_features)
    activation = parameters.activation
    if activation == "auto":
        activation = "tanh" if few else "silu"
    rate = parameters.learning_rate
    if rate == "auto":
        rate = LEARNING_RATE
    batch_size = parameters.batch_size
    if batch_size == "auto":
        batch_size = BATCH_SIZE if n_rows < MANY_ROWS else BATCH_SIZE_OF_MANY_ROWS
    return Plan(
        method=method,
        n_components=n_components,
        hidden=hidden,
        activation=activation,
        n_axes=n_axes,
        n_copies=n_copies,
        noise=float(parameters.noise),
        sparsity=float(parameters.sparsity),
        weight_decay=_choose_weight_decay(parameters, n_rows, n_features, n_components),
        few_rows=few and not n_copies,
        learning_rate=float(rate),
        scales_rate=parameters.learning_rate == "auto",
        batch_size=int(batch_size),
        max_iter=parameters.max_iter,
        effort=effort,
        early_stopping=parameters.early_stopping,
        validation_fraction=parameters.validation_fraction,
        n_iter_no_change=parameters.n_iter_no_change,
        contamination=parameters.contamination,
        random=random,
        seed=seed,
        verbose=int(parameters.verbose),
    )


def _choose_method(
    parameters: Parameters,
    n_rows: int,
    in_batches: bool,
) -> Literal["pca", "nadam", "lbfgs"]:
    is_plain = not (parameters.noise or parameters.sparsity)
    if is_plain and n_rows < FEWEST_NETWORK_ROWS and not in_batches:
        return "pca"
    return "lbfgs" if parameters.solver == "lbfgs" else "nadam"


def _choose_weight_decay(
    parameters: Parameters,
    n_rows: int,
    n_features: int,
    n_components: int,
) -> float:
    """The factor for rows `(n, d)`."""
    if parameters.weight_decay != "auto":
        return float(parameters.weight_decay)
    divisor = n_rows * (n_rows + FEW_ROWS)
    if n_rows < FEW_ROWS:
        return WEIGHT_DECAY_OF_FEW_ROWS / divisor
    decay = WEIGHT_DECAY * n_features * n_components / n_rows**3
    return min(decay, MOST_WEIGHT_DECAY / divisor)


def _choose_hidden(parameters: Parameters, n: int, n_features: int) -> tuple[int, ...]:
    """The units of the hidden layers for `n` rows."""
    sizes = parameters.hidden_layer_sizes
    if isinstance(sizes, str):
        most = max(FEWEST_HIDDEN_UNITS, n // ROWS_PER_UNIT)
        units = HIDDEN_UNITS if n >= FEW_ROWS else HIDDEN_UNITS_OF_FEW_ROWS
        size = min(max(units, 2 * n_features), MOST_HIDDEN_UNITS, most)
        is_deep = n_features <= MANY_FEATURES and n >= FEW_ROWS
        return (size + size % 2,) * (LAYERS if is_deep else FEWER_LAYERS)
    array = np.atleast_1d(sizes)
    if array.ndim > 1 or any(size != int(size) or size < 1 for size in array):
        raise ValueError(
            f"hidden_layer_sizes={sizes!r} must be 'auto', a number of units, or a"
            " sequence of such numbers."
        )
    return tuple(map(int, array))
