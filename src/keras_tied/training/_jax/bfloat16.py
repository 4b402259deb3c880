"""Evaluates a function in bfloat16 as CPUs are fast at it: matrix products only.

XLA's CPU backend has fast kernels for products of bfloat16 matrices if the first one lies row by
row with the contracted axis last and the result is float32; otherwise it widens the operands, or
takes a slow loop. The gradient of a kernel, xᵀ dy, contracts the first axis of both, and a Keras
layer asks for a bfloat16 result. Everything that is no product is computed in float32 in any case,
and rounded after each step.

The evaluation here gives products their fast form, and keeps what the function calls bfloat16
unrounded between them. So it rounds less often than the function says, and never more.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import JaxprEqn

from keras_tied.training._evaluation import ELEMENTWISE, REDUCTIONS, Evaluation

SHAPING = frozenset("broadcast_in_dim concatenate reshape slice squeeze transpose".split())


class Wide:
    """A float32 array in place of a bfloat16 one.

    Args:
        base: the array, or its transpose.
        turned: whether it is the transpose.
    """

    def __init__(self, base: jax.Array, turned: bool = False) -> None:
        self.base, self.turned = base, turned

    @property
    def array(self) -> jax.Array:
        """The float32 array."""
        return self.base.T if self.turned else self.base

    def transposed(self) -> Wide:
        """The transpose, without computing it."""
        return Wide(self.base, not self.turned)


class Product(Wide):
    """The product of two bfloat16 matrices, taken when it is needed.

    XLA makes a product with its factors swapped of the transpose of a product, which the fast
    kernels may not know; here each is taken as it is needed.

    Args:
        factors: the matrices, or their transposes, in bfloat16.
        axes: which axis of each is summed over.
    """

    def __init__(self, factors: tuple[jax.Array, jax.Array], axes: tuple[int, int]) -> None:
        self.factors, self.axes = factors, axes

    @cached_property
    def array(self) -> jax.Array:
        """The float32 array."""
        left, right = self.factors
        left_axis, right_axis = self.axes
        left = _in_order(left if left_axis == 1 else left.T)
        numbers = (((1,), (right_axis,)), ((), ()))
        return jax.lax.dot_general(left, right, numbers, preferred_element_type=jnp.float32)

    def transposed(self) -> Wide:
        """The product of the factors in the other order."""
        return Product(self.factors[::-1], self.axes[::-1])


class Widened(Evaluation):
    """Rounds to bfloat16 for matrix products, and for what it does not know."""

    def equation(self, eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
        """The outputs of one equation; those in bfloat16 come wide where that is possible."""
        name = eqn.primitive.name
        avals: list[Any] = [atom.aval for atom in (*eqn.invars, *eqn.outvars)]
        if not any(getattr(aval, "dtype", None) == jnp.bfloat16 for aval in avals):
            return self.bind(eqn, inputs)
        if name == "dot_general" and _is_product(eqn):
            return [_cast(eqn, _product(eqn, *map(_as_wide, inputs)))]
        if name == "convert_element_type":
            return [_cast(eqn, _as_wide(inputs[0]))]
        if name == "transpose" and eqn.params["permutation"] == (1, 0):
            return [_as_wide(inputs[0]).transposed()]
        if name in ELEMENTWISE | REDUCTIONS | SHAPING:
            return [_cast(eqn, Wide(eqn.primitive.bind(*map(_array, inputs), **eqn.params)))]
        return self.bind(eqn, inputs)

    def plain(self, value: Any) -> Any:
        """The array in bfloat16."""
        return value.array.astype(jnp.bfloat16) if isinstance(value, Wide) else value


def _as_wide(value: Any) -> Wide:
    return value if isinstance(value, Wide) else Wide(value.astype(jnp.float32))


def _array(value: Any) -> Any:
    if isinstance(value, Wide):
        return value.array
    return value.astype(jnp.float32) if value.dtype == jnp.bfloat16 else value


def _cast(eqn: JaxprEqn, value: Wide) -> Any:
    """The value in the dtype of the equation's output, where bfloat16 stays wide."""
    output: Any = eqn.outvars[0].aval
    return value if output.dtype == jnp.bfloat16 else value.array.astype(output.dtype)


def _is_product(eqn: JaxprEqn) -> bool:
    (left, right), (batch, _) = eqn.params["dimension_numbers"]
    avals: list[Any] = [atom.aval for atom in eqn.invars]
    matrices = all(aval.ndim == 2 and aval.dtype == jnp.bfloat16 for aval in avals)
    return matrices and len(left) == len(right) == 1 and not batch


def _product(eqn: JaxprEqn, left: Wide, right: Wide) -> Product:
    (left_axes, right_axes), _ = eqn.params["dimension_numbers"]
    bases = (_base(left).astype(jnp.bfloat16), _base(right).astype(jnp.bfloat16))
    return Product(
        bases, (left_axes[0] ^ _transpose_operand(left), right_axes[0] ^ _transpose_operand(right))
    )


def _base(value: Wide) -> jax.Array:
    return value.array if isinstance(value, Product) else value.base


def _transpose_operand(value: Wide) -> int:
    return 0 if isinstance(value, Product) else int(value.turned)


def _in_order(matrix: jax.Array) -> jax.Array:
    """The matrix row by row in memory, and known to be so.

    XLA marks the result of a transposition as lying column by column, and so takes its products
    for ones that the fast kernels do not know. A reshape drops the mark, and the barrier keeps XLA
    from joining the two that cancel each other.
    """
    rows, columns = matrix.shape
    apart: jax.Array = jax.lax.optimization_barrier(matrix.reshape(rows, 1, columns))
    return apart.reshape(rows, columns)
