"""Evaluates a function in bfloat16 with bfloat16 in matrix products only. See ../README.md."""

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
    """Whether JAX computes on a processor that multiplies bfloat16, as far as Linux tells."""
    try:
        flags = CPU_INFORMATION.read_text().split()
    except OSError:
        return False
    return jax.default_backend() == "cpu" and not {
        "avx512_bf16",
        "amx_bf16",
    }.isdisjoint(flags)


class Wide:
    """A float32 array in place of a bfloat16 one; `base` is the array, or its transpose."""

    def __init__(self, base: jax.Array, is_transpose: bool = False) -> None:
        self.base, self.is_transpose = base, is_transpose

    @property
    def array(self) -> jax.Array:
        return self.base.T if self.is_transpose else self.base

    def transpose(self) -> "Wide":
        return Wide(self.base, not self.is_transpose)


class Product(Wide):
    """The product of two bfloat16 matrices over an axis of each, in the form that is needed."""

    is_transpose = False

    def __init__(
        self, factors: tuple[jax.Array, jax.Array], axes: tuple[int, int]
    ) -> None:
        self.factors, self.axes = factors, axes

    @property
    def base(self) -> jax.Array:  # type: ignore[override] # computed here
        return self.array

    @cached_property
    def array(self) -> jax.Array:
        left, right = self.factors
        left_axis, right_axis = self.axes
        left = _order_by_row(left if left_axis == 1 else left.T)
        numbers = (((1,), (right_axis,)), ((), ()))
        return jax.lax.dot_general(
            left, right, numbers, preferred_element_type=jnp.float32
        )

    def transpose(self) -> "Wide":
        return Product(self.factors[::-1], self.axes[::-1])


class WideEvaluation(Evaluation):
    """Rounds to bfloat16 for matrix products and for unknown operations."""

    def evaluate_equation(self, eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
        name = eqn.primitive.name
        avals: list[Any] = [atom.aval for atom in (*eqn.invars, *eqn.outvars)]
        if not any(getattr(aval, "dtype", None) == jnp.bfloat16 for aval in avals):
            return self.bind(eqn, inputs)
        is_product = name == "dot_general" and is_matrix_product(eqn)
        if is_product and all(aval.dtype == jnp.bfloat16 for aval in avals[:2]):
            return [_cast(eqn, _multiply(eqn, *map(_widen, inputs)))]
        if name == "convert_element_type":
            return [_cast(eqn, _widen(inputs[0]))]
        if name == "transpose" and eqn.params["permutation"] == (1, 0):
            return [_widen(inputs[0]).transpose()]
        if name in ELEMENTWISE | REDUCTIONS | SHAPING:
            return [
                _cast(
                    eqn,
                    Wide(eqn.primitive.bind(*map(_to_float32, inputs), **eqn.params)),
                )
            ]
        return self.bind(eqn, inputs)

    def to_array(self, value: Any) -> Any:
        return value.array.astype(jnp.bfloat16) if isinstance(value, Wide) else value


def _widen(value: Any) -> Wide:
    return value if isinstance(value, Wide) else Wide(value.astype(jnp.float32))


def _to_float32(value: Any) -> Any:
    if isinstance(value, Wide):
        return value.array
    return value.astype(jnp.float32) if value.dtype == jnp.bfloat16 else value


def _cast(eqn: JaxprEqn, value: Wide) -> Any:
    """The value in the dtype of the equation's output, where bfloat16 stays wide."""
    output: Any = eqn.outvars[0].aval
    return value if output.dtype == jnp.bfloat16 else value.array.astype(output.dtype)


def _multiply(eqn: JaxprEqn, left: Wide, right: Wide) -> Product:
    (left_axes, right_axes), _ = eqn.params["dimension_numbers"]
    # Axis 0 of a transpose is axis 1 of its base, and the other way round.
    axes = left_axes[0] ^ left.is_transpose, right_axes[0] ^ right.is_transpose
    return Product(
        (left.base.astype(jnp.bfloat16), right.base.astype(jnp.bfloat16)), axes
    )


def _order_by_row(matrix: jax.Array) -> jax.Array:
    """The matrix row by row in memory, and not marked as lying column by column by XLA.

    A reshape drops that mark, and the barrier keeps XLA from cancelling the two
    reshapes.
    """
    rows, columns = matrix.shape
    apart: jax.Array = jax.lax.optimization_barrier(matrix.reshape(rows, 1, columns))
    return apart.reshape(rows, columns)
