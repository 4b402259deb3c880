"""A file with the state of a training, from which another process goes on."""

import hashlib
import json
import os
import time
import warnings
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from keras_tied._files import replace_atomically
from keras_tied._types import Array

SECONDS = 10.0  # between checkpoints, and at least so many times as long as one takes:
SHARE = 100


class CheckpointFile:
    """Arrays and notes in a file that is written now and then, and whole or not at all."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.pause, self.last = SECONDS, time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the last time is long ago."""
        return time.monotonic() - self.last >= self.pause

    def read(self) -> tuple[dict[str, Array], Any] | None:
        """The arrays and the notes, or None if there is no file."""
        if not self.path.exists():
            return None
        try:
            arrays, notes = unpack(self.path.read_bytes())
            complete = notes["digest"] == digest((arrays, notes | {"digest": ""}))
        except Exception as error:  # whatever a file may hold
            raise ValueError(
                f"{str(self.path)!r} is no checkpoint; delete it."
            ) from error
        if not complete:
            raise ValueError(f"{str(self.path)!r} is damaged; delete it to begin anew.")
        return arrays, notes

    def write(
        self, arrays: Mapping[str, Array], notes: Mapping[str, Any], begin: float
    ) -> None:
        """Write arrays and notes, the work on which began at a time of `time.monotonic`."""
        notes = {**notes, "digest": ""}
        content = pack(arrays, notes | {"digest": digest((arrays, notes))})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replace_atomically(self.path.resolve()) as part:
                part.write_bytes(content)
        except OSError as error:  # a full disk shall not cost the training
            warnings.warn(
                f"The checkpoint {str(self.path)!r} cannot be written"
                f" ({error.strerror or error}): training goes on, from an earlier one"
                " if it dies.",
                stacklevel=2,
            )
        self.last = time.monotonic()
        self.pause = max(SECONDS, SHARE * (self.last - begin))

    def delete(self) -> None:
        """Delete the file, once the training is over."""
        self.path.unlink(missing_ok=True)


def pack(arrays: Mapping[str, Array], notes: Any) -> memoryview:
    """Arrays and notes, which JSON holds, as the content of an `.npz` file."""
    text, content = np.frombuffer(json.dumps(notes).encode(), np.uint8), BytesIO()
    np.savez(content, allow_pickle=False, notes=text, **arrays)
    return content.getbuffer()


def unpack(content: Any) -> tuple[dict[str, Array], Any]:
    """What was packed."""
    with np.load(BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return arrays, json.loads(arrays.pop("notes").tobytes())


def digest(value: Any) -> str:
    """The SHA-256 of plain values, arrays, dataclasses and Keras objects, each in the others."""
    sha256 = hashlib.sha256()

    def add(value: Any) -> None:
        if is_dataclass(value):
            value = [getattr(value, field.name) for field in fields(value)]
        elif isinstance(value, np.random.RandomState):
            value = value.get_state()
        elif hasattr(value, "get_config"):
            value = [type(value).__name__, value.get_config()]
        elif isinstance(value, Mapping):
            value = list(value.items())
        if isinstance(value, np.ndarray):
            sha256.update(f"{value.dtype} {value.shape} ".encode())
            sha256.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
        elif isinstance(value, list | tuple):
            sha256.update(f"{len(value)}:".encode())
            list(map(add, value))
        else:
            sha256.update(
                f"{getattr(value, '__qualname__', None) or repr(value)};".encode()
            )

    add(value)
    return sha256.hexdigest()
