"""Evaluates a function of tall matrices with features along rows: ../README.md."""

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(eq=False)
class FlippedMatrix:
    """A matrix of shape `(rows, features)`, held as its transpose."""

    transpose: jax.Array


def is_worthwhile(
    rows: int,
    shape: Sequence[int],
    units: Sequence[int],
) -> bool:
    """Whether features-first is faster for batches `(rows, *shape)` and some layers."""
    if len(shape) != 1 or jax.default_backend() != "cpu":
        return False
    (features,) = shape
    widest = max([features, *units])
    return widest <= MAX_FEATURES and rows >= 8 * features


@dataclass
class FeaturesFirst(Evaluation):
    """Holds matrices with one of these numbers of rows flipped where it can."""

    rows: set[int]

    def evaluate_equation(
        self,
        eqn: JaxprEqn,
        inputs: list[Any],
    ) -> list[Any]:
        name = eqn.primitive.name
        first: Any = inputs[0] if inputs else None
        if any(isinstance(value, FlippedMatrix) for value in inputs):
            if name in ELEMENTWISE:
                flipped = map(_flip, inputs)
                return [FlippedMatrix(eqn.primitive.bind(*flipped, **eqn.params))]
            if name in REDUCTIONS:
                axes = [1 - axis for axis in eqn.params["axes"]]
                params = {**eqn.params, "axes": tuple(axes)}
                return [eqn.primitive.bind(first.transpose, **params)]
            if is_matrix_product(eqn):
                return [self.multiply(eqn, inputs)]
            if name == "transpose":
                return [first.transpose]
        elif self.is_tall(eqn):
            if name == "broadcast_in_dim":
                axes = [1 - axis for axis in eqn.params["broadcast_dimensions"]]
                shape = eqn.params["shape"][::-1]
                values = _flip(first)
                matrix = jax.lax.broadcast_in_dim(values, shape, sorted(axes))
                return [FlippedMatrix(matrix)]
            if name == "transpose":
                return [FlippedMatrix(first)]
        return self.bind(eqn, inputs)

    def multiply(self, eqn: JaxprEqn, inputs: list[Any]) -> Any:
        """A product with a flipped matrix; a tall one is computed as its transpose."""
        contraction, batch = eqn.params["dimension_numbers"]
        factors, axes = [], []
        for value, (axis,) in zip(inputs, contraction, strict=True):
            is_flipped = isinstance(value, FlippedMatrix)
            factors.append(value.transpose if is_flipped else value)
            axes.append((1 - axis if is_flipped else axis,))
        is_tall = self.is_tall(eqn)
        if is_tall:
            factors.reverse()
            axes.reverse()
        params = {**eqn.params, "dimension_numbers": (tuple(axes), batch)}
        product = eqn.primitive.bind(*factors, **params)
        return FlippedMatrix(product) if is_tall else product

    def is_tall(self, eqn: JaxprEqn) -> bool:
        """Whether the first output is a matrix of one of these numbers of rows."""
        aval = eqn.outvars[0].aval
        shape: tuple[int, ...] = getattr(aval, "shape", ())
        return len(shape) == 2 and shape[0] in self.rows

    def to_array(self, value: Any) -> Any:
        return value.transpose.T if isinstance(value, FlippedMatrix) else value


def _flip(value: Any) -> Any:
    if isinstance(value, FlippedMatrix):
        return value.transpose
    return value.T if jax.numpy.ndim(value) == 2 else value
