"""The function that XLA compiles: many steps and epochs of training, and the rows they take."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.extend.core import ClosedJaxpr

from keras_tied.training._data import BatchedRows
from keras_tied.training._epochs import flatten_logs
from keras_tied.training._evaluation import Evaluation
from keras_tied.training._jax.bfloat16 import WideEvaluation, multiplies_bfloat16
from keras_tied.training._jax.features_first import (
    FeaturesFirst,
    FlippedMatrix,
    is_worthwhile,
)

Arrays = dict[
    tuple[int, bool], jax.Array
]  # by the id of the host's array and how it is kept


class TracedFunction:
    """A function of pytrees that is traced once, and can be called with some matrices flipped.

    `arguments` may be shapes and dtypes; its value has no tall matrices.
    """

    def __init__(
        self, function: Callable[..., Any], *arguments: Any, widen: bool = True
    ) -> None:
        self.jaxpr, self.outputs = jax.make_jaxpr(function, return_shape=True)(
            *arguments
        )
        self.text = str(self.jaxpr)
        self.widen = widen and self.contains("bf16[") and multiplies_bfloat16()

    def contains(self, *words: str) -> bool:
        return any(word in self.text for word in words)

    def __call__(self, *arguments: Any) -> Any:
        """The function's value for arguments of the same shapes, any leaf a `FlippedMatrix`."""
        leaves = jax.tree.leaves(arguments)
        rows = {
            leaf.transpose.shape[1]
            for leaf in leaves
            if isinstance(leaf, FlippedMatrix)
        }
        evaluation = Evaluation()
        if rows:
            evaluation = FeaturesFirst(rows)
        elif self.widen:
            evaluation = WideEvaluation()
        outputs = evaluation.evaluate_closed(self.jaxpr, leaves)
        plain = [evaluation.to_array(output) for output in outputs]
        return jax.tree.unflatten(jax.tree.structure(self.outputs), plain)


def list_constants(jaxpr: ClosedJaxpr) -> Iterator[Any]:
    """The constants of a jaxpr and of those within."""
    yield from jaxpr.consts
    for eqn in jaxpr.jaxpr.eqns:
        for value in jax.tree.leaves(
            eqn.params, is_leaf=lambda v: isinstance(v, ClosedJaxpr)
        ):
            if isinstance(value, ClosedJaxpr):
                yield from list_constants(value)


class DeviceRows:
    """Rows on the device, in `arrays`, each once; `places` has the place of each in there."""

    def __init__(self, rows: BatchedRows, arrays: Arrays, units: Sequence[int]) -> None:
        self.rows, self.full, self.last, self.size = (
            rows,
            rows.full,
            rows.last,
            rows.batch_size,
        )
        leaves, self.structure = jax.tree.flatten(rows.data)
        shapes = [leaf.shape[1:] for leaf in leaves if leaf.ndim > 1]
        narrow = bool(shapes) and all(
            is_worthwhile(self.size, shape, units) for shape in shapes
        )
        self.flipped = [narrow and leaf.ndim > 1 for leaf in leaves]
        self.places = []
        for leaf, flipped in zip(leaves, self.flipped, strict=True):
            key = id(leaf), flipped and not self.full
            if key not in arrays:
                values = np.ascontiguousarray(leaf.T) if key[1] else leaf
                # No copy where the device can read the host's memory, as Keras's `fit`
                # does.
                arrays[key] = jax.device_put(values, may_alias=True)
            self.places.append(list(arrays).index(key))
        self.key = (
            self.full,
            self.last,
            self.size,
            self.structure,
            self.places,
            self.flipped,
        )

    def batch(self, arrays: Sequence[Any], begin: Any, size: int, order: Any) -> Any:
        """The rows `begin .. begin + size - 1` of an order, `(size, ...)` each."""
        leaves = []
        for place, flipped in zip(self.places, self.flipped, strict=True):
            rows = arrays[place]
            if (
                not self.full
            ):  # one batch, whose flipped matrices lie in `arrays` in that form
                rows = (
                    rows
                    if order is None
                    else rows[:, order]
                    if flipped
                    else rows[order]
                )
            elif order is None:
                rows = jax.lax.dynamic_slice_in_dim(rows, begin, size)
            else:
                rows = rows[jax.lax.dynamic_slice_in_dim(order, begin, size)]
            leaves.append(
                FlippedMatrix(rows.T if self.full else rows) if flipped else rows
            )
        return jax.tree.unflatten(self.structure, leaves)


class Program:
    """The function that is compiled: from the state to the state some epochs later, and logs."""

    def __init__(
        self,
        model: keras.Model,
        parts: Sequence[DeviceRows],
        state: Any,
        capacity: int,
        widen: bool,
    ) -> None:
        self.train, *self.validation = parts
        self.capacity = capacity
        self.fresh = [np.zeros(value.shape, value.dtype) for value in state[3]]

        def trace(step: Any, state: Any, part: DeviceRows) -> dict[int, TracedFunction]:
            sizes = {part.size if part.full else 0, part.last} - {0}
            examples = {size: _make_example(part.rows.data, size) for size in sizes}
            flat = _flatten_logs_of(step)
            return {
                n: TracedFunction(flat, state, examples[n], widen=widen)
                for n in examples
            }

        self.train_steps, self.test_steps = (
            trace(model.train_step, state, self.train),
            {},
        )
        for part in self.validation:
            self.test_steps = trace(model.test_step, (*state[:2], state[3]), part)
        self.steps = [*self.train_steps.values(), *self.test_steps.values()]
        self.empty_test_logs = _make_empty_logs(self.test_steps)
        self.empty_logs = _make_empty_logs(self.train_steps) | _name_val(
            self.empty_test_logs
        )
        groups: dict[Any, list[str]] = {}
        for name, value in self.empty_logs.items():
            groups.setdefault((value.shape, value.dtype), []).append(name)
        self.log_names = list(groups.values())  # those of one shape and dtype together

    @property
    def is_wide(self) -> bool:
        return any(step.widen for step in self.train_steps.values())

    @property
    def has_ready_kernels(self) -> bool:
        """Whether XLA has kernels for the steps: not for bfloat16 and the error function."""
        return not any(step.contains("bf16[", " erf") for step in self.steps)

    def __call__(
        self,
        state: Any,
        orders: Any,
        epochs: Any,
        begin: Any,
        end: Any,
        arrays: Sequence[Any],
    ) -> Any:
        """The state after so many epochs, of the full batches from `begin` to `end`, and the logs.

        The smaller last batch and the validation follow if `end` is the number of full
        batches.
        """

        def epoch(index: Any, carry: Any) -> Any:
            (*variables, metrics), tables = carry
            order = None if orders is None else orders[index]
            if self.train.full:
                pairs = zip(self.fresh, metrics, strict=True)
                metrics = [jnp.where(begin == 0, *pair) for pair in pairs]
            else:
                metrics = self.fresh
            state, logs = self.run_steps(
                (*variables, metrics), begin, end, order, arrays
            )
            update = jax.lax.dynamic_update_index_in_dim
            rows = [
                jnp.stack([logs[name] for name in names]) for names in self.log_names
            ]
            return state, [
                update(*pair, index, axis=0) for pair in zip(tables, rows, strict=True)
            ]

        tables = []
        for names in self.log_names:
            value = self.empty_logs[names[0]]
            tables.append(
                jnp.zeros((self.capacity, len(names), *value.shape), value.dtype)
            )
        return jax.lax.fori_loop(0, epochs, epoch, (state, tables))

    def run_steps(
        self, state: Any, begin: Any, end: Any, order: Any, arrays: Sequence[Any]
    ) -> Any:
        part = self.train

        def step(state: Any, begin: Any, size: int) -> Any:
            batch = part.batch(arrays, begin, size, order)
            return self.train_steps[size](state, batch)

        def full_step(index: Any, carry: Any) -> Any:
            logs, state = step(carry[0], index * part.size, part.size)
            return state, carry[1] | logs

        def finish(state: Any, logs: Any) -> Any:
            if part.last:
                last, state = step(state, part.full * part.size, part.last)
                logs = logs | last
            state, validation_logs = self.validate(state, arrays)
            return state, logs | validation_logs

        empty = {name: jnp.asarray(value) for name, value in self.empty_logs.items()}
        if not part.full:
            return finish(state, empty)
        state, logs = jax.lax.fori_loop(begin, end, full_step, (state, empty))
        if not part.last and not self.validation:
            return state, logs
        return jax.lax.cond(end == part.full, finish, lambda *same: same, state, logs)

    def validate(self, state: Any, arrays: Sequence[Any]) -> Any:
        if not self.validation:
            return state, {}
        (part,) = self.validation
        trainable, non_trainable, optimizer, _ = state

        def step(state: Any, begin: Any, size: int) -> Any:
            logs, state = self.test_steps[size](
                state, part.batch(arrays, begin, size, None)
            )
            return state, logs

        state, logs = (trainable, non_trainable, self.fresh), self.empty_test_logs
        if part.full:
            carry = state, {name: jnp.asarray(value) for name, value in logs.items()}
            state, logs = jax.lax.fori_loop(
                0,
                part.full,
                lambda i, carry: step(carry[0], i * part.size, part.size),
                carry,
            )
        if part.last:
            state, logs = step(state, part.full * part.size, part.last)
        trainable, non_trainable, metrics = state
        return (trainable, non_trainable, optimizer, metrics), _name_val(logs)


def _make_example(data: Any, size: int) -> Any:
    """The shapes and dtypes of a batch of so many rows, on the device."""
    describe, canonical = jax.ShapeDtypeStruct, jax.dtypes.canonicalize_dtype
    return jax.tree.map(
        lambda x: describe((size, *x.shape[1:]), canonical(x.dtype)), data
    )


def _flatten_logs_of(step: Any) -> Any:
    def flat(state: Any, data: Any) -> Any:
        logs, state = step(state, data)
        return flatten_logs(logs), state

    return flat


def _make_empty_logs(steps: dict[int, TracedFunction]) -> dict[str, Any]:
    logs: dict[str, Any] = next((step.outputs[0] for step in steps.values()), {})
    return {name: np.zeros(value.shape, value.dtype) for name, value in logs.items()}


def _name_val(logs: dict[str, Any]) -> dict[str, Any]:
    return {f"val_{name}": value for name, value in logs.items()}
