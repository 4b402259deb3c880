"""Evaluates a function of tall matrices with features along rows: ../README.md."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.extend.core import JaxprEqn

from keras_tied.training._evaluation import (
    ELEMENTWISE,
    REDUCTIONS,
    Evaluation,
    is_matrix_product,
)

MAX_FEATURES = 256  # with more, rows first is as fast


class FlippedMatrix:
    """A matrix of shape `(rows, features)`, held as its transpose."""

    def __init__(self, transpose: jax.Array) -> None:
        self.transpose = transpose


def is_worthwhile(rows: int, shape: Sequence[int], units: Sequence[int]) -> bool:
    """Whether features-first is faster for batches `(rows, *shape)` and some layers."""
    if len(shape) != 1 or jax.default_backend() != "cpu":
        return False
    return max([*shape, *units]) <= MAX_FEATURES and rows >= 8 * shape[0]


class FeaturesFirst(Evaluation):
    """Holds matrices with one of these numbers of rows flipped where it can."""

    def __init__(self, rows: set[int]) -> None:
        self.rows = rows

    def evaluate_equation(self, eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
        name = eqn.primitive.name
        params = dict(eqn.params)
        has_flipped = any(isinstance(value, FlippedMatrix) for value in inputs)
        is_tall = self.is_tall(eqn.outvars[0].aval)
        if name in ELEMENTWISE and has_flipped:
            return [FlippedMatrix(eqn.primitive.bind(*map(_flip, inputs), **params))]
        if name in REDUCTIONS and has_flipped:
            params["axes"] = tuple(1 - axis for axis in params["axes"])
            return [eqn.primitive.bind(inputs[0].transpose, **params)]
        if name == "dot_general" and has_flipped and is_matrix_product(eqn):
            return [self.multiply(eqn, inputs)]
        if name == "broadcast_in_dim" and is_tall:
            axes = sorted(1 - axis for axis in params["broadcast_dimensions"])
            shape = params["shape"][::-1]
            matrix = jax.lax.broadcast_in_dim(_flip(inputs[0]), shape, axes)
            return [FlippedMatrix(matrix)]
        if name == "transpose" and has_flipped:
            return [inputs[0].transpose]
        if name == "transpose" and is_tall:
            return [FlippedMatrix(inputs[0])]
        return self.bind(eqn, inputs)

    def multiply(self, eqn: JaxprEqn, inputs: list[Any]) -> Any:
        """A product with a flipped matrix; a tall one is computed as its transpose."""
        contracted, batch = eqn.params["dimension_numbers"]
        factors, axes = [], []
        for value, (axis,) in zip(inputs, contracted, strict=True):
            is_flipped = isinstance(value, FlippedMatrix)
            factors.append(value.transpose if is_flipped else value)
            axes.append((1 - axis if is_flipped else axis,))
        is_tall = self.is_tall(eqn.outvars[0].aval)
        if is_tall:
            factors.reverse()
            axes.reverse()
        params = {**eqn.params, "dimension_numbers": (tuple(axes), batch)}
        product = eqn.primitive.bind(*factors, **params)
        return FlippedMatrix(product) if is_tall else product

    def is_tall(self, aval: Any) -> bool:
        shape: tuple[int, ...] = getattr(aval, "shape", ())
        return len(shape) == 2 and shape[0] in self.rows

    def to_array(self, value: Any) -> Any:
        return value.transpose.T if isinstance(value, FlippedMatrix) else value


def _flip(value: Any) -> Any:
    if isinstance(value, FlippedMatrix):
        return value.transpose
    return value.T if jax.numpy.ndim(value) == 2 else value
