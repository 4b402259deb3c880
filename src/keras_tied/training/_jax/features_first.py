"""Evaluates a function of tall, narrow matrices with features along rows. See ../README.md."""

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
    """Whether features-first is faster for batches `(rows, *shape)` and layers of so many units."""
    narrow = len(shape) == 1 and max([*shape, *units]) <= MAX_FEATURES
    return narrow and rows >= 8 * shape[0] and jax.default_backend() == "cpu"


class FeaturesFirst(Evaluation):
    """Holds matrices with one of these numbers of rows flipped where it can."""

    def __init__(self, rows: set[int]) -> None:
        self.rows = rows

    def evaluate_equation(self, eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
        name = eqn.primitive.name
        has_flipped = any(isinstance(value, FlippedMatrix) for value in inputs)
        if name in ELEMENTWISE and has_flipped:
            across = [_flip(value) for value in inputs]
            return [FlippedMatrix(eqn.primitive.bind(*across, **eqn.params))]
        if name in REDUCTIONS and has_flipped:
            axes = tuple(1 - axis for axis in eqn.params["axes"])
            return [
                eqn.primitive.bind(inputs[0].transpose, **{**eqn.params, "axes": axes})
            ]
        if name == "dot_general" and has_flipped and is_matrix_product(eqn):
            return [self.multiply(eqn, *inputs)]
        if name == "broadcast_in_dim" and self.is_tall(eqn.outvars[0].aval):
            axes = tuple(
                sorted(1 - axis for axis in eqn.params["broadcast_dimensions"])
            )
            shape = eqn.params["shape"][::-1]
            return [
                FlippedMatrix(jax.lax.broadcast_in_dim(_flip(inputs[0]), shape, axes))
            ]
        if name == "transpose" and has_flipped:
            return [inputs[0].transpose]
        if name == "transpose" and self.is_tall(eqn.outvars[0].aval):
            return [FlippedMatrix(inputs[0])]
        return self.bind(eqn, inputs)

    def multiply(self, eqn: JaxprEqn, left: Any, right: Any) -> Any:
        """A product with a flipped matrix; a tall one is computed as its transpose."""
        (left_axes, right_axes), batch = eqn.params["dimension_numbers"]
        pairs = [
            (
                (value.transpose, (1 - axis,))
                if isinstance(value, FlippedMatrix)
                else (value, (axis,))
            )
            for value, axis in ((left, left_axes[0]), (right, right_axes[0]))
        ]
        is_tall = self.is_tall(eqn.outvars[0].aval)
        factors, axes = zip(*(pairs[::-1] if is_tall else pairs), strict=True)
        product = eqn.primitive.bind(
            *factors, **{**eqn.params, "dimension_numbers": (axes, batch)}
        )
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
