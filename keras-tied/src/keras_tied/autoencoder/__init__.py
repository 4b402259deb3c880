"""`Autoencoder`, an encoder and decoder as one model, and `mirror`, which decodes."""

from keras_tied.autoencoder._autoencoder import Autoencoder
from keras_tied.autoencoder._mirror import mirror
from keras_tied.autoencoder._mirror_rules import LayerContext, register

__all__ = [
    "Autoencoder",
    "LayerContext",
    "mirror",
    "register",
]
