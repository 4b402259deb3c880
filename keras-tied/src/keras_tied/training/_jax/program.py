"""The function that XLA compiles: many steps and epochs, and the rows they take."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import Model, Variable

from keras_tied._keras_internals import results_or_logs, take_numbers
from keras_tied.training._data import BatchedRows
from keras_tied.training._jax.features_first import (
    FeaturesFirst,
    FlippedMatrix,
    is_worthwhile,
    to_array,
)

# By the id of the host's array, and whether it is kept flipped.
Arrays = dict[tuple[int, bool], jax.Array]
# The variables of a model as they lie in a state.
Groups = Sequence[list[Variable]]


class TracedFunction:
    """A function of pytrees, traced once, that also takes some matrices flipped.

    `arguments` may be shapes and dtypes; its value has no tall matrices.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        trace = jax.make_jaxpr(function, return_shape=True)
        self.jaxpr, self.outputs = trace(*arguments)

    def __call__(self, *arguments: Any) -> Any:
        """The value for arguments of the same shapes, any leaf a `FlippedMatrix`."""
        leaves = jax.tree.leaves(arguments)
        flipped = [leaf for leaf in leaves if isinstance(leaf, FlippedMatrix)]
        rows = {matrix.transpose.shape[1] for matrix in flipped}
        outputs = FeaturesFirst(rows).evaluate(self.jaxpr, leaves)
        plain = map(to_array, outputs)
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
        variables: Groups,
        state: Any,
    ) -> None:
        self.part = part
        self.rows = part.rows
        self.steps = {}
        with take_numbers(chain.from_iterable(variables)):
            for size in {self.rows.batch_size if self.rows.full else 0, self.rows.last}:
                if size:
                    batch = self.rows.take_first(size)
                    self.steps[size] = TracedFunction(step, state, batch)
        logs, _ = next(iter(self.steps.values())).outputs
        self.empty_logs = _make_zeros(logs)

    def run(
        self,
        state: Any,
        begin: Any,
        end: Any,
        arrays: Sequence[Any],
        order: Any = None,
    ) -> Any:
        """The state after the full batches from `begin` to `end`, and the last logs.

        The smaller last batch follows if `end` is the number of full batches.
        """
        full, last = self.rows.full, self.rows.last

        def step(begin: Any, size: int, state: Any) -> Any:
            batch = self.part.select(arrays, order, begin, size)
            logs, state = self.steps[size](state, batch)
            return state, logs

        def step_full(index: Any, carry: Any) -> Any:
            size = self.rows.batch_size
            state, _ = carry
            return step(index * size, size, state)

        def step_last(state: Any, logs: Any) -> Any:
            return step(self.rows.count - last, last, state)

        logs = self.empty_logs
        if full:
            state, logs = jax.lax.fori_loop(begin, end, step_full, (state, logs))
        if last:
            state, logs = _finish(step_last, self.rows, end, state, logs)
        return state, logs


class Metrics:
    """The metrics of a model, as functions of its state."""

    def __init__(self, model: Model, variables: Groups) -> None:
        self.model = model
        self.variables = variables

    def reset(self, state: Any) -> list[Any]:
        """The values of the metrics' variables at the begin of an epoch."""
        with self.hold(state) as scope:
            self.model.reset_metrics()
        *_, variables = self.variables
        return list(map(scope.get_current_value, variables))

    def report(self, state: Any, logs: Any) -> Any:
        """The results of the metrics, or the last step's logs, as Keras decides."""
        with self.hold(state):
            return jax.tree.map(jnp.asarray, results_or_logs(self.model, logs))

    def hold(self, state: Any) -> keras.StatelessScope:
        """A scope in which the model's variables have the values of a state."""
        variables, values = map(chain.from_iterable, (self.variables, state))
        return keras.StatelessScope(list(zip(variables, values, strict=True)))

    def can_be_traced(self, state: Any) -> bool:
        """Whether they are computed by JAX alone, which Keras does not ask for."""
        with suppress(jax.errors.JAXTypeError):
            jax.eval_shape(self.reset, state)
            jax.eval_shape(self.report, state, {})
            return True
        return False


class Program:
    """The function that is compiled: from a state to the one some epochs later."""

    def __init__(
        self,
        metrics: Metrics,
        parts: Sequence[DeviceRows],
        state: Any,
        most_epochs: int,
    ) -> None:
        self.metrics = metrics
        self.most_epochs = most_epochs
        model, variables = metrics.model, metrics.variables
        train, *validation = parts
        self.passes = [Pass(train, model.train_step, variables, state)]
        for part in validation:
            # Keras evaluates without the variables of the optimizer.
            groups = [(*each[:2], each[3]) for each in (variables, state)]
            self.passes.append(Pass(part, model.test_step, *groups))
        self.empty_logs = []
        for each in self.passes:
            logs = jax.eval_shape(metrics.report, state, each.empty_logs)
            self.empty_logs.append(_make_zeros(logs))

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

        With it come the logs of training and of validation, with an array of
        `(most_epochs, ...)` for each number of a step's. The smaller last batch and the
        validation follow if `end` is the number of full batches.
        """
        train = self.passes[0]

        def epoch(index: Any, carry: Any) -> Any:
            state, table = carry
            order = None if orders is None else orders[index]
            *variables, metrics = state
            fresh = self.metrics.reset(state)
            if train.rows.full:
                pairs = zip(fresh, metrics, strict=True)
                fresh = [jnp.where(begin == 0, *pair) for pair in pairs]
            state = *variables, fresh
            state, last_logs = train.run(state, begin, end, arrays, order)
            logs = [self.metrics.report(state, last_logs), *self.empty_logs[1:]]
            if len(self.passes) > 1:
                validate = partial(self.validate, arrays=arrays)
                state, logs = _finish(validate, train.rows, end, state, logs)

            def note(column: Any, log: Any) -> Any:
                return jax.lax.dynamic_update_index_in_dim(column, log, index, axis=0)

            return state, jax.tree.map(note, table, logs)

        def make_column(log: Any) -> Any:
            return jnp.zeros((self.most_epochs, *log.shape), log.dtype)

        table = jax.tree.map(make_column, self.empty_logs)
        return jax.lax.fori_loop(0, epochs, epoch, (state, table))

    def validate(self, state: Any, logs: Any, arrays: Sequence[Any]) -> Any:
        validation = self.passes[1]
        trainable, non_trainable, optimizer, _ = state
        state = trainable, non_trainable, self.metrics.reset(state)
        full = validation.rows.full
        state, last_logs = validation.run(state, 0, full, arrays)
        trainable, non_trainable, metrics = state
        state = trainable, non_trainable, optimizer, metrics
        return state, [logs[0], self.metrics.report(state, last_logs)]


def _make_zeros(logs: Any) -> Any:
    return jax.tree.map(lambda log: np.zeros(log.shape, log.dtype), logs)


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
