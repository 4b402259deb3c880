"""The estimator's own network: a tied autoencoder of dense layers, in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tied_tables._types import Array
from tied_tables.model.activations import ACTIVATIONS

LAYER_BLOCK_NUMBERS = 2**20
"""In the widest layer of a block, about: more do not fit in a processor's cache."""
# rows in a block
MOST_BLOCK_ROWS = 8192
FEWEST_BLOCK_ROWS = 256
LANES = 16
"""Rows of a block are a multiple of it: BLAS rounds those beyond one differently."""


WEIGHTS = "kernels", "biases", "decoder_biases", "gains"
"""Of a network, in the order in which they are trained as one array."""


@dataclass(frozen=True, eq=False)
class DenseNetwork:
    r"""A tied autoencoder with $L$ layers, of sizes $d = w_0, w_1, \dots, w_L = k$.

    The encoder computes $h_l = f(W_l^T h_{l-1} + b_l)$ for $l = 1 \dots L$, the decoder
    $r_{l-1} = f(W_l (g_l \odot r_l) + c_l)$ for $l = L \dots 1$; $f$ leaves the first
    $k$ units of a hidden layer as they are, and is not applied to code and output.

    Attributes:
        kernels: $W_l$, `(w[l-1], w[l])` float32 each.
        biases: $b_l$, `(w[l],)` float32 each.
        decoder_biases: $c_l$, `(w[l-1],)` float32 each.
        gains: $g_l$, `(w[l],)` float32 each.
        activation: the name of $f$, a key of `ACTIVATIONS`.
    """

    kernels: tuple[Array, ...]
    biases: tuple[Array, ...]
    decoder_biases: tuple[Array, ...]
    gains: tuple[Array, ...]
    activation: str

    @property
    def layer_sizes(self) -> list[int]:
        """The features of a row, the units of each hidden layer, and the components."""
        return [len(self.kernels[0]), *map(len, self.biases)]

    @property
    def linear_units(self) -> int:
        """The units of a hidden layer that skip the activation: one a component."""
        return len(self.biases[-1])

    @property
    def n_parameters(self) -> int:
        """The number of weights, each kernel once."""
        return sum(array.size for name in WEIGHTS for array in getattr(self, name))

    @property
    def block_rows(self) -> int:
        """The rows to compute at a time."""
        rows = LAYER_BLOCK_NUMBERS // max(self.layer_sizes)
        return max(FEWEST_BLOCK_ROWS, min(MOST_BLOCK_ROWS, rows))

    def select(self, features: Array) -> DenseNetwork:
        """The network of rows with all features in another order."""
        first, *kernels = self.kernels
        bias, *decoder_biases = self.decoder_biases
        return replace(
            self,
            kernels=(first[features], *kernels),
            decoder_biases=(bias[features], *decoder_biases),
        )

    def encode(self, rows: Array) -> Array:
        """The codes, `(n, k)` float32, of complete scaled rows, `(n, d)` float32."""
        matrices = [kernel.T for kernel in self.kernels]
        return self._compute(matrices, self.biases, rows)

    def decode(self, codes: Array) -> Array:
        """The scaled rows, `(n, d)`, reconstructed from codes, `(n, k)`, in float32."""
        matrices = list(map(np.multiply, self.kernels, self.gains))
        return self._compute(matrices[::-1], self.decoder_biases[::-1], codes)

    def _compute(
        self,
        matrices: Sequence[Array],
        biases: Sequence[Array],
        rows: Array,
    ) -> Array:
        n, width = rows.shape
        padded = rows
        if n % LANES:
            n_padded = n + -n % LANES
            padded = np.zeros((n_padded, width), np.float32)
            padded[:n] = rows
        with np.errstate(over="ignore", invalid="ignore"):  # as silent as Keras
            layers = compute_layers(matrices, biases, padded.T, self._activate)
        return layers[-1].T[:n]

    def _activate(self, units: Array) -> None:
        ACTIVATIONS[self.activation](units[self.linear_units :], None)


def compute_layers(
    matrices: Sequence[Array],
    biases: Sequence[Array],
    units: Array,
    activate: Callable[[Array], None],
) -> list[Array]:
    """The units of all layers, `(..., units, rows)`, from the first ones on.

    Units are rows here, and those that skip the activation are one piece of memory.
    `activate` overwrites the units of a hidden layer. Axes before these are of networks
    side by side.
    """
    layers = [units]
    for matrix, bias in zip(matrices, biases, strict=True):
        if len(layers) > 1:
            activate(units)
        units = np.matmul(matrix, units)
        units += bias[..., None]
        layers.append(units)
    return layers
