"""The container of rows that a `TiedAutoencoder` returns, as `set_output` has chosen it."""

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config
from sklearn.utils.validation import _check_feature_names_in

from keras_tied._types import Array


def wrap_rows(estimator: BaseEstimator, rows: Array, X: Any) -> Any:
    """Rows with the names of the features, and the index of the data frame that they come from.

    scikit-learn itself wraps only what `transform` returns, and names it by the output's names.
    """
    container = _get_output_config("transform", estimator)["dense"]
    if container == "default":
        return rows
    names = _check_feature_names_in(estimator)
    return ADAPTERS_MANAGER.adapters[container].create_container(rows, X, columns=names)
