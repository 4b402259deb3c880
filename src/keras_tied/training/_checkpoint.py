"""Training that goes on where a process died, to bitwise the same model."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_tied._checkpoint_file import CheckpointFile, digest, pack, unpack
from keras_tied._keras_internals import monitors, settle_monitor
from keras_tied._processes import find_place, gather_bytes, list_owners, read_whole
from keras_tied.training._data import Parts

FILE = "checkpoint.npz"
ARRAY = "keras_tied.array"  # the key of an array's numbers, where JSON stands for one
KEPT_OUT = ("params", "validation_data")  # what Keras sets in every callback, beside the model


class Checkpoint:
    """A file with the state of a training after an epoch, written now and then.

    It holds the variables of the model and of its optimizer. Of each process it holds the state of
    NumPy's random numbers, from which the orders of the rows are drawn, what callbacks note in
    plain attributes and arrays (the history, the best weights), and a fingerprint of rows,
    settings, model and optimizer. The first process writes it, and all read it.
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
        self.place = find_place()
        self.fingerprint = _take_fingerprint(model, parts, settings)

    def restore(self, callbacks: Sequence[keras.callbacks.Callback]) -> int | None:
        """Set the state that the file holds, and return how many epochs it is after, or None."""
        content, path = self.file.read(), repr(str(self.file.path))
        if len({*gather_bytes(str(content and content[1]["digest"]).encode())}) > 1:
            raise ValueError(
                f"The processes do not find the same checkpoint in {path}: name a folder that they "
                "share."
            )
        if content is None:
            return None
        arrays, notes = content
        own, notes_of_own = unpack(arrays[f"process.{min(self.place, notes['processes'] - 1)}"])
        theirs = notes_of_own["fingerprint"]
        ours = self.fingerprint | {"callbacks": _list_kinds(callbacks)}
        if others := [of for of, value in ours.items() if theirs.get(of) != value]:
            raise ValueError(
                f"{path} is of a training with other {' and '.join(others)}; delete it, or name "
                "another folder as checkpoint."
            )
        for index, variable in enumerate(self._variables):
            dtype, shape = notes["dtypes"][index]
            variable.assign(arrays[f"variable.{index}"].view(np.dtype(dtype)).reshape(shape))
        name, *state = notes_of_own["random"]
        np.random.set_state((name, own["random"], *state))  # noqa: NPY002
        kept = zip(callbacks, notes_of_own["callbacks"], strict=True)
        for index, (callback, values) in enumerate(kept):
            if notes_of_own["monitors"][index]:
                settle_monitor(callback)  # changes the attributes that follow
            vars(callback).update(json.loads(json.dumps(values), object_hook=_read_array))
            for attribute in notes_of_own["lists"][index]:
                prefix = f"callback.{index}.{attribute}."
                n_arrays = sum(name.startswith(prefix) for name in own)
                value = [own[f"{prefix}{number}"] for number in range(n_arrays)]
                setattr(callback, attribute, value)
        return int(notes["epochs"])

    def save(self, epochs: int, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Save the state after so many epochs, the model's variables being those.

        All processes have to call it.
        """
        begin = time.monotonic()
        arrays, dtypes = {}, []
        for index, variable in enumerate(self._variables):
            value = read_whole(variable)
            dtypes.append([value.dtype.name, list(value.shape)])
            # As bytes, since a file of NumPy's does not know bfloat16.
            arrays[f"variable.{index}"] = np.frombuffer(value.tobytes(), np.uint8)
        parts = gather_bytes(self._pack_own(callbacks))
        if self.place == 0:
            for process, part in enumerate(parts):
                arrays[f"process.{process}"] = np.frombuffer(part, np.uint8)
            notes = {"epochs": epochs, "dtypes": dtypes, "processes": len(parts)}
            self.file.write(arrays, notes, begin)

    def delete(self) -> None:
        """Delete the file, once the training is over."""
        if self.place == 0:
            self.file.delete()

    def _pack_own(self, callbacks: Sequence[keras.callbacks.Callback]) -> memoryview:
        """What is of this process alone."""
        name, keys, *state = np.random.get_state(legacy=True)  # noqa: NPY002
        arrays = {"random": np.asarray(keys)}
        plain, lists = [], []
        for index, callback in enumerate(callbacks):
            values, names = _split_attributes(callback)
            for attribute in names:
                for number, array in enumerate(vars(callback)[attribute]):
                    arrays[f"callback.{index}.{attribute}.{number}"] = array
            plain.append(values)
            lists.append(names)
        notes = {
            "random": [name, *state],
            "callbacks": plain,
            "lists": lists,
            "monitors": [monitors(callback) for callback in callbacks],
            "fingerprint": self.fingerprint | {"callbacks": _list_kinds(callbacks)},
        }
        return pack(arrays, notes)

    @property
    def _variables(self) -> list[keras.Variable]:
        return [*self.model.variables, *self.model.optimizer.variables]


def _split_attributes(callback: keras.callbacks.Callback) -> tuple[dict[str, Any], list[str]]:
    """What a callback notes: its attributes that JSON holds, and the names of lists of arrays."""
    plain, lists = {}, []
    for name, value in vars(callback).items():
        if name.startswith("_") or name in KEPT_OUT:
            continue
        if isinstance(value, list) and value and all(isinstance(of, np.ndarray) for of in value):
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


def _take_fingerprint(model: keras.Model, parts: Parts, settings: dict[str, Any]) -> dict[str, str]:
    optimizer = keras.saving.serialize_keras_object(model.optimizer)
    optimizer["config"].pop("name", None)  # which may only count the optimizers of the process
    values = {"settings": settings, "optimizer": optimizer, "devices": list_owners()}
    values["layers"] = [(tuple(variable.shape), variable.dtype) for variable in model.variables]
    for name, rows in zip(("rows", "validation rows"), parts, strict=True):
        values[name] = list(map(np.asarray, keras.tree.flatten(rows.data))) if rows else []
    return {name: digest(value) for name, value in values.items()}
