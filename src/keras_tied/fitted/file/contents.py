"""What a file holds, with parameters as JSON has them, and how it is refused if it does not."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple

import numpy as np
from msgspec import Meta, Raw, Struct

from keras_tied._types import Array
from keras_tied._version import __version__
from keras_tied.fitted.value import Fitted

ARRAYS = (
    "__numpy__",
    "__tensor__",
)  # the names by which Keras stores arrays in a configuration
LONGEST = 300  # characters of a message that quotes the file
LEARNED = "n_iter_", "is_pca_", "loss_curve_", "validation_curve_", "reconstruction_r2_"
"""The settings that are attributes of the estimator."""


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a file holds besides arrays and notes, as JSON: parameters as such, and `LEARNED`.

    `activation` is that of the estimator's own network, and None if the network is a
    Keras model; `steps` are those of Nadam that `partial_fit` has taken, 0 after `fit`;
    `columns` describes those of a table that features were made from, if they are not
    its own; `transposed` names the arrays that are stored transposed, as they lie in
    memory.
    """

    params: dict[str, Any]
    n_iter_: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    is_pca_: bool
    loss_curve_: list[float]
    validation_curve_: list[float]
    reconstruction_r2_: Annotated[float, Meta(le=1 + 1e-6)]
    offset: float
    feature_names: list[str] | None
    weight_decay: Annotated[float, Meta(ge=0)]
    activation: str | None
    columns: Raw = Raw(b"null")
    steps: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    transposed: list[str] = []
    version: str = __version__


class NadamState(NamedTuple):
    """What `partial_fit` goes on from."""

    averages: Array  # of the gradients of all weights, (n,)
    squares: Array  # the averages of their squares, (n,)
    step: int  # the number of steps taken


class Contents(NamedTuple):
    """What a file holds."""

    settings: Settings  # of the estimator
    fitted: Fitted  # the fitted value
    notes: Any  # a JSON object of the command, or None
    nadam: NadamState | None  # what `partial_fit` goes on from; None after `fit`


def require(holds: bool, otherwise: str) -> None:
    """Raise `ValueError` unless something holds."""
    if not holds:
        raise ValueError(otherwise)


@contextmanager
def name_file(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn any error of reading a file into one `ValueError` that names the file."""
    name = repr(os.fspath(path))
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {name}.")
    try:
        yield
    except Exception as error:  # any file can be given
        lines = str(error).strip().splitlines() or [type(error).__name__]
        line = lines[0] if len(lines[0]) <= LONGEST else f"{lines[0][:LONGEST]}..."
        printable = (
            letter if letter.isprintable() else repr(letter)[1:-1] for letter in line
        )
        reason = "".join(printable).rstrip(".")
        raise ValueError(f"{name} cannot be loaded: {reason}.") from error


def serialize_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as JSON has them; a generator of random numbers becomes None.

    Where a checkpoint was is left out, as it is not of the model.
    """
    return {
        name: _serialize(name, of)
        for name, of in params.items()
        if name != "checkpoint"
    }


def deserialize_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters from what JSON has of them; no code in it is run."""
    return {name: _deserialize(value) for name, value in params.items()}


def _serialize(name: str, value: Any) -> Any:
    if isinstance(value, np.random.RandomState) or value is np.random:
        return None
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if name in ("hidden_layer_sizes", "categorical_features"):
        return list(value)
    import keras

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of Keras, where there is a lambda in it
            config = json.loads(json.dumps(keras.saving.serialize_keras_object(value)))
        _deserialize(config)
    except (
        Exception
    ) as error:  # layers and functions of the user's own can raise anything
        raise ValueError(
            f"{name}={value!r} cannot be read back from a file: register its classes"
            " and functions with keras.saving.register_keras_serializable, and use no"
            " lambda."
        ) from error
    return config


def _deserialize(value: Any) -> Any:
    if not isinstance(value, dict):
        return tuple(value) if isinstance(value, list) else value
    import keras

    require_plain(value)
    return keras.saving.deserialize_keras_object(value, safe_mode=True)


def require_plain(config: Any) -> None:
    """Refuse arrays of text, one element of which may take all memory: Keras does not."""
    if isinstance(config, list):
        for item in config:
            require_plain(item)
    elif isinstance(config, dict):
        if config.get("class_name") in ARRAYS:
            dtype = np.dtype(config["config"].get("dtype", "float32"))
            require(dtype.kind in "biuf", f"it has an array of {dtype}")
        for item in config.values():
            require_plain(item)
