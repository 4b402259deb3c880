"""Tied autoencoders for Keras 3: a decoder that is its encoder, transposed."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from keras_tied import _backend
from keras_tied._register import register
from keras_tied._version import __version__

if TYPE_CHECKING:
    from keras_tied import (
        comparison,
        datasets,
        estimator,
        experiment,
        layers,
        losses,
        plotting,
        reference,
        regularizers,
        report,
        training,
    )
    from keras_tied.autoencoder import Autoencoder, mirror
    from keras_tied.estimator import TiedAutoencoder
    from keras_tied.fitted.file import load
    from keras_tied.layers import (
        assert_tied,
        retie,
        tie,
        ties,
        trainable_variables,
        variables,
    )

__all__ = [
    "Autoencoder",
    "TiedAutoencoder",
    "__version__",
    "assert_tied",
    "comparison",
    "datasets",
    "estimator",
    "experiment",
    "layers",
    "load",
    "losses",
    "mirror",
    "plotting",
    "reference",
    "regularizers",
    "report",
    "retie",
    "tie",
    "ties",
    "trainable_variables",
    "training",
    "variables",
]
TIES = ["assert_tied", "retie", "tie", "ties", "trainable_variables", "variables"]
MODULES = {
    "Autoencoder": "autoencoder",
    "mirror": "autoencoder",
    "TiedAutoencoder": "estimator",
    "load": "fitted.file",
    **dict.fromkeys(TIES, "layers"),
}
"""The modules of those public names that are not modules themselves."""

_backend.settle()
register()


def __getattr__(name: str) -> Any:
    """Import a part of the package when it is first used: some of them import Keras."""
    if name not in __all__:
        raise AttributeError(f"module 'keras_tied' has no attribute '{name}'")
    with _backend.explain_missing():
        module = import_module(f"keras_tied.{MODULES.get(name, name)}")
    return getattr(module, name) if name in MODULES else module


def __dir__() -> list[str]:
    return __all__
