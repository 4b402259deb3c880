"""The compiled loop with features first and rows first, over widths of data and layers.

Prints milliseconds an epoch (medians of several runs in turn, without compilation) and their
ratio: above 1, features first is faster. JAX only.
"""

import argparse
import statistics
import time

import keras_tied  # noqa: F401  settles the backend before Keras is imported

# isort: split
import keras
import numpy as np

from keras_tied.layers import TiedDense
from keras_tied.training._data import BatchedRows
from keras_tied.training._jax import program as _program
from keras_tied.training._jax import trainer as _jax

EPOCHS = 40


def compiled(features: int, units: list[int], rows: int, first: bool) -> _jax.JaxEpochs:
    inputs = tensor = keras.Input((features,))
    stack = [keras.layers.Dense(width, "tanh") for width in units]
    for layer in stack:
        tensor = layer(tensor)
    for layer in reversed(stack):
        tensor = TiedDense(layer, gain=True)(tensor)
    model = keras.Model(inputs, tensor)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse")
    x = np.random.default_rng(0).normal(size=(rows, features)).astype("float32")
    model.fit(x[:1], x[:1], epochs=0, verbose=0)
    original, _program.is_worthwhile = _program.is_worthwhile, lambda *_: first
    try:
        return _jax.JaxEpochs(model, (BatchedRows((x, x), rows, rows), None), False, _jax.SHORT)
    finally:
        _program.is_worthwhile = original


def milliseconds(trained: _jax.JaxEpochs) -> float:
    start = time.perf_counter()
    trained.run(EPOCHS, print)
    return (time.perf_counter() - start) / EPOCHS * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[500, 6000])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print("  rows  features  hidden   rows first  features first  ratio")
    for rows in options.rows:
        for features, units in (
            (4, [2]),
            (8, [16, 4]),
            (16, [32, 4]),
            (32, [64, 8]),
            (64, [128, 16]),
            (128, [256, 32]),
        ):
            pair = [compiled(features, units, rows, first) for first in (False, True)]
            for trained in pair:
                trained.run(2, print)
            runs = [[milliseconds(trained) for trained in pair] for _ in range(options.runs)]
            plain, flipped = (statistics.median(column) for column in zip(*runs, strict=True))
            widths = "-".join(map(str, units))
            print(f"{rows:6}  {features:8}  {widths:>6}   {plain:7.2f} ms", end="      ")
            print(f"{flipped:7.2f} ms  {plain / flipped:5.2f}")


if __name__ == "__main__":
    main()
