"""The baseline of every model: PCA with as many components."""

import numpy as np

from keras_tied._types import Array
from keras_tied.estimator._fitted.pca import fit_pca
from keras_tied.estimator._fitted.value import Fitted


def baseline_errors(fitted: Fitted, X: Array, others: Array | None = None) -> tuple[float, float]:
    """The mean squared errors of a fitted value and of PCA, both of scaled rows.

    Missing values do not count; for PCA they are imputed as the fitted value does. Rows with a
    value far outside the rest of its column count for neither.

    Args:
        fitted: the fitted value.
        X: the rows that PCA is fitted to, `(n_samples, n_features)`; better those that the value
            was fitted to.
        others: the rows that both are measured on. Defaults to `X`.
    """
    X = X[~fitted.find_far_rows(X)]
    others = X if others is None else others[~fitted.find_far_rows(others)]
    _, complete = fitted.preprocessing.forward(X, slice(None))
    principal = fit_pca(complete).truncate(fitted.n_components)
    scaled, complete = fitted.preprocessing.forward(others, slice(None))
    squares = np.square(principal.reconstruct(complete) - scaled, dtype=np.float64)
    of_pca = float(np.nanmean(squares)) if np.isfinite(squares).any() else 0.0
    return fitted.mean_error(others), of_pca
