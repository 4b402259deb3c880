"""Epochs on the JAX backend: loops over steps and epochs inside one compiled program."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np

from keras_tied._processes import gather
from keras_tied.training._callbacks import all_finite
from keras_tied.training._data import BatchedRows
from keras_tied.training._epochs import Logs, Visit
from keras_tied.training._jax import compile_cache
from keras_tied.training._jax.features_first import FlippedMatrix, is_worthwhile
from keras_tied.training._jax.shards import ShardedRows, Shards
from keras_tied.training._jax.trace import TracedFunction
from keras_tied.training._lbfgs_search import is_seed

CAPACITY = 4096
"""The most epochs that one call can train, and log."""
PLACES = 2**20
"""The most row numbers that one call takes, for the orders of the rows."""
FIRST_STEPS = 8
"""The steps of the first call, before the duration of a step is known."""
SECONDS_PER_CALL = 1.0
"""Of some steps of an epoch; each call touches its memory anew: 10 ms for 1.4 million weights."""
SHORT = 2**29
"""A run of fewer multiplications compiles longer than it trains."""
STEP = 2**13
"""The multiplications that take as long as what every step takes beside them."""


class _Run(NamedTuple):
    """The state and the orders that a run began with."""

    state: Any
    orders: Any
    epochs: int


class JaxEpochs:
    """Trains with the model's own `train_step` and `test_step`, in loops that XLA compiles.

    The state (the weights, and the variables of the optimizer and the metrics) is an argument and
    a result of a pure function. Training can return to an earlier state, and repeat what followed
    from it.
    """

    def __init__(
        self,
        model: keras.Model,
        train: BatchedRows,
        validation: BatchedRows | None,
        shuffle: bool | str,
        n_epochs: int,
    ) -> None:
        self.model, self.train, self.validation = model, train, validation
        # In one batch the order only matters to layers that draw random numbers for each row.
        self.shuffle = shuffle if train.steps > 1 or any(map(is_seed, model.variables)) else False
        self.capacity = max(1, min(CAPACITY, PLACES // train.largest)) if self.shuffle else CAPACITY
        distribution = keras.distribution.distribution()
        self.shards = None if distribution is None else Shards(distribution)
        self.runs: deque[_Run] = deque(maxlen=2)
        self.seconds_per_step = 0.0
        self.pull()
        self.is_short = not self.shards and n_epochs * self._count_multiplications() < SHORT
        self.arrays: list[jax.Array] = []
        units = [variable.shape[-1] for variable in model.variables if variable.shape]
        places: dict[tuple[int, bool], int] = {}
        self.parts: list[_Part | ShardedRows] = []
        for rows, has_orders in ((train, bool(self.shuffle)), (validation, False)):
            if rows and self.shards:
                part = ShardedRows(rows, self.arrays, places, self.shards, has_orders)
                self.parts.append(part)
            elif rows:
                self.parts.append(_Part(rows, self.arrays, places, units))

    def _count_multiplications(self) -> int:
        """About those of an epoch: by each weight at each place of a row, as of an image."""
        places = max(math.prod(leaf.shape[1:-1]) for leaf in jax.tree.leaves(self.train.data))
        n_weights: int = sum(value.size for value in self.state[0])
        count: int = self.train.count * places * n_weights + self.train.steps * STEP
        return count

    def pull(self) -> None:
        """Read the model's variables; see `Epochs`."""
        model = self.model
        self.variables = [
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        ]
        self.state = tuple([variable.value for variable in group] for group in self.variables)

    def push(self) -> None:
        """Write the model's variables; see `Epochs`."""
        for variables, values in zip(self.variables, self.state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def run(self, epochs: int, visit: Visit) -> Logs:
        """Train for so many epochs; see `Epochs`."""
        epochs = min(epochs, self.capacity)
        run = _Run(self.state, self._draw_orders(epochs), epochs)
        self.runs.append(run)
        if epochs == 1 and self.train.full:
            return self._run_steps(run, visit)
        return self._run_epochs(run, epochs)

    def rewind(self, epochs: int) -> None:
        """Return to an earlier state; see `Epochs`."""
        run = self.runs[-1]
        if epochs < 0 and not _is_deleted(self.runs[0].state):
            run = self.runs[0]
            epochs += run.epochs if len(self.runs) > 1 else 0
        self.state = run.state
        if epochs > 0:
            self._run_epochs(run, epochs)

    def is_finite(self) -> bool:
        """Whether no weight is a NaN or an infinity; see `Epochs`."""
        return bool(_all_finite(self.state[0])) if self.shards else all_finite(self.state[0])

    def compute_loss(self) -> float:
        """The loss of the first rows; see `Epochs`."""
        trainable, non_trainable, _, metrics = self.state
        state = trainable, non_trainable, [jnp.zeros_like(value) for value in metrics]
        rows = self.train.first(self.train.batch_size)
        if self.shards:
            (train, *_), orders = self.parts, self.runs[-1].orders
            size = train.size if train.full else train.last
            order = None if orders is None else orders[0]
            rows = jax.jit(lambda *some: train.batch(some[0], 0, size, some[1]))(self.arrays, order)
        logs, _ = jax.jit(self.model.test_step)(state, rows)
        return float(logs.get("loss", 0.0))

    def _run_epochs(self, run: _Run, epochs: int) -> Logs:
        self.state, logs = self._call(run.state, run.orders, epochs, 0, self.train.full)
        return logs

    def _run_steps(self, run: _Run, visit: Visit) -> Logs:
        """One epoch, a few steps at a time, with a visit of the host after each of these."""
        begin, full = 0, self.train.full
        while True:
            steps = FIRST_STEPS
            if self.seconds_per_step:
                steps = max(1, int(SECONDS_PER_CALL / self.seconds_per_step))
            steps = int(gather(steps)[0])  # all processes take as many as the first
            end = min(full, begin + steps)
            start = time.perf_counter()
            self.state, logs = self._call(self.state, run.orders, 1, begin, end)
            self.seconds_per_step = (time.perf_counter() - start) / (end - begin)
            if end == full:
                return logs
            scalars = {n: v for n, v in logs.items() if v.size == 1 and not n.startswith("val_")}
            visit(end, {name: values.item() for name, values in scalars.items()})
            begin = end

    def _draw_orders(self, epochs: int) -> Any:
        """The orders of the rows, `(capacity, rows)`, drawn as Keras draws them."""
        if not self.shuffle:
            return None
        count, size = self.train.count, self.train.batch_size
        orders = np.zeros((self.capacity, count), np.int32)
        for order in orders[:epochs]:
            if self.shuffle == "batch":
                for begin in range(0, count, size):
                    batch = order[begin : begin + size]
                    batch[:] = begin + np.random.permutation(len(batch))  # noqa: NPY002
            else:
                order[:] = np.random.permutation(count)  # noqa: NPY002
        train = self.parts[0]
        return train.put_orders(orders) if isinstance(train, ShardedRows) else jnp.asarray(orders)

    def _call(self, state: Any, orders: Any, epochs: int, begin: int, end: int) -> tuple[Any, Logs]:
        arguments = state, orders, epochs, begin, end, self.arrays
        program, groups = self.get_program("epochs", self._compile, arguments)
        state, tables = program(*arguments)
        logs: Logs = {}
        for names, table in zip(groups, map(np.asarray, tables), strict=True):
            logs |= {name: table[:epochs, place] for place, name in enumerate(names)}
        return state, logs

    def get_program(self, kind: str, compile_for: Callable[[Any], Any], arguments: Any) -> Any:
        """The program of a kind for arguments of these shapes, compiled at its first use.

        Programs are stored on the model's `train_function`, which `compile` replaces.
        """
        programs = vars(self.model.train_function).setdefault("keras_tied_programs", {})
        shapes = [
            (leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(arguments) if _is_array(leaf)
        ]
        variables = [[id(variable) for variable in group] for group in self.variables]
        parts = [part.key for part in self.parts]
        key = str((kind, self.is_short, shapes, variables, parts))
        if key not in programs:
            programs[key] = compile_for(arguments)
        return programs[key]

    def program(self, widen: bool = True) -> Program:
        """What is to be compiled."""
        widen = widen and not self.shards  # the programs of all processes have to be equal
        return Program(self.model, self.parts, self.arrays, self.state, self.capacity, widen)

    def compile(
        self, function: Callable[..., Any], program: Program, arguments: Any, outputs: Any
    ) -> Any:
        """Compile a function made of a program's steps.

        Under a distribution, arrays in `outputs` have the sharding that those of the function get;
        what is none is replicated.
        """
        fast, shardings = self.is_short and program.has_ready_kernels, None
        if self.shards:
            everywhere = self.shards.replicated
            shardings = jax.tree.map(lambda each: getattr(each, "sharding", everywhere), outputs)
        constants = program.constants()
        return compile_cache.compile_program(
            function, arguments, constants, fast=fast, out_shardings=shardings
        )

    def _compile(self, arguments: Any, widen: bool = True) -> Any:
        program = self.program(widen)
        executable = self.compile(program, program, arguments, (self.state, ...))
        if program.is_wide:
            # A release of XLA without these products fails only when the program runs.
            try:
                jax.block_until_ready(executable(*arguments))
            except jax.errors.JaxRuntimeError:
                return self._compile(arguments, widen=False)
        return executable, program.log_names


@jax.jit
def _all_finite(values: list[Any]) -> Any:
    return jnp.array([jnp.isfinite(value).all() for value in values]).all()


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape")


def _is_deleted(state: Any) -> bool:
    """Whether Keras has donated the memory, as its `evaluate` does with the model's values."""
    return any(value.is_deleted() for value in jax.tree.leaves(state))


class _Part:
    """Rows on the device, and how a program takes batches of them.

    Args:
        rows: the rows.
        arrays: the arrays on the device, to which those of `rows` are added.
        places: the index in `arrays` of each array of the host, by its id and whether it is
            transposed; an array that is both input and target is on the device once.
        units: those of the model's layers.
    """

    def __init__(
        self,
        rows: BatchedRows,
        arrays: list[jax.Array],
        places: dict[tuple[int, bool], int],
        units: Sequence[int],
    ) -> None:
        self.full, self.last, self.size = rows.full, rows.last, rows.batch_size
        leaves, self.structure = jax.tree.flatten(rows.data)
        shapes = [leaf.shape[1:] for leaf in leaves if leaf.ndim > 1]
        narrow = bool(shapes) and all(is_worthwhile(self.size, shape, units) for shape in shapes)
        self.flipped = [narrow and leaf.ndim > 1 for leaf in leaves]
        self.places = []
        for leaf, flipped in zip(leaves, self.flipped, strict=True):
            is_transpose = flipped and not self.full
            if (id(leaf), is_transpose) not in places:
                places[id(leaf), is_transpose] = len(arrays)
                rows_of_leaf = np.ascontiguousarray(leaf.T) if is_transpose else leaf
                # No copy where the device can read the host's memory, as Keras's `fit` does.
                arrays.append(jax.device_put(rows_of_leaf, may_alias=True))
            self.places.append(places[id(leaf), is_transpose])
        self.key = self.full, self.last, self.size, self.structure, self.places, self.flipped

    def batch(self, arrays: Sequence[Any], begin: Any, size: int, order: Any) -> Any:
        """The rows `begin .. begin + size - 1` of an order, `(size, ...)` each.

        A flipped matrix is held as `(features, size)`. Where all rows are one batch, `arrays` has
        it in this form; otherwise rows are taken first, and then transposed.
        """
        leaves = []
        for place, flipped in zip(self.places, self.flipped, strict=True):
            array = arrays[place]
            if not self.full:
                if order is not None:
                    array = array[:, order] if flipped else array[order]
                leaves.append(FlippedMatrix(array) if flipped else array)
                continue
            if order is None:
                rows = jax.lax.dynamic_slice_in_dim(array, begin, size)
            else:
                rows = array[jax.lax.dynamic_slice_in_dim(order, begin, size)]
            leaves.append(FlippedMatrix(rows.T) if flipped else rows)
        return jax.tree.unflatten(self.structure, leaves)

    def hold_sums(self, size: int) -> None:
        """Nothing: sums over one device are whole."""

    def example(self, arrays: Sequence[Any], size: int) -> Any:
        """The shapes and dtypes of a batch of so many rows."""
        leaves = []
        for place, flipped in zip(self.places, self.flipped, strict=True):
            array = arrays[place]
            shape = array.shape[:-1] if flipped and not self.full else array.shape[1:]
            leaves.append(jax.ShapeDtypeStruct((size, *shape), array.dtype))
        return jax.tree.unflatten(self.structure, leaves)


class Program:
    """The function that is compiled: from the state to the state some epochs later, and logs.

    Args:
        model: the model to train.
        parts: the rows to train on, and those for validation, if there are any.
        arrays: their arrays on the device.
        state: a state of the same shapes.
        capacity: the most epochs of a call.
        widen: whether bfloat16 may be evaluated as `WideEvaluation` does.
    """

    def __init__(
        self,
        model: keras.Model,
        parts: Sequence[_Part | ShardedRows],
        arrays: Sequence[jax.Array],
        state: Any,
        capacity: int,
        widen: bool,
    ) -> None:
        self.train, *self.validation = parts
        self.capacity = capacity
        self.fresh = [np.zeros(value.shape, value.dtype) for value in state[3]]

        def trace(step: Any, state: Any, part: _Part | ShardedRows) -> dict[int, TracedFunction]:
            sizes = {part.size if part.full else 0, part.last} - {0}
            return {
                size: TracedFunction(step, state, part.example(arrays, size), widen=widen)
                for size in sizes
            }

        self.train_steps = trace(model.train_step, state, self.train)
        for part in self.validation:
            self.test_steps = trace(model.test_step, (*state[:2], state[3]), part)

    def constants(self) -> list[Any]:
        """The arrays of the steps that are not arguments."""
        return [constant for step in self._steps for constant in step.constants]

    @property
    def is_wide(self) -> bool:
        """Whether something is evaluated as `WideEvaluation` does."""
        return any(step.widen for step in self.train_steps.values())

    @property
    def has_ready_kernels(self) -> bool:
        """Whether XLA has fast kernels for the steps without compiling any.

        It has none for bfloat16 and for the error function, a polynomial of many terms.
        """
        return not any(step.contains("bf16[", " erf") for step in self._steps)

    def __call__(
        self, state: Any, orders: Any, epochs: Any, begin: Any, end: Any, arrays: Sequence[Any]
    ) -> Any:
        """The state after so many epochs, and the logs.

        Each epoch takes the full batches from `begin` to `end`. The smaller last batch and the
        validation follow if `end` is the number of full batches.
        """

        def epoch(index: Any, carry: Any) -> Any:
            (*variables, metrics), logs = carry
            order = None if orders is None else orders[index]
            if self.train.full:
                pairs = zip(self.fresh, metrics, strict=True)
                metrics = [jnp.where(begin == 0, *pair) for pair in pairs]
            else:
                metrics = self.fresh
            state, values = self.train_part((*variables, metrics), begin, end, order, arrays)
            update = jax.lax.dynamic_update_index_in_dim
            rows = [jnp.stack([values[name] for name in names]) for names in self.log_names]
            return state, [update(*pair, index, axis=0) for pair in zip(logs, rows, strict=True)]

        kinds = self._log_shapes()
        empty = []
        for names in self.log_names:
            kind = kinds[names[0]]
            empty.append(jnp.zeros((self.capacity, len(names), *kind.shape), kind.dtype))
        return jax.lax.fori_loop(0, epochs, epoch, (state, empty))

    @property
    def log_names(self) -> list[list[str]]:
        """The names of the logs, those of one shape and dtype together."""
        groups: dict[Any, list[str]] = {}
        for name, kind in self._log_shapes().items():
            groups.setdefault((kind.shape, kind.dtype), []).append(name)
        return list(groups.values())

    def train_part(
        self, state: Any, begin: Any, end: Any, order: Any, arrays: Sequence[Any]
    ) -> Any:
        """The state after some steps of an epoch, and the logs."""
        part = self.train
        empty = {name: jnp.zeros(v.shape, v.dtype) for name, v in self._log_shapes().items()}

        def step(index: Any, carry: Any) -> Any:
            batch = part.batch(arrays, index * part.size, part.size, order)
            apart = part.hold_sums(part.size)
            values, state = self.train_steps[part.size](carry[0], batch, evaluation=apart)
            return state, carry[1] | values

        def finish(state: Any, values: Any) -> Any:
            if part.last:
                batch = part.batch(arrays, part.full * part.size, part.last, order)
                apart = part.hold_sums(part.last)
                last, state = self.train_steps[part.last](state, batch, evaluation=apart)
                values = values | last
            for validation in self.validation:
                state, logs_of_part = self.validate(validation, state, arrays)
                values = values | logs_of_part
            return state, values

        if not part.full:
            return finish(state, empty)
        state, values = jax.lax.fori_loop(begin, end, step, (state, empty))
        if not part.last and not self.validation:
            return state, values
        return jax.lax.cond(end == part.full, finish, lambda *same: same, state, values)

    def validate(self, part: _Part | ShardedRows, state: Any, arrays: Sequence[Any]) -> Any:
        """The state after the evaluation of the validation rows, and the logs."""
        trainable, non_trainable, optimizer, _ = state

        def step(index: Any, carry: Any) -> Any:
            batch = part.batch(arrays, index * part.size, part.size, None)
            values, state = self.test_steps[part.size](carry[0], batch)
            return state, values

        state = (trainable, non_trainable, self.fresh)
        values: Any = {}
        if part.full:
            some = next(iter(self.test_steps.values())).outputs[0]
            values = {name: jnp.zeros(v.shape, v.dtype) for name, v in some.items()}
            state, values = jax.lax.fori_loop(0, part.full, step, (state, values))
        if part.last:
            batch = part.batch(arrays, part.full * part.size, part.last, None)
            values, state = self.test_steps[part.last](state, batch)
        trainable, non_trainable, metrics = state
        logs = {f"val_{name}": value for name, value in values.items()}
        return (trainable, non_trainable, optimizer, metrics), logs

    @property
    def _steps(self) -> list[TracedFunction]:
        return [*self.train_steps.values(), *(self.test_steps.values() if self.validation else ())]

    def _log_shapes(self) -> dict[str, Any]:
        """The names of the logs, with shapes and dtypes."""
        logs: dict[str, Any] = dict(next(iter(self.train_steps.values())).outputs[0])
        for _ in self.validation:
            logs_of_part = next(iter(self.test_steps.values())).outputs[0]
            logs |= {f"val_{name}": value for name, value in logs_of_part.items()}
        return logs
