"""The parameters of an estimator as JSON has them: layers and functions as Keras stores them."""

import json
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_tied.estimator._files.contents import require

ARRAYS = "__numpy__", "__tensor__"  # the names by which Keras stores arrays in a configuration


def serialize_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as JSON has them; a generator of random numbers becomes None."""
    return {name: _serialize(name, value) for name, value in params.items()}


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
    if name == "hidden_layer_sizes":
        return [int(units) for units in value]
    import keras

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of Keras, where there is a lambda in it
            config = json.loads(json.dumps(keras.saving.serialize_keras_object(value)))
        _deserialize(config)
    except Exception as error:  # layers and functions of the user's own can raise anything
        raise ValueError(
            f"{name}={value!r} cannot be read back from a file: register its classes and functions "
            "with keras.saving.register_keras_serializable, and use no lambda."
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
