"""Evaluates a step so that its gradients are added over the devices together. See ../README.md."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import JaxprEqn
from jax.sharding import NamedSharding

from keras_tied.training._evaluation import Evaluation, is_matrix_product

LINEAR: dict[str, Callable[..., jax.Array]] = {  # what can be done to each part alike
    "add_any": lambda one, other, _: one + other,
    "reduce_sum": lambda parts, params: parts.sum(tuple(axis + 1 for axis in params["axes"])),
    "reshape": lambda parts, params: parts.reshape(len(parts), *params["new_sizes"]),
    "transpose": lambda parts, params: parts.transpose(
        [0, *(axis + 1 for axis in params["permutation"])]
    ),
}


class PartialSum:
    """A sum over rows, held as its parts, `(places, ...)`."""

    def __init__(self, parts: jax.Array) -> None:
        self.parts = parts
        self.total: jax.Array | None = None


class PartialSums(Evaluation):
    """Holds sums over the rows of a batch apart: one part in each of the places that share them."""

    def __init__(self, rows: int, n_places: int, sharding: NamedSharding) -> None:
        self.rows, self.n_places, self.sharding = rows, n_places, sharding
        self.pending: list[PartialSum] = []

    def evaluate_equation(self, eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
        name, params = eqn.primitive.name, eqn.params
        are_partial = [isinstance(value, PartialSum) for value in inputs]
        if all(are_partial) and name in LINEAR:
            parts = LINEAR[name](*(value.parts for value in inputs), params)
            return [self.hold(parts, *inputs)]
        if any(are_partial):
            return self.bind(eqn, inputs)
        if name == "dot_general" and is_matrix_product(eqn):
            axes, _ = params["dimension_numbers"]
            if axes == ((0,), (0,)) and len(inputs[0]) == self.rows:
                multiply = jax.shard_map(
                    lambda *parts: eqn.primitive.bind(*parts, **params)[None],
                    mesh=self.sharding.mesh,
                    in_specs=self.sharding.spec,
                    out_specs=self.sharding.spec,
                )
                return [self.hold(multiply(*inputs))]
        is_sum = name == "reduce_sum" and 0 in params["axes"]
        if is_sum and len(inputs[0]) == self.rows and len(params["axes"]) < inputs[0].ndim:
            array = inputs[0].reshape(self.n_places, -1, *inputs[0].shape[1:])
            return [self.hold(array.sum(tuple(axis + 1 for axis in params["axes"])))]
        return self.bind(eqn, inputs)

    def hold(self, parts: jax.Array, *sources: PartialSum) -> PartialSum:
        """A new sum, in place of those that it is made of."""
        self.pending = [each for each in self.pending if each not in sources]
        new = PartialSum(jax.lax.with_sharding_constraint(parts, self.sharding))
        self.pending.append(new)
        return new

    def to_array(self, value: Any) -> Any:
        """The sum over the places; all that are held are added in one vector."""
        if not isinstance(value, PartialSum):
            return value
        if value.total is None:
            held = [value, *(each for each in self.pending if each is not value)]
            held = [each for each in held if each.parts.dtype == value.parts.dtype]
            self.pending = [each for each in self.pending if each not in held]
            flat = jnp.concatenate([e.parts.reshape(self.n_places, -1) for e in held], axis=1)
            vector = flat.sum(axis=0)
            begin = 0
            for each in held:
                shape, size = each.parts.shape[1:], each.parts[0].size
                each.total = vector[begin : begin + size].reshape(shape)
                begin += size
        return value.total
