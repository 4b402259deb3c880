"""The network of an encoder of the user's own, as compiled functions of its weights."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property, partialmethod
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_tied._types import Array

if TYPE_CHECKING:
    from keras_tied.autoencoder import Autoencoder

FEWEST_BLOCK_ROWS, MOST_BLOCK_ROWS = 256, 4096
NUMBERS = 2**18  # numbers in a block of rows, about: larger blocks are not faster

_PROCESS = os.getpid()
_TRACING = Lock()  # held while Keras is traced


Half = Callable[[list[Any], Array], Array]
"""Of weights and rows, `(n, ...)`; the result is flat, `(n, k)` or `(n, d)`."""


class CompiledNetwork:
    """An autoencoder of Keras as two pure functions, of weights at one time and rows.

    It donates and changes no arrays, so threads can share it. JAX and TensorFlow
    compile for each number of rows, so blocks are padded with zeros to
    `FEWEST_BLOCK_ROWS` or `block_rows` rows.

    The model may be trained further, which does not change this network.
    """

    threads = False  # a compiled function has its own

    def __init__(self, model: Autoencoder) -> None:
        self.model = model
        self.input_shape = tuple(model.encoder.input_shape[1:])
        self.code_shape = tuple(model.encoder.output_shape[1:])
        self.weights = [np.array(weight) for weight in model.get_weights()]

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
        rows = max(
            FEWEST_BLOCK_ROWS, min(MOST_BLOCK_ROWS, NUMBERS // self.layer_sizes[0])
        )
        return 2 ** int(math.log2(rows))

    def _run(self, half: int, rows: Array) -> Array:
        """Compute rows in the shape of the model, padded to one of two sizes."""
        _require_no_fork()
        shape = (self.input_shape, self.code_shape)[half]
        n = len(rows)
        size = FEWEST_BLOCK_ROWS if n <= FEWEST_BLOCK_ROWS else self.block_rows
        padded = np.zeros((size, *shape), np.float32)
        padded[:n] = rows.reshape(n, *shape)
        return self._halves[half](self._tensors, padded)[:n]

    encode = partialmethod(_run, 0)
    """The codes, `(n, k)` float32, of complete scaled rows, `(n, d)` float32."""
    decode = partialmethod(_run, 1)
    """The scaled rows, `(n, d)`, reconstructed from codes, `(n, k)`, in float32."""

    def make_model(self) -> Autoencoder:
        """A new Keras model that computes the same, without an optimizer's state."""
        model = copy.deepcopy(self.model)
        model.set_weights(self.weights)
        model.compile(None)
        return model

    @cached_property
    def _tensors(self) -> list[Any]:
        """The weights as the backend has them."""
        import keras

        return [keras.ops.convert_to_tensor(weight) for weight in self.weights]

    @cached_property
    def _halves(self) -> tuple[Half, Half]:
        model = self.model
        return _make_half(model, model.encoder), _make_half(model, model.decoder)

    def __getstate__(self) -> dict[str, Any]:
        """The attributes without the compiled functions."""
        return {
            name: value
            for name, value in vars(self).items()
            if not name.startswith("_")
        }


def _make_half(model: Autoencoder, half: Any) -> Half:
    """Encoder or decoder of a model, compiled for each number of rows."""
    import keras

    def compute(weights: Any, rows: Any) -> Any:
        mapping = list(zip(model.weights, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return half(rows, training=False)

    function = _compile(compute, keras.backend.backend())
    sizes = set[int]()

    def apply(weights: list[Any], rows: Array) -> Array:
        with nullcontext() if len(rows) in sizes else _TRACING:
            output = function(weights, keras.ops.convert_to_tensor(rows))
            sizes.add(len(rows))
        numbers = keras.ops.convert_to_numpy(output).reshape(len(rows), -1)
        return numbers.astype(np.float32, copy=False)

    return apply


def _require_no_fork() -> None:
    import keras

    backend = keras.backend.backend()
    if os.getpid() != _PROCESS and backend != "torch":
        raise RuntimeError(
            "A TiedAutoencoder with an encoder of its own cannot compute in a process"
            f" that was forked, as {backend} hangs there; start processes with 'spawn',"
            " or with joblib's loky."
        )


def _compile(
    compute: Callable[[Any, Any], Any], backend: str
) -> Callable[[Any, Any], Any]:
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
