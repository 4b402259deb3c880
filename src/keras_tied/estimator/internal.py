"""What other packages of keras_tied may use of the estimator besides `TiedAutoencoder`.

Not public: it can change with any version.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from keras_tied.estimator._baseline import baseline_errors
from keras_tied.estimator._explanation import Explanation
from keras_tied.estimator._fences import Fences, fit_fences, keep_all
from keras_tied.estimator._fitted import Fitted
from keras_tied.estimator._ranks import ranks
from keras_tied.estimator.files import Contents, read

if TYPE_CHECKING:
    from keras_tied.estimator._estimator import TiedAutoencoder
    from keras_tied.estimator._moments import Moments, measure_moments
    from keras_tied.estimator._progress import epoch_callback
    from keras_tied.estimator._sample import choose_places, choose_sample_size, fit_rows

__all__ = [
    "Contents",
    "Explanation",
    "Fences",
    "Fitted",
    "Moments",
    "baseline_errors",
    "choose_places",
    "choose_sample_size",
    "epoch_callback",
    "fit_fences",
    "fit_rows",
    "fitted_value",
    "keep_all",
    "measure_moments",
    "ranks",
    "read",
    "save",
    "write_onnx",
]
LAZY = {
    "Moments": "_moments",
    "choose_places": "_sample",
    "choose_sample_size": "_sample",
    "epoch_callback": "_progress",
    "fit_rows": "_sample",
    "measure_moments": "_moments",
}


def save(
    estimator: TiedAutoencoder, path: str | os.PathLike[str], notes: Mapping[str, Any]
) -> None:
    """Write an estimator, as its own `save` does, with notes beside it, as JSON has them."""
    estimator._save(path, notes)


def fitted_value(estimator: TiedAutoencoder) -> Fitted:
    """What a fitted estimator computes with."""
    return estimator._fitted


def write_onnx(fitted: Fitted, path: str | os.PathLike[str], part: str) -> None:
    """Write a part of a fitted value as ONNX; see `TiedAutoencoder.export`."""
    from keras_tied.estimator._onnx import write

    write(fitted, path, part)


def __getattr__(name: str) -> Any:
    """Import what takes long to import when it is first used."""
    if name not in LAZY:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"keras_tied.estimator.{LAZY[name]}"), name)
