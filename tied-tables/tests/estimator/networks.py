"""Networks of random weights, rows for them, and what they compute, by hand."""

from functools import partial
from itertools import pairwise

import numpy as np
from numpy.random import default_rng

from tied_tables import TiedAutoencoder
from tied_tables.model.activations import ACTIVATIONS
from tied_tables.model.dense_network import DenseNetwork

seeded = partial(TiedAutoencoder, random_state=0)


def with_gaps(X, share, rng):
    """A copy without a share of its values."""
    return np.where(rng.uniform(size=X.shape) < share, np.nan, X)


def draw_network(sizes, activation="tanh", seed=0):
    """A network of these sizes; as many units of a hidden layer as of the code are
    linear.
    """
    rng = default_rng(seed)

    def draw(*shape, mean=0.0):
        return rng.normal(mean, 0.5, shape).astype(np.float32)

    pairs = list(pairwise(sizes))
    return DenseNetwork(
        kernels=tuple(draw(*pair) for pair in pairs),
        biases=tuple(draw(units) for _, units in pairs),
        decoder_biases=tuple(draw(inputs) for inputs, _ in pairs),
        gains=tuple(draw(units, mean=1.0) for _, units in pairs),
        activation=activation,
    )


def compute_by_hand(network, rows):
    """The codes and the reconstruction of rows, in double precision."""
    k = network.linear_units

    def activate(units):
        bent = units[:, k:].copy()
        ACTIVATIONS[network.activation](bent, None)
        return np.hstack([units[:, :k], bent])

    last = len(network.kernels) - 1
    units = rows.astype(np.float64)
    for place, kernel in enumerate(network.kernels):
        units = units @ kernel + network.biases[place]
        units = activate(units) if place < last else units
    codes = units
    for place in range(last, -1, -1):
        units = units * network.gains[place] @ network.kernels[place].T
        units = units + network.decoder_biases[place]
        units = activate(units) if place > 0 else units
    return codes, units


def draw_curve(n, seed=0):
    """Rows of 6 numbers on a bent surface, with noise, that a network restores better
    than PCA.
    """
    rng = default_rng(seed)
    z = rng.normal(size=(n, 2))
    return np.hstack([z, z**2, np.sin(2 * z)]) + 0.1 * rng.normal(size=(n, 6))
