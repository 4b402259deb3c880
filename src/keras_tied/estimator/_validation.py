"""Validation of the rows that a `TiedAutoencoder` is given."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from keras_tied._types import Array

if TYPE_CHECKING:
    from keras_tied.estimator._estimator import TiedAutoencoder

FEW_NUMBERS = 10_000
"""For at most this many, scikit-learn's validation takes longer than the arithmetic."""


def validate_training_rows(
    estimator: TiedAutoencoder, X: Any, sample_weight: Any, reset: bool
) -> tuple[Array, Array]:
    """The rows of positive weight, dense, and their weights, of mean 1.

    Args:
        estimator: what is trained.
        X: the rows, `(n_samples, n_features)`.
        sample_weight: their weights, `(n_samples,)`, or None.
        reset: whether to store the number and the names of the features, or to compare them.
    """
    if estimator.encoder is not None:
        from keras_tied.estimator._network import require_known_shapes

        require_known_shapes(estimator.encoder)
    X = _validate(estimator, X, reset)
    weights = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True, copy=True
    )
    X = X.toarray() if sparse.issparse(X) else X
    if not weights.all():
        X, weights = X[weights > 0], weights[weights > 0]
        if len(X) < 2:
            raise ValueError(
                f"{type(estimator).__name__} needs at least 2 rows of positive sample_weight, and "
                f"was given {len(X)}."
            )
    return X, weights / weights.mean()


def validate_rows(estimator: TiedAutoencoder, X: Any) -> Any:
    """The rows for a fitted estimator, `(n_samples, n_features)`, an array or a CSR matrix."""
    if _is_valid(estimator, X):
        return X
    check_is_fitted(estimator)
    return _validate(estimator, X, reset=False)


def _is_valid(estimator: TiedAutoencoder, X: Any) -> bool:
    """Whether a quick check shows that validation would neither change nor refuse the rows."""
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and 0 < X.size <= FEW_NUMBERS
        and X.dtype in (np.float64, np.float32)
        and X.shape[1] == getattr(estimator, "n_features_in_", None)
        and not hasattr(estimator, "feature_names_in_")
        and hasattr(estimator, "_fitted")
        and not np.isinf(X).any()
    )


def _validate(estimator: TiedAutoencoder, X: Any, reset: bool) -> Any:
    shape = () if estimator.encoder is None else estimator.encoder.input_shape[1:]
    X = validate_data(
        estimator,
        X.reshape(len(X), -1) if len(shape) > 1 and getattr(X, "ndim", 2) > 2 else X,
        accept_sparse="csr",
        dtype=[np.float64, np.float32],
        ensure_all_finite="allow-nan",
        ensure_min_samples=2 if reset else 1,
        reset=reset,
    )
    if estimator.encoder is not None and X.shape[1] != math.prod(shape):
        raise ValueError(
            f"The encoder takes {math.prod(shape)} numbers, of shape {shape}, and X has "
            f"{X.shape[1]} features."
        )
    return X
