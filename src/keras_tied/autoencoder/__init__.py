"""`Autoencoder`, an encoder and its decoder as one model, and `mirror`, which makes the decoder."""

from keras_tied.autoencoder._autoencoder import Autoencoder
from keras_tied.autoencoder._mirror import mirror
from keras_tied.autoencoder._mirror_rules import LayerContext, register

__all__ = ["Autoencoder", "LayerContext", "mirror", "register"]
