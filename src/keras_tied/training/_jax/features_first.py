"""Evaluates a function of tall, narrow matrices with features along rows.

XLA's CPU backend computes on a `(rows, features)` matrix of few features several times slower
than on its transpose: its vectors run along the last axis, and there are few features to fill them
with. The evaluation here holds each matrix that has as many rows as the data has transposed. The
numbers are the same up to the order of summation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jax.extend.core import JaxprEqn

from keras_tied.training._evaluation import ELEMENTWISE, REDUCTIONS, Evaluation

MAX_FEATURES = 256
"""With more, rows first is as fast (`benchmarks/features_first.py`)."""


class Flipped:
    """A matrix of shape `(rows, features)`, held as its transpose."""

    def __init__(self, transpose: jax.Array) -> None:
        self.transpose = transpose


def is_worthwhile(rows: int, shape: Sequence[int], widths: Sequence[int]) -> bool:
    """Whether features-first is faster for batches of so many rows of a shape, and such layers."""
    narrow = len(shape) == 1 and max(*shape, *widths) <= MAX_FEATURES
    return narrow and rows >= 8 * shape[0] and jax.default_backend() == "cpu"


class FeaturesFirst(Evaluation):
    """Keeps tall matrices flipped where it can.

    Args:
        rows: the numbers of rows by which a tall matrix is known.
    """

    def __init__(self, rows: set[int]) -> None:
        self.rows = rows

    def equation(self, eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
        """The outputs of one equation; those that are tall come flipped."""
        name = eqn.primitive.name
        flipped = any(isinstance(value, Flipped) for value in inputs)
        if name in ELEMENTWISE and flipped:
            across = [_across(value) for value in inputs]
            return [Flipped(eqn.primitive.bind(*across, **eqn.params))]
        if name in REDUCTIONS and flipped:
            axes = tuple(1 - axis for axis in eqn.params["axes"])
            return [eqn.primitive.bind(inputs[0].transpose, **{**eqn.params, "axes": axes})]
        if name == "dot_general" and flipped and _is_product(eqn):
            return [self.product(eqn, *inputs)]
        if name == "broadcast_in_dim" and self.is_tall(eqn.outvars[0].aval):
            return [Flipped(_broadcast(eqn, inputs))]
        if name == "transpose" and flipped:
            return [inputs[0].transpose]
        if name == "transpose" and self.is_tall(eqn.outvars[0].aval):
            return [Flipped(inputs[0])]
        return self.bind(eqn, inputs)

    def product(self, eqn: JaxprEqn, left: Any, right: Any) -> Any:
        """A product of two matrices of which at least one is flipped."""
        (left_axes, right_axes), batch = eqn.params["dimension_numbers"]
        (left, left_axis), (right, right_axis) = (
            (value.transpose, 1 - axis) if isinstance(value, Flipped) else (value, axis)
            for value, axis in ((left, left_axes[0]), (right, right_axes[0]))
        )
        if self.is_tall(eqn.outvars[0].aval):
            numbers = (((right_axis,), (left_axis,)), batch)
            return Flipped(
                eqn.primitive.bind(right, left, **{**eqn.params, "dimension_numbers": numbers})
            )
        numbers = (((left_axis,), (right_axis,)), batch)
        return eqn.primitive.bind(left, right, **{**eqn.params, "dimension_numbers": numbers})

    def is_tall(self, aval: Any) -> bool:
        """Whether it is a matrix with as many rows as the data."""
        shape: tuple[int, ...] = getattr(aval, "shape", ())
        return len(shape) == 2 and shape[0] in self.rows

    def plain(self, value: Any) -> Any:
        """The matrix with rows first."""
        return value.transpose.T if isinstance(value, Flipped) else value


def _is_product(eqn: JaxprEqn) -> bool:
    (left, right), (batch, _) = eqn.params["dimension_numbers"]
    ranks = [len(getattr(atom.aval, "shape", ())) for atom in eqn.invars]
    return ranks == [2, 2] and len(left) == len(right) == 1 and not batch


def _across(value: Any) -> Any:
    if isinstance(value, Flipped):
        return value.transpose
    return value.T if jax.numpy.ndim(value) == 2 else value


def _broadcast(eqn: JaxprEqn, inputs: list[Any]) -> jax.Array:
    operand = _across(inputs[0])
    axes = tuple(sorted(1 - axis for axis in eqn.params["broadcast_dimensions"]))
    shape = eqn.params["shape"][::-1]
    return jax.lax.broadcast_in_dim(operand, shape, axes)
