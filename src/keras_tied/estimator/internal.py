"""What other packages of keras_tied may use of the estimator besides `TiedAutoencoder`.

Not public: it can change with any version.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_tied._types import Array
from keras_tied.estimator._files import Contents, read, write
from keras_tied.estimator._fitted.explanation import Explanation
from keras_tied.estimator._fitted.fences import Fences, fit_ends, fit_fences, keep_all
from keras_tied.estimator._fitted.moments import Moments, measure_moments
from keras_tied.estimator._fitted.tail import ranks
from keras_tied.estimator._fitted.value import Fitted, baseline_errors

if TYPE_CHECKING:
    from keras_tied.estimator._onnx import write_onnx
    from keras_tied.estimator._training.judge import Outcome
    from keras_tied.estimator._training.plan import Parameters
    from keras_tied.estimator._training.progress import epoch_callback
    from keras_tied.estimator._training.sample import choose_places, choose_sample_size
    from keras_tied.estimator._training.width import measure_hidden
    from keras_tied.estimator._validation import validate_rows
    from keras_tied.estimator.columns import Columns

__all__ = [
    "Contents",
    "Explanation",
    "Fences",
    "Fitted",
    "Moments",
    "Outcome",
    "Parameters",
    "baseline_errors",
    "choose_places",
    "choose_sample_size",
    "epoch_callback",
    "fit_ends",
    "fit_fences",
    "fit_rows",
    "keep_all",
    "measure_hidden",
    "measure_moments",
    "ranks",
    "read",
    "save",
    "validate_rows",
    "write_onnx",
]
LAZY = {
    "Outcome": "_training.judge",
    "Parameters": "_training.plan",
    "choose_places": "_training.sample",
    "choose_sample_size": "_training.sample",
    "epoch_callback": "_training.progress",
    "measure_hidden": "_training.width",
    "validate_rows": "_validation",
    "write_onnx": "_onnx",
}


def fit_rows(
    parameters: Parameters,
    X: Array,
    *,
    columns: Columns | None = None,
    moments: Moments | None = None,
) -> Outcome:
    """Fit to rows, as `TiedAutoencoder.fit` does, or to a sample, with scale and PCA of all rows.

    Rows are `(n, d)`, finite or NaN. `columns` are what they were made from, by default
    numbers. `moments` are those of all rows without absurd values, if `X` is a sample.
    """
    from keras_tied.estimator._training.fit import fit
    from keras_tied.estimator._training.prepare import check_columns

    check_columns(X, None)
    layout = None if columns is None else columns.layout
    outcome = fit(parameters, X, np.ones(len(X)), layout=layout, moments=moments)
    if columns is None:
        return outcome
    return outcome._replace(fitted=replace(outcome.fitted, columns_json=columns.to_json()))


def save(
    outcome: Outcome, parameters: Parameters, path: str | os.PathLike[str], notes: Mapping[str, Any]
) -> None:
    """Write what `fit_rows` gives as `TiedAutoencoder.save` does, with notes, as JSON has them."""
    write(path, outcome, parameters.to_dict(), parameters.feature_names, notes)


def __getattr__(name: str) -> Any:
    """Import what takes long to import when it is first used."""
    if name not in LAZY:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"keras_tied.estimator.{LAZY[name]}"), name)
