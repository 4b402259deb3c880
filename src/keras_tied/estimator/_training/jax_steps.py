"""Steps of Nadam for the estimator's own networks: JAX on their arrays, without a Keras model.

Rows are columns here, `(units, rows)`: XLA multiplies matrices of few features faster so. All
functions are compiled once for each shape, and so serve every later fit of this process.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from keras_tied._types import Array
from keras_tied.estimator._fitted.dense_network import DenseNetwork
from keras_tied.estimator._training.likelihood import LARGEST, Likelihood
from keras_tied.estimator._training.nadam import BETA_1, BETA_2, EPSILON, find_factors

Activate = Callable[[Any], Any]
ACTIVATIONS: dict[str, Activate] = {
    "elu": jax.nn.elu,
    "gelu": partial(jax.nn.gelu, approximate=False),
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "selu": jax.nn.selu,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "softsign": jax.nn.soft_sign,
    "tanh": jnp.tanh,
}


class Weights(NamedTuple):
    """The arrays of a `DenseNetwork`, which is trained."""

    kernels: tuple[Any, ...]
    biases: tuple[Any, ...]
    decoder_biases: tuple[Any, ...]
    gains: tuple[Any, ...]


class State(NamedTuple):
    """The weights, Nadam's averages of gradients and of their squares, and the steps taken."""

    weights: Weights
    averages: Weights
    squares: Weights
    step: Any


class Rows(NamedTuple):
    """Rows to train on."""

    inputs: Any  # `(n, d)`, complete
    targets: Any  # `(n, d)`, with NaN where a number is missing; None for the inputs themselves
    weights: Any  # `(n,)`


class Steps(NamedTuple):
    """Consecutive steps of training."""

    state: State  # after the last of them
    losses: Any  # the loss before each of them, `(steps,)`


def begin(network: DenseNetwork) -> State:
    """The state before the first step."""
    assert network.gains is not None
    weights = Weights(network.kernels, network.biases, network.decoder_biases, network.gains)
    zeros = jax.tree.map(np.zeros_like, weights)
    return State(weights, zeros, zeros, np.int32(0))


def to_network(weights: Weights, like: DenseNetwork) -> DenseNetwork:
    """The network with some weights."""
    return replace(like, **jax.tree.map(np.asarray, weights)._asdict())


def list_arrays(state: State, network: DenseNetwork) -> dict[str, Array]:
    """The arrays of a state and of a network, by their numbers."""
    weights = [getattr(network, name) for name in Weights._fields]
    leaves = jax.tree.leaves((state, weights))
    return {str(number): np.asarray(leaf) for number, leaf in enumerate(leaves)}


def read_arrays(arrays: Mapping[str, Array], like: State) -> tuple[State, Weights]:
    """The state and the weights of the network that arrays are of."""
    places, structure = jax.tree.flatten((like, like.weights))
    leaves = [arrays[str(number)] for number in range(len(places))]
    state, weights = jax.tree.unflatten(structure, leaves)
    return state, weights


@partial(jax.jit, static_argnames=("activation", "linear_units"))
def take_steps(
    state: State,
    train: Rows,
    batches: Array,
    rates: Array,
    weight_decay: float,
    likelihood: Likelihood | None = None,
    *,
    activation: str,
    linear_units: int,
) -> Steps:
    """Train for some steps, each with places of rows, `(steps, batch_size)`, and a rate.

    `linear_units` of each hidden layer skip the activation, a key of `ACTIVATIONS`.
    """
    activate = partial(_activate, ACTIVATIONS[activation], linear_units)

    def loss(weights: Weights, batch: Array) -> Any:
        errors = _errors(weights, _select(train, batch), activate, likelihood)
        return jnp.mean(errors) + weight_decay * sum(
            jnp.vdot(kernel, kernel) for kernel in weights.kernels
        )

    def take_step(state: State, step: tuple[Any, Any]) -> tuple[State, Any]:
        batch, rate = step
        value, gradient = jax.value_and_grad(loss)(state.weights, batch)
        return _update(state, gradient, rate), value

    return Steps(*jax.lax.scan(take_step, state, (batches, rates)))


def _activate(function: Activate, linear_units: int, units: Any) -> Any:
    return jnp.concatenate([units[:linear_units], function(units[linear_units:])])


def _select(rows: Rows, places: Any) -> Rows:
    return Rows(*(None if array is None else array[places] for array in rows))


def _errors(weights: Weights, rows: Rows, activate: Activate, likelihood: Likelihood | None) -> Any:
    """The mean error of each row, times its weight, `(n,)`."""
    targets = inputs = rows.inputs.T
    outputs = _reconstruct(weights, inputs, activate)
    if likelihood is not None:
        targets = targets if rows.targets is None else rows.targets.T
        return rows.weights * _deviances(likelihood, outputs, targets)
    if rows.targets is not None:
        targets = jnp.where(jnp.isnan(rows.targets.T), outputs, rows.targets.T)
    return rows.weights * jnp.mean(jnp.square(outputs - targets), axis=0)


def _deviances(likelihood: Likelihood, outputs: Any, targets: Any) -> Any:
    """The mean error over the columns, `(n,)`, as `Link.find_errors` has it without mixtures."""
    slopes, intercepts, scale, shift, weights, is_boolean, owners, axes = likelihood
    if axes is not None:
        outputs = axes.vectors @ outputs + axes.mean[:, None]
    missing = jnp.isnan(targets)
    known = jnp.where(missing, outputs * (slopes == 0), targets * scale + shift)
    logits = jnp.clip(slopes * outputs + intercepts, -LARGEST, LARGEST)
    totals = jnp.log(owners @ jnp.exp(logits) + owners @ is_boolean)
    of_column = owners @ (weights * jnp.where(missing, 0.0, jnp.maximum(known, is_boolean)))
    errors = jnp.where(slopes == 0, jnp.square(outputs - known), -known * logits)
    return jnp.sum(weights * errors, axis=0) + jnp.sum(of_column * totals, axis=0)


def _reconstruct(weights: Weights, units: Any, activate: Activate) -> Any:
    """As `DenseNetwork` encodes and decodes `(d, n)`."""
    last = len(weights.kernels) - 1
    for index, (kernel, bias) in enumerate(zip(weights.kernels, weights.biases, strict=True)):
        units = kernel.T @ units + bias[:, None]
        if index < last:
            units = activate(units)
    for index in reversed(range(last + 1)):
        units = weights.kernels[index] @ (weights.gains[index][:, None] * units)
        units += weights.decoder_biases[index][:, None]
        if index:
            units = activate(units)
    return units


def _update(state: State, gradient: Weights, rate: Any) -> State:
    """A step of Nadam; see `nadam`."""
    step = state.step + 1
    averages = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, state.averages, gradient)
    squares = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, state.squares, gradient)
    of_average, of_gradient, of_square = find_factors(step)

    def move(weight: Any, m: Any, v: Any, g: Any) -> Any:
        direction = of_average * m + of_gradient * g
        return weight - rate * direction / (jnp.sqrt(of_square * v) + EPSILON)

    weights = jax.tree.map(move, state.weights, averages, squares, gradient)
    return State(weights, averages, squares, step)
