"""The list of what the configuration of a model may name."""

from __future__ import annotations

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
    keras.regularizers,
)
"""Modules whose classes may be named, but for those that run code of the file or of other ones."""
CODE = ("Lambda", "JaxLayer", "FlaxLayer", "TorchModuleWrapper", "TFSMLayer")
DATA = ("__tuple__", "__numpy__", "__tensor__", "__keras_tensor__", "__ellipsis__", "__slice__")
"""How Keras stores what is no object of its own."""
FUNCTIONAL = ("keras.src.models.functional", "Functional")
"""How Keras calls a Functional model, which has no public name."""
OPERATIONS = "keras.src.ops."
"""Where the operations are that a Functional model can hold besides layers."""


def require_known_classes(config: Any) -> None:
    """Raise `ValueError` for the first class or function that is not on the list.

    On it are Keras's public ones, and those that were registered, by this package or with
    `keras.saving.register_keras_serializable`.

    Args:
        config: what JSON holds of a model, a layer or a function.
    """
    if isinstance(config, list):
        for item in config:
            require_known_classes(item)
    elif isinstance(config, dict):
        if "class_name" in config:
            require(
                _is_known(config),
                f"it names {config.get('module')}.{config['class_name']}, which is neither a class "
                "of Keras that can be loaded safely nor registered",
            )
        for item in config.values():
            require_known_classes(item)


def _is_known(config: dict[str, Any]) -> bool:
    name, module = config["class_name"], config.get("module")
    registered = config.get("registered_name")
    if not isinstance(name, str) or name in CODE:
        return False
    if name == "function":
        return _is_function(config.get("config"), registered)
    if name in DATA:
        return module is None or module == "builtins"
    if isinstance(registered, str) and keras.saving.get_registered_object(registered) is not None:
        return True
    if (module, name) == FUNCTIONAL:
        return True
    if isinstance(module, str) and module.startswith(OPERATIONS):
        return module.count(".") == 3 and hasattr(keras.ops, name.lower())
    return any(module == public.__name__ and _has_class(public, name) for public in PUBLIC)


def _is_function(name: Any, registered: Any) -> bool:
    """Whether it is an activation, a loss or a metric of Keras, or registered."""
    if not isinstance(name, str):
        return False
    if keras.saving.get_registered_object(name) is not None:
        return True
    if isinstance(registered, str) and keras.saving.get_registered_object(registered) is not None:
        return True
    public = (keras.activations, keras.losses, keras.metrics)
    return any(callable(vars(module).get(name)) for module in public)


def _has_class(public: Any, name: str) -> bool:
    return isinstance(vars(public).get(name), type)
