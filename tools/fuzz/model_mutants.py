"""Mutants of model files, which may be refused in a `ValueError`.

Some have bytes changed anywhere: they are refused, or give what the sound file gives.
In others the checksum is right, as whoever means harm would have it, and the settings
or an array below it are changed. They may give other numbers, but finite ones.
"""

import json
import random
import struct
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from mutants import mutate

import tied_tables

sys.path.append(str(Path(__file__).parents[2] / "tied-tables/tests/estimator"))
from model_files import FOLDER, KINDS, pack

ODD_VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    2.5,
    1e308,
    10**30,
    "",
    "canary",
    [],
    {},
    [[]],
    "relu",
    "float16",
]
"""Values that stand for some of the settings."""


NUMBERS = [
    np.nan,
    np.inf,
    -np.inf,
    0.0,
    -1.0,
    0.5,
    2.0,
    1e10,
    -1e30,
    1e38,
    1e300,
    1e-300,
]
WHOLE_NUMBERS = [-(2**62), -1, 0, 1, 2, 3, 7, 2**31, 2**62]
FACTORS = [1e-30, 1e-10, -1.0, 1e10, 1e20, 1e30]
"""What takes the place of numbers in arrays, and what they are multiplied by."""


def mutate_contents(content: bytes, chance: random.Random) -> bytes:
    """Change the settings or an array of a file under a right checksum."""
    change = chance.choice([mutate_settings, mutate_arrays])
    return change(content, chance)


def mutate_arrays(content: bytes, chance: random.Random) -> bytes:
    """Change an array of a file under a right checksum."""
    arrays = safetensors.numpy.load(content)
    name = chance.choice(sorted(arrays))
    with np.errstate(all="ignore"):
        array = mutate_array(arrays[name].copy(), chance)
    arrays[name] = np.ascontiguousarray(array)
    document = read_document(content)
    return pack(arrays, json.dumps(document["settings"]), document["notes"])


def mutate_array(array: Any, chance: random.Random) -> Any:
    """An array with other numbers or of another shape."""
    is_whole = array.dtype.kind == "i"
    number = chance.choice(WHOLE_NUMBERS if is_whole else NUMBERS)
    kind = chance.randrange(6)
    if not array.size or kind == 0:
        return np.concatenate([array, np.zeros_like(array[:1])])
    if kind == 1:
        array.flat[chance.randrange(array.size)] = number
    elif kind == 2:
        array[...] = number
    elif kind == 3:
        array = (array * chance.choice(FACTORS)).astype(array.dtype)
    elif kind == 4:
        array = np.roll(array, chance.randrange(array.size))
    else:
        array = array[:-1]
    return array


def read_document(content: bytes) -> Any:
    """The JSON of a file of ours."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    return json.loads(header["__metadata__"]["tied_tables"])


def mutate_settings(content: bytes, chance: random.Random) -> bytes:
    """Change the settings of a file under a right checksum."""
    document = read_document(content)
    settings = mutate_json(json.dumps(document["settings"]), chance)
    return pack(safetensors.numpy.load(content), settings, document["notes"])


def mutate_json(text: str, chance: random.Random) -> str:
    """Change some letters, or a value for an odd one or for another of the document."""
    if chance.random() < 0.5:
        place, n = chance.randrange(len(text)), chance.choice([1, 1, 2, 4, 8])
        other = "".join(chance.choices('0123456789.-+eE{}[]",: truefalsn', k=n))
        changed = chance.choice([other, "", text[place : place + n] * 2])
        return text[:place] + changed + text[place + n :]
    document = json.loads(text)
    places = list(list_places(document))
    for _ in range(chance.randint(1, 2)):
        container, key = chance.choice(places)
        other, place = chance.choice(places)
        container[key] = chance.choice(
            [*ODD_VALUES, json.loads(json.dumps(other[place]))]
        )
    return json.dumps(document)


def list_places(value: Any) -> Any:
    """The containers in a document of JSON, each with each of its keys."""
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from list_places(value[key])


class Models:
    """Mutants of the pinned model files of one ending."""

    refusal = ValueError

    def __init__(self, ending: str, folder: Path) -> None:
        self.names = KINDS
        self.contents = {
            name: (FOLDER / f"{name}.{ending}").read_bytes() for name in self.names
        }
        self.path = folder / f"mutant.{ending}"
        self.expected = {}
        for name, content in self.contents.items():
            self.path.write_bytes(content)
            self.expected[name] = compute(tied_tables.load(self.path), name)

    def make(self, chance: random.Random) -> bytes:
        self.name, self.is_whole = chance.choice(self.names), chance.random() < 0.5
        change = mutate if self.is_whole else mutate_contents
        return change(self.contents[self.name], chance)

    def read(self) -> None:
        results = compute(tied_tables.load(self.path), self.name)
        if self.is_whole:
            assert are_equal(results, self.expected[self.name]), "other results"
        else:
            assert all(np.isfinite(each).all() for each in results), "not finite"


@cache
def read_rows(name: str) -> Any:
    return np.load(FOLDER / f"{name}.npz")["rows"]


def compute(fitted: Any, name: str) -> list[Any]:
    with np.errstate(all="ignore"):
        rows = read_rows(name)
        names = ("transform", "reconstruct", "impute", "score_samples")
        return [getattr(fitted, name)(rows) for name in names]


def are_equal(results: list[Any], expected: list[Any]) -> bool:
    """Whether all arrays are the same, to the bit."""
    pairs = zip(results, expected, strict=True)
    return all(one.tobytes() == other.tobytes() for one, other in pairs)
