"""Training that goes on where a process died, to bitwise the same model."""

import hashlib
import json
import re
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import Model, Variable
from keras.callbacks import Callback

from keras_tied._files import replace_atomically
from keras_tied._keras_internals import flatten_layers, settle_monitor
from keras_tied._types import Array, StrPath
from keras_tied.training._data import Parts

KEPT_OUT = ("params", "validation_data")  # what Keras sets in every callback
ARRAY = "keras_tied.array"  # the key of an array's name, where JSON stands for one
SECONDS = 10.0  # between checkpoints, at least
SHARE = 100  # of the time that one takes, the time until the next, at least


class Checkpoint:
    """A file with the state of a training after an epoch, written now and then.

    It holds the variables of the model, its optimizer and its metrics, the state of
    NumPy's random numbers, what callbacks note in plain attributes and arrays (the
    history, the best weights), and a fingerprint of rows, settings, model and loss.
    """

    def __init__(
        self,
        folder: StrPath,
        model: Model,
        parts: Parts,
        settings: Any,
    ) -> None:
        self.path = Path(folder, "checkpoint.npz")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.due = time.monotonic() + SECONDS
        self.model = model
        self.training = (
            [keras.tree.flatten(rows.data) for rows in parts if rows],
            settings,
            [(tuple(each.shape), each.dtype) for each in model.variables],
            _describe(model),
        )
        self.fingerprint = ""
        self.callbacks: Sequence[Callback] = ()

    @property
    def is_due(self) -> bool:
        """Whether the last time is long ago."""
        return time.monotonic() >= self.due

    def restore(self, callbacks: Sequence[Callback]) -> int | None:
        """Set the state that the file holds; how many epochs it is after, or None."""
        self.callbacks = callbacks
        kinds = [type(callback).__name__ for callback in callbacks]
        self.fingerprint = digest((self.training, kinds))
        if not self.path.exists():
            return None
        notes = self._read()
        if notes["fingerprint"] != self.fingerprint:
            raise ValueError(
                f"{str(self.path)!r} belongs to a training with other rows, settings,"
                " layers, loss, optimizer or callbacks; choose another folder."
            )
        for variable, value in zip(self._variables, notes["variables"], strict=True):
            variable.assign(value)
        np.random.set_state(notes["random"])  # noqa: NPY002
        for callback, values in zip(callbacks, notes["callbacks"], strict=True):
            settle_monitor(callback)  # changes the attributes that follow
            vars(callback).update(values)
        return int(notes["epochs"])

    def _read(self) -> Any:
        try:
            with open(self.path, "rb") as file:
                # A zip file has a checksum of each array.
                arrays = dict(np.load(file, allow_pickle=False))
            text = arrays["notes"].tobytes()
            return json.loads(text, object_hook=partial(_insert_array, arrays))
        except Exception as error:  # whatever a file may hold
            raise ValueError(
                f"{str(self.path)!r} is not a checkpoint, or is damaged; delete it to"
                " start again."
            ) from error

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
        text, arrays = extract_arrays(notes)
        arrays["notes"] = np.frombuffer(text.encode(), np.uint8)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replace_atomically(self.path) as part:
                np.savez(part, **arrays)
        except OSError as error:  # a full disk shall not cost the training
            warnings.warn(
                f"The checkpoint {str(self.path)!r} cannot be written"
                f" ({error.strerror or error}): training continues.",
                stacklevel=2,
            )
        end = time.monotonic()
        self.due = end + max(SECONDS, SHARE * (end - begin))

    @property
    def _variables(self) -> list[Variable]:
        model = self.model
        optimizer = model.optimizer
        return [*model.variables, *optimizer.variables, *model.metrics_variables]


def _list_attributes(callback: Callback) -> dict[str, Any]:
    """What a callback notes: its attributes that JSON and arrays hold."""
    values = {}
    for name, value in vars(callback).items():
        if name.startswith("_") or name in KEPT_OUT:
            continue
        with suppress(TypeError, ValueError):
            extract_arrays(value)
            values[name] = value
    return values


def _describe(model: Model) -> str:
    """How it is compiled, and its layers, whose names may count those of a process."""
    parts = model.optimizer, *flatten_layers(model)
    values = []
    for describe in (model.get_compile_config, *(part.get_config for part in parts)):
        with suppress(Exception):  # of a class that has no configuration
            values.append(describe())
    return re.sub(r"_\d+\b| at 0x\w+", "", str(values))


def extract_arrays(value: Any) -> tuple[str, dict[str, Any]]:
    """The value as JSON, and its arrays by the names that stand for them there."""
    arrays: dict[str, Any] = {}

    def extract(value: Any) -> Any:
        if isinstance(value, np.generic):
            return value.item()
        if not isinstance(value, np.ndarray) or value.dtype.hasobject:
            raise TypeError
        name = f"array.{len(arrays)}"
        # As bytes, since a file of NumPy's does not know bfloat16.
        arrays[name] = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        return {ARRAY: name, "dtype": value.dtype.name, "shape": value.shape}

    return json.dumps(value, default=extract), arrays


def _insert_array(arrays: dict[str, Array], value: dict[str, Any]) -> Any:
    """The array that an object of JSON stands for, or the object."""
    if ARRAY not in value:
        return value
    array = arrays[value[ARRAY]].view(np.dtype(value["dtype"]))
    return array.reshape(value["shape"])


def digest(value: Any) -> str:
    """The SHA-256 of what JSON and arrays hold."""
    text, arrays = extract_arrays(value)
    sha = hashlib.sha256(text.encode())
    for array in arrays.values():
        sha.update(array.data)
    return sha.hexdigest()
