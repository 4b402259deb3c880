"""The networks of a fit, side by side: their losses, and the gradients of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from tied_tables._types import Array
from tied_tables.fit.rows import TrainingRows
from tied_tables.model.activations import ACTIVATIONS
from tied_tables.model.dense_network import WEIGHTS, DenseNetwork, compute_layers


@dataclass(frozen=True)
class Objective:
    """What is minimised besides the mean error of the rows.

    Attributes:
        weight_decay: the factor of the squares of the kernels.
        sparsity: the factor of the mean of the L1 norms of the codes.
        noise: the standard deviation of what is added to the inputs.
        seed: of that noise.
    """

    weight_decay: float = 0.0
    sparsity: float = 0.0
    noise: float = 0.0
    seed: int = 0


class Stack:
    """Networks of one shape that learn from the same rows, with other weights of these.

    All weights are one array, `parameters`, `(networks, n_parameters)`, which an
    optimizer changes in place. Units are rows, as in `DenseNetwork`, and the networks
    are the first axis.

    Attributes:
        parameters, gradient: the weights and their gradient.
        layers, gradients: the arrays of each layer, `(networks, ...)`, as views of
            these.
    """

    def __init__(
        self, networks: Sequence[DenseNetwork], dtype: Any = np.float32
    ) -> None:
        self.like = networks[0]
        self.parameters = np.array([flatten(network) for network in networks], dtype)
        self.gradient = np.zeros_like(self.parameters)
        self.layers = self._split(self.parameters)
        self.gradients = self._split(self.gradient)
        self.n_in_kernels = sum(kernel.size for kernel in self.like.kernels)

    def make_network(self, parameters: Array) -> DenseNetwork:
        """The network with these parameters, `(n_parameters,)`."""
        return self._split(parameters.astype(np.float32))

    def find_gradient(
        self,
        rows: TrainingRows,
        places: Array | slice,
        weights: Array,
        objective: Objective,
        step: int = 0,
    ) -> Array:
        """The loss of each network; `gradient` becomes that of the sum of the losses.

        Args:
            rows: those to learn from.
            places: of those to learn from in this step.
            weights: of these, `(networks, rows)`; a loss is the sum of the errors of
                rows times these.
            objective: what is minimised besides.
            step: the number of the step, which other noise is drawn for each time.

        Returns:
            The losses, `(networks,)` float64.
        """
        dtype = self.parameters.dtype
        inputs = rows.inputs[places].astype(dtype, copy=False)
        targets = inputs
        if rows.targets is not rows.inputs:
            targets = rows.targets[places].astype(dtype, copy=False)
        layers = self.layers
        matrices = []
        for kernel, gain in zip(layers.kernels, layers.gains, strict=True):
            matrices.append(kernel * gain[:, None])
        slopes: list[Array] = []
        activate = partial(self._activate, slopes)
        units = np.ascontiguousarray(inputs.T)[None]
        if objective.noise:
            units = units + _draw_noise(objective, step, units)
        forward = [kernel.swapaxes(1, 2) for kernel in layers.kernels]
        encoded = compute_layers(forward, layers.biases, units, activate)
        code = encoded[-1]
        biases = layers.decoder_biases[::-1]
        decoded = compute_layers(matrices[::-1], biases, code, activate)[::-1]
        errors, unit_gradient = rows.loss.compare(decoded[0], targets.T)
        unit_gradient *= weights[:, None]
        losses = (errors * weights).sum(axis=1, dtype=np.float64)
        unit_gradient = self._go_back_through_decoder(
            unit_gradient, decoded, matrices, slopes
        )
        if objective.sparsity:
            factors = (objective.sparsity * weights)[:, None]
            penalties = factors * np.abs(code)
            losses += penalties.sum(axis=(1, 2), dtype=np.float64)
            unit_gradient += factors * np.sign(code)
        self._go_back_through_encoder(unit_gradient, encoded, slopes)
        all_kernels = self.parameters[:, : self.n_in_kernels]  # they come first
        decay = objective.weight_decay * all_kernels
        losses += np.add.reduce(decay * all_kernels, axis=1)
        decay *= 2
        self.gradient[:, : self.n_in_kernels] += decay
        return losses

    def _activate(self, slopes: list[Array], units: Array) -> None:
        """Apply the activation to units in place, and keep its slopes there."""
        units = units[:, self.like.linear_units :]
        slope = np.empty_like(units)
        ACTIVATIONS[self.like.activation](units, slope)
        slopes.append(slope)

    def _go_back_through_decoder(
        self,
        unit_gradient: Array,
        decoded: list[Array],
        matrices: list[Array],
        slopes: list[Array],
    ) -> Array:
        """Set the decoder's part of the gradient; return that in the code."""
        last = len(decoded) - 1
        ones = np.ones(unit_gradient.shape[2], unit_gradient.dtype)
        for index in range(last):
            np.matmul(unit_gradient, ones, out=self.gradients.decoder_biases[index])
            matrix_gradient = np.matmul(
                unit_gradient, decoded[index + 1].swapaxes(1, 2)
            )
            kernel = self.layers.kernels[index]
            gain = self.layers.gains[index]
            np.add.reduce(
                matrix_gradient * kernel, axis=1, out=self.gradients.gains[index]
            )
            np.multiply(
                matrix_gradient, gain[:, None], out=self.gradients.kernels[index]
            )
            unit_gradient = np.matmul(matrices[index].swapaxes(1, 2), unit_gradient)
            if index + 1 < last:
                unit_gradient[:, self.like.linear_units :] *= slopes.pop()
        return unit_gradient

    def _go_back_through_encoder(
        self,
        unit_gradient: Array,
        encoded: list[Array],
        slopes: list[Array],
    ) -> None:
        """Add the encoder's part of the gradient."""
        ones = np.ones(unit_gradient.shape[2], unit_gradient.dtype)
        for index in reversed(range(len(encoded) - 1)):
            np.matmul(unit_gradient, ones, out=self.gradients.biases[index])
            gradient = self.gradients.kernels[index]
            gradient += np.matmul(encoded[index], unit_gradient.swapaxes(1, 2))
            if index:
                unit_gradient = np.matmul(self.layers.kernels[index], unit_gradient)
                unit_gradient[:, self.like.linear_units :] *= slopes.pop()

    def _split(self, parameters: Array) -> DenseNetwork:
        """The arrays of each layer, as views of parameters, `(..., n_parameters)`."""
        layers: dict[str, Any] = {}
        begin = 0
        for name in WEIGHTS:
            views = []
            for array in getattr(self.like, name):
                end = begin + array.size
                shape = parameters.shape[:-1] + array.shape
                views.append(parameters[..., begin:end].reshape(shape))
                begin = end
            layers[name] = tuple(views)
        return replace(self.like, **layers)


def _draw_noise(objective: Objective, step: int, units: Array) -> Array:
    """The noise of a step, in the shape and the dtype of the inputs."""
    random = np.random.default_rng((objective.seed, step))
    noise = random.normal(scale=objective.noise, size=units.shape)
    return noise.astype(units.dtype)


def flatten(network: DenseNetwork) -> Array:
    """The weights of a network, `(n_parameters,)`: first all kernels, by layer."""
    arrays = [array for name in WEIGHTS for array in getattr(network, name)]
    return np.concatenate([array.ravel() for array in arrays])
