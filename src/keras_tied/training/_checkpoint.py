"""Training that goes on where a process died, to bitwise the same model."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_tied._checkpoint_file import CheckpointFile, digest
from keras_tied._keras_internals import settle_monitor
from keras_tied.training._data import Parts

FILE = "checkpoint.npz"
ARRAY = "keras_tied.array"  # the key of an array's numbers, where JSON stands for one
KEPT_OUT = (
    "params",
    "validation_data",
)  # what Keras sets in every callback, beside the model


class Checkpoint:
    """A file with the state of a training after an epoch, written now and then.

    It holds the variables of the model and of its optimizer, the state of NumPy's
    random numbers, from which the orders of the rows are drawn, what callbacks note in
    plain attributes and arrays (the history, the best weights), and a fingerprint of
    rows, settings, model and optimizer.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        model: keras.Model,
        parts: Parts,
        settings: dict[str, Any],
    ) -> None:
        self.file, self.model = CheckpointFile(Path(folder, FILE)), model
        self.file.path.parent.mkdir(parents=True, exist_ok=True)
        self.fingerprint = _take_fingerprint(model, parts, settings)

    def restore(self, callbacks: Sequence[keras.callbacks.Callback]) -> int | None:
        """Set the state that the file holds, and return how many epochs it is after, or None."""
        content, path = self.file.read(), repr(str(self.file.path))
        if content is None:
            return None
        arrays, notes = content
        theirs = notes["fingerprint"]
        ours = self.fingerprint | {"callbacks": _list_kinds(callbacks)}
        if others := [of for of, value in ours.items() if theirs.get(of) != value]:
            raise ValueError(
                f"{path} is of a training with other {' and '.join(others)}; delete it,"
                " or name another folder as checkpoint."
            )
        for index, variable in enumerate(self._variables):
            dtype, shape = notes["dtypes"][index]
            variable.assign(
                arrays[f"variable.{index}"].view(np.dtype(dtype)).reshape(shape)
            )
        name, *state = notes["random"]
        np.random.set_state((name, arrays["random"], *state))  # noqa: NPY002
        kept = zip(callbacks, notes["callbacks"], strict=True)
        for index, (callback, values) in enumerate(kept):
            settle_monitor(callback)  # changes the attributes that follow
            vars(callback).update(
                json.loads(json.dumps(values), object_hook=_read_array)
            )
            for attribute in notes["lists"][index]:
                prefix = f"callback.{index}.{attribute}."
                n_arrays = sum(name.startswith(prefix) for name in arrays)
                value = [arrays[f"{prefix}{number}"] for number in range(n_arrays)]
                setattr(callback, attribute, value)
        return int(notes["epochs"])

    def save(self, epochs: int, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Save the state after so many epochs, the model's variables being those."""
        begin = time.monotonic()
        name, keys, *state = np.random.get_state(legacy=True)  # noqa: NPY002
        arrays = {"random": np.asarray(keys)}
        dtypes = []
        for index, variable in enumerate(self._variables):
            value = np.asarray(keras.ops.convert_to_numpy(variable))
            dtypes.append([value.dtype.name, list(value.shape)])
            # As bytes, since a file of NumPy's does not know bfloat16.
            arrays[f"variable.{index}"] = np.frombuffer(value.tobytes(), np.uint8)
        plain, lists = [], []
        for index, callback in enumerate(callbacks):
            values, names = _split_attributes(callback)
            for attribute in names:
                for number, array in enumerate(vars(callback)[attribute]):
                    arrays[f"callback.{index}.{attribute}.{number}"] = array
            plain.append(values)
            lists.append(names)
        notes = {
            "epochs": epochs,
            "dtypes": dtypes,
            "random": [name, *state],
            "callbacks": plain,
            "lists": lists,
            "fingerprint": self.fingerprint | {"callbacks": _list_kinds(callbacks)},
        }
        self.file.write(arrays, notes, begin)

    def delete(self) -> None:
        """Delete the file, once the training is over."""
        self.file.delete()

    @property
    def _variables(self) -> list[keras.Variable]:
        return [*self.model.variables, *self.model.optimizer.variables]


def _split_attributes(
    callback: keras.callbacks.Callback,
) -> tuple[dict[str, Any], list[str]]:
    """What a callback notes: its attributes that JSON holds, and the names of lists of arrays."""
    plain, lists = {}, []
    for name, value in vars(callback).items():
        if name.startswith("_") or name in KEPT_OUT:
            continue
        if (
            isinstance(value, list)
            and value
            and all(isinstance(of, np.ndarray) for of in value)
        ):
            lists.append(name)
            continue
        try:
            text = json.dumps(value, default=_to_plain)
        except (TypeError, ValueError):  # a function, a model, an open file
            continue
        plain[name] = json.loads(text)
    return plain, lists


def _list_kinds(callbacks: Sequence[keras.callbacks.Callback]) -> str:
    return " ".join(type(callback).__name__ for callback in callbacks)


def _to_plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):  # of a metric whose result is a vector
        return {ARRAY: value.tolist(), "dtype": value.dtype.name}
    raise TypeError


def _read_array(value: dict[str, Any]) -> Any:
    return np.array(value[ARRAY], value["dtype"]) if ARRAY in value else value


def _take_fingerprint(
    model: keras.Model, parts: Parts, settings: dict[str, Any]
) -> dict[str, str]:
    optimizer = keras.saving.serialize_keras_object(model.optimizer)
    optimizer["config"].pop(
        "name", None
    )  # which may only count the optimizers of the process
    values: dict[str, Any] = {"settings": settings, "optimizer": optimizer}
    values["layers"] = [
        (tuple(variable.shape), variable.dtype) for variable in model.variables
    ]
    for name, rows in zip(("rows", "validation rows"), parts, strict=True):
        values[name] = (
            list(map(np.asarray, keras.tree.flatten(rows.data))) if rows else []
        )
    return {name: digest(value) for name, value in values.items()}
