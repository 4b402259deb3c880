"""Training that goes on where a process died, to bitwise the same model."""

import hashlib
import json
import os
import time
import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_tied._files import replace_atomically
from keras_tied._keras_internals import monitors, settle_monitor
from keras_tied._processes import read_whole
from keras_tied.training._data import Parts

FILE = "checkpoint.npz"
SECONDS = 10.0  # between checkpoints, and at least so many times as long as one takes:
SHARE = 100
KEPT_OUT = ("params", "validation_data")  # what Keras sets in every callback, beside the model


class Checkpoint:
    """A file with the state of a training after an epoch, written now and then.

    It holds the variables of the model and of its optimizer, the state of NumPy's random numbers,
    from which the orders of the rows are drawn, what callbacks note in plain attributes and arrays
    (the history, the best weights), and a fingerprint of rows, settings, model and optimizer.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        model: keras.Model,
        parts: Parts,
        settings: dict[str, Any],
    ) -> None:
        self.path, self.model = Path(folder, FILE), model
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.fingerprint = _take_fingerprint(model, parts, settings)
        self.pause, self.last = SECONDS, time.monotonic()

    def restore(self, callbacks: Sequence[keras.callbacks.Callback]) -> int | None:
        """Set the state that the file holds, and return how many epochs it is after, or None."""
        if not self.path.exists():
            return None
        try:
            with np.load(BytesIO(self.path.read_bytes()), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            notes = json.loads(arrays.pop("notes").tobytes())
            complete = notes.pop("sha256") == _digest(arrays, notes)
        except Exception as error:  # whatever a file may hold
            raise ValueError(f"{str(self.path)!r} is no checkpoint; delete it.") from error
        if not complete:
            raise ValueError(f"{str(self.path)!r} is damaged; delete it to begin anew.")
        theirs = notes["fingerprint"]
        ours = self.fingerprint | {"callbacks": _list_kinds(callbacks)}
        if others := [of for of, value in ours.items() if theirs.get(of) != value]:
            raise ValueError(
                f"{str(self.path)!r} is of a training with other {' and '.join(others)}; delete "
                "it, or name another folder as checkpoint."
            )
        for index, variable in enumerate(self._variables):
            dtype, shape = notes["dtypes"][index]
            variable.assign(arrays[f"variable.{index}"].view(np.dtype(dtype)).reshape(shape))
        name, *state = notes["random"]
        np.random.set_state((name, arrays["random"], *state))  # noqa: NPY002
        for index, (callback, values) in enumerate(zip(callbacks, notes["callbacks"], strict=True)):
            if notes["monitors"][index]:
                settle_monitor(callback)  # changes the attributes that follow
            vars(callback).update(values)
            for attribute in notes["lists"][index]:
                prefix = f"callback.{index}.{attribute}."
                n_arrays = sum(name.startswith(prefix) for name in arrays)
                value = [arrays[f"{prefix}{number}"] for number in range(n_arrays)]
                setattr(callback, attribute, value)
        return int(notes["epochs"])

    @property
    def is_due(self) -> bool:
        """Whether the last time is long ago."""
        return time.monotonic() - self.last >= self.pause

    def save(self, epochs: int, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Save the state after so many epochs, the model's variables being those."""
        begin = time.monotonic()
        name, keys, *state = np.random.get_state(legacy=True)  # noqa: NPY002
        arrays, dtypes = {"random": np.asarray(keys)}, []
        for index, variable in enumerate(self._variables):
            value = read_whole(variable)
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
        fingerprint = self.fingerprint | {"callbacks": _list_kinds(callbacks)}
        notes = {
            "epochs": epochs,
            "dtypes": dtypes,
            "random": [name, *state],
            "callbacks": plain,
            "lists": lists,
            "monitors": [monitors(callback) for callback in callbacks],
            "fingerprint": fingerprint,
        }
        notes["sha256"] = _digest(arrays, notes)
        text = np.frombuffer(json.dumps(notes).encode(), np.uint8)
        content = BytesIO()
        np.savez(content, allow_pickle=False, notes=text, **arrays)
        try:
            with replace_atomically(self.path.resolve()) as part:
                part.write_bytes(content.getbuffer())
        except OSError as error:  # a full disk shall not cost the training
            warnings.warn(
                f"The checkpoint {str(self.path)!r} of epoch {epochs} cannot be written "
                f"({error.strerror or error}): training goes on, from an earlier one if it dies.",
                stacklevel=2,
            )
        self.last = time.monotonic()
        self.pause = max(SECONDS, SHARE * (self.last - begin))

    def delete(self) -> None:
        """Delete the file, once the training is over."""
        self.path.unlink(missing_ok=True)

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
    raise TypeError


def _digest(arrays: dict[str, Any], notes: Any = None) -> str:
    digest = hashlib.sha256(json.dumps(notes, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _take_fingerprint(model: keras.Model, parts: Parts, settings: dict[str, Any]) -> dict[str, str]:
    variables = [[list(v.shape), str(v.dtype)] for v in model.variables]
    optimizer = keras.saving.serialize_keras_object(model.optimizer)
    optimizer["config"].pop("name", None)  # which may only count the optimizers of the process
    values = {"settings": settings, "layers": variables, "optimizer": optimizer}
    texts = {name: json.dumps(value, sort_keys=True, default=str) for name, value in values.items()}
    prints = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    for name, rows in zip(("rows", "validation rows"), parts, strict=True):
        leaves = keras.tree.flatten(rows.data) if rows else []
        prints[name] = _digest({str(i): np.asarray(leaf) for i, leaf in enumerate(leaves)})
    return prints
