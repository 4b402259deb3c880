"""Weight tying for Keras 3: layers that share the kernel of another layer."""
# ruff: noqa: E402  Keras reads its backend when it is imported

from keras_tied import _backend

_backend.settle()
with _backend.explain_missing():
    import keras as _keras  # noqa: F401

from keras_tied import article, layers, losses, regularizers, training
from keras_tied._version import __version__
from keras_tied.autoencoder import Autoencoder, mirror
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
    "__version__",
    "article",
    "assert_tied",
    "layers",
    "losses",
    "mirror",
    "regularizers",
    "retie",
    "tie",
    "ties",
    "trainable_variables",
    "training",
    "variables",
]
