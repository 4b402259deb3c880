"""The tied autoencoder of one hidden layer by hand, in NumPy and in PyTensor."""

from keras_tied.article._numpy import (
    NumpyAutoencoder,
    Weights,
    loss_and_gradient,
)
from keras_tied.article._pytensor import PyTensorAutoencoder

__all__ = [
    "NumpyAutoencoder",
    "PyTensorAutoencoder",
    "Weights",
    "loss_and_gradient",
]
