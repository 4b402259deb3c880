"""Keras layers for autoencoders: tied to another layer's kernel, sparse, noisy."""

from keras_tied.layers._ties import (
    Tie,
    assert_tied,
    retie,
    tie,
    ties,
    trainable_variables,
    variables,
)
from keras_tied.layers.aux_k import AuxK
from keras_tied.layers.batch_top_k import BatchTopK
from keras_tied.layers.jump_relu import JumpReLU
from keras_tied.layers.k_sparse import KSparse
from keras_tied.layers.noise import MaskingNoise, SaltAndPepperNoise
from keras_tied.layers.partly_linear import PartlyLinear
from keras_tied.layers.tied_conv import TiedConv
from keras_tied.layers.tied_dense import TiedDense
from keras_tied.layers.tied_einsum_dense import TiedEinsumDense

__all__ = [
    "AuxK",
    "BatchTopK",
    "JumpReLU",
    "KSparse",
    "MaskingNoise",
    "PartlyLinear",
    "SaltAndPepperNoise",
    "Tie",
    "TiedConv",
    "TiedDense",
    "TiedEinsumDense",
    "assert_tied",
    "retie",
    "tie",
    "ties",
    "trainable_variables",
    "variables",
]
