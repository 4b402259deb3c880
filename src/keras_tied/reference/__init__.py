"""The tied autoencoder of one hidden layer, written out by hand: in NumPy, and in PyTensor.

An article series of 2017 builds the same network three times, in NumPy, in Theano and in Keras.
Here are the first two; PyTensor is Theano's maintained successor. They import nothing from the rest
of keras-tied, so that its layers can be tested against them.
"""

from keras_tied.reference._autoencoder import NotFittedError, Weights
from keras_tied.reference._numpy import NumpyAutoencoder, loss_and_gradient
from keras_tied.reference._pytensor import PyTensorAutoencoder

__all__ = [
    "NotFittedError",
    "NumpyAutoencoder",
    "PyTensorAutoencoder",
    "Weights",
    "loss_and_gradient",
]
