"""Keras layers that use the kernel of another layer, transposed or as it is."""

from keras_tied.layers._tie import tie
from keras_tied.layers.tied_conv import TiedConv
from keras_tied.layers.tied_dense import TiedDense
from keras_tied.layers.tied_einsum_dense import TiedEinsumDense

__all__ = ["TiedConv", "TiedDense", "TiedEinsumDense", "tie"]
