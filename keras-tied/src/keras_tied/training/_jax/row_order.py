"""Whether the order of the rows of a batch matters to a step. See ../README.md."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from jax.extend.core import ClosedJaxpr, JaxprEqn

from keras_tied.training._evaluation import ELEMENTWISE, REDUCTIONS, Evaluation

# What is known of a value where the rows come in another order: the axes along which
# its entries then come in that order, and None if it is then the same, up to rounding.
# A value that is the same along an axis can have both; one without any may be anything.
Axes = frozenset[int | None]
SAME: Axes = frozenset([None])
ROWS: Axes = frozenset([0])


def order_matters(step: ClosedJaxpr, n_state: int) -> bool:
    """Whether a step may depend on the order of its rows, beyond rounding.

    The arguments of the step are arrays of a state, as many as `n_state`, and then
    arrays of rows.
    """
    n_rows = len(step.in_avals) - n_state
    arguments = [SAME] * n_state + [ROWS] * n_rows
    outputs = RowOrder().evaluate_closed(step, arguments)
    return not all(None in _axes_of(output) for output in outputs)


class RowOrder(Evaluation):
    """Follows the order of the rows through operations, whose values are `Axes`.

    Of an operation that it does not know, the result may be anything.
    """

    def evaluate_equation(self, eqn: JaxprEqn, inputs: list[Any]) -> list[Any]:
        axes = list(map(_axes_of, inputs))
        if eqn.primitive.name in ELEMENTWISE:
            found = _follow_elements(eqn, axes)
        else:
            follow = RULES.get(eqn.primitive.name, _follow_nothing)
            found = follow(eqn, *axes)
        if all(None in each for each in axes):
            found |= SAME
        return [found] * len(eqn.outvars)


def _axes_of(value: Any) -> Axes:
    return value if isinstance(value, frozenset) else SAME  # a constant


def _shape_of(atom: Any) -> tuple[int, ...]:
    return getattr(atom.aval, "shape", ())


def _drop_none(axes: Axes) -> set[int]:
    return {axis for axis in axes if axis is not None}


def _follow_nothing(eqn: JaxprEqn, *_: Axes) -> Axes:
    return frozenset()


def _follow_elements(eqn: JaxprEqn, axes: Sequence[Axes]) -> Axes:
    """All arrays have to be in the order; a number, or an axis of one, is repeated."""
    found = []
    for atom, each in zip(eqn.invars, axes, strict=True):
        shape = _shape_of(atom)
        if None in each:
            each |= {axis for axis, size in enumerate(shape) if size == 1}
        if shape:
            found.append(each)
        elif None not in each:
            return frozenset()
    return frozenset.intersection(*found) if found else frozenset()


def _follow_iota(eqn: JaxprEqn) -> Axes:
    """The numbers along one axis are the same along all others."""
    others = set(range(len(eqn.params["shape"]))) - {eqn.params["dimension"]}
    return frozenset(others)


def _follow_broadcast(eqn: JaxprEqn, axes: Axes, *_: Axes) -> Axes:
    shape = eqn.params["shape"]
    places = eqn.params["broadcast_dimensions"]
    before = _shape_of(eqn.invars[0])
    kept = [place for place, size in zip(places, before, strict=True) if size > 1]
    repeated = set(range(len(shape))) - set(kept)
    found = {places[axis] for axis in _drop_none(axes)}
    return frozenset(found | (repeated if None in axes else set()))


def _follow_reshape(eqn: JaxprEqn, axes: Axes, *_: Axes) -> Axes:
    """An axis stays one where as much comes before it, and it is as long."""
    before, after = (_shape_of(atom) for atom in (eqn.invars[0], eqn.outvars[0]))
    found = set()
    for axis in _drop_none(axes):
        for place, size in enumerate(after):
            is_as_far = math.prod(after[:place]) == math.prod(before[:axis])
            if is_as_far and size == before[axis]:
                found.add(place)
    return frozenset(found)


def _follow_transpose(eqn: JaxprEqn, axes: Axes) -> Axes:
    places = eqn.params["permutation"]
    return frozenset(places.index(axis) for axis in _drop_none(axes))


def _follow_reduction(eqn: JaxprEqn, axes: Axes) -> Axes:
    """A sum over the rows is the same in any order of them."""
    reduced = eqn.params["axes"]
    found: set[int | None] = set()
    for axis in _drop_none(axes):
        if axis in reduced:
            found.add(None)
        else:
            found.add(axis - sum(each < axis for each in reduced))
    return frozenset(found)


def _follow_choice(eqn: JaxprEqn, axes: Axes) -> Axes:
    """The place of the largest number along an axis, which may not be the rows'."""
    return _follow_reduction(eqn, axes - set(eqn.params["axes"])) - SAME


def _follow_product(eqn: JaxprEqn, left: Axes, right: Axes) -> Axes:
    contracted, batched = eqn.params["dimension_numbers"]
    ranks = [len(_shape_of(atom)) for atom in eqn.invars[:2]]
    free = []
    for rank, sums, shared in zip(ranks, contracted, batched, strict=True):
        used = {*sums, *shared}
        free.append([axis for axis in range(rank) if axis not in used])
    n_batched = len(batched[0])
    found: set[int | None] = set()
    for pair in zip(*contracted, strict=True):
        if pair[0] in left and pair[1] in right:
            found.add(None)
    for place, pair in enumerate(zip(*batched, strict=True)):
        if pair[0] in left and pair[1] in right:
            found.add(place)
    for place, axis in enumerate(free[0], n_batched):
        if axis in left and None in right:
            found.add(place)
    for place, axis in enumerate(free[1], n_batched + len(free[0])):
        if axis in right and None in left:
            found.add(place)
    return frozenset(found)


RULES: dict[str, Callable[..., Axes]] = {
    "argmax": _follow_choice,
    "argmin": _follow_choice,
    "broadcast_in_dim": _follow_broadcast,
    "dot_general": _follow_product,
    "iota": _follow_iota,
    "reshape": _follow_reshape,
    "squeeze": _follow_reshape,
    "transpose": _follow_transpose,
    **dict.fromkeys(REDUCTIONS, _follow_reduction),
}
