"""Evaluates a function of tall, narrow matrices with features along rows.

XLA's CPU backend computes on a `(rows, features)` matrix of few features several times slower
than on its transpose: its vectors run along the last axis, and there are few features to fill them
with. The functions here evaluate a traced function (a jaxpr) with each matrix that has as many
rows as the data has held transposed. The numbers are the same up to the order of summation.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

MAX_FEATURES = 256
"""With more, rows first is as fast (`benchmarks/features_first.py`)."""

ELEMENTWISE = frozenset(
    "abs add add_any and atan2 cbrt ceil clamp convert_element_type copy cos cosh div eq erf "
    "erf_inv erfc exp exp2 expm1 floor ge gt integer_pow is_finite le log log1p logistic lt max "
    "min mul ne neg nextafter not or pow reduce_precision rem round rsqrt select_n sign sin sinh "
    "sqrt square stop_gradient sub tan tanh xor".split()
)
REDUCTIONS = frozenset("reduce_and reduce_max reduce_min reduce_or reduce_prod reduce_sum".split())
CALLS = frozenset("closed_call core_call custom_jvp_call custom_vjp_call jit pjit".split())


class Flipped:
    """A matrix of shape `(rows, features)`, held as its transpose."""

    def __init__(self, transpose: jax.Array) -> None:
        self.transpose = transpose


class Traced:
    """A function, traced once, that can be called with some of its matrices flipped.

    Args:
        function: a function of pytrees of arrays, to a pytree of arrays without tall matrices.
        *arguments: its arguments, or their shapes and dtypes.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.jaxpr, self.outputs = jax.make_jaxpr(function, return_shape=True)(*arguments)

    def __call__(self, *arguments: Any) -> Any:
        """The function's value, for arguments of the same shapes; any leaf may be `Flipped`."""
        leaves = jax.tree.leaves(arguments)
        rows = {leaf.transpose.shape[1] for leaf in leaves if isinstance(leaf, Flipped)}
        outputs = _Evaluation(rows).closed(self.jaxpr, leaves)
        return jax.tree.unflatten(
            jax.tree.structure(self.outputs), [_plain(output) for output in outputs]
        )


def pays(rows: int, shape: Sequence[int], widths: Sequence[int]) -> bool:
    """Whether features-first is faster for batches of so many rows of a shape, and such layers."""
    narrow = len(shape) == 1 and max(*shape, *widths) <= MAX_FEATURES
    return narrow and rows >= 8 * shape[0] and jax.default_backend() == "cpu"


def _plain(value: Any) -> Any:
    return value.transpose.T if isinstance(value, Flipped) else value


class _Evaluation:
    """Evaluates a jaxpr equation by equation, and keeps tall matrices flipped where it can."""

    def __init__(self, rows: set[int]) -> None:
        self.rows = rows

    def closed(self, jaxpr: ClosedJaxpr, arguments: Sequence[Any]) -> list[Any]:
        return self.jaxpr(jaxpr.jaxpr, jaxpr.consts, arguments)

    def jaxpr(self, jaxpr: Jaxpr, consts: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
        values: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
        values |= zip(jaxpr.invars, arguments, strict=True)

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, Literal) else values[atom]

        for eqn in jaxpr.eqns:
            outputs = self.equation(eqn, [read(atom) for atom in eqn.invars])
            values |= zip(eqn.outvars, outputs, strict=True)
        return [read(atom) for atom in jaxpr.outvars]

    def equation(self, eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
        name = eqn.primitive.name
        flipped = any(isinstance(value, Flipped) for value in inputs)
        if name in CALLS and flipped:
            inner = next(v for v in eqn.params.values() if isinstance(v, ClosedJaxpr))
            return self.closed(inner, inputs)
        if name in ELEMENTWISE and flipped:
            across = [_across(value) for value in inputs]
            return [Flipped(eqn.primitive.bind(*across, **eqn.params))]
        if name in REDUCTIONS and flipped:
            axes = tuple(1 - axis for axis in eqn.params["axes"])
            return [eqn.primitive.bind(inputs[0].transpose, **{**eqn.params, "axes": axes})]
        if name == "dot_general" and flipped and self.is_product(eqn):
            return [self.product(eqn, *inputs)]
        if name == "broadcast_in_dim" and self.is_tall(eqn.outvars[0].aval):
            return [Flipped(_broadcast(eqn, inputs))]
        if name == "transpose" and flipped:
            return [inputs[0].transpose]
        if name == "transpose" and self.is_tall(eqn.outvars[0].aval):
            return [Flipped(inputs[0])]
        return _bind(eqn, [_plain(value) for value in inputs])

    def is_tall(self, aval: Any) -> bool:
        shape: tuple[int, ...] = getattr(aval, "shape", ())
        return len(shape) == 2 and shape[0] in self.rows

    def is_product(self, eqn: JaxprEqn) -> bool:
        (left, right), (batch, _) = eqn.params["dimension_numbers"]
        ranks = [len(getattr(atom.aval, "shape", ())) for atom in eqn.invars]
        return ranks == [2, 2] and len(left) == len(right) == 1 and not batch

    def product(self, eqn: JaxprEqn, left: Any, right: Any) -> Any:
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


def _across(value: Any) -> Any:
    if isinstance(value, Flipped):
        return value.transpose
    return value.T if jax.numpy.ndim(value) == 2 else value


def _broadcast(eqn: JaxprEqn, inputs: list[Any]) -> jax.Array:
    operand = _across(inputs[0])
    axes = tuple(sorted(1 - axis for axis in eqn.params["broadcast_dimensions"]))
    shape = eqn.params["shape"][::-1]
    return jax.lax.broadcast_in_dim(operand, shape, axes)


def _bind(eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
    params = eqn.primitive.get_bind_params(eqn.params)
    # Older releases of JAX give the functions among the parameters apart.
    functions, params = params if isinstance(params, tuple) else ((), params)
    outputs = eqn.primitive.bind(*functions, *inputs, **params)
    return outputs if eqn.primitive.multiple_results else [outputs]
