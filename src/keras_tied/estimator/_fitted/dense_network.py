"""The estimator's own network: a tied autoencoder of dense layers, in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_tied._types import Array
from keras_tied.estimator._fitted.activations import ACTIVATIONS

NUMBERS = 2**20  # in the widest layer of a block, about: more do not fit in a processor's cache
MOST_BLOCK_ROWS, FEWEST_BLOCK_ROWS = 8192, 256  # rows in a block
LANES = 16  # rows of a block are a multiple of it: BLAS rounds those beyond one differently


@dataclass(frozen=True, eq=False)
class DenseNetwork:
    r"""A tied autoencoder with $L$ layers, of sizes $d = w_0, w_1, \dots, w_L = k$.

    The encoder computes $h_l = f(W_l^T h_{l-1} + b_l)$ for $l = 1 \dots L$, the decoder
    $r_{l-1} = f(W_l (g_l \odot r_l) + c_l)$ for $l = L \dots 1$; $f$ leaves the first
    `linear_units` units of a hidden layer as they are, and is not applied to code and output.

    Attributes:
        kernels: $W_l$, `(w[l-1], w[l])` float32 each.
        biases: $b_l$, `(w[l],)` float32 each.
        decoder_biases: $c_l$, `(w[l-1],)` float32 each.
        gains: $g_l$, `(w[l],)` float32 each.
        activation: the name of $f$, a key of `ACTIVATIONS`.
        linear_units: the units of a hidden layer that skip $f$.
    """

    kernels: tuple[Array, ...]
    biases: tuple[Array, ...]
    decoder_biases: tuple[Array, ...]
    gains: tuple[Array, ...]
    activation: str
    linear_units: int

    threads = True
    """Whether several threads are faster than one: NumPy releases the lock while it computes."""

    @property
    def layer_sizes(self) -> list[int]:
        """The features of a row, the units of each hidden layer, and the number of components."""
        return [len(self.kernels[0]), *map(len, self.biases)]

    @property
    def n_parameters(self) -> int:
        """The number of weights, each kernel once."""
        every = (*self.kernels, *self.biases, *self.decoder_biases, *self.gains)
        return sum(array.size for array in every)

    @property
    def block_rows(self) -> int:
        """The rows to compute at a time."""
        rows = NUMBERS // max(self.layer_sizes)
        return max(FEWEST_BLOCK_ROWS, min(MOST_BLOCK_ROWS, rows))

    def encode(self, rows: Array) -> Array:
        """The codes, `(n, k)` float32, of complete scaled rows, `(n, d)` float32."""
        units = _pad(rows).T
        with _silent_overflow():
            layers = encode_units(self.kernels, self.biases, units, self._activate)
        return layers[-1].T[: len(rows)]

    def decode(self, codes: Array) -> Array:
        """The scaled rows, `(n, d)` float32, reconstructed from codes, `(n, k)` float32."""
        units = _pad(codes).T
        backward = self.kernels, self.gains, self.decoder_biases
        with _silent_overflow():
            layers = decode_units(*backward, units, self._activate)
        return layers[0].T[: len(codes)]

    def _activate(self, units: Array) -> None:
        ACTIVATIONS[self.activation](units[self.linear_units :], None)


Activate = Callable[[Array], None]  # overwrites the units of a hidden layer, `(..., units, rows)`


def encode_units(
    kernels: Sequence[Array], biases: Sequence[Array], units: Array, activate: Activate
) -> list[Array]:
    """The units of all layers, `(..., w[l], rows)`, from those of the features to the code.

    Units are rows here, and those that skip the activation are one piece of memory. Axes before
    these are of networks that are computed side by side.
    """
    layers = [units]
    for kernel, bias in zip(kernels, biases, strict=True):
        if len(layers) > 1:
            activate(units)
        units = np.matmul(kernel.swapaxes(-1, -2), units)
        units += bias[..., None]
        layers.append(units)
    return layers


def decode_units(
    kernels: Sequence[Array],
    gains: Sequence[Array],
    decoder_biases: Sequence[Array],
    units: Array,
    activate: Activate,
) -> list[Array]:
    """The units of all layers, `(..., w[l], rows)`, from those of the output to the code."""
    layers = [units]
    for index in reversed(range(len(kernels))):
        if len(layers) > 1:
            activate(units)
        units = np.matmul(kernels[index], gains[index][..., None] * units)
        units += decoder_biases[index][..., None]
        layers.append(units)
    return layers[::-1]


def _silent_overflow() -> np.errstate:
    """Give infinities and NaN without a warning, as Keras does."""
    return np.errstate(over="ignore", invalid="ignore")


def _pad(rows: Array) -> Array:
    n = len(rows)
    if n % LANES == 0:
        return rows
    padded = np.zeros((n + -n % LANES, rows.shape[1]), np.float32)
    padded[:n] = rows
    return padded
