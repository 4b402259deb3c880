"""The classes and functions that the configuration of a model may name."""

from __future__ import annotations

import sys
from typing import Any

import keras

from keras_tied.estimator._archive import require

PUBLIC = (
    keras,
    keras.activations,
    keras.constraints,
    keras.dtype_policies,
    keras.initializers,
    keras.layers,
    keras.losses,
    keras.metrics,
    keras.optimizers,
    keras.optimizers.schedules,
    keras.random,
    keras.regularizers,
)
"""Modules whose classes may be named, except for those that run code."""
CODE = ("Lambda", "JaxLayer", "FlaxLayer", "TorchModuleWrapper", "TFSMLayer")
DATA = ("__numpy__", "__tensor__", "__keras_tensor__", "__ellipsis__", "__slice__", "__bytes__")
"""The names by which Keras stores plain data."""
CODE_DATA = ("__lambda__", "__typespec__")
"""The same for code, and for types that lead to a class."""
FUNCTIONAL = ("keras.src.models.functional", "Functional")
"""The name of a Functional model, which is not public."""
TORCH_OPTIMIZERS = "keras.src.backend.torch.optimizers.torch_"
"""Where the optimizers of `keras.optimizers` are on PyTorch, by the beginning of the module."""
OPERATIONS = "keras.src.ops."
"""Where the operations are that a Functional model can hold besides layers."""
WITH_FUNCTIONS = (keras.activations, keras.losses, keras.metrics)
NO_FUNCTIONS = ("get", "serialize", "deserialize")
"""Functions there that create others from their argument."""


def require_known_classes(config: Any) -> None:
    """Raise `ValueError` for the first class or function that is not on the list.

    On it are Keras's public ones, and those that were registered, by this package or with
    `keras.saving.register_keras_serializable`. Names are looked up as
    `keras.saving.deserialize_keras_object` does, but nothing is imported for it.

    Args:
        config: what JSON holds of a model, a layer or a function.
    """
    if isinstance(config, list):
        for item in config:
            require_known_classes(item)
    elif isinstance(config, dict):
        if "class_name" in config:
            name = config["config"] if _is_function(config) else config["class_name"]
            require(
                _is_known(config),
                f"it names {name!r} of {config.get('module')!r}, which is neither a class or "
                "function of Keras that can be loaded safely nor registered",
            )
        for item in config.values():
            require_known_classes(item)


def _is_known(config: dict[str, Any]) -> bool:
    name, module = config["class_name"], config.get("module")
    if not isinstance(name, str) or name in CODE or name in CODE_DATA:
        return False
    if name in DATA:
        return module in (None, "builtins") and _is_numeric(config.get("config"))
    if "module" not in config:  # Keras would read it as old versions did, by other rules
        return False
    if _is_function(config):
        return _is_known_function(config["config"], module)
    if _is_registered(config.get("registered_name", name)) or (module, name) == FUNCTIONAL:
        return True
    if isinstance(module, str) and module.startswith(TORCH_OPTIMIZERS):
        return isinstance(vars(keras.optimizers).get(name), type)
    return _is_operation(module, name) or any(
        module == public.__name__ and isinstance(vars(public).get(name), type) for public in PUBLIC
    )


def _is_numeric(data: Any) -> bool:
    """Whether an array is of a dtype of Keras; one element of text could take all memory."""
    dtype = data.get("dtype") if isinstance(data, dict) else None
    try:
        return dtype is None or bool(keras.backend.standardize_dtype(dtype))
    except (TypeError, ValueError):
        return False


def _is_function(config: dict[str, Any]) -> bool:
    return config["class_name"] == "function" and "config" in config


def _is_known_function(name: Any, module: Any) -> bool:
    """Whether it is an activation, a loss or a metric of Keras, or registered."""
    if not isinstance(name, str):
        return False
    if _is_registered(name):
        return True
    public = any(
        module in ("builtins", place.__name__)
        and callable(vars(place).get(name))
        and not isinstance(vars(place)[name], type)
        for place in WITH_FUNCTIONS
    )
    if public:
        return name not in NO_FUNCTIONS
    # Keras up to 3.6 stored the name of a registered function without its package.
    objects = keras.saving.get_custom_objects()
    return module == "builtins" and any(full_name.endswith(f">{name}") for full_name in objects)


def _is_registered(name: Any) -> bool:
    return isinstance(name, str) and keras.saving.get_registered_object(name) is not None


def _is_operation(module: Any, name: str) -> bool:
    """Whether it is an operation, in a module that is imported already."""
    if not isinstance(module, str) or not module.startswith(OPERATIONS):
        return False
    operation = getattr(sys.modules.get(module), name, None)
    return isinstance(operation, type) and issubclass(operation, keras.Operation)
