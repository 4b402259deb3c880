"""The function that XLA compiles: many steps and epochs, and the rows they take."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr
from keras import Model

from keras_tied.training._data import BatchedRows
from keras_tied.training._epochs import flatten_logs, name_validation
from keras_tied.training._evaluation import Evaluation
from keras_tied.training._jax.bfloat16 import WideEvaluation, multiplies_bfloat16
from keras_tied.training._jax.features_first import (
    FeaturesFirst,
    FlippedMatrix,
    is_worthwhile,
)

# By the id of the host's array, and whether it is kept flipped.
Arrays = dict[tuple[int, bool], jax.Array]
Batch = Callable[[Any, int], Any]  # from its first row and its size


class TracedFunction:
    """A function of pytrees, traced once, that also takes some matrices flipped.

    `arguments` may be shapes and dtypes; its value has no tall matrices.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        widen: bool = True,
    ) -> None:
        self.jaxpr, self.outputs = jax.make_jaxpr(function, return_shape=True)(
            *arguments
        )
        self.text = str(self.jaxpr)
        self.widen = widen and self.contains("bf16[") and multiplies_bfloat16()

    def contains(self, *words: str) -> bool:
        return any(word in self.text for word in words)

    def __call__(self, *arguments: Any) -> Any:
        """The value for arguments of the same shapes, any leaf a `FlippedMatrix`."""
        leaves = jax.tree.leaves(arguments)
        flipped = [leaf for leaf in leaves if isinstance(leaf, FlippedMatrix)]
        rows = {matrix.transpose.shape[1] for matrix in flipped}
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

    def is_jaxpr(value: Any) -> bool:
        return isinstance(value, ClosedJaxpr)

    yield from jaxpr.consts
    for eqn in jaxpr.jaxpr.eqns:
        for value in jax.tree.leaves(eqn.params, is_leaf=is_jaxpr):
            if is_jaxpr(value):
                yield from list_constants(value)


class DeviceRows:
    """Rows on the device, in `arrays`, each once; `places` are those in there."""

    def __init__(
        self,
        rows: BatchedRows,
        arrays: Arrays,
        units: Sequence[int],
    ) -> None:
        self.rows = rows
        leaves, self.structure = jax.tree.flatten(rows.data)
        shapes = [leaf.shape[1:] for leaf in leaves if leaf.ndim > 1]
        narrow = all(is_worthwhile(rows.batch_size, shape, units) for shape in shapes)
        self.flipped = [narrow and leaf.ndim > 1 for leaf in leaves]
        self.places = []
        for leaf, flipped in zip(leaves, self.flipped, strict=True):
            is_transpose = flipped and not rows.full
            key = id(leaf), is_transpose
            if key not in arrays:
                values = np.ascontiguousarray(leaf.T) if is_transpose else leaf
                # No copy where the device can read the host's memory, as Keras's `fit`
                # does.
                arrays[key] = jax.device_put(values, may_alias=True)
            self.places.append(list(arrays).index(key))
        sizes = rows.full, rows.last, rows.batch_size
        self.key = *sizes, self.structure, self.places, self.flipped

    def select(self, arrays: Sequence[Any], order: Any) -> Batch:
        """The function that gives the rows `begin .. begin + size - 1` of an order."""

        def batch(begin: Any, size: int) -> Any:
            leaves = []
            for place, flipped in zip(self.places, self.flipped, strict=True):
                rows = take(arrays[place], flipped, begin, size)
                leaves.append(FlippedMatrix(rows) if flipped else rows)
            return jax.tree.unflatten(self.structure, leaves)

        def take(
            rows: Any,
            flipped: bool,
            begin: Any,
            size: int,
        ) -> Any:
            if not self.rows.full:  # all rows, of which flipped ones are kept so
                if order is None:
                    return rows
                return rows[:, order] if flipped else rows[order]
            if order is None:
                rows = jax.lax.dynamic_slice_in_dim(rows, begin, size)
            else:
                rows = rows[jax.lax.dynamic_slice_in_dim(order, begin, size)]
            return rows.T if flipped else rows

        return batch


class Pass:
    """The steps over the batches of some rows, traced for each size of a batch."""

    def __init__(
        self,
        part: DeviceRows,
        step: Callable[..., Any],
        state: Any,
        widen: bool,
    ) -> None:
        self.part = part
        self.rows = part.rows

        def step_flat(state: Any, data: Any) -> Any:
            logs, state = step(state, data)
            return flatten_logs(logs), state

        self.steps = {}
        for size in {self.rows.batch_size if self.rows.full else 0, self.rows.last}:
            if size:
                example = _make_example(self.rows.data, size)
                trace = TracedFunction(step_flat, state, example, widen=widen)
                self.steps[size] = trace
        logs, _ = next(iter(self.steps.values())).outputs
        self.empty_logs = {
            name: np.zeros(value.shape, value.dtype) for name, value in logs.items()
        }

    def run_full(
        self,
        state: Any,
        logs: Any,
        begin: Any,
        end: Any,
        batch: Batch,
    ) -> Any:
        """The state after the full batches from `begin` to `end`, and the last logs."""
        if not self.rows.full:
            return state, logs
        size = self.rows.batch_size

        def step(index: Any, carry: Any) -> Any:
            state, logs = carry
            new_logs, state = self.steps[size](state, batch(index * size, size))
            return state, logs | new_logs

        logs = {name: jnp.asarray(value) for name, value in logs.items()}
        return jax.lax.fori_loop(begin, end, step, (state, logs))

    def run_last(self, state: Any, logs: Any, batch: Batch) -> Any:
        """The state after the smaller last batch, if there is one, and the logs."""
        size = self.rows.last
        if not size:
            return state, logs
        last = batch(self.rows.count - size, size)
        new_logs, state = self.steps[size](state, last)
        return state, logs | new_logs


class Program:
    """The function that is compiled: from a state to the one some epochs later."""

    def __init__(
        self,
        model: Model,
        parts: Sequence[DeviceRows],
        state: Any,
        most_epochs: int,
        widen: bool,
    ) -> None:
        self.most_epochs = most_epochs
        trainable, non_trainable, _, metrics = state
        model.reset_metrics()
        self.fresh = [np.asarray(each.value) for each in model.metrics_variables]
        train, *validation = parts
        self.train = Pass(train, model.train_step, state, widen)
        self.passes = [self.train]
        self.empty_logs = dict(self.train.empty_logs)
        for part in validation:
            state = trainable, non_trainable, metrics
            self.passes.append(Pass(part, model.test_step, state, widen))
            self.empty_logs |= name_validation(self.passes[-1].empty_logs)
        groups: dict[Any, list[str]] = {}
        for name, value in self.empty_logs.items():
            groups.setdefault((value.shape, value.dtype), []).append(name)
        self.log_names = list(groups.values())  # those of one shape and dtype together

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

        With it comes a table of logs, `(most_epochs, names, ...)`, for each shape of
        them. The smaller last batch and the validation follow if `end` is the number of
        full batches.
        """

        def epoch(index: Any, carry: Any) -> Any:
            (*variables, metrics), tables = carry
            order = None if orders is None else orders[index]
            if self.train.rows.full:
                pairs = zip(self.fresh, metrics, strict=True)
                metrics = [jnp.where(begin == 0, *pair) for pair in pairs]
            else:
                metrics = self.fresh
            state = *variables, metrics
            batch = self.train.part.select(arrays, order)
            state, logs = self.run_epoch(state, begin, end, batch, arrays)
            update = jax.lax.dynamic_update_index_in_dim
            for place, names in enumerate(self.log_names):
                row = jnp.stack([logs[name] for name in names])
                tables[place] = update(tables[place], row, index, axis=0)
            return state, tables

        tables = []
        for names in self.log_names:
            value = self.empty_logs[names[0]]
            shape = (self.most_epochs, len(names), *value.shape)
            tables.append(jnp.zeros(shape, value.dtype))
        return jax.lax.fori_loop(0, epochs, epoch, (state, tables))

    def run_epoch(
        self,
        state: Any,
        begin: Any,
        end: Any,
        batch: Batch,
        arrays: Sequence[Any],
    ) -> Any:
        logs = self.empty_logs
        state, logs = self.train.run_full(state, logs, begin, end, batch)

        def finish(state: Any, logs: Any) -> Any:
            state, logs = self.train.run_last(state, logs, batch)
            state, validation_logs = self.validate(state, arrays)
            return state, logs | validation_logs

        rows = self.train.rows
        if not rows.full:
            return finish(state, logs)
        if not rows.last and len(self.passes) == 1:
            return state, logs
        return jax.lax.cond(end == rows.full, finish, lambda *same: same, state, logs)

    def validate(self, state: Any, arrays: Sequence[Any]) -> Any:
        logs: Any = {}
        for each in self.passes[1:]:
            trainable, non_trainable, optimizer, _ = state
            inner = trainable, non_trainable, self.fresh
            batch = each.part.select(arrays, None)
            logs, full = each.empty_logs, each.rows.full
            inner, logs = each.run_full(inner, logs, 0, full, batch)
            inner, logs = each.run_last(inner, logs, batch)
            trainable, non_trainable, metrics = inner
            state = trainable, non_trainable, optimizer, metrics
        return state, name_validation(logs)


def _make_example(data: Any, size: int) -> Any:
    """The shapes and dtypes of a batch of so many rows, on the device."""

    def describe(array: Any) -> Any:
        dtype = jax.dtypes.canonicalize_dtype(array.dtype)
        return jax.ShapeDtypeStruct((size, *array.shape[1:]), dtype)

    return jax.tree.map(describe, data)
