"""Keras layers that use the kernel of another layer, transposed or as it is."""

from keras_tied.layers._tie import tie
from keras_tied.layers.contractive import Contractive, squared_jacobian_norm
from keras_tied.layers.tied_conv import TiedConv
from keras_tied.layers.tied_dense import TiedDense
from keras_tied.layers.tied_einsum_dense import TiedEinsumDense

__all__ = [
    "Contractive",
    "TiedConv",
    "TiedDense",
    "TiedEinsumDense",
    "squared_jacobian_norm",
    "tie",
]
