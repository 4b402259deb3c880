"""Evaluates a function with bfloat16 in matrix products only. See ../README.md."""

from collections.abc import Sequence
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


class Wide:
    """A float32 array in place of a bfloat16 one; `base` is it, or its transpose."""

    def __init__(self, base: jax.Array, is_transpose: bool = False) -> None:
        self.base = base
        self.is_transpose = is_transpose

    @property
    def array(self) -> jax.Array:
        return self.base.T if self.is_transpose else self.base

    def transpose(self) -> "Wide":
        return Wide(self.base, not self.is_transpose)


class Product(Wide):
    """A product of bfloat16 matrices over an axis of each, in the form needed."""

    is_transpose = False

    def __init__(self, factors: Sequence[jax.Array], axes: Sequence[int]) -> None:
        self.factors = factors
        self.axes = axes

    @cached_property
    def base(self) -> jax.Array:  # type: ignore[override] # computed here
        left, right = self.factors
        left_axis, right_axis = self.axes
        left = _order_by_row(left if left_axis == 1 else left.T)
        numbers = (((1,), (right_axis,)), ((), ()))
        dtype = jnp.float32
        return jax.lax.dot_general(left, right, numbers, preferred_element_type=dtype)

    def transpose(self) -> Wide:
        return Product(self.factors[::-1], self.axes[::-1])


class WideEvaluation(Evaluation):
    """Rounds to bfloat16 for matrix products and for unknown operations."""

    def evaluate_equation(self, eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
        name = eqn.primitive.name
        takes = [_is_bfloat16(atom) for atom in eqn.invars]
        if not any(takes) and not any(map(_is_bfloat16, eqn.outvars)):
            return self.bind(eqn, inputs)
        if name == "dot_general" and all(takes) and is_matrix_product(eqn):
            return [_cast(eqn, _multiply(eqn, *map(_widen, inputs)))]
        if name == "convert_element_type":
            return [_cast(eqn, _widen(inputs[0]))]
        if name == "transpose" and eqn.params["permutation"] == (1, 0):
            return [_widen(inputs[0]).transpose()]
        if name in ELEMENTWISE | REDUCTIONS | SHAPING:
            value = eqn.primitive.bind(*map(_to_float32, inputs), **eqn.params)
            return [_cast(eqn, Wide(value))]
        return self.bind(eqn, inputs)

    def to_array(self, value: Any) -> Any:
        return value.array.astype(jnp.bfloat16) if isinstance(value, Wide) else value


def _is_bfloat16(atom: Any) -> bool:
    return bool(getattr(atom.aval, "dtype", None) == jnp.bfloat16)


def _widen(value: Any) -> Wide:
    return value if isinstance(value, Wide) else Wide(value.astype(jnp.float32))


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
    (left_axes, right_axes), _ = eqn.params["dimension_numbers"]
    # Axis 0 of a transpose is axis 1 of its base, and the other way round.
    axes = left_axes[0] ^ left.is_transpose, right_axes[0] ^ right.is_transpose
    factors = [each.base.astype(jnp.bfloat16) for each in (left, right)]
    return Product(factors, axes)


def _order_by_row(matrix: jax.Array) -> jax.Array:
    """The matrix row by row in memory, and not marked as lying column by column by XLA.

    A reshape drops that mark, and the barrier keeps XLA from cancelling the two
    reshapes.
    """
    rows, columns = matrix.shape
    apart: jax.Array = jax.lax.optimization_barrier(matrix.reshape(rows, 1, columns))
    return apart.reshape(rows, columns)
