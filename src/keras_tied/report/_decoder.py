"""The decoder of a fitted value, for the page's script."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_tied.estimator.internal import Fitted

MOST_WEIGHTS = 2**18
"""A decoder with more would make the page too large."""
LARGEST = 1e34


def describe_decoder(fitted: Fitted | None) -> dict[str, object] | None:
    """Return the arrays that decode a code, and how; None if the network is not dense or large."""
    network: Any = fitted and fitted.network
    if fitted is None or not hasattr(network, "kernels") or network.n_parameters > MOST_WEIGHTS:
        return None
    scaling = fitted.preprocessing.scaling
    return {
        "sizes": network.layer_sizes,
        "activation": network.activation,
        "linear_units": network.linear_units,
        "kernels": [encode_floats(kernel) for kernel in network.kernels],
        "biases": [encode_floats(bias) for bias in network.decoder_biases],
        "gains": None if network.gains is None else [encode_floats(g) for g in network.gains],
        "scale": [float(number) for number in scaling.scale],
        "shift": [float(number) for number in scaling.shift],
    }


def encode_floats(values: ArrayLike) -> str:
    """Return numbers as base64 of single precision, little-endian, row by row.

    Numbers that are too large for it, or for a sum of many, become the largest that are not.
    """
    within = np.clip(values, -LARGEST, LARGEST).astype("<f4")
    return base64.b64encode(np.ascontiguousarray(within).tobytes()).decode()
