"""Evaluates a function with bfloat16 in matrix products only. See ../README.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import JaxprEqn

from keras_tied.training._evaluation import (
    ELEMENTWISE,
    REDUCTIONS,
    Evaluation,
    is_matrix_product,
)

CPU_INFORMATION = Path("/proc/cpuinfo")
SHAPING = frozenset(
    "broadcast_in_dim concatenate reshape slice squeeze transpose".split()
)


def multiplies_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16, as far as Linux tells."""
    try:
        flags = CPU_INFORMATION.read_text().split()
    except OSError:
        return False
    has_products = "avx512_bf16" in flags or "amx_bf16" in flags
    return has_products and jax.default_backend() == "cpu"


@dataclass(eq=False)
class Wide:
    """A float32 array in place of a bfloat16 one; `base` is it, or its transpose."""

    base: jax.Array
    is_transpose: bool = False

    @property
    def array(self) -> jax.Array:
        return self.base.T if self.is_transpose else self.base

    def transpose(self) -> "Wide":
        return Wide(self.base, not self.is_transpose)


class Product(Wide):
    """A product of bfloat16 matrices over an axis of each, in the form needed."""

    def __init__(
        self,
        factors: Sequence[jax.Array],
        axes: Sequence[int],
    ) -> None:
        self.factors = factors
        self.axes = axes

    @cached_property
    def base(self) -> jax.Array:  # type: ignore[override] # computed here
        left, right = self.factors
        left_axis, right_axis = self.axes
        if left_axis == 0:
            left = left.T
        contraction = (1,), (right_axis,)
        no_batch: tuple[Any, ...] = (), ()
        return jax.lax.dot_general(
            _order_by_row(left),
            right,
            (contraction, no_batch),
            preferred_element_type=jnp.float32,
        )

    def transpose(self) -> Wide:
        left, right = self.factors
        left_axis, right_axis = self.axes
        return Product((right, left), (right_axis, left_axis))


class WideEvaluation(Evaluation):
    """Rounds to bfloat16 for matrix products and for unknown operations."""

    def evaluate_equation(
        self,
        eqn: JaxprEqn,
        inputs: list[Any],
    ) -> list[Any]:
        name = eqn.primitive.name
        takes = [_is_bfloat16(atom) for atom in eqn.invars]
        gives = [_is_bfloat16(atom) for atom in eqn.outvars]
        if not any(takes) and not any(gives):
            return self.bind(eqn, inputs)
        if all(takes) and is_matrix_product(eqn):
            left, right = map(_widen, inputs)
            return [_cast(eqn, _multiply(eqn, left, right))]
        if name == "convert_element_type":
            return [_cast(eqn, _widen(inputs[0]))]
        if name == "transpose" and eqn.params["permutation"] == (1, 0):
            return [_widen(inputs[0]).transpose()]
        if name in ELEMENTWISE | REDUCTIONS | SHAPING:
            values = map(_to_float32, inputs)
            value = eqn.primitive.bind(*values, **eqn.params)
            return [_cast(eqn, Wide(value))]
        return self.bind(eqn, inputs)

    def to_array(self, value: Any) -> Any:
        if isinstance(value, Wide):
            return value.array.astype(jnp.bfloat16)
        return value


def _is_bfloat16(atom: Any) -> bool:
    return bool(getattr(atom.aval, "dtype", None) == jnp.bfloat16)


def _widen(value: Any) -> Wide:
    if isinstance(value, Wide):
        return value
    return Wide(value.astype(jnp.float32))


def _to_float32(value: Any) -> Any:
    if isinstance(value, Wide):
        return value.array
    return value.astype(jnp.float32) if value.dtype == jnp.bfloat16 else value


def _cast(eqn: JaxprEqn, value: Wide) -> Any:
    """The value in the dtype of the equation's output, where bfloat16 stays wide."""
    (output,) = eqn.outvars
    if _is_bfloat16(output):
        return value
    aval: Any = output.aval
    return value.array.astype(aval.dtype)


def _multiply(eqn: JaxprEqn, left: Wide, right: Wide) -> Product:
    contraction, _ = eqn.params["dimension_numbers"]
    factors, axes = [], []
    for value, (axis,) in zip((left, right), contraction, strict=True):
        factors.append(value.base.astype(jnp.bfloat16))
        # Axis 0 of a transpose is axis 1 of its base, and the other way round.
        axes.append(1 - axis if value.is_transpose else axis)
    return Product(factors, axes)


def _order_by_row(matrix: jax.Array) -> jax.Array:
    """The matrix row by row in memory, and not marked as lying column by column by XLA.

    A reshape drops that mark, and the barrier keeps XLA from cancelling the two
    reshapes.
    """
    rows, columns = matrix.shape
    apart = matrix.reshape(rows, 1, columns)
    result: jax.Array = jax.lax.optimization_barrier(apart)
    return result.reshape(rows, columns)
