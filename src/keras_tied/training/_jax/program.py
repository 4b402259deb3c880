"""The function that XLA compiles: many steps and epochs, and the rows they take."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from keras import Model

from keras_tied.training._data import BatchedRows
from keras_tied.training._epochs import EpochLogs, flatten_logs, name_validation
from keras_tied.training._jax.features_first import (
    FeaturesFirst,
    FlippedMatrix,
    is_worthwhile,
)

# By the id of the host's array, and whether it is kept flipped.
Arrays = dict[tuple[int, bool], jax.Array]


class TracedFunction:
    """A function of pytrees, traced once, that also takes some matrices flipped.

    `arguments` may be shapes and dtypes; its value has no tall matrices.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        trace = jax.make_jaxpr(function, return_shape=True)
        self.jaxpr, self.outputs = trace(*arguments)
        self.text = str(self.jaxpr)

    def contains(self, *words: str) -> bool:
        return any(word in self.text for word in words)

    def __call__(self, *arguments: Any) -> Any:
        """The value for arguments of the same shapes, any leaf a `FlippedMatrix`."""
        leaves = jax.tree.leaves(arguments)
        flipped = [leaf for leaf in leaves if isinstance(leaf, FlippedMatrix)]
        rows = {matrix.transpose.shape[1] for matrix in flipped}
        evaluation = FeaturesFirst(rows)
        outputs = evaluation.evaluate_closed(self.jaxpr, leaves)
        plain = [evaluation.to_array(output) for output in outputs]
        return jax.tree.unflatten(jax.tree.structure(self.outputs), plain)


class DeviceRows:
    """Rows on the device, in `arrays`, each once; `places` are those in there.

    Where all rows are one batch, narrow ones are kept flipped.
    """

    def __init__(
        self,
        rows: BatchedRows,
        arrays: Arrays,
        units: Sequence[int],
    ) -> None:
        leaves = jax.tree.leaves(rows.data)
        shapes = [leaf.shape[1:] for leaf in leaves if leaf.ndim > 1]
        are_narrow = all(is_worthwhile(rows.count, shape, units) for shape in shapes)
        self.rows = rows
        self.are_flipped = are_narrow and not rows.full

        def put(leaf: Any) -> int:
            is_flipped = self.are_flipped and leaf.ndim > 1
            key = id(leaf), is_flipped
            if key not in arrays:
                values = np.ascontiguousarray(leaf.T) if is_flipped else leaf
                # No copy where the device can read the host's memory, as Keras's `fit`
                # does.
                arrays[key] = jax.device_put(values, may_alias=True)
            return list(arrays).index(key)

        self.places = jax.tree.map(put, rows.data)
        sizes = rows.full, rows.last, rows.batch_size
        self.key = *sizes, self.are_flipped, str(self.places)

    def select(
        self,
        arrays: Sequence[Any],
        order: Any,
        begin: Any,
        size: int,
    ) -> Any:
        """The rows `begin .. begin + size - 1` of an order."""

        def take(place: int) -> Any:
            rows = arrays[place]
            if self.are_flipped and rows.ndim > 1:
                return FlippedMatrix(rows if order is None else rows[:, order])
            if order is not None:
                return rows[jax.lax.dynamic_slice_in_dim(order, begin, size)]
            return jax.lax.dynamic_slice_in_dim(rows, begin, size)

        return jax.tree.map(take, self.places)


class Pass:
    """The steps over the batches of some rows, traced for each size of a batch."""

    def __init__(
        self,
        part: DeviceRows,
        step: Callable[..., Any],
        state: Any,
    ) -> None:
        self.part = part
        self.rows = part.rows

        def step_flat(state: Any, data: Any) -> Any:
            logs, state = step(state, data)
            return flatten_logs(logs), state

        self.steps = {}
        for size in {self.rows.batch_size if self.rows.full else 0, self.rows.last}:
            if size:
                batch = self.rows.take_first(size)
                self.steps[size] = TracedFunction(step_flat, state, batch)
        logs, _ = next(iter(self.steps.values())).outputs
        self.empty_logs = {
            name: np.zeros(value.shape, value.dtype) for name, value in logs.items()
        }

    def run(
        self,
        state: Any,
        logs: Any,
        begin: Any,
        end: Any,
        arrays: Sequence[Any],
        order: Any = None,
    ) -> Any:
        """The state after the full batches from `begin` to `end`, and the last logs.

        The smaller last batch follows if `end` is the number of full batches.
        """
        full, last = self.rows.full, self.rows.last

        def step(begin: Any, size: int, state: Any, logs: Any) -> Any:
            batch = self.part.select(arrays, order, begin, size)
            new_logs, state = self.steps[size](state, batch)
            return state, logs | new_logs

        def step_full(index: Any, carry: Any) -> Any:
            size = self.rows.batch_size
            return step(index * size, size, *carry)

        def step_last(state: Any, logs: Any) -> Any:
            return step(self.rows.count - last, last, state, logs)

        if full:
            logs = {name: jnp.asarray(value) for name, value in logs.items()}
            state, logs = jax.lax.fori_loop(begin, end, step_full, (state, logs))
        if last:
            state, logs = _finish(step_last, self.rows, end, state, logs)
        return state, logs


class Program:
    """The function that is compiled: from a state to the one some epochs later."""

    def __init__(
        self,
        model: Model,
        parts: Sequence[DeviceRows],
        state: Any,
        most_epochs: int,
    ) -> None:
        self.most_epochs = most_epochs
        trainable, non_trainable, _, metrics = state
        model.reset_metrics()
        self.fresh = [np.asarray(each.value) for each in model.metrics_variables]
        train, *validation = parts
        self.train = Pass(train, model.train_step, state)
        self.passes = [self.train]
        self.empty_logs: EpochLogs = dict(self.train.empty_logs)
        for part in validation:
            state = trainable, non_trainable, metrics
            self.passes.append(Pass(part, model.test_step, state))
            self.empty_logs |= name_validation(self.passes[-1].empty_logs)

    @property
    def steps(self) -> list[TracedFunction]:
        return [step for each in self.passes for step in each.steps.values()]

    @property
    def has_ready_kernels(self) -> bool:
        """Whether XLA has kernels for the steps: not for bfloat16 and erf."""
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
        """The state after so many epochs, of the full batches from `begin` to `end`.

        With it comes a table with a row of logs for each epoch, `(most_epochs, ...)`.
        The smaller last batch and the validation follow if `end` is the number of full
        batches.
        """

        def epoch(index: Any, carry: Any) -> Any:
            (*variables, metrics), table = carry
            order = None if orders is None else orders[index]
            if self.train.rows.full:
                pairs = zip(self.fresh, metrics, strict=True)
                metrics = [jnp.where(begin == 0, *pair) for pair in pairs]
            else:
                metrics = self.fresh
            state = *variables, metrics
            logs = self.empty_logs
            state, logs = self.train.run(state, logs, begin, end, arrays, order)
            if len(self.passes) > 1:
                validate = partial(self.validate, arrays=arrays)
                state, logs = _finish(validate, self.train.rows, end, state, logs)
            row = jnp.concatenate([logs[name].ravel() for name in self.empty_logs])
            update = jax.lax.dynamic_update_index_in_dim
            return state, update(table, row, index, axis=0)

        empty = self.empty_logs.values()
        width = sum(log.size for log in empty)
        table = jnp.zeros((self.most_epochs, width), jnp.result_type(*empty))
        return jax.lax.fori_loop(0, epochs, epoch, (state, table))

    def validate(self, state: Any, logs: Any, arrays: Sequence[Any]) -> Any:
        validation = self.passes[1]
        trainable, non_trainable, optimizer, _ = state
        state = trainable, non_trainable, self.fresh
        full = validation.rows.full
        state, new_logs = validation.run(state, validation.empty_logs, 0, full, arrays)
        trainable, non_trainable, metrics = state
        state = trainable, non_trainable, optimizer, metrics
        return state, logs | name_validation(new_logs)


def _finish(
    function: Callable[[Any, Any], Any],
    rows: BatchedRows,
    end: Any,
    state: Any,
    logs: Any,
) -> Any:
    """Apply a function to state and logs if all full batches are done."""
    if not rows.full:
        return function(state, logs)
    return jax.lax.cond(end == rows.full, function, lambda *same: same, state, logs)
