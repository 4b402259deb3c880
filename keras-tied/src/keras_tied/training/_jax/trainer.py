"""Epochs on the JAX backend: loops over steps and epochs in one program."""

import math
import time
from typing import Any

import jax
import numpy as np
from keras import Model, Variable

from keras_tied._types import Array
from keras_tied.training._data import LeftToKerasError, Parts
from keras_tied.training._epochs import (
    EpochLogs,
    Epochs,
    State,
    Visit,
    join_logs,
)
from keras_tied.training._jax.compile_cache import compile_program
from keras_tied.training._jax.program import Arrays, DeviceRows, Metrics, Program

MOST_EPOCHS = 4096  # epochs that one call can train, and log
PLACES = 2**20  # row numbers that one call takes, for the orders of the rows
FIRST_STEPS = 8  # before the duration of a step is known
# Each call touches its memory again: 10 ms for 1.4 million weights.
SECONDS_PER_CALL = 1.0
SHORT = 2**29  # a run of fewer multiplications compiles longer than it trains
STEP = 2**13  # multiplications that take as long as what every step takes beside them


class JaxEpochs(Epochs):
    """Trains with the model's own `train_step`, in loops that XLA compiles."""

    def __init__(
        self,
        model: Model,
        parts: Parts,
        shuffle: bool | str,
        epochs: int,
    ) -> None:
        super().__init__(model, shuffle=shuffle)
        rows, _ = parts
        self.rows = rows
        self.most_epochs = MOST_EPOCHS
        if self.shuffle:
            self.most_epochs = max(1, min(MOST_EPOCHS, PLACES // rows.count))
        self.seconds_per_step = SECONDS_PER_CALL / FIRST_STEPS
        places = max(math.prod(leaf.shape[1:-1]) for leaf in jax.tree.leaves(rows.data))
        # About the multiplications of an epoch: by each weight, at each place of a row.
        work = rows.count * places * model.count_params() + rows.steps * STEP
        self.is_short = epochs * work < SHORT
        shapes = [variable.shape for variable in model.variables]
        units = [shape[-1] for shape in shapes if shape]
        self.metrics = Metrics(model, self.variables)
        if not self.metrics.can_be_traced(self.read()):
            raise LeftToKerasError("a metric computes outside of JAX")
        self.orders: Any = None
        self.executable: Any = None
        arrays: Arrays = {}
        self.parts = [DeviceRows(part, arrays, units) for part in parts if part]
        self.arrays = list(arrays.values())

    def read_value(self, variable: Variable) -> Any:
        return variable.value

    def run(self, epochs: int, visit: Visit) -> list[EpochLogs]:
        epochs = min(epochs, self.most_epochs)
        if epochs == 1 and self.rows.full:
            return self._run_steps(visit)
        return super().run(epochs, visit)

    def train(self, epochs: int) -> list[EpochLogs]:
        self.orders = self._draw_orders(epochs)
        state, logs = self._call(self.read(), epochs, 0, self.rows.full)
        self.write(state)
        return logs

    def evaluate(
        self, weights: list[Any], others: list[Any]
    ) -> tuple[State, EpochLogs]:
        _, _, *rest = self.read()
        state = weights, others, *rest
        state, (logs,) = self._call(state, 1, 0, self.rows.full)
        return state, logs

    def _run_steps(self, visit: Visit) -> list[EpochLogs]:
        """One epoch, a few steps at a time, with a visit after each of these."""
        begin, full = 0, self.rows.full
        self.note_start()
        self.orders = self._draw_orders(1)
        state = self.start
        while True:
            steps = max(1, int(SECONDS_PER_CALL / self.seconds_per_step))
            end = min(full, begin + steps)
            start = time.perf_counter()
            state, epochs = self._call(state, 1, begin, end)
            seconds = time.perf_counter() - start
            self.seconds_per_step = seconds / (end - begin)
            if end == full:
                self.write(state)
                return epochs
            (logs,) = epochs
            visit(end, {key: logs[key] for key in logs if not key.startswith("val_")})
            begin = end

    def _draw_orders(self, epochs: int) -> Any:
        """The orders of the rows, `(most_epochs, rows)`, drawn as Keras draws them."""
        if not self.shuffle:
            return None
        orders = np.zeros((self.most_epochs, self.rows.count), np.int32)
        for order in orders[:epochs]:
            order[:] = np.random.permutation(len(order))  # noqa: NPY002
        return jax.device_put(orders)

    def _call(
        self,
        state: State,
        epochs: int,
        begin: int,
        end: int,
    ) -> tuple[State, list[EpochLogs]]:
        """The state some epochs on, of the full batches from `begin` to `end`."""
        arguments = state, self.orders, epochs, begin, end, self.arrays
        if self.executable is None:
            self.executable = self._find_program(arguments)
        state, table = self.executable(*arguments)
        leaves, structure = jax.tree.flatten(table)
        columns = [_list_epochs(np.asarray(leaf)[:epochs]) for leaf in leaves]
        logs = []
        for epoch in range(epochs):
            values = [column[epoch] for column in columns]
            logs.append(join_logs(jax.tree.unflatten(structure, values)))
        return state, logs

    def _find_program(self, arguments: Any) -> Any:
        """The model's last program, or a new one for arguments of other shapes."""
        shapes = list(map(jax.typeof, jax.tree.leaves(arguments)))
        variables = [list(map(id, group)) for group in self.variables]
        parts = [part.key for part in self.parts]
        key = str((self.is_short, shapes, variables, parts))
        # `compile` of the model replaces its `train_function`, and so removes them.
        kept = vars(self.model.train_function)
        last_key, found = kept.get("keras_tied_program", ("", None))
        if key != last_key:
            state = arguments[0]
            program = Program(self.metrics, self.parts, state, self.most_epochs)
            found = compile_program(program, arguments, fast=self.is_short)
            kept["keras_tied_program"] = key, found
        return found


def _list_epochs(column: Array) -> list[Any]:
    return list(column) if column.ndim > 1 else column.tolist()
