"""Validation of the rows that a `TiedAutoencoder` is given."""

from __future__ import annotations

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

from tied_tables._types import Array
from tied_tables.model.imputation import fill_masked

if TYPE_CHECKING:
    from tied_tables.columns import Columns

FLOAT_DTYPES = [np.dtype(np.float64), np.dtype(np.float32)]
FEW_NUMBERS = 10_000
"""Of so few, scikit-learn's validation takes longer than arithmetic."""


def validate_training_rows(
    estimator: BaseEstimator, X: Any, sample_weight: Any, reset: bool
) -> tuple[Array, Array, Columns | None]:
    """The rows of positive weight, dense, their weights, of mean 1, and their columns.

    With `reset` the number and the names of the features are stored, else compared.
    """
    if reset:
        columns, X = _learn_columns(estimator, X)
    else:
        columns = estimator._columns
    rows = to_dense(read_rows(estimator, columns, X, reset=reset, double=True))
    weights = _check_sample_weight(
        fill_masked(sample_weight),
        rows,
        dtype=np.float64,
        ensure_non_negative=True,
        copy=True,
    )
    weights /= weights.max() or 1.0  # no sum of them is infinite
    counts = weights > 0
    if not counts.all():
        rows, weights = rows[counts], weights[counts]
        if len(rows) < 2:
            raise ValueError(
                f"{type(estimator).__name__} needs at least 2 rows of positive"
                f" sample_weight, and was given {len(rows)}."
            )
    return rows, weights / weights.mean(), columns


def validate_rows(estimator: BaseEstimator, X: Any, *, double: bool = False) -> Any:
    """Rows for a fitted estimator, `(n, d)`, an array or a CSR matrix.

    With `double`, those of a frame with columns of any kind are in double precision.
    """
    if _is_valid(estimator, X):
        return X
    check_is_fitted(estimator)
    return read_rows(estimator, estimator._columns, X, double=double)


def read_rows(
    estimator: BaseEstimator,
    columns: Columns | None,
    X: Any,
    *,
    reset: bool = False,
    double: bool = False,
) -> Any:
    """The numbers of rows with these columns, `(n, d)`, an array or a CSR matrix.

    Those of an array may stand for columns of any kind already.
    """
    table = to_arrow(columns, X)
    if columns is None:
        return _validate_numbers(estimator, X, reset)
    from tied_tables.columns import Frame
    from tied_tables.estimator import _columns

    if isinstance(table, Frame):
        return _columns.encode(columns, table, double=double)
    if table.shape[1] != len(columns.features):
        raise ValueError(
            f"X is an array with {table.shape[1]} columns, but"
            f" {type(estimator).__name__} was fitted on a frame: give a frame with its"
            f" columns, or an array of the {len(columns.features)} numbers that encode"
            " them."
        )
    return table


def to_dense(rows: Any) -> Array:
    """Rows as an array."""
    return rows.toarray() if sparse.issparse(rows) else rows


def to_arrow(columns: Columns | None, X: Any) -> Any:
    """Rows that columns encode, in Arrow; an array of numbers, if they stand for these.

    Rows without columns stay as they are.
    """
    if type(X).__name__ == "LazyFrame":
        raise ValueError("X is a LazyFrame, which has no rows yet: pass X.collect().")
    if hasattr(X, "map_partitions"):
        raise ValueError(
            "X is a frame of Dask: pass X.compute(), or let X.map_partitions call a"
            " method of the fitted estimator."
        )
    if columns is None:
        return X
    from tied_tables.columns import Frame

    if isinstance(X, Frame):
        return X
    table = _as_table(X)
    of_arrays = columns.frame is not None and columns.frame.library == "numpy"
    return Frame.read(table) if of_arrays or is_frame(X) else table


def _learn_columns(estimator: BaseEstimator, X: Any) -> tuple[Columns | None, Any]:
    """What the columns of rows are, and these in Arrow; None if all are numbers."""
    features = estimator.categorical_features
    if features is None or (isinstance(features, str) and not _may_have_kinds(X)):
        return None, X
    if sparse.issparse(X):
        raise ValueError(
            "categorical_features cannot name columns of sparse rows: X.toarray()."
        )
    from tied_tables.columns import Frame
    from tied_tables.estimator import _columns

    frame = Frame.read(_as_table(X))
    columns = _columns.learn_columns(frame, features)
    if columns is None:
        return None, X
    estimator._keep_names(columns)
    return columns, frame


def _as_table(X: Any) -> Any:
    """A frame as it is, and anything else as an array of numbers."""
    if is_frame(X):
        return X
    rows = fill_masked(X)
    return check_array(rows, dtype=FLOAT_DTYPES, ensure_all_finite="allow-nan")


def _to_named(X: Any) -> Any:
    """A batch of Arrow as a table, whose names scikit-learn knows; else the same."""
    if type(X).__name__ != "RecordBatch":
        return X
    import pyarrow as pa

    return pa.table(X)


def is_frame(X: Any) -> bool:
    """Whether this is a data frame of any library that shares its columns by Arrow."""
    return hasattr(X, "__arrow_c_stream__") and hasattr(X, "columns")


def _may_have_kinds(X: Any) -> bool:
    """Whether a frame may have columns of other dtypes than numbers."""
    if not is_frame(X):
        return False
    for dtype in getattr(X, "dtypes", [None]):
        is_number = getattr(dtype, "is_numeric", bool)()  # of Polars, and False else
        if not is_number and getattr(dtype, "kind", "O") not in "iufc":
            return True
    return False


def _is_valid(estimator: BaseEstimator, X: Any) -> bool:
    """Whether a quick check shows that validation would not change or refuse rows."""
    if type(X) is not np.ndarray or X.ndim != 2 or not 0 < X.size <= FEW_NUMBERS:
        return False
    state = vars(estimator)  # in which to look up what is not there takes no time
    model = state.get("_model")
    return (
        model is not None
        and model.columns is None
        and X.shape[1] == state["n_features_in_"]
        and "feature_names_in_" not in state
        and X.dtype in FLOAT_DTYPES
        and not np.isinf(X).any()
    )


def _validate_numbers(estimator: BaseEstimator, X: Any, reset: bool) -> Any:
    """Rows of numbers alone, an array or a CSR matrix, float32 or float64."""
    X = _to_named(X)
    dtypes = _list_dtypes(X)
    for place, dtype in dtypes:
        if _is_time(dtype):
            raise ValueError(
                f"Date data not supported: {place} has {dtype}; convert it to numbers,"
                " such as days since a date, or drop it."
            )
    is_half = {str(dtype).lower() for _, dtype in dtypes} == {"float16"}
    try:
        return validate_data(
            estimator,
            fill_masked(X),
            accept_sparse="csr",
            dtype=np.float32 if is_half else FLOAT_DTYPES,
            ensure_all_finite="allow-nan",
            ensure_min_samples=2 if reset else 1,
            reset=reset,
        )
    except (TypeError, ValueError) as error:
        message = _explain(X, error)
        if message is None:
            raise
        raise ValueError(message) from error


def _is_time(dtype: Any) -> bool:
    """Whether a dtype of any library is of dates, times or durations."""
    if hasattr(dtype, "is_temporal"):  # of Polars
        return bool(dtype.is_temporal())
    if type(dtype).__module__.startswith("pyarrow"):
        from pyarrow import types

        return bool(types.is_temporal(dtype))
    return getattr(dtype, "kind", "") in ("M", "m")


def _list_dtypes(X: Any) -> list[tuple[str, Any]]:
    """The dtypes of a frame's columns, or of an array, each after what it is of."""
    if hasattr(X, "column_names"):  # of Arrow
        return [(f"column {field.name!r} of X", field.type) for field in X.schema]
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        places = [f"column {name!r} of X" for name in X.columns]
        return list(zip(places, X.dtypes, strict=True))
    return [("X", X.dtype)] if hasattr(X, "dtype") else []


def _explain(X: Any, error: Exception) -> str | None:
    """A message that names a column of a frame; None if scikit-learn's is better."""
    culprit = "X"
    for index, (place, _) in enumerate(_list_dtypes(X) if is_frame(X) else ()):
        if hasattr(X, "column_names"):
            column = X.select([index])
        else:
            places = X.iloc if hasattr(X, "iloc") else X
            column = places[:, [index]]
        try:
            check_array(
                column, dtype=np.float64, ensure_all_finite=False, ensure_min_samples=0
            )
        except (TypeError, ValueError) as column_error:
            culprit, error = place, column_error
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
        " it as numbers, or drop it."
    )
