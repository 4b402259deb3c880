"""An estimator's error beside that of PCA of the same width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from keras_tied.estimator._estimator import TiedAutoencoder

Array = NDArray[Any]


def errors_beside_pca(
    estimator: TiedAutoencoder, X: Array, others: Array | None = None
) -> tuple[float, float]:
    """The mean squared error of scaled rows, and what PCA of the same width leaves of them.

    Args:
        estimator: it has been fitted.
        X: the rows that PCA learns from, `(n_samples, n_features)`, missing ones filled in as the
            estimator does; better those that it was fitted to.
        others: the rows that both are measured on. Defaults to `X`.
    """
    rows = estimator._rows(X, np.ones(len(X)))
    principal = rows.principal().first(estimator.n_components_)
    if others is not None:
        rows = estimator._rows(others, np.ones(len(others)))
    of_pca = rows.pca_errors(principal).mean()
    measured = X if others is None else others
    error = np.nanmean(estimator.reconstruction_error(measured, per_feature=True))
    # As the estimator does: what is missing counts as restored, for PCA too.
    present = 1 - np.isnan(measured).mean()
    return float(error), float(of_pca / present if present else 0.0)
