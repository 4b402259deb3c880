"""A traced function, evaluated in the fastest way."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr

from keras_tied.training._evaluation import Evaluation
from keras_tied.training._jax.bfloat16 import WideEvaluation, multiplies_bfloat16
from keras_tied.training._jax.features_first import FeaturesFirst, FlippedMatrix


class TracedFunction:
    """A function that is traced once, and can be called with some matrices flipped.

    It takes pytrees of arrays, and gives one without tall matrices. `arguments` are its arguments,
    or their shapes and dtypes; `widen` allows `WideEvaluation`.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any, widen: bool = True) -> None:
        self.jaxpr, self.outputs = jax.make_jaxpr(function, return_shape=True)(*arguments)
        self.text = str(self.jaxpr)
        self.widen = widen and self.contains("bf16[") and multiplies_bfloat16()

    def contains(self, *words: str) -> bool:
        return any(word in self.text for word in words)

    @property
    def constants(self) -> list[Any]:
        return list(_constants(self.jaxpr))

    def __call__(self, *arguments: Any, evaluation: Evaluation | None = None) -> Any:
        """The function's value for arguments of the same shapes, any leaf a `FlippedMatrix`."""
        leaves = jax.tree.leaves(arguments)
        rows = {leaf.transpose.shape[1] for leaf in leaves if isinstance(leaf, FlippedMatrix)}
        evaluation = evaluation or Evaluation()
        if rows:
            evaluation = FeaturesFirst(rows)
        elif self.widen:
            evaluation = WideEvaluation()
        outputs = evaluation.evaluate_closed(self.jaxpr, leaves)
        plain = [evaluation.to_array(output) for output in outputs]
        return jax.tree.unflatten(jax.tree.structure(self.outputs), plain)


def _constants(jaxpr: ClosedJaxpr) -> Iterator[Any]:
    """The constants of a jaxpr and of those within."""
    yield from jaxpr.consts
    for eqn in jaxpr.jaxpr.eqns:
        for value in jax.tree.leaves(eqn.params, is_leaf=lambda v: isinstance(v, ClosedJaxpr)):
            if isinstance(value, ClosedJaxpr):
                yield from _constants(value)
