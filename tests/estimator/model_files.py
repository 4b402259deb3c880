"""The pinned model files, and files with a right checksum and any contents."""

import hashlib
import json
import struct
from functools import cache
from pathlib import Path
from typing import Any

import safetensors.numpy

FOLDER = Path(__file__).parents[1] / "pinned" / "files"
KINDS = "text missing pca deep partial objectives imputation".split()
"""The files that are read without Keras."""


@cache
def whole(kind: str = "text") -> bytes:
    return (
        FOLDER / f"{kind}{'.keras' if kind == 'encoder' else '.safetensors'}"
    ).read_bytes()


@cache
def read_arrays(kind: str = "text") -> dict[str, Any]:
    return safetensors.numpy.load(whole(kind))


@cache
def read_text(kind: str = "text") -> str:
    """The JSON of a file."""
    (length,) = struct.unpack("<Q", whole(kind)[:8])
    return json.loads(whole(kind)[8 : 8 + length])["__metadata__"]["keras_tied"]


def pack(arrays: dict[str, Any], settings: Any, notes: Any, format: Any = 1) -> bytes:
    """A file with a right checksum; settings and notes may be text already."""
    texts = [t if isinstance(t, str) else json.dumps(t) for t in (settings, notes)]
    digest = hashlib.sha256("".join(texts).encode())
    for name, array in sorted(arrays.items()):
        digest.update(
            f"{name} {array.dtype.str} {array.shape} ".encode() + array.tobytes()
        )
    text = f'{{"format":{json.dumps(format)},"sha256":"{digest.hexdigest()}","settings":{texts[0]}'
    return safetensors.numpy.save(
        arrays, {"keras_tied": f'{text},"notes":{texts[1]}}}'}
    )
