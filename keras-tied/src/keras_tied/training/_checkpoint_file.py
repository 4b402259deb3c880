"""A file with the state of a training, from which another process goes on."""

import hashlib
import json
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from keras_tied._files import replace_atomically
from keras_tied._types import Array, StrPath

ARRAY = "keras_tied.array"  # the key of an array's name, where JSON stands for one
SECONDS = 10.0  # between checkpoints, at least
SHARE = 100  # of the time that one takes, the time until the next, at least


class CheckpointFile:
    """Notes in a file that is written now and then, whole or not at all.

    They are what JSON holds, with arrays anywhere within.
    """

    def __init__(self, path: StrPath) -> None:
        self.path = Path(path)
        self.due = time.monotonic() + SECONDS

    @property
    def is_due(self) -> bool:
        """Whether the last time is long ago."""
        return time.monotonic() >= self.due

    def read(self) -> Any:
        """The notes, or None if there is no file."""
        if not self.path.exists():
            return None
        try:
            with open(self.path, "rb") as file:
                # A zip file has a checksum of each array.
                arrays = dict(np.load(file, allow_pickle=False))
            text = arrays["notes"].tobytes()
            return json.loads(text, object_hook=partial(_insert_array, arrays))
        except Exception as error:  # whatever a file may hold
            raise ValueError(
                f"{str(self.path)!r} is no checkpoint, or damaged; delete it to begin"
                " anew."
            ) from error

    def write(self, notes: Any, begin: float) -> None:
        """Write notes, the work on which began at a time of `monotonic`."""
        text, content = extract_arrays(notes)
        content["notes"] = np.frombuffer(text.encode(), np.uint8)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replace_atomically(self.path) as part:
                np.savez(part, **content)
        except OSError as error:  # a full disk shall not cost the training
            warnings.warn(
                f"The checkpoint {str(self.path)!r} cannot be written"
                f" ({error.strerror or error}): training goes on, from an earlier one"
                " if it dies.",
                stacklevel=2,
            )
        end = time.monotonic()
        self.due = end + max(SECONDS, SHARE * (end - begin))

    def delete(self) -> None:
        """Delete the file, once the training is over."""
        self.path.unlink(missing_ok=True)


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
        arrays[name] = np.frombuffer(value.tobytes(), np.uint8)
        return {ARRAY: name, "dtype": value.dtype.name, "shape": value.shape}

    return json.dumps(value, default=extract), arrays


def _insert_array(arrays: dict[str, Array], value: dict[str, Any]) -> Any:
    """The array that an object of JSON stands for, or the object."""
    if ARRAY not in value:
        return value
    array = arrays[value[ARRAY]].view(np.dtype(value["dtype"]))
    return array.reshape(value["shape"])


def digest(value: Any) -> str:
    """The SHA-256 of plain values, arrays and Keras objects."""
    text = json.dumps(value, default=_to_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _to_plain(value: Any) -> Any:
    """What stands for a value that JSON does not hold."""
    if isinstance(value, np.ndarray):
        numbers = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        return [str(value.dtype), value.shape, hashlib.sha256(numbers.data).hexdigest()]
    if hasattr(value, "get_config"):
        return [type(value).__name__, value.get_config()]
    return getattr(value, "__qualname__", None) or repr(value)
