"""What a file holds, with parameters as JSON has them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Annotated, Any, NamedTuple

import numpy as np
from msgspec import Meta, Raw, Struct
from numpy.typing import ArrayLike

from tied_tables._types import Array
from tied_tables._version import __version__
from tied_tables.model.value import Fitted

ARRAYS = "__numpy__", "__tensor__"  # by which Keras stores arrays in a configuration
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a file holds besides arrays and notes, as JSON.

    Names that end in `_` are attributes of the estimator. `activation` is that of the
    estimator's own network, and None if the network is a Keras model; `steps` are those
    of Nadam that `partial_fit` has taken, 0 after `fit`; `columns` describes those of a
    table that features were made from, if they are not its own; `transposed` names the
    arrays that are stored transposed, as they lie in memory.
    """

    params: dict[str, Any]
    n_iter_: Count
    is_pca_: bool
    loss_curve_: list[float]
    validation_curve_: list[float]
    reconstruction_r2_: Annotated[float, Meta(le=1 + 1e-6)]
    offset: float
    feature_names: tuple[str, ...] | None
    weight_decay: Annotated[float, Meta(ge=0)]
    activation: str | None
    columns: Raw
    steps: Count
    transposed: list[str] = []
    version: str = __version__


class NadamState(NamedTuple):
    """What `partial_fit` goes on from."""

    averages: Array  # of the gradients of all weights, (n,) float32
    squares: Array  # the averages of their squares, (n,) float32
    step: int  # the number of steps taken


class Contents(NamedTuple):
    """What a file holds."""

    settings: Settings  # of the estimator
    fitted: Fitted  # the fitted value
    notes: Any  # a JSON object of the command
    nadam: NadamState | None  # what `partial_fit` goes on from; None after `fit`


def require(holds: ArrayLike, otherwise: str) -> None:
    """Raise `ValueError` unless something holds, for all numbers of an array."""
    if not np.all(holds):
        raise ValueError(otherwise)


def to_json(value: Any) -> Any:
    """What JSON has of a parameter; of a generator of random numbers None."""
    if isinstance(value, np.random.RandomState | ModuleType):
        return None
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Iterable):
        return list(value)
    return _serialize_encoder(value)


def deserialize_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters from what JSON has of them; no code in it is run."""
    values = {}
    for name, value in params.items():
        if name == "encoder" and value is not None:
            value = _deserialize_encoder(value)
        require(not isinstance(value, dict), f"its parameter {name!r} is an object")
        values[name] = tuple(value) if isinstance(value, list) else value
    return values


def _serialize_encoder(encoder: Any) -> Any:
    import keras

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of Keras, where there is a lambda in it
            text = json.dumps(keras.saving.serialize_keras_object(encoder))
        config = json.loads(text)
        _deserialize_encoder(config)
    except Exception as error:  # of layers and functions of the user's own
        raise ValueError(
            f"encoder={encoder!r} cannot be read back from a file: register its"
            " classes and functions with keras.saving.register_keras_serializable, and"
            " use no lambda."
        ) from error
    return config


def _deserialize_encoder(config: Any) -> Any:
    import keras

    require_plain(config)
    return keras.saving.deserialize_keras_object(config, safe_mode=True)


def require_plain(config: Any) -> None:
    """Refuse arrays of text, which Keras does not: one element may take all memory."""
    if isinstance(config, list):
        for value in config:
            require_plain(value)
    elif isinstance(config, dict):
        if config.get("class_name") in ARRAYS:
            dtype = np.dtype(config["config"].get("dtype", "float32"))
            # Truth values, integers or floats.
            require(dtype.kind in "biuf", f"it has an array of {dtype}")
        for value in config.values():
            require_plain(value)
