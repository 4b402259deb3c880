"""The pinned model files, and files with a right checksum and any contents."""

import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

FOLDER = Path(__file__).parents[1] / "pinned" / "files"
KINDS = "text missing pca deep partial objectives imputation".split()


def save(estimator, folder):
    file = folder / "m.safetensors"
    estimator.save(file)
    return file


def as_bytes(estimator, folder):
    return save(estimator, folder).read_bytes()


@cache
def whole(kind):
    return (FOLDER / f"{kind}.safetensors").read_bytes()


@cache
def read_arrays(kind="text"):
    """The arrays of a file, in the order of their names."""
    return dict(sorted(safetensors.numpy.load(whole(kind)).items()))


@cache
def read_document(kind):
    """The JSON of a file of ours, in its metadata."""
    with safetensors.safe_open(FOLDER / f"{kind}.safetensors", "numpy") as file:
        return json.loads(file.metadata()["tied_tables"])


def pack(arrays, settings, notes, format=2):
    """A file with a right checksum; settings and notes may be text already."""
    texts = []
    for value in (settings, notes):
        text = json.dumps(value, separators=(",", ":"))
        texts.append(value if isinstance(value, str) else text)
    digest = hashlib.sha256("".join(texts).encode())
    for name, array in sorted(arrays.items()):
        facts = f"{name} {array.dtype.str} {array.shape} "
        digest.update(facts.encode() + array.tobytes())
    start = f'"format":{json.dumps(format)},"sha256":"{digest.hexdigest()}"'
    document = f'{{{start},"settings":{texts[0]},"notes":{texts[1]}}}'
    return safetensors.numpy.save(arrays, {"tied_tables": document})


def change(kind, arrays=None, **settings):
    """A file with other arrays, of which None leaves one out, or other settings."""
    changed = {}
    for name, array in (read_arrays(kind) | (arrays or {})).items():
        if array is not None:
            changed[name] = np.asarray(array, order="C")
    document = read_document(kind)
    return pack(
        changed,
        document["settings"] | settings,
        document["notes"],
    )
