"""Networks of random weights."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from keras_tied.fitted.dense_network import DenseNetwork


def draw_network(
    sizes: Sequence[int], activation: str = "tanh", seed: int = 0
) -> DenseNetwork:
    """A network of these sizes; as many units of a hidden layer as of the code are
    linear.
    """
    rng = np.random.default_rng(seed)

    def draw(*shape: int, mean: float = 0.0) -> np.ndarray:
        return rng.normal(mean, 0.5, shape).astype(np.float32)

    pairs = list(pairwise(sizes))
    return DenseNetwork(
        kernels=tuple(draw(*pair) for pair in pairs),
        biases=tuple(draw(units) for _, units in pairs),
        decoder_biases=tuple(draw(inputs) for inputs, _ in pairs),
        gains=tuple(draw(units, mean=1.0) for _, units in pairs),
        activation=activation,
        linear_units=sizes[-1] if len(sizes) > 2 else 0,
    )
