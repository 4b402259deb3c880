"""Steps of Nadam for networks of few rows, in NumPy, which needs no compilation.

`jax_steps` takes these steps too, and is faster where there are many of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from keras_tied._types import Array
from keras_tied.estimator._fitted.activations import ACTIVATIONS
from keras_tied.estimator._fitted.dense_network import DenseNetwork
from keras_tied.estimator._training.likelihood import Likelihood
from keras_tied.estimator._training.nadam import BETA_1, BETA_2, EPSILON, find_factors

Slope = Callable[[Array], Array]


class Stack:
    r"""Networks of one shape that are trained side by side, on the same rows of other weights.

    All arrays have an axis of the networks first. The kernel and the biases of a layer, of $i$ and
    $o$ units, are one matrix, and units end in a 1, so that a product adds the bias, and one of
    gradients adds it up:

    $$\begin{pmatrix} W & c \\ b^T & 0 \end{pmatrix}, \quad (i + 1) \times (o + 1).$$

    Gains scale kernels instead of units, of which there are more.
    """

    def __init__(
        self,
        networks: Sequence[DenseNetwork],
        inputs: Array,
        targets: Array | None,
        weights: Array,
        size: int,
        likelihood: Likelihood | None = None,
        dtype: Any = np.float32,
    ) -> None:
        """Begin with networks, in batches of `size` rows.

        Inputs are `(n, d)`, and targets too, with NaN where a value is missing, or None for the
        inputs; weights are `(networks, n)`.
        """
        self.like, sizes = networks[0], networks[0].layer_sizes
        self.inputs, self.targets, self.weights = inputs, targets, weights.astype(dtype)
        self.likelihood = likelihood and likelihood.astype(dtype)
        self.slope, self.linear_units = SLOPES[self.like.activation], self.like.linear_units
        shapes, n = list(pairwise(sizes)), len(networks)
        n_numbers = sum((i + 1) * (o + 1) + o for i, o in shapes)
        self.numbers = np.zeros((n, n_numbers), dtype)
        self.gradient, self.averages, self.squares, self.one, self.other = (
            each.copy() for each in [self.numbers] * 5
        )
        self.matrices, self.gains = _split(self.numbers, shapes)
        self.gradients, self.gain_gradients = _split(self.gradient, shapes)
        for place, network in enumerate(networks):
            assert network.gains is not None
            arrays = network.kernels, network.biases, network.decoder_biases, network.gains
            for index, (kernel, bias, decoder_bias, gain) in enumerate(zip(*arrays, strict=True)):
                matrix = self.matrices[index][place]
                matrix[:-1, :-1], matrix[-1, :-1], matrix[:-1, -1] = kernel, bias, decoder_bias
                self.gains[index][place, 0] = gain
        self.step = 0
        self.encoded = [np.ones((n, units + 1, size), dtype) for units in sizes]
        self.encoded[0] = self.encoded[0][:1]  # the inputs, which are those of all
        self.decoded = [np.ones((n, units + 1, size), dtype) for units in sizes[:-1]]
        self.decoded.append(self.encoded[-1])  # the code
        self.errors = [np.empty((n, units, size), dtype) for units in sizes]
        self.scaled = [np.empty((n, i, o + 1), dtype) for i, o in shapes]
        self.of_decoder = [np.empty((n, i, o + 1), dtype) for i, o in shapes]
        self.of_encoder = [np.empty((n, i + 1, o), dtype) for i, o in shapes]

    def take_steps(self, batches: Array, rates: Array, weight_decay: float) -> Array:
        """Train for some steps, each with places of rows, `(steps, size)`, and a rate.

        Returns the loss of each network before each step, `(steps, networks)`.
        """
        losses = np.empty((len(rates), len(self.numbers)))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for loss, batch, rate in zip(losses, batches, rates, strict=True):
                loss[:] = self._find_gradient(batch, weight_decay)
                self._move(rate)
        return losses

    def make_networks(self) -> list[DenseNetwork]:
        """The networks as they are now."""
        return [
            replace(
                self.like,
                kernels=tuple(m[place, :-1, :-1].astype(np.float32) for m in self.matrices),
                biases=tuple(m[place, -1, :-1].astype(np.float32) for m in self.matrices),
                decoder_biases=tuple(m[place, :-1, -1].astype(np.float32) for m in self.matrices),
                gains=tuple(g[place, 0].astype(np.float32) for g in self.gains),
            )
            for place in range(len(self.numbers))
        ]

    def _find_gradient(self, batch: Array, weight_decay: float) -> Array:
        """The losses of a batch, `(networks,)`; their gradient is in `gradient`."""
        slopes_of_encoder, slopes_of_decoder = self._compute(self.inputs[batch].T)
        targets = None if self.targets is None else self.targets[batch].T
        losses = self._compare(targets, self.weights[:, batch])
        errors = self.errors[0]
        for index, matrix in enumerate(self.matrices):
            kernel, of_decoder = matrix[:, :-1, :-1], self.of_decoder[index]
            np.matmul(errors, _turn(self.decoded[index + 1]), out=of_decoder)
            gradient, of_gains = self.gradients[index], self.gain_gradients[index]
            np.einsum("nio,nio->no", of_decoder[:, :, :-1], kernel, out=of_gains[:, 0])
            np.multiply(of_decoder[:, :, :-1], self.gains[index], out=gradient[:, :-1, :-1])
            gradient[:, :-1, -1] = of_decoder[:, :, -1]
            gradient[:, -1] = 0
            losses += weight_decay * np.einsum("nio,nio->n", kernel, kernel)
            gradient[:, :-1, :-1] += (2 * weight_decay) * kernel
            scaled = self.scaled[index][:, :, :-1]
            errors = np.matmul(_turn(scaled), errors, out=self.errors[index + 1])
            if index + 1 < len(self.matrices):
                errors[:, self.linear_units :] *= slopes_of_decoder[index + 1]
        for index in reversed(range(len(self.matrices))):
            of_encoder = self.of_encoder[index]
            np.matmul(self.encoded[index], _turn(errors), out=of_encoder)
            self.gradients[index][:, :, :-1] += of_encoder
            if index:
                kernel = self.matrices[index][:, :-1, :-1]
                errors = np.matmul(kernel, errors, out=self.errors[index])
                errors[:, self.linear_units :] *= slopes_of_encoder[index]
        return losses

    def _compute(self, inputs: Array) -> tuple[dict[int, Array], dict[int, Array]]:
        """Encode and decode, as `DenseNetwork` does; the slopes of the activations, by layer."""
        of_encoder, of_decoder = {}, {}
        self.encoded[0][:, :-1] = inputs
        last = len(self.matrices)
        for index, matrix in enumerate(self.matrices, 1):
            units = self.encoded[index][:, :-1]
            np.matmul(_turn(matrix[:, :, :-1]), self.encoded[index - 1], out=units)
            if index < last:
                of_encoder[index] = self.slope(units[:, self.linear_units :])
        for index in reversed(range(last)):
            matrix, scaled = self.matrices[index], self.scaled[index]
            np.multiply(matrix[:, :-1, :-1], self.gains[index], out=scaled[:, :, :-1])
            scaled[:, :, -1] = matrix[:, :-1, -1]
            units = self.decoded[index][:, :-1]
            np.matmul(scaled, self.decoded[index + 1], out=units)
            if index:
                of_decoder[index] = self.slope(units[:, self.linear_units :])
        return of_encoder, of_decoder

    def _compare(self, targets: Array | None, weights: Array) -> Array:
        """The losses, `(networks,)`; their gradient in what is decoded is in `errors[0]`."""
        outputs, errors = self.decoded[0][:, :-1], self.errors[0]
        size, known = weights.shape[1], self.encoded[0][0, :-1] if targets is None else targets
        if self.likelihood is not None:
            costs = self.likelihood.compare(outputs, known, errors)
        else:
            np.subtract(outputs, known, out=errors)
            if targets is not None:
                errors[np.isnan(errors)] = 0
            costs = np.einsum("nus,nus->ns", errors, errors) / len(outputs[0])
            errors *= 2 / len(outputs[0])
        errors *= (weights / size)[:, None]
        losses: Array = np.einsum("ns,ns->n", costs, weights, dtype=np.float64) / size
        return losses

    def _move(self, rate: float) -> None:
        """A step of Nadam along the gradient; see `nadam`."""
        self.step += 1
        of_average, of_gradient, of_square = find_factors(self.step)
        gradient, averages, squares = self.gradient, self.averages, self.squares
        one, other = self.one, self.other
        averages *= BETA_1
        averages += np.multiply(gradient, 1 - BETA_1, out=one)
        squares *= BETA_2
        np.multiply(gradient, gradient, out=one)
        one *= 1 - BETA_2
        squares += one
        np.multiply(squares, of_square, out=one)
        np.sqrt(one, out=one)
        one += EPSILON
        np.multiply(averages, of_average, out=other)
        gradient *= of_gradient
        other += gradient
        other /= one
        other *= float(rate)
        self.numbers -= other


def _split(numbers: Array, shapes: Sequence[tuple[int, int]]) -> tuple[list[Array], list[Array]]:
    """Matrices and gains of each layer, views of numbers, `(networks, numbers)`."""
    matrices, gains, begin = [], [], 0
    for i, o in shapes:
        end = begin + (i + 1) * (o + 1)
        matrices.append(numbers[:, begin:end].reshape(-1, i + 1, o + 1))
        gains.append(numbers[:, None, end : end + o])
        begin = end + o
    return matrices, gains


def _turn(matrices: Array) -> Array:
    return matrices.transpose(0, 2, 1)


# Each overwrites what an activation is given with its value, and returns its slope there.


def _elu(x: Array) -> Array:
    ACTIVATIONS["elu"](x)
    return np.minimum(x, 0) + 1


def _gelu(x: Array) -> Array:
    density = np.exp(-0.5 * x * x) * (x / np.sqrt(2 * np.pi))
    value = x.copy()
    ACTIVATIONS["gelu"](value)
    share = np.divide(value, x, out=np.full_like(x, 0.5), where=x != 0)
    x[...] = value
    return (density + share).astype(x.dtype)


def _relu(x: Array) -> Array:
    slope = (x > 0).astype(x.dtype)
    ACTIVATIONS["relu"](x)
    return slope


def _relu6(x: Array) -> Array:
    slope = ((x > 0) & (x < 6)).astype(x.dtype)
    ACTIVATIONS["relu6"](x)
    return slope


def _selu(x: Array) -> Array:
    slope = np.exp(np.minimum(x, 0)) * np.where(x < 0, 1.7580993408473766, 1.0507009873554805)
    ACTIVATIONS["selu"](x)
    return slope.astype(x.dtype)


def _sigmoid(x: Array) -> Array:
    ACTIVATIONS["sigmoid"](x)
    return x * (1 - x)


def _silu(x: Array) -> Array:
    gate = x.copy()
    ACTIVATIONS["sigmoid"](gate)
    x *= gate
    gate *= 1 - x
    gate += x
    return gate


def _softplus(x: Array) -> Array:
    slope = x.copy()
    ACTIVATIONS["sigmoid"](slope)
    ACTIVATIONS["softplus"](x)
    return slope


def _softsign(x: Array) -> Array:
    ACTIVATIONS["softsign"](x)
    return np.square(1 - np.abs(x))


def _tanh(x: Array) -> Array:
    np.tanh(x, out=x)
    slope = np.square(x)
    return np.subtract(1, slope, out=slope)


SLOPES: dict[str, Slope] = {
    "elu": _elu,
    "gelu": _gelu,
    "relu": _relu,
    "relu6": _relu6,
    "selu": _selu,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "softplus": _softplus,
    "softsign": _softsign,
    "tanh": _tanh,
}
