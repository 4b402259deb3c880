"""Rows before the network: columns are scaled, and missing values imputed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tied_tables._layout import NUMBER, Layout
from tied_tables._types import Array
from tied_tables.model.gaussian import Gaussian
from tied_tables.model.scaling import Scaling

IMPUTATION_SAMPLE_ROWS = 2000  # that the weights of a network are fitted to, at random
HIDDEN = 0.2
"""The share of present values that is hidden, to train or to compare imputations."""
WEIGHT_DEVIATION = 0.3
"""The standard deviation of the weights of a network around 0, before any number is
known. Chosen on other tables than those that the benchmark reports."""


def fit_network_weights(
    numbers: Array,
    imputed: Array,
    reconstruction: Array,
    weights: Array,
) -> Array:
    r"""Fit how far to go from conditional means towards a network's values, `(d,)`.

    In each column, the errors $e_i$ of the conditional means are regressed on the steps
    $\delta_i$ from there to the network's values. The mean of the posterior
    distribution of the weight, if $w \sim N(0, \tau^2)$ before and errors are normal,
    is that of ridge regression:

    $$w = \frac{\sum_i \delta_i e_i}{\sum_i \delta_i^2 + \overline{e^2} / \tau^2}$$

    A standard error is subtracted (White, 1980, which errors of unequal variances do
    not mislead), so that few numbers leave the weight at 0. It is clipped to the
    interval from 0 to 1.

    `numbers` are those hidden, with NaN everywhere else, `imputed` are rows with their
    conditional means, `reconstruction` is what the network makes of these, `(n, d)`
    each.
    """
    hidden = ~np.isnan(numbers)
    count = np.maximum(weights @ hidden, np.finfo(float).tiny)
    start = imputed.astype(np.float64)
    errors = np.where(hidden, numbers - start, 0.0)
    steps = np.where(hidden, reconstruction - start, 0.0)
    variances = weights @ errors**2 / count
    sizes = weights @ steps**2 + variances / WEIGHT_DEVIATION**2
    sizes[sizes == 0] = 1.0
    fitted = weights @ (steps * errors) / sizes
    noise = steps * (errors - fitted * steps)
    standard_errors = np.sqrt(weights @ noise**2) / sizes
    return np.clip(fitted - standard_errors, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """What happens to rows before the network.

    Attributes:
        scaling: of the columns.
        mean: of the scaled training rows, missing values imputed, `(d,)` float64.
        layout: of the columns.
        gaussian: imputes missing values; None if there were none in training: `mean`
            does then.
    """

    scaling: Scaling
    mean: Array
    layout: Layout
    gaussian: Gaussian | None = None

    def select(self, features: Array) -> Preprocessing:
        """The preprocessing of rows with all features in another order."""
        return Preprocessing(
            self.scaling.select(features),
            self.mean[features],
            self.layout.select(features),
            self.gaussian and self.gaussian.select(features),
        )

    def forward(self, X: Any, part: slice) -> tuple[Array, Array]:
        """A part of the rows, dense or CSR, scaled with NaN, and complete, float32.

        It is one array twice where nothing is missing.
        """
        require_floats(X, len(self.mean))
        rows = X[part]
        rows = rows if isinstance(rows, np.ndarray) else rows.toarray()
        scaled = self.scaling.forward(rows)
        return scaled, self.impute(scaled)

    def impute(self, scaled: Array) -> Array:
        """Scaled rows, imputed; the same array where no values are missing."""
        if self.gaussian is None:
            return Gaussian(self.mean).impute(scaled)
        means = self.gaussian.impute(scaled)
        if means is scaled or not self.layout.has_classes:
            return means
        chosen = np.isnan(scaled) & (self.layout.kinds != NUMBER)
        return np.where(chosen, self._choose_classes(means), means)

    def _choose_classes(self, means: Array) -> Array:
        """The likeliest classes of booleans and categories, by conditional means."""
        shift, scale = self.scaling
        likely = self.scaling.backward(means, np.float64)
        is_on = likely > 0.5
        for part in self.layout.categories:
            likeliest = likely[:, part].argmax(axis=1)
            is_on[:, part] = False
            is_on[np.arange(len(likely)), part.start + likeliest] = True
        return ((is_on - shift) / scale).astype(means.dtype)

    def hide(
        self,
        Z: Array,
        copies: int,
        random: np.random.RandomState,
    ) -> tuple[Array, Array]:
        """Copies of scaled rows with some values hidden and imputed, and these values.

        An autoencoder that reconstructs its input does not learn to impute; one that
        reconstructs hidden values does (Vincent et al., 2008). All features of a column
        are hidden together. Both results are `(copies * n, d)`; in the second there is
        NaN everywhere but for the hidden values.
        """
        rows = np.tile(Z, (copies, 1))
        shape = len(rows), len(self.layout.starts)
        chosen = random.uniform(size=shape) < HIDDEN  # (copies * n, columns)
        hidden = chosen[:, self.layout.columns] & ~np.isnan(rows)
        nan = rows.dtype.type(np.nan)
        masked = np.where(hidden, nan, rows)
        return self.impute(masked), np.where(hidden, rows, nan)


def fill_masked(X: Any) -> Any:
    """A masked array with NaN for each masked number, and anything else as it is."""
    if not isinstance(X, np.ma.MaskedArray):
        return X
    has_nan = X.dtype.kind in "fc"
    dtype = X.dtype if has_nan else object
    return np.ma.filled(X.astype(dtype), np.nan)


def require_floats(X: Any, width: int) -> None:
    """Refuse rows of another dtype or width: their numbers would be wrong."""
    is_masked = isinstance(X, np.ma.MaskedArray)
    is_array = hasattr(X, "ndim") and hasattr(X, "dtype") and not is_masked
    dtypes = np.float32, np.float64
    if not is_array or X.ndim != 2 or X.shape[1] != width or X.dtype not in dtypes:
        given = f"{X.dtype} of shape {X.shape}" if is_array else f"a {type(X).__name__}"
        raise ValueError(
            f"Rows must be an array of float32 or float64 of shape (n, {width}), and"
            f" these are {given}; TiedAutoencoder.load takes frames, lists and masked"
            " arrays, and the command tables."
        )
