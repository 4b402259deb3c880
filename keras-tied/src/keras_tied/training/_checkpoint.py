"""Training that goes on where a process died, to bitwise the same model."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import Model, Variable
from keras.callbacks import Callback

from keras_tied._keras_internals import settle_monitor
from keras_tied._types import StrPath
from keras_tied.training._checkpoint_file import CheckpointFile, digest, extract_arrays
from keras_tied.training._data import Parts

FILE = "checkpoint.npz"
KEPT_OUT = ("params", "validation_data")  # what Keras sets in every callback


class Checkpoint:
    """A file with the state of a training after an epoch, written now and then.

    It holds the variables of the model, its optimizer and its metrics, the state of
    NumPy's random numbers, from which the orders of the rows are drawn, what callbacks
    note in plain attributes and arrays (the history, the best weights), and a
    fingerprint of rows, settings, model and optimizer.
    """

    def __init__(
        self,
        folder: StrPath,
        model: Model,
        parts: Parts,
        settings: dict[str, Any],
    ) -> None:
        self.file = CheckpointFile(Path(folder, FILE))
        self.file.path.parent.mkdir(parents=True, exist_ok=True)
        self.model = model
        self.training = (
            [keras.tree.flatten(rows.data) for rows in parts if rows],
            settings,
            [(tuple(each.shape), each.dtype) for each in model.variables],
            _describe_optimizer(model),
        )
        self.fingerprint = ""
        self.callbacks: Sequence[Callback] = ()

    def restore(self, callbacks: Sequence[Callback]) -> int | None:
        """Set the state that the file holds; how many epochs it is after, or None.

        The callbacks are those of the training, here and from now on.
        """
        self.callbacks = callbacks
        kinds = [type(callback).__name__ for callback in callbacks]
        self.fingerprint = digest((self.training, kinds))
        notes = self.file.read()
        if notes is None:
            return None
        if notes["fingerprint"] != self.fingerprint:
            raise ValueError(
                f"{str(self.file.path)!r} is of a training with other rows, settings,"
                " layers, callbacks or another optimizer; delete it, or name another"
                " folder as checkpoint."
            )
        for variable, value in zip(self._variables, notes["variables"], strict=True):
            variable.assign(value)
        np.random.set_state(notes["random"])  # noqa: NPY002
        for callback, values in zip(callbacks, notes["callbacks"], strict=True):
            settle_monitor(callback)  # changes the attributes that follow
            vars(callback).update(values)
        return int(notes["epochs"])

    def save(self, epochs: int) -> None:
        """Save the state after so many epochs, the model's variables being those."""
        begin = time.monotonic()
        notes = {
            "epochs": epochs,
            "variables": list(map(keras.ops.convert_to_numpy, self._variables)),
            "random": np.random.get_state(),  # noqa: NPY002
            "callbacks": [_list_attributes(callback) for callback in self.callbacks],
            "fingerprint": self.fingerprint,
        }
        self.file.write(notes, begin)

    @property
    def _variables(self) -> list[Variable]:
        model = self.model
        # A metric may keep its state from epoch to epoch.
        others = [*model.optimizer.variables, *model.metrics_variables]
        return [*model.variables, *others]


def _list_attributes(callback: Callback) -> dict[str, Any]:
    """What a callback notes: its attributes that JSON and arrays hold."""
    values = {}
    for name, value in vars(callback).items():
        if name.startswith("_") or name in KEPT_OUT:
            continue
        # A function, a model or an open file is left out.
        with suppress(TypeError, ValueError):
            extract_arrays(value)
            values[name] = value
    return values


def _describe_optimizer(model: Model) -> Any:
    optimizer = keras.saving.serialize_keras_object(model.optimizer)
    # Its name may only count the optimizers of the process.
    optimizer["config"].pop("name", None)
    return optimizer
