"""Rows before the network: columns are scaled, and missing values imputed from those present."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from keras_tied._types import Array
from keras_tied.estimator._fitted.layout import Layout
from keras_tied.estimator._fitted.scaling import Scaling

MOST_ROWS = 2000  # that the covariance and the weights of a network are fitted to, at random
MOST_FEATURES = 256
"""With more, means are imputed: the cost of a row grows with the cube of the features."""
RIDGE = 0.01  # added to the variances, relative to their mean
ITERATIONS = 8
HIDDEN = 0.2  # the share of present values that is hidden in training, and to compare imputations
PRIOR = 0.3
"""The standard deviation of the weights of a network around 0, before any number is known. Chosen
on other tables than those that the benchmark reports."""
TOLERANCE = 1e-3
BLOCK = 2**22  # numbers in the matrices of a block of rows, at most


class Gaussian(NamedTuple):
    """A normal distribution of rows."""

    mean: Array  # `(d,)`
    # the inverse of the covariance, `(d, d)`; None if features are taken to be independent
    precision: Array | None = None

    def impute(self, Z: Array) -> Array:
        """Scaled rows, `(n, d)`, with the conditional mean of each missing value."""
        missing = np.isnan(Z)
        some = missing.any(axis=1)
        if not some.any():
            return Z
        complete = np.where(missing, self.mean.astype(Z.dtype), Z)
        if self.precision is not None:
            deviations = complete[some] - self.mean
            for part, matrices, sources in self._make_systems(deviations, missing[some]):
                deviations[part] -= np.linalg.solve(matrices, sources[:, :, None])[:, :, 0]
            complete[some] = self.mean + deviations
        return complete

    def condition(self, deviations: Array, missing: Array) -> tuple[Array, Array]:
        """The rows less their mean, imputed, and the sum of the conditional covariances."""
        covariance = np.zeros((deviations.shape[1],) * 2)
        for part, matrices, sources in self._make_systems(deviations, missing):
            missing_here = missing[part]
            inverses = np.linalg.inv(matrices) * missing_here[:, :, None] * missing_here[:, None, :]
            deviations[part] -= np.einsum("nij,nj->ni", inverses, sources)
            covariance += inverses.sum(axis=0)
        return deviations, covariance

    def _make_systems(
        self, deviations: Array, missing: Array
    ) -> Iterator[tuple[slice, Array, Array]]:
        """For blocks of rows with 0 where one is missing: P_mm and P_mo x_o.

        The missing part m of a row solves P_mm x_m = -P_mo x_o, and P_mm⁻¹ is its covariance. The
        matrices are those of whole rows, with ones on the diagonal where nothing is missing.
        """
        precision = self.precision
        assert precision is not None
        size = max(1, BLOCK // precision.size)
        for begin in range(0, len(deviations), size):
            part = slice(begin, begin + size)
            missing_here = missing[part]
            both = missing_here[:, :, None] & missing_here[:, None, :]
            matrices = np.where(both, precision, np.eye(len(precision)))
            yield part, matrices, np.where(missing_here, deviations[part] @ precision, 0.0)

    def hide(
        self, Z: Array, columns: Array, copies: int, random: np.random.RandomState
    ) -> tuple[Array, Array]:
        """Copies of scaled rows with some present columns hidden and imputed, and these values.

        An autoencoder that reconstructs its input does not learn to impute; one that reconstructs
        hidden values does (Vincent et al., 2008). Both results are `(copies * n, d)`; in the second
        there is NaN everywhere but for the hidden values.
        """
        rows = np.tile(Z, (copies, 1))
        drawn = random.uniform(size=(len(rows), columns[-1] + 1)) < HIDDEN
        hidden = drawn[:, columns] & ~np.isnan(rows)
        nan = rows.dtype.type(np.nan)
        return self.impute(np.where(hidden, nan, rows)), np.where(hidden, rows, nan)


def fit_gaussian(Z: Array, random: np.random.RandomState) -> Gaussian:
    """Fit to scaled rows, `(n, d)`, with NaN for missing values, a random sample if they are many.

    The method is expectation-maximisation (Dempster, Laird & Rubin, 1977).
    """
    d = Z.shape[1]
    if d > MOST_FEATURES:
        return Gaussian(np.zeros(d), None)
    sample = random.permutation(len(Z))[:MOST_ROWS] if len(Z) > MOST_ROWS else slice(None)
    rows = Z[sample].astype(np.float64)
    missing = np.isnan(rows)
    mean = np.where(missing, 0.0, rows).sum(axis=0) / np.maximum((~missing).sum(axis=0), 1)
    complete, extra = np.where(missing, mean, rows), np.zeros((d, d))
    for _ in range(ITERATIONS):
        mean = complete.mean(axis=0)
        covariance = (np.cov(complete.T, bias=True).reshape(d, d) * len(rows) + extra) / len(rows)
        ridge = find_ridge(covariance)
        fitted = Gaussian(mean, np.linalg.inv(covariance + ridge * np.eye(d)))
        means, extra = fitted.condition(np.where(missing, 0.0, complete - mean), missing)
        before, complete = complete, np.where(missing, means + mean, complete)
        if np.abs(complete - before).max() < TOLERANCE * np.sqrt(ridge / RIDGE):
            break
    return fitted


def find_ridge(covariance: Array) -> float:
    """What is added to the variances of a covariance, `(d, d)`, so that it can be inverted."""
    return float(RIDGE * (np.trace(covariance) / len(covariance) or 1.0))


def fit_network_weights(
    numbers: Array, imputed: Array, reconstruction: Array, weights: Array
) -> Array:
    r"""Fit how far to go from conditional means towards a network's values, `(d,)`.

    In each column, the errors $e_i$ of the conditional means are regressed on the steps
    $\delta_i$ from there to the network's values. The mean of the posterior distribution of the
    weight, if $w \sim N(0, \tau^2)$ before and errors are normal, is that of ridge regression:

    $$w = \frac{\sum_i \delta_i e_i}{\sum_i \delta_i^2 + \overline{e^2} / \tau^2}$$

    A standard error is subtracted (White, 1980, which errors of unequal variances do not mislead),
    so that few numbers leave the weight at 0. It is clipped to the interval from 0 to 1.

    `numbers` are those hidden, with NaN everywhere else, `imputed` are rows with their conditional
    means, `reconstruction` is what the network makes of these, `(n, d)` each.
    """
    hidden = ~np.isnan(numbers)
    errors = np.where(hidden, np.subtract(numbers, imputed, dtype=np.float64), 0.0)
    steps = np.where(hidden, np.subtract(reconstruction, imputed, dtype=np.float64), 0.0)
    variances = weights @ errors**2 / np.maximum(weights @ hidden, np.finfo(float).tiny)
    sizes = weights @ steps**2 + variances / PRIOR**2
    sizes = np.where(sizes > 0, sizes, 1.0)
    fitted = weights @ (steps * errors) / sizes
    standard_errors = np.sqrt(weights @ (steps * (errors - fitted * steps)) ** 2) / sizes
    return np.clip(fitted - standard_errors, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """What happens to rows before the network."""

    scaling: Scaling  # of the columns
    mean: Array  # of the scaled training rows, missing values imputed, `(d,)` float64
    layout: Layout  # of the columns
    # imputes missing values; None if there were none in training: `mean` does then
    gaussian: Gaussian | None = None

    def forward(self, X: Any, part: slice) -> tuple[Array, Array]:
        """A part of the rows, an array or a CSR matrix, scaled with NaN, and complete, float32.

        It is one array twice where nothing is missing.
        """
        require_floats(X, len(self.mean))
        rows = X[part]
        scaled = self.scaling.forward(rows if isinstance(rows, np.ndarray) else rows.toarray())
        return scaled, self.impute(scaled)

    def impute(self, scaled: Array) -> Array:
        """Scaled rows with missing values imputed; the same array where none are missing."""
        missing = np.isnan(scaled)
        if not missing.any():
            return scaled
        if self.gaussian is not None:
            return self.gaussian.impute(scaled)
        return np.where(missing, self.mean.astype(np.float32), scaled)


def require_floats(X: Any, width: int) -> None:
    """Refuse rows of another dtype or width, which would give wrong numbers in silence."""
    if X.ndim != 2 or X.shape[1] != width or X.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"Rows must be an array of float32 or float64 of shape (n, {width}), and these are "
            f"{X.dtype} of shape {X.shape}."
        )
