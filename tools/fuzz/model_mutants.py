"""Mutants of model files, which may be refused in a `ValueError`.

Some have bytes changed anywhere: they are refused, or give what the sound file gives.
In others the checksums are right, as whoever means harm would have them, and parts are
changed below them: the JSON, or the file of weights of a Keras archive. They may give
anything.
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
from mutants import mutate, mutate_member

import keras_tied

sys.path.append(str(Path(__file__).parents[2] / "tests" / "estimator"))
from model_files import FOLDER, KINDS, pack

CANARY = (
    "from pathlib import Path\nPath(__file__ + '.ran').touch()\nharm = Harm = print\n"
)
HARM: list[Any] = [
    {
        "module": "canary",
        "class_name": "Harm",
        "config": {},
        "registered_name": "canary>Harm",
    },
    {"module": "canary", "class_name": "Harm", "config": {}, "registered_name": None},
    {
        "module": "canary",
        "class_name": "function",
        "config": "harm",
        "registered_name": "function",
    },
    {
        "module": "os",
        "class_name": "function",
        "config": "system",
        "registered_name": "function",
    },
    {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {
            "function": {"class_name": "__lambda__", "config": {"code": "4wAAAAA="}}
        },
        "registered_name": None,
    },
    {"class_name": "__numpy__", "config": {"value": [1.0, 2.0], "dtype": "float32"}},
    {"class_name": "__tensor__", "config": {"value": [[1.0]], "dtype": "int8"}},
    *(
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
    ),
]
"""Values that stand for some of a configuration."""


def mutate_settings(content: bytes, chance: random.Random) -> bytes:
    """Change the settings of a file under a right checksum."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    document = json.loads(header["__metadata__"]["keras_tied"])
    settings = mutate_json(json.dumps(document["settings"]), chance)
    return pack(safetensors.numpy.load(content), settings, document["notes"])


def mutate_json(text: str, chance: random.Random) -> str:
    """Change some letters, or a value for one of those that do harm, or for another
    value.
    """
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
        container[key] = chance.choice([*HARM, json.loads(json.dumps(other[place]))])
    return json.dumps(document)


def list_places(value: Any) -> Any:
    """The containers in a document of JSON, each with each of its keys."""
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from list_places(value[key])


def mutate_archive(content: bytes, chance: random.Random) -> bytes:
    """Change a part of an archive of Keras under a right checksum."""
    changes = {
        ".json": lambda part, chance: mutate_json(part.decode(), chance).encode(),
        ".safetensors": mutate_settings,
    }
    return mutate_member(content, chance, changes)


class Models:
    """Mutants of the pinned model files of one ending."""

    refusal = ValueError

    def __init__(self, ending: str, folder: Path) -> None:
        self.mutate_parts = mutate_archive if ending == "keras" else mutate_settings
        self.names = ["encoder"] if ending == "keras" else KINDS
        self.contents = {
            name: (FOLDER / f"{name}.{ending}").read_bytes() for name in self.names
        }
        self.path = folder / f"mutant.{ending}"
        folder.joinpath("canary.py").write_text(CANARY)
        sys.path.append(str(folder))
        self.expected = {}
        for name, content in self.contents.items():
            self.path.write_bytes(content)
            self.expected[name] = compute(keras_tied.load(self.path), name)

    def make(self, chance: random.Random) -> bytes:
        self.name, self.is_whole = chance.choice(self.names), chance.random() < 0.5
        change = mutate if self.is_whole else self.mutate_parts
        return change(self.contents[self.name], chance)

    def read(self) -> None:
        results = compute(keras_tied.load(self.path), self.name)
        assert not self.is_whole or results == self.expected[self.name], "other results"


@cache
def read_rows(name: str) -> Any:
    return np.load(FOLDER / f"{name}.npz")["rows"]


def compute(fitted: Any, name: str) -> list[bytes]:
    with np.errstate(all="ignore"):
        rows = read_rows(name)
        names = ("transform", "reconstruct", "score_samples")
        return [getattr(fitted, name)(rows).tobytes() for name in names]
