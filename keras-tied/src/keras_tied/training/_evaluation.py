"""Evaluates a jaxpr equation by equation, of which a subclass can replace some."""

from collections.abc import Sequence
from typing import Any

from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal

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


class Evaluation:
    """Evaluates equations as they stand. A subclass may hold values in another form."""

    def evaluate_closed(
        self,
        jaxpr: ClosedJaxpr,
        arguments: Sequence[Any],
    ) -> list[Any]:
        """The outputs, in the form that the class holds values in."""
        inner = jaxpr.jaxpr
        values = dict(zip(inner.constvars, jaxpr.consts, strict=True))
        values |= zip(inner.invars, arguments, strict=True)

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, Literal) else values[atom]

        for eqn in inner.eqns:
            inputs = [read(atom) for atom in eqn.invars]
            if eqn.primitive.name in CALLS:
                outputs = self.evaluate_closed(_find_call(eqn), inputs)
            else:
                outputs = self.evaluate_equation(eqn, inputs)
            values |= zip(eqn.outvars, outputs, strict=True)
        return [read(atom) for atom in inner.outvars]

    def evaluate_equation(
        self,
        eqn: JaxprEqn,
        inputs: list[Any],
    ) -> list[Any]:
        return self.bind(eqn, inputs)

    def bind(self, eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
        """The outputs of one equation, as it stands, for arrays."""
        inputs = [self.to_array(value) for value in inputs]
        params = eqn.primitive.get_bind_params(eqn.params)
        # Older releases of JAX return the functions among the parameters separately.
        functions, params = params if isinstance(params, tuple) else ((), params)
        outputs = eqn.primitive.bind(*functions, *inputs, **params)
        return list(outputs) if eqn.primitive.multiple_results else [outputs]

    def to_array(self, value: Any) -> Any:
        return value


def _find_call(eqn: JaxprEqn) -> ClosedJaxpr:
    params = eqn.params.values()
    return next(value for value in params if isinstance(value, ClosedJaxpr))


def is_matrix_product(eqn: JaxprEqn) -> bool:
    """Whether an equation multiplies two matrices along one axis of each."""
    if eqn.primitive.name != "dot_general":
        return False
    (left, right), (batch, _) = eqn.params["dimension_numbers"]
    ranks = [len(getattr(atom.aval, "shape", ())) for atom in eqn.invars]
    return ranks == [2, 2] and len(left) == len(right) == 1 and not batch
