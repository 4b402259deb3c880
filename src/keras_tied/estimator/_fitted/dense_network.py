"""The estimator's own network: a tied autoencoder of dense layers, in NumPy."""

from dataclasses import dataclass

import numpy as np

from keras_tied._types import Array
from keras_tied.estimator._fitted.activations import ACROSS_UNITS, ACTIVATIONS

NUMBERS = 2**20  # in the widest layer of a block, about: more do not fit in a processor's cache
MOST_BLOCK_ROWS, FEWEST_BLOCK_ROWS = 8192, 256  # rows in a block
LANES = 16  # rows of a block are a multiple of it: BLAS rounds those beyond one differently


@dataclass(frozen=True, eq=False)
class DenseNetwork:
    r"""A tied autoencoder with $L$ layers, of sizes $d = w_0, w_1, \dots, w_L = k$.

    The encoder computes $h_l = f(W_l^T h_{l-1} + b_l)$ for $l = 1 \dots L$, the decoder
    $r_{l-1} = f(W_l (g_l \odot r_l) + c_l)$ for $l = L \dots 1$; $f$ leaves the first
    `linear_units` units of a hidden layer as they are, and is not applied to code and output.

    Layers are computed as `(units, rows)`, in which the units that skip f are one piece of memory;
    the decoder's last one as `(rows, units)`, as rows are stored.

    Attributes:
        kernels: $W_l$, `(w[l-1], w[l])` float32 each.
        biases: $b_l$, `(w[l],)` float32 each.
        decoder_biases: $c_l$, `(w[l-1],)` float32 each.
        gains: $g_l$, `(w[l],)` float32 each; None where there are none.
        activation: the name of $f$, a key of `ACTIVATIONS`.
        linear_units: the units of a hidden layer that skip $f$.
    """

    kernels: tuple[Array, ...]
    biases: tuple[Array, ...]
    decoder_biases: tuple[Array, ...]
    gains: tuple[Array, ...] | None
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
        every = (*self.kernels, *self.biases, *self.decoder_biases, *(self.gains or ()))
        return sum(array.size for array in every)

    @property
    def block_rows(self) -> int:
        """The rows to compute at a time."""
        return max(FEWEST_BLOCK_ROWS, min(MOST_BLOCK_ROWS, NUMBERS // max(self.layer_sizes)))

    def encode(self, rows: Array) -> Array:
        """The codes, `(n, k)` float32, of complete scaled rows, `(n, d)` float32."""
        units, last = _pad(rows).T, len(self.kernels) - 1
        with _silent_overflow():
            for index, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
                units = kernel.T @ units
                units += bias[:, None]
                if index < last:
                    self._activate(units)
        return units.T[: len(rows)]

    def decode(self, codes: Array) -> Array:
        """The scaled rows, `(n, d)` float32, reconstructed from codes, `(n, k)` float32."""
        units = _pad(codes).T
        with _silent_overflow():
            for index in reversed(range(1, len(self.kernels))):
                units = self.kernels[index] @ self._scale(units, index)
                units += self.decoder_biases[index][:, None]
                self._activate(units)
            rows: Array = self._scale(units, 0).T @ self.kernels[0].T
            rows += self.decoder_biases[0]
        return rows[: len(codes)]

    def _scale(self, units: Array, index: int) -> Array:
        return units if self.gains is None else units * self.gains[index][:, None]

    def _activate(self, units: Array) -> None:
        activate = ACTIVATIONS[self.activation]
        if self.activation in ACROSS_UNITS:
            linear = units[: self.linear_units].copy()
            activate(units)
            units[: self.linear_units] = linear
        else:
            activate(units[self.linear_units :])


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
