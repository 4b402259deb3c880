"""Evaluates a function of tall matrices with features along rows: ../README.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal

MAX_FEATURES = 256  # with more, rows first is as fast

ELEMENTWISE = frozenset(
    "abs add add_any and atan2 cbrt ceil clamp convert_element_type copy cos cosh div"
    " eq erf erf_inv erfc exp exp2 expm1 floor ge gt integer_pow is_finite le log log1p"
    " logistic lt max min mul ne neg nextafter not or pow reduce_precision rem round"
    " rsqrt select_n sign sin sinh sqrt square stop_gradient sub tan tanh xor".split()
)
REDUCTIONS = frozenset(
    "reduce_and reduce_max reduce_min reduce_or reduce_prod reduce_sum".split()
)
CALLS = frozenset(
    "closed_call core_call custom_jvp_call custom_vjp_call jit pjit".split()
)


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
class FeaturesFirst:
    """Evaluates a jaxpr with matrices of these numbers of rows flipped where it can."""

    rows: set[int]

    def evaluate(self, jaxpr: ClosedJaxpr, arguments: Sequence[Any]) -> list[Any]:
        """The outputs, any of which may be a `FlippedMatrix`."""
        inner = jaxpr.jaxpr
        values = dict(zip(inner.constvars, jaxpr.consts, strict=True))
        values |= zip(inner.invars, arguments, strict=True)

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, Literal) else values[atom]

        for eqn in inner.eqns:
            inputs = [read(atom) for atom in eqn.invars]
            if eqn.primitive.name in CALLS:
                outputs = self.evaluate(_find_call(eqn), inputs)
            else:
                outputs = self.evaluate_equation(eqn, inputs)
            values |= zip(eqn.outvars, outputs, strict=True)
        return [read(atom) for atom in inner.outvars]

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
            if _is_matrix_product(eqn):
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
        return _bind(eqn, inputs)

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


def to_array(value: Any) -> Any:
    return value.transpose.T if isinstance(value, FlippedMatrix) else value


def _bind(eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
    """The outputs of one equation, as it stands."""
    params = eqn.primitive.get_bind_params(eqn.params)
    # Older releases of JAX return the functions among the parameters separately.
    functions, params = params if isinstance(params, tuple) else ((), params)
    outputs = eqn.primitive.bind(*functions, *map(to_array, inputs), **params)
    return list(outputs) if eqn.primitive.multiple_results else [outputs]


def _flip(value: Any) -> Any:
    if isinstance(value, FlippedMatrix):
        return value.transpose
    return value.T if jax.numpy.ndim(value) == 2 else value


def _find_call(eqn: JaxprEqn) -> ClosedJaxpr:
    params = eqn.params.values()
    return next(value for value in params if isinstance(value, ClosedJaxpr))


def _is_matrix_product(eqn: JaxprEqn) -> bool:
    """Whether an equation multiplies two matrices along one axis of each."""
    if eqn.primitive.name != "dot_general":
        return False
    (left, right), (batch, _) = eqn.params["dimension_numbers"]
    ranks = [len(getattr(atom.aval, "shape", ())) for atom in eqn.invars]
    return ranks == [2, 2] and len(left) == len(right) == 1 and not batch
