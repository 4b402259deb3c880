"""Validation of the rows that a `TiedAutoencoder` is given."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from keras_tied._types import Array
from keras_tied.fitting.prepare import check_columns

if TYPE_CHECKING:
    from keras_tied.columns import Columns

DTYPES = np.dtype(np.float64), np.dtype(np.float32)
FEW_NUMBERS = (
    10_000  # of so few, scikit-learn's validation takes longer than arithmetic
)


def validate_training_rows(
    estimator: BaseEstimator, X: Any, sample_weight: Any, reset: bool
) -> tuple[Array, Array, Columns | None]:
    """The rows of positive weight, dense, their weights, of mean 1, and what their columns are.

    With `reset` the number and the names of the features are stored, else compared.
    """
    if estimator.encoder is not None:
        from keras_tied.fitting.keras_encoder import require_known_shapes

        require_known_shapes(estimator.encoder)
    columns = learn_columns(estimator, X) if reset else estimator._columns
    X = (
        _validate(estimator, X, reset)
        if columns is None
        else encode(estimator, columns, X, reset)
    )
    weights = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True, copy=True
    )
    X = X.toarray() if sparse.issparse(X) else X
    if reset:
        names = getattr(estimator, "feature_names_in_", None)
        check_columns(X, names if columns is None else columns.features)
    if not weights.all():
        X, weights = X[weights > 0], weights[weights > 0]
        if len(X) < 2:
            raise ValueError(
                f"{type(estimator).__name__} needs at least 2 rows of positive"
                f" sample_weight, and was given {len(X)}."
            )
    return X, weights / weights.mean(), columns


def validate_rows(estimator: BaseEstimator, X: Any) -> Any:
    """The rows for a fitted estimator, `(n_samples, n_features)`, an array or a CSR matrix."""
    if _is_valid(estimator, X):
        return X
    check_is_fitted(estimator)
    return validate_more_rows(estimator, estimator._columns, X)


def validate_more_rows(
    estimator: BaseEstimator, columns: Columns | None, X: Any
) -> Any:
    """Rows like those that were validated for a fit, an array or a CSR matrix."""
    if columns is not None:
        return encode(estimator, columns, X, reset=False)
    return _validate(estimator, X, reset=False)


def learn_columns(estimator: BaseEstimator, X: Any) -> Columns | None:
    """What the columns of rows are, unless all are numbers."""
    features = estimator.categorical_features
    if features is None or (isinstance(features, str) and not _may_have_kinds(X)):
        return None
    if sparse.issparse(X):
        raise ValueError(
            "categorical_features cannot name columns of sparse rows: X.toarray()."
        )
    from keras_tied.estimator import _frames

    return _frames.learn_columns(_as_table(X), features)


def encode(estimator: BaseEstimator, columns: Columns, X: Any, reset: bool) -> Array:
    """The numbers of rows, `(n, d)`; an array may be these already, unless `fit` was given one."""
    frame = columns.frame
    if reset:
        assert frame is not None
        estimator.n_features_in_ = len(frame.names)
        vars(estimator).pop("feature_names_in_", None)
        if frame.library != "numpy":
            estimator.feature_names_in_ = np.array(
                list(map(str, frame.names)), dtype=object
            )
    if is_frame(X) or (frame is not None and frame.library == "numpy"):
        from keras_tied.estimator import _frames

        return _frames.encode(columns, _as_table(X))
    numbers = _as_table(X)
    if numbers.shape[1] != len(columns.features):
        raise ValueError(
            f"X is an array of {numbers.shape[1]} numbers a row, and"
            f" {type(estimator).__name__} was fitted to a frame: give a frame with its"
            f" columns, or the {len(columns.features)} numbers that stand for them."
        )
    return numbers


def _as_table(X: Any) -> Any:
    """A frame as it is, and anything else as an array of numbers."""
    if is_frame(X):
        return X
    return check_array(X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")


def is_frame(X: Any) -> bool:
    """Whether this is a data frame of any library that shares its columns by Arrow."""
    return hasattr(X, "__arrow_c_stream__") and hasattr(X, "columns")


def _may_have_kinds(X: Any) -> bool:
    """Whether a frame may have columns of other dtypes than numbers."""
    if not is_frame(X):
        return False
    dtypes = getattr(X, "dtypes", None)
    return dtypes is None or not all(
        getattr(dtype, "kind", "O") in "iufc" or getattr(dtype, "is_numeric", bool)()
        for dtype in dtypes
    )


def _is_valid(estimator: BaseEstimator, X: Any) -> bool:
    """Whether a quick check shows that validation would neither change nor refuse the rows."""
    if type(X) is not np.ndarray or X.ndim != 2 or not 0 < X.size <= FEW_NUMBERS:
        return False
    state = vars(estimator)  # in which to look up what is not there takes no time
    fitted = state.get("_fitted")
    return (
        fitted is not None
        and fitted.columns_json is None
        and X.shape[1] == state["n_features_in_"]
        and "feature_names_in_" not in state
        and X.dtype in DTYPES
        and not np.isinf(X).any()
    )


def _validate(estimator: BaseEstimator, X: Any, reset: bool) -> Any:
    shape = () if estimator.encoder is None else estimator.encoder.input_shape[1:]
    if type(X).__name__ == "LazyFrame":
        raise ValueError("X is a LazyFrame, which has no rows yet: pass X.collect().")
    dtypes = _get_dtypes(X)
    for place, dtype in dtypes:
        if (
            getattr(dtype, "kind", "") in ("M", "m")
            or getattr(dtype, "is_temporal", bool)()
        ):
            raise ValueError(
                f"Date data not supported: {place} has {dtype}; turn it into numbers,"
                " such as days since a date, or leave it out."
            )
    half = {str(dtype).lower() for _, dtype in dtypes} == {"float16"}
    try:
        X = validate_data(
            estimator,
            (
                X.reshape(len(X), -1)
                if len(shape) > 1 and getattr(X, "ndim", 2) > 2
                else X
            ),
            accept_sparse="csr",
            dtype=np.float32 if half else [np.float64, np.float32],
            ensure_all_finite="allow-nan",
            ensure_min_samples=2 if reset else 1,
            reset=reset,
        )
    except (TypeError, ValueError) as error:
        message = _explain(X, error)
        if message is None:
            raise
        raise ValueError(message) from error
    if estimator.encoder is not None and X.shape[1] != math.prod(shape):
        raise ValueError(
            f"The encoder takes {math.prod(shape)} numbers, of shape {shape}, and X has"
            f" {X.shape[1]} features."
        )
    return X


def _get_dtypes(X: Any) -> list[tuple[str, Any]]:
    """The dtypes of a data frame's columns, or of an array, each after what it is of."""
    if _is_frame(X):
        pairs = zip(X.columns, X.dtypes, strict=True)
        return [(f"column {name!r} of X", dtype) for name, dtype in pairs]
    return [("X", X.dtype)] if hasattr(X, "dtype") else []


def _is_frame(X: Any) -> bool:
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def _explain(X: Any, error: Exception) -> str | None:
    """A message that names the column which cannot be used; None if scikit-learn's is better."""
    culprit = "X"
    for index, (place, _) in enumerate(_get_dtypes(X) if _is_frame(X) else ()):
        column = X.iloc[:, [index]] if hasattr(X, "iloc") else X[:, [index]]
        try:
            check_array(
                column, dtype=np.float64, ensure_all_finite=False, ensure_min_samples=0
            )
        except (TypeError, ValueError) as error_of_column:
            culprit, error = place, error_of_column
            break
    reason = str(error).splitlines()[0].rstrip(".")
    if reason == "Complex data not supported":
        return (
            f"{reason}: {culprit} has complex numbers; pass real and imaginary parts as"
            " columns."
        )
    if culprit == "X":
        return None
    return (
        f"Non-numeric data not supported: {culprit} cannot be used ({reason}); encode"
        " it as numbers, or leave it out."
    )
