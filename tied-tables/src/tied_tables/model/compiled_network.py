"""The network of an encoder of the user's own, as compiled functions of its weights."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from tied_tables._types import Array

if TYPE_CHECKING:
    from tied_tables.autoencoder import Autoencoder

FEWEST_BLOCK_ROWS, MOST_BLOCK_ROWS = 256, 4096
NUMBERS = 2**18  # numbers in a block of rows, about: larger blocks are not faster

_PROCESS = os.getpid()
_COMPUTING = Lock()  # Keras is traced by one thread at a time


class CompiledNetwork:
    """An autoencoder of Keras, which is not trained any more, as two functions of rows.

    They donate and change no arrays, so threads can share them. JAX and TensorFlow
    compile for each number of rows, so rows are padded with zeros, few ones to
    `FEWEST_BLOCK_ROWS` and others to `block_rows`.
    """

    threads = False  # a compiled function has its own

    def __init__(self, model: Autoencoder) -> None:
        self.model = model
        self.input_shape = tuple(model.encoder.input_shape[1:])
        self.code_shape = tuple(model.encoder.output_shape[1:])
        self.encoder = _compile(model.encoder)
        self.decoder = _compile(model.decoder)

    @property
    def layer_sizes(self) -> list[int]:
        """The numbers of a row and of a code."""
        return [math.prod(self.input_shape), math.prod(self.code_shape)]

    @property
    def n_parameters(self) -> int:
        """The number of weights, each kernel once."""
        return int(self.model.count_params())

    @property
    def block_rows(self) -> int:
        """The rows to compute at a time."""
        rows = NUMBERS // self.layer_sizes[0]
        return max(FEWEST_BLOCK_ROWS, min(MOST_BLOCK_ROWS, rows))

    def encode(self, rows: Array) -> Array:
        """The codes, `(n, k)` float32, of complete scaled rows, `(n, d)` float32."""
        return self._run(self.encoder, rows, self.input_shape)

    def decode(self, codes: Array) -> Array:
        """The scaled rows, `(n, d)`, reconstructed from codes, `(n, k)`, in float32."""
        return self._run(self.decoder, codes, self.code_shape)

    def make_model(self) -> Autoencoder:
        """A new Keras model that computes the same, without an optimizer's state."""
        model = copy.deepcopy(self.model)
        model.compile(None)
        return model

    def _run(
        self,
        function: Callable[[Any], Any],
        rows: Array,
        shape: tuple[int, ...],
    ) -> Array:
        """The flat results, float32, of rows in a shape."""
        import keras

        _require_no_fork()
        n = len(rows)
        size = FEWEST_BLOCK_ROWS if n <= FEWEST_BLOCK_ROWS else self.block_rows
        padded = np.zeros((size, *shape), np.float32)
        padded[:n] = rows.reshape(n, *shape)
        with _COMPUTING:
            output = function(keras.ops.convert_to_tensor(padded))
        numbers = keras.ops.convert_to_numpy(output).reshape(size, -1)
        return numbers[:n].astype(np.float32, copy=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return CompiledNetwork, (self.model,)  # functions are compiled anew


def _require_no_fork() -> None:
    import keras

    backend = keras.backend.backend()
    if os.getpid() != _PROCESS and backend != "torch":
        raise RuntimeError(
            "A TiedAutoencoder with an encoder of its own cannot compute in a process"
            f" that was forked, as {backend} hangs there; start processes with 'spawn',"
            " or with joblib's loky."
        )


def _compile(half: Any) -> Callable[[Any], Any]:
    """An encoder or a decoder as a function, which has its weights of now."""
    import keras

    backend = keras.backend.backend()

    def compute(rows: Any) -> Any:
        with keras.StatelessScope():
            return half(rows, training=False)

    if backend == "jax":
        import jax

        return jax.jit(compute)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(compute)
    if backend == "torch":
        import torch

        return torch.no_grad()(compute)
    return compute
