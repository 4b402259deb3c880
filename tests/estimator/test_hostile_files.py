"""Files that were made to do harm: each is refused in one sentence, at little cost.

Most are read in another process (`main`), one after the other, by `load` and by the command. They
need no Keras there. Those that name classes and functions are read in this one.
"""

import contextlib
import importlib
import io
import json
import os
import random
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_tied import TiedAutoencoder

FORMAT = Path(__file__).parents[1] / "pinned" / "format_3"
SETTINGS, ARRAYS, NOTES = "estimator.json", "estimator.npz", "notes.json"
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MEMBERS = (METADATA, CONFIG, WEIGHTS, SETTINGS, ARRAYS, NOTES)
ARRAY_NAMES = """
    scaling.shift scaling.scale mean gaussian.mean gaussian.precision
    score.columns score.code_axes.mean score.code_axes.vectors score.residual_axes.mean
    score.residual_axes.vectors score.gaussian.mean score.gaussian.precision score.median
    score.scale score.fences.middle score.fences.low score.fences.high score.tail
    """.split()
LAYERS = "decoder/layers"
KERNEL = f"{LAYERS}/tied_dense_1/kernel_layer/vars/0"
"""The 7 x 8 numbers of the first layer."""
KINDS = "text missing pca deep partial objectives".split()
"""The files that are read without Keras."""
CHANGES = 40
"""That are made to each of them: so many to its bytes, and so many to a member's."""
DATASETS = [
    *(f"{LAYERS}/tied_dense{end}/kernel_layer/vars/{i}" for end in ("", "_1") for i in (0, 1)),
    *(f"{LAYERS}/tied_dense{end}/vars/{i}" for end in ("", "_1") for i in (0, 1)),
]
MOST_BYTES = 2**28
"""That a file may take, beyond what a whole one takes."""
KILLED_AFTER = 300
"""Seconds, of all files together: then one of them hangs."""

Make = Callable[[], bytes]
CASES: dict[str, Make] = {}
"""By name: a function that makes a file to be refused."""


def case(name: str, make: Make) -> None:
    assert name not in CASES, name
    CASES[name] = make


@cache
def members(kind: str = "text") -> dict[str, bytes]:
    """What a whole file holds."""
    with zipfile.ZipFile(FORMAT / f"{kind}.keras") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(contents: dict[str, bytes]) -> bytes:
    """The file of these members."""
    return pack_pairs(contents.items())


def pack_pairs(pairs: Iterable[tuple[str, str | bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in pairs:
            archive.writestr(name, content)
    return file.getvalue()


def replace(kind: str = "text", **contents: bytes) -> bytes:
    """A file with other members, whose names have `__` for a dot."""
    return pack(members(kind) | {name.replace("__", "."): it for name, it in contents.items()})


# Archives.


@cache
def deflate_blanks(megabytes: int) -> tuple[bytes, int, int]:
    """Blanks as a stream of deflate, with their CRC and their number."""
    block = b" " * 2**20
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    crc = 0
    for _ in range(megabytes):
        crc = zlib.crc32(block, crc)
    return packed * megabytes + b"\x03\x00", crc, megabytes * 2**20


def raw_archive(entries: list[dict[str, Any]]) -> bytes:
    """An archive whose headers say what they are told to.

    Each entry has a `name` and the `stored` bytes, and may have `method`, `crc`, `size`, `packed`,
    `flags`, `extra` and `offset`, which are else those of a member that is not packed.
    """
    body, directory = bytearray(), bytearray()
    for entry in entries:
        stored, name = entry["stored"], entry["name"].encode()
        extra = entry.get("extra", b"")
        fields = struct.pack(
            "<5H3L2H",
            20,
            entry.get("flags", 0),
            entry.get("method", 0),
            0,
            0x21,
            entry.get("crc", zlib.crc32(stored)),
            entry.get("packed", len(stored)),
            entry.get("size", len(stored)),
            len(name),
            len(extra),
        )
        offset = struct.pack("<3H2L", 0, 0, 0, 0, entry.get("offset", len(body)))
        directory += b"PK\x01\x02\x14\x00" + fields + offset + name + extra
        body += b"PK\x03\x04" + fields + name + extra + stored
    count = len(entries)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + end)


def with_entry(name: str, **entry: Any) -> bytes:
    """A whole file, but for the headers or the content of one member."""
    entries = [{"name": n, "stored": content} for n, content in members().items()]
    return raw_archive([e | entry if e["name"] == name else e for e in entries])


def blanks(name: str, **fields: Any) -> bytes:
    packed, crc, size = deflate_blanks(600)
    entry = {"stored": packed, "method": zipfile.ZIP_DEFLATED, "crc": crc, "size": size}
    return with_entry(name, **entry | fields)


for name in MEMBERS:
    case(f"600 MB of blanks as {name}", lambda name=name: blanks(name))
    case(f"600 MB of blanks as {name}, called 100", lambda name=name: blanks(name, size=100))
case("600 MB of blanks, called packed in 7 MB", lambda: blanks(WEIGHTS, packed=7 * 2**20))
for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
    case(
        f"member packed by method {method}",
        lambda method=method: pack_pairs(members().items(), method),
    )
case("60,000 members", lambda: pack(members() | {f"{i:05}": b"" for i in range(60_000)}))
case("60,000 members of one name", lambda: raw_archive([{"name": CONFIG, "stored": b""}] * 60_000))
for name in ("/etc/x", "../x", "a/../../x", "..\\x", "C:\\x", "assets/../../x", "other.json"):
    case(f"member named {name}", lambda name=name: pack({**members(), name: b"{}"}))
for name in MEMBERS:
    case(
        f"two members named {name}",
        lambda name=name: raw_archive(
            [{"name": n, "stored": content} for n, content in members().items()]
            + [{"name": name, "stored": members()[name]}]
        ),
    )
    case(f"{name} is longer than it says", lambda name=name: with_entry(name, size=50))
    case(f"{name} is shorter than it says", lambda name=name: with_entry(name, size=2**20))
LIES: dict[str, dict[str, Any]] = {
    "encrypted": {"flags": 1},
    "4 GB long": {"size": 2**32 - 2},
    "stored in 4 GB": {"packed": 2**32 - 2},
    "at another place": {"offset": 2**31},
    "of another CRC": {"crc": 1},
    "packed in no known way": {"method": 77},
    "2 ** 63 bytes long": {"size": 2**32 - 1, "extra": struct.pack("<2HQ", 1, 8, 2**63)},
    "of a length that is missing": {"size": 2**32 - 1, "extra": struct.pack("<2H", 1, 0)},
    "of a length that is cut": {"size": 2**32 - 1, "extra": struct.pack("<2HL", 1, 4, 0)},
}
for what, fields in LIES.items():
    case(f"arrays are said to be {what}", lambda fields=fields: with_entry(ARRAYS, **fields))
for name in MEMBERS[:-1]:
    case(
        f"there is no {name}",
        lambda name=name: pack({n: content for n, content in members().items() if n != name}),
    )
case("an archive of nothing", lambda: pack({}))
case("an end of an archive alone", lambda: b"PK\x05\x06" + b"\xff" * 18)

# JSON.

JSON: dict[str, bytes] = {
    "100,000 brackets": b"[" * 100_000 + b"]" * 100_000,
    "100,000 braces": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "an int of 5,000 digits": b"[" + b"9" * 5_000 + b"]",
    "NaN": b"[NaN]",
    "infinity": b"[-Infinity]",
    "a number that is too large": b"[1e999]",
    "a key twice": b'{"a": 1, "a": 2}',
    "bytes that are not UTF-8": b'["\xff"]',
    "UTF-16": "[1]".encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf[1]",
    "nothing": b"",
    "a comment": b"[1] // x",
    "3 million lists": b"[" + b"[]," * 3_000_000 + b"1]",
    "a million values": b"[" + b'"ab",' * 1_000_000 + b"1]",
    "300,000 objects": b"[" + b'{"a":"bc"},' * 300_000 + b"1]",
    "16 MB of text of 4 bytes": b'["' + b" " * (2**24 - 2**15) + "\U0001f600".encode() + b'"]',
    "17 MB": b" " * 17 * 2**20 + b"[1]",
}
for what, text in JSON.items():
    for name in (SETTINGS, CONFIG, METADATA, NOTES):
        if name == SETTINGS or len(text) < 2**20:  # else the content alone may be harmless
            case(
                f"{name} holds {what}", lambda name=name, text=text: pack(members() | {name: text})
            )


# Settings.


def settings(*path: str, value: Any) -> bytes:
    """A file whose settings have another value at a place."""
    changed = json.loads(members()[SETTINGS])
    place = changed
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return replace(estimator__json=json.dumps(changed).encode())


VALUES: dict[str, list[Any]] = {
    "n_features_in_": [10**9, 2**63, 10**4000, 0, -7, 7.0, True, "7", None, [7]],
    "n_components_": [8, 10**9, 0, -2, 2.0, True, "2", None],
    "n_iter_": [-1, 1.5, False, None, 10**4000],
    "is_pca_": [0, 1, "true", None],
    "loss_curve_": [None, 1.0, "1", [None], ["1"], [True], [[1.0]], [10**400], {}],
    "validation_curve_": [None, 1.0, "1", [None], ["1"], [True], [[1.0]], [10**400], {}],
    "reconstruction_r2_": [1.1, 10**400, -(10**400), True, None, "0.5"],
    "offset_": [None, "0", 10**400, True, [0.0]],
}
for name, values in VALUES.items():
    for value in values:
        case(
            f"{name} is {str(value)[:20]} ({type(value).__name__})",
            lambda name=name, value=value: settings("learned", name, value=value),
        )
NAMES: dict[str, Any] = {
    "too few": ["a"],
    "none": [],
    "numbers": list(range(7)),
    "no list": "abcdefg",
    "objects": dict.fromkeys("abcdefg", 1),
    "lists": [[name] for name in "abcdefg"],
}
for what, value in NAMES.items():
    case(f"feature names are {what}", lambda value=value: settings("feature_names_in", value=value))
for value in (0, 2, 1.0, True, "1", None, [1], "1" * 10**6):
    case(
        f"format is {str(value)[:20]} ({type(value).__name__})",
        lambda value=value: settings("format", value=value),
    )
for name in ("format", "params", "learned"):
    for value in (None, [], "x", 7):
        case(f"{name} are {value}", lambda name=name, value=value: settings(name, value=value))
case("params are no encoder and no activation", lambda: settings("params", value={}))


def weight_decay(value: Any) -> bytes:
    config = json.loads(members()[CONFIG])
    first = config["config"]["encoder"]["config"]["layers"][1]["config"]
    first["kernel_regularizer"] = {"class_name": "L2", "config": {"l2": value}}
    return replace(config__json=json.dumps(config).encode())


for value in (-1.0, "nan", "1", 10**400, True, [1.0]):
    case(f"weight decay is {str(value)[:20]}", lambda value=value: weight_decay(value))

# Arrays of estimator.npz.


def arrays(kind: str = "text") -> dict[str, Any]:
    with np.load(io.BytesIO(members(kind)[ARRAYS])) as stored:
        return dict(stored)


def npz(contents: dict[str, Any], method: int = zipfile.ZIP_STORED) -> bytes:
    return pack_pairs(((f"{name}.npy", npy(array)) for name, array in contents.items()), method)


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array))
    return file.getvalue()


def with_array(name: str, change: Callable[[Any], Any]) -> bytes:
    contents = arrays()
    return replace(estimator__npz=npz(contents | {name: change(contents[name])}))


def with_first(value: float) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array = array.copy()
        array.flat[0] = value
        return array

    return change


class Trap:
    """Unpickled, it would leave the file `sprung` in the folder for temporary files."""

    def __reduce__(self) -> Any:
        return (exec, ("import pathlib, os; pathlib.Path(os.environ['TMPDIR'], 'sprung').touch()",))


def trap(array: Any) -> Any:
    trapped = np.empty(array.shape, object)
    trapped.flat = [Trap()] * array.size
    return trapped


ARRAY_CHANGES: dict[str, Callable[[Any], Any]] = {
    "has a NaN": with_first(np.nan),
    "has an infinite number": with_first(-np.inf),
    "has a row more": lambda array: np.concatenate([array, array[:1]]),
    "is of objects": trap,
}
MEAN_CHANGES: dict[str, Callable[[Any], Any]] = {
    "has an axis more": lambda array: array[None],
    "is one number": lambda array: array.flat[0],
    "is empty": lambda array: array[:0],
    "is of integers": lambda array: array.astype(int),
    "is of single precision": lambda array: array.astype("f4"),
    "is big-endian": lambda array: array.astype(">f8"),
    "is complex": lambda array: array.astype(complex),
    "is of text": lambda array: array.astype(str),
    "is of records": lambda array: array.astype([("x", "f8")]),
}
for name in ARRAY_NAMES:
    for what, change in ARRAY_CHANGES.items():
        if (name, what) != ("score.fences.low", "has an infinite number"):  # it may have one
            case(f"{name} {what}", lambda name=name, change=change: with_array(name, change))
    if name != "gaussian.precision":  # it may be missing
        case(
            f"there is no {name}",
            lambda name=name: replace(
                estimator__npz=npz({n: array for n, array in arrays().items() if n != name})
            ),
        )
for what, change in MEAN_CHANGES.items():
    case(f"mean {what}", lambda change=change: with_array("mean", change))


def with_imputation(change: Callable[[Any], Any], kind: str = "imputation") -> bytes:
    """A file with changed weights of imputation."""
    contents = arrays("imputation")
    weights = change(contents["imputation.weights"])
    return replace(kind, estimator__npz=npz(arrays(kind) | {"imputation.weights": weights}))


for what, change in ARRAY_CHANGES.items():
    case(f"imputation.weights {what}", lambda change=change: with_imputation(change))
for value in (-0.1, 1.1):
    case(f"imputation.weights has {value}", lambda value=value: with_imputation(with_first(value)))
case(
    "there is a precision without its mean",
    lambda: replace(
        "imputation",
        estimator__npz=npz({n: a for n, a in arrays("imputation").items() if n != "gaussian.mean"}),
    ),
)


def with_tail(place: int) -> bytes:
    def change(array: Any) -> Any:
        array = array.copy()
        array[place] = -1
        return array

    return with_array("score.tail", change)


def with_second_mean(name: str) -> bytes:
    entries = [{"name": f"{n}.npy", "stored": npy(array)} for n, array in arrays().items()]
    return replace(estimator__npz=raw_archive([*entries, {"name": name, "stored": npy([1.0])}]))


for name in ("mean.npy", "mean"):
    case(f"there is a second {name}", lambda name=name: with_second_mean(name))
for what, change in {
    "do not begin with 0": lambda array: array + 1,
    "fall": lambda array: array[::-1],
    "leave one out": lambda array: 2 * array,
}.items():
    case(f"columns {what}", lambda change=change: with_array("score.columns", change))
case("fences cross", lambda: with_array("score.fences.low", lambda array: array + 1e9))
case("precision is negative", lambda: with_array("score.gaussian.precision", np.negative))
case("precision cannot be inverted", lambda: with_array("score.gaussian.precision", np.ones_like))
for place in (1, 2, 4, 5, 6):
    case(f"number {place} of the tail is negative", lambda place=place: with_tail(place))
for name in ("scaling.scale", "score.scale"):
    for value in (0.0, -1.0):
        case(
            f"{name} has {value}",
            lambda name=name, value=value: with_array(name, with_first(value)),
        )


def header(description: str, data: bytes = b"\0" * 56, version: bytes = b"\1\0") -> bytes:
    """A file whose mean has this header."""
    length = struct.pack("<H" if version == b"\1\0" else "<L", len(description))
    mean = b"\x93NUMPY" + version + length + description.encode() + data
    contents = {f"{name}.npy": npy(array) for name, array in arrays().items()}
    return replace(estimator__npz=pack(contents | {"mean.npy": mean}))


def describe(shape: str, dtype: str = "'<f8'") -> str:
    return f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}}}\n"


HEADERS: dict[str, Callable[[], bytes]] = {
    "10 ** 12 numbers": lambda: header(describe("(1000000000000,)")),
    "a negative shape": lambda: header(describe("(-1,)")),
    "a shape of its own kind": lambda: header(describe("[7]")),
    "2 ** 70 numbers": lambda: header(describe(f"({2**70},)")),
    "more numbers than there are": lambda: header(describe("(7,)"), b"\0" * 48),
    "fewer numbers than there are": lambda: header(describe("(7,)"), b"\0" * 64),
    "a name instead of a shape": lambda: header(describe("__import__('os').getpid()")),
    "10,000 brackets": lambda: header("(" * 9_000 + ")" * 900),
    "9,000 signs": lambda: header("-" * 9_000 + "1\n"),
    "version 2": lambda: header(describe("(7,)"), version=b"\2\0"),
    "a length of 4 GB": lambda: header("", b"\xff" * 60, version=b"\2\0"),
    "a dtype of 2 GB": lambda: header(describe("(7,)", "'S2000000000'")),
    "a dtype with a shape": lambda: header(describe("()", "('<f8', (7,))")),
    "pickled objects": lambda: header(describe("(7,)", "'|O'")),
}
for what, make in HEADERS.items():
    case(f"the header of an array says {what}", make)
case("there is an array more", lambda: replace(estimator__npz=npz(arrays() | {"x": np.zeros(1)})))
case("arrays are packed", lambda: replace(estimator__npz=npz(arrays(), zipfile.ZIP_DEFLATED)))


def bomb_in_npz() -> bytes:
    packed, crc, size = deflate_blanks(600)
    entries = [{"name": f"{name}.npy", "stored": npy(array)} for name, array in arrays().items()]
    entries[0] |= {"stored": packed, "method": zipfile.ZIP_DEFLATED, "crc": crc, "size": size}
    return pack_pairs((members() | {ARRAYS: raw_archive(entries)}).items(), zipfile.ZIP_DEFLATED)


def entries_in_npz() -> bytes:
    content = raw_archive([{"name": "a", "stored": b""}] * 50_000)
    return pack_pairs((members() | {ARRAYS: content}).items(), zipfile.ZIP_DEFLATED)


case("an array is 600 MB of blanks", bomb_in_npz)
case("there are 50,000 arrays", entries_in_npz)

# Weights of model.weights.h5.


def weights(change: Callable[[Any], None], kind: str = "text") -> bytes:
    """A file with other weights, after a change to them."""
    content = io.BytesIO(members(kind)[WEIGHTS])
    with h5py.File(content, "r+") as file:
        change(file)
    return replace(kind, model__weights__h5=content.getvalue())


def put(path: str, value: Any, **options: Any) -> Callable[[Any], None]:
    """A change of one dataset for another."""

    def change(file: Any) -> None:
        if path in file:
            old = file[path][()]
            del file[path]
        file.create_dataset(path, data=value(old) if callable(value) else value, **options)

    return change


def link(path: str, target: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        if path in file:
            del file[path]
        file[path] = target(file) if callable(target) else target

    return change


def virtual(file: Any) -> None:
    del file[KERNEL]
    layout = h5py.VirtualLayout((7, 8), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (7, 8))
    file.create_virtual_dataset(KERNEL, layout)


def external(file: Any) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, (7, 8), "f4", external=[("/etc/passwd", 0, 7 * 8 * 4)])


def make_filter(shape: tuple[int, ...]) -> Callable[[Any], None]:
    """A change for a dataset of zeros that takes next to no bytes."""

    def change(file: Any) -> None:
        del file[KERNEL]
        file.create_dataset(KERNEL, shape, "f4", chunks=(7, 8), compression="gzip")

    return change


def unwritten(shape: tuple[int, ...]) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file[KERNEL]
        file.create_dataset(KERNEL, shape, "f4")

    return change


def long_shape(rows: int, columns: int, size: int) -> bytes:
    """The header of the first kernel says that it has another shape and size."""
    content = members()[WEIGHTS]
    for old, new in (
        (struct.pack("<2Q", 7, 8), struct.pack("<2Q", rows, columns)),
        (struct.pack("<Q", 7 * 8 * 4), struct.pack("<Q", size)),
    ):
        assert old in content
        content = content.replace(old, new)
    return replace(model__weights__h5=content)


def long_file(size: int) -> bytes:
    """The header of the whole file says that it has another size."""
    content = members()[WEIGHTS]
    old = struct.pack("<Q", len(content))
    assert old in content
    return replace(model__weights__h5=content.replace(old, struct.pack("<Q", size)))


def many_layers(file: Any) -> None:
    """One kernel of 4 MB is that of 500 layers."""
    file.create_dataset("kernel", data=np.zeros((1000, 1000), "f4"))
    for i in range(2, 500):
        file[f"{LAYERS}/tied_dense_{i}/kernel_layer/vars/0"] = file["kernel"]


def many_groups(file: Any) -> None:
    for i in range(16_000):
        file.create_group(f"g/{i}")


WEIGHT_CHANGES: dict[str, Callable[[Any], None]] = {
    "an external link": link(KERNEL, h5py.ExternalLink("pipe", "/x")),
    "an external link in the way": link(f"{LAYERS}/tied_dense_1", h5py.ExternalLink("pipe", "/")),
    "an external link for one layer more": link(
        f"{LAYERS}/tied_dense_2", h5py.ExternalLink("pipe", "/")
    ),
    "an external link for the optimizer": link("optimizer", h5py.ExternalLink("pipe", "/")),
    "an external link that nothing needs": link("a", h5py.ExternalLink("pipe", "/")),
    "a soft link": link(KERNEL, h5py.SoftLink(f"/{LAYERS}/tied_dense/kernel_layer/vars/0")),
    "a soft link to itself": link("a", h5py.SoftLink("/a")),
    "a group in itself": link(f"{LAYERS}/a", lambda file: file["decoder"]),
    "the whole in itself": link("a", lambda file: file["/"]),
    "one dataset twice": link("a", lambda file: file[KERNEL]),
    "a dtype with a name": link("a", np.dtype("f4")),
    "a dtype with a name for a kernel": link(KERNEL, np.dtype("f4")),
    "a virtual dataset": virtual,
    "a dataset in another file": external,
    "chunks that are packed": make_filter((7, 8)),
    "10 ** 11 zeros that are packed": make_filter((7, 10**10)),
    "a dataset that is not written": unwritten((7, 8)),
    "10 ** 11 zeros that are not written": unwritten((7, 10**10)),
    "one kernel for 500 layers": many_layers,
    "6,000 groups": many_groups,
    "no shape": put(KERNEL, h5py.Empty("f4")),
    "a layer more": put(f"{LAYERS}/tied_dense_2/kernel_layer/vars/0", np.zeros((7, 7), "f4")),
    "a dataset more": put(f"{LAYERS}/tied_dense/vars/2", np.zeros(2, "f4")),
    "1e300": put(KERNEL, lambda array: np.full(array.shape, 1e300)),
}
for what, change in WEIGHT_CHANGES.items():
    case(f"weights have {what}", lambda change=change: weights(change))
DATASET_CHANGES: dict[str, Any] = {
    "has a NaN": with_first(np.nan),
    "has an infinite number": with_first(np.inf),
    "is of integers": lambda array: array.astype(int),
    "has a row more": lambda array: np.concatenate([array, array[:1]]),
}
KERNEL_CHANGES: dict[str, Any] = {
    "is big-endian": lambda array: array.astype(">f4"),
    "is of text": lambda array: array.astype("S"),
    "is of text of any length": lambda array: np.full(array.shape, "x", object),
    "is of records": lambda array: array.astype([("x", "f4")]),
    "is of raw bytes": lambda array: array.view("V4"),
    "is complex": lambda array: array.astype("c8"),
    "is Boolean": lambda array: array > 0,
    "has an axis more": lambda array: array[None],
    "is one number": lambda array: array.flat[0],
    "is empty": lambda array: array[:0],
}
for path in DATASETS:
    for what, change in DATASET_CHANGES.items():
        case(f"{path} {what}", lambda path=path, change=change: weights(put(path, change)))
    case(f"there is no {path}", lambda path=path: weights(lambda file: file.__delitem__(path)))
for what, change in KERNEL_CHANGES.items():
    options = {"dtype": h5py.string_dtype()} if what == "is of text of any length" else {}
    case(
        f"the first kernel {what}",
        lambda change=change, options=options: weights(put(KERNEL, change, **options)),
    )
for kind, path in (
    ("partial", "optimizer/vars/3"),
    ("encoder", f"{LAYERS}/tied_conv/kernel_layer/vars/0"),
):
    for what, change in (
        ("NaN", put(path, with_first(np.nan))),
        ("text", put(path, b"text")),
        ("an external link", link(path, h5py.ExternalLink("pipe", "/x"))),
        ("10 ** 11 zeros", put(path, None, shape=(10**11,), dtype="f4")),
    ):
        case(
            f"{path} of {kind} is {what}",
            lambda kind=kind, change=change: weights(change, kind),
        )
case("a kernel is said to be 56 GB", lambda: long_shape(7, 2 * 10**9, 56 * 10**9))
case("a kernel is said to be 2 ** 66 numbers", lambda: long_shape(2**33, 2**33, 2**63))
case("a kernel is said to be longer than the file", lambda: long_shape(7, 8000, 7 * 8000 * 4))
case("weights are said to be 4 GB", lambda: long_file(2**32))
case("weights are said to be 100 bytes", lambda: long_file(100))
case(
    "weights are no HDF5", lambda: replace(model__weights__h5=b"\x89HDF\r\n\x1a\n" + b"\xff" * 999)
)
case("weights are half of them", lambda: replace(model__weights__h5=members()[WEIGHTS][:9_000]))


# The other process.


def main(folder: Path, *kinds: str) -> None:
    """Read what is in a folder, and print a line of JSON on each file, and on changed ones."""
    read_twice(FORMAT / "text.keras")  # to import all that it takes
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for file in sorted(folder.glob("*.keras")):
        result = read_twice(file)
        result["bytes"] = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most)
        print(json.dumps(result), flush=True)
    for kind in kinds:
        print(json.dumps(read_changed(kind, folder / "changed.keras")), flush=True)


def read_twice(file: Path) -> dict[str, Any]:
    """Load a file, and have the command inspect it."""
    from keras_tied import TiedAutoencoder, cli

    error = None
    try:
        TiedAutoencoder.load(file)
    except Exception as raised:
        error = [type(raised).__name__, str(raised)]
    sys.argv = ["keras-tied", "inspect", str(file)]
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
    keras = "keras" in sys.modules
    return {
        "file": file.stem,
        "error": error,
        "code": code,
        "said": said.getvalue(),
        "keras": keras,
    }


def read_changed(kind: str, file: Path) -> dict[str, Any]:
    """Read a file after random changes, to its bytes and to those of a member before it is packed.

    Gives what went wrong, and how often a file was refused.
    """
    from keras_tied import TiedAutoencoder

    rows = np.load(FORMAT / f"{kind}.npz")["rows"]
    expected = results(TiedAutoencoder.load(FORMAT / f"{kind}.keras"), rows)
    whole, draw, wrong, refused = (FORMAT / f"{kind}.keras").read_bytes(), random.Random(0), [], 0
    for index in range(2 * CHANGES):
        if index < CHANGES:
            content = change_bytes(whole, draw)
        else:
            name = draw.choice(list(members(kind)))
            content = pack(members(kind) | {name: change_bytes(members(kind)[name], draw)})
        file.write_bytes(content)
        try:
            loaded = TiedAutoencoder.load(file)
            if index < CHANGES and results(loaded, rows) != expected:
                wrong.append(f"change {index}: other results")
        except ValueError:
            refused += 1
        except Exception as error:
            wrong.append(f"change {index}: {error!r}")
    return {"file": kind, "wrong": wrong, "refused": refused}


def results(estimator: Any, rows: Any) -> list[bytes]:
    names = ("transform", "reconstruct", "score_samples")
    return [getattr(estimator, name)(rows).tobytes() for name in names]


def change_bytes(content: bytes, draw: random.Random) -> bytes:
    """Change one byte, or up to 8 in a row."""
    place, length = draw.randrange(len(content)), draw.choice([1, 1, 2, 4, 8])
    return content[:place] + draw.randbytes(length) + content[place + length :]


def few_quick(names: Iterable[Any], every: int) -> list[Any]:
    """Parameters of which each `every`th is not slow."""
    return [
        pytest.param(name, marks=[pytest.mark.slow] * (index % every > 0))
        for index, name in enumerate(names)
    ]


@pytest.fixture(scope="module")
def read(request, tmp_path_factory) -> dict[str, Any]:
    """What came of each file, by the name of the case or the kind of the file that was changed.

    Only of those that some test asks for.
    """
    params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = {each.get("name") for each in params}
    names = [name for name in CASES if name in wanted] or list(CASES)
    kinds = [kind for kind in KINDS if {"kind": kind} in params]
    folder, temporary = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("temporary")
    for index, name in enumerate(names):
        (folder / f"{index}.keras").write_bytes(CASES[name]())
    os.mkfifo(folder / "pipe")  # whoever opens it waits for ever
    done = subprocess.run(
        [sys.executable, __file__, folder, *kinds],
        cwd=folder,
        env=os.environ | {"TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=KILLED_AFTER,
    )
    assert done.returncode == 0, done.stderr
    lines = {line["file"]: line for line in map(json.loads, done.stdout.splitlines())}
    of_files = {name: lines.pop(str(index)) for index, name in enumerate(names)}
    left = [path.name for path in temporary.iterdir()]
    return of_files | lines | {"left": left}


def one_sentence(message: str) -> bool:
    return message.endswith(".") and message.isprintable() and len(message) < 600


@pytest.mark.parametrize("name", few_quick(CASES, 11))
def test_a_hostile_file_is_refused_by_load_in_little_memory_without_keras(read, name):
    kind, message = read[name]["error"]
    assert kind == "ValueError"
    assert one_sentence(message)
    assert read[name]["bytes"] <= MOST_BYTES
    assert not read[name]["keras"]


@pytest.mark.parametrize("name", few_quick(CASES, 11))
def test_a_hostile_file_is_refused_by_the_command_and_leaves_nothing(read, name):
    assert read[name]["code"] == 2
    assert one_sentence(read[name]["said"].removesuffix("\n"))
    assert read["left"] == []


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind != "text")) for kind in KINDS]
)
def test_a_file_with_random_changes_is_refused_or_gives_what_it_gave(read, kind):
    assert read[kind]["wrong"] == []
    assert read[kind]["refused"] > CHANGES / 2


def test_a_scale_may_be_infinite(tmp_path):
    """It is where all values are equal."""
    file = tmp_path / "m.keras"
    file.write_bytes(with_array("score.scale", with_first(np.inf)))
    assert TiedAutoencoder.load(file).n_features_in_ == 7


# Names of classes and functions.

CODE = ("Lambda", "TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper")


def function(module: Any, name: str, registered: Any = "function") -> dict[str, Any]:
    return make_config(module, "function", name, registered)


def make_config(
    module: Any, name: str, config: Any = None, registered: Any = None
) -> dict[str, Any]:
    """What Keras stores of an object."""
    return {
        "module": module,
        "class_name": name,
        "config": {} if config is None else config,
        "registered_name": registered,
    }


OURS = "keras_tied>Autoencoder"
REFUSED: dict[str, dict[str, Any]] = {
    "a Lambda": make_config("keras.layers", "Lambda", {"function": "tanh"}),
    "a Lambda under our name": make_config("keras.layers", "Lambda", {"function": "tanh"}, OURS),
    "a private Lambda": make_config("keras.src.layers.core.lambda_layer", "Lambda"),
    "a TFSMLayer": make_config("keras.layers", "TFSMLayer", {"filepath": "trap"}),
    "a JaxLayer": make_config("keras.layers", "JaxLayer"),
    "a TorchModuleWrapper": make_config("keras.layers", "TorchModuleWrapper"),
    "the code of a lambda": make_config(None, "__lambda__", {"value": "x"}),
    "the code of a lambda under our name": make_config("x", "__lambda__", {"value": "x"}, OURS),
    "a type of TensorFlow": make_config("trap", "__typespec__", [1], OURS) | {"spec_name": "x"},
    "os.system": function("os", "system"),
    "posix.system": function("posix", "system"),
    "subprocess.Popen": make_config("subprocess", "Popen", {"args": ["touch", "trap"]}),
    "builtins.eval": function("builtins", "eval"),
    "builtins.exec": make_config("builtins", "exec"),
    "a module to import": make_config("trap", "Trap"),
    "a module to import for a function": function("trap", "trap"),
    "a module to import under our name": function("trap", "trap", OURS),
    "a module of Keras to import": make_config("keras.src.trap", "Trap"),
    "a module of Keras to import for data": make_config("keras.src.trap", "__numpy__"),
    "a module of Keras to import for a tuple": make_config("keras.src.trap", "__tuple__"),
    "a module of Keras to import for operations": make_config("keras.src.ops.trap", "Trap"),
    "another package of Keras": make_config("keras_hub.trap", "Trap"),
    "get_file": function("keras.utils", "get_file"),
    "get_file as a class": make_config("keras.utils", "get_file"),
    "load_model": function("keras.models", "load_model"),
    "load_model under our name": function("keras.models", "load_model", OURS),
    "clone_model under our name": function("keras.models", "clone_model", OURS),
    "load_model of the builtins": function("builtins", "load_model"),
    "deserialize": function("builtins", "deserialize"),
    "keras.activations.deserialize": function("keras.activations", "deserialize"),
    "keras.losses.get": function("keras.losses", "get"),
    "enable_unsafe_deserialization": function("keras.config", "enable_unsafe_deserialization"),
    "a private class": make_config("keras.src.trainers.trainer", "Trainer"),
    "a private operation's neighbour": make_config("keras.src.ops.numpy", "KerasTensor"),
    "a private module's function": function("keras.src.saving.saving_lib", "load_model"),
    "a class of the user's that is not registered": make_config(
        "package", "Layer", {}, "package>Layer"
    ),
    "text of 1 GB": make_config(None, "__numpy__", {"value": ["a"], "dtype": "S1000000000"}),
    "a name that is no text": make_config("keras.layers", ["Dense"]),  # type: ignore[arg-type]
    "a registered name that is no text": make_config("keras.layers", "Trap", {}, ["x"]),
    "an old name of a layer": {"class_name": "Dense", "config": {"units": 1}},
    "an old name of a layer under our name": {
        "class_name": "Functional",
        "config": {},
        "registered_name": OURS,
    },
}
"""By name: what must neither be imported nor called. There is no module `trap`."""


def first_layer(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the convolution with which the encoder begins."""
    return config["config"]["encoder"]["config"]["layers"][1]["config"]


PLACES: dict[str, Callable[[dict[str, Any], Any], None]] = {
    "an activation": lambda config, it: first_layer(config).update(activation=it),
    "an initializer": lambda config, it: first_layer(config).update(kernel_initializer=it),
    "a regularizer": lambda config, it: first_layer(config).update(bias_regularizer=it),
    "a constraint": lambda config, it: first_layer(config).update(kernel_constraint=it),
    "a dtype": lambda config, it: first_layer(config).update(dtype=it),
    "a layer": lambda config, it: config["config"]["encoder"]["config"]["layers"].append(it),
    "the encoder": lambda config, it: config["config"].update(encoder=it),
    "the noise": lambda config, it: config["config"].update(noise=it),
    "an optimizer": lambda config, it: config.update(compile_config={"optimizer": it}),
    "a loss": lambda config, it: config.update(compile_config={"loss": [it]}),
    "a shape": lambda config, it: config.update(build_config={"input_shape": it}),
    "the model": lambda config, it: config.clear() or config.update(it),
}
"""By name: a function that puts something into the configuration of a model."""


@pytest.fixture(autouse=True)
def nothing_is_imported(monkeypatch):
    """No module that is named there is imported with `importlib`, as Keras would."""
    modules = {it.get("module") for it in REFUSED.values()}
    import_module = importlib.import_module

    def import_known(name: str, package: str | None = None) -> Any:
        assert name not in modules
        return import_module(name, package)

    monkeypatch.setattr(importlib, "import_module", import_known)


@pytest.fixture
def hostile(tmp_path) -> Callable[..., Path]:
    """Writes a file after a change of one of its members."""

    def write(member: str, change: Callable[[dict[str, Any]], None], kind: str = "encoder") -> Path:
        content = json.loads(members(kind)[member])
        change(content)
        file = tmp_path / "m.keras"
        file.write_bytes(pack(members(kind) | {member: json.dumps(content).encode()}))
        return file

    return write


def refuse(file: Path) -> None:
    with pytest.raises(ValueError, match="it names ") as caught:
        TiedAutoencoder.load(file)
    assert one_sentence(str(caught.value))


@pytest.mark.parametrize("what", few_quick(REFUSED, 5))
def test_a_model_names_only_what_is_known(hostile, what):
    refuse(hostile(CONFIG, lambda config: first_layer(config).update(activation=REFUSED[what])))


@pytest.mark.parametrize("place", PLACES)
def test_no_place_in_a_model_names_what_is_not_known(hostile, place):
    refuse(hostile(CONFIG, lambda config: PLACES[place](config, REFUSED["os.system"])))


@pytest.mark.parametrize("what", few_quick(REFUSED, 5))
def test_a_parameter_names_only_what_is_known(hostile, what):
    def change(settings: dict[str, Any]) -> None:
        settings["params"]["noise"] = REFUSED[what]

    refuse(hostile(SETTINGS, change, "objectives"))


@pytest.mark.parametrize("kind", ["encoder", "objectives"])
@pytest.mark.parametrize("param", ["activation", "noise", "encoder", "scaler"])
def test_no_parameter_names_what_is_not_known(hostile, param, kind):
    def change(settings: dict[str, Any]) -> None:
        settings["params"][param] = REFUSED["os.system"]

    refuse(hostile(SETTINGS, change, kind))


@pytest.mark.parametrize("what", few_quick(REFUSED, 5))
def test_the_command_reads_no_model_that_names_what_is_not_known(hostile, what):
    file = hostile(CONFIG, lambda config: first_layer(config).update(activation=REFUSED[what]))
    result = read_twice(file)
    assert result["code"] == 2
    assert one_sentence(result["said"].removesuffix("\n"))


@pytest.mark.parametrize("what", few_quick(REFUSED, 5))
def test_training_goes_on_with_no_model_that_names_what_is_not_known(hostile, what):
    """`load` itself does without the model of such a file."""
    file = hostile(CONFIG, lambda config: config["config"].update(noise=REFUSED[what]), "partial")
    loaded = TiedAutoencoder.load(file)
    with pytest.raises(ValueError, match="it names "):
        loaded.partial_fit(np.zeros((15, 5)))


def test_a_name_that_keras_would_look_up_elsewhere_is_refused(hostile):
    """As a list in a list, in a dictionary without a name."""
    deep = {"a": [[{"b": REFUSED["os.system"]}]]}
    refuse(hostile(CONFIG, lambda config: first_layer(config).update(name=deep)))


@pytest.mark.parametrize("seed", few_quick(range(20), 4))
def test_an_encoder_with_random_changes_is_refused_or_gives_what_it_gave(tmp_path, seed):
    whole = (FORMAT / "encoder.keras").read_bytes()
    rows = np.load(FORMAT / "encoder.npz")["rows"]
    file = tmp_path / "m.keras"
    file.write_bytes(change_bytes(whole, random.Random(seed)))
    try:
        loaded = TiedAutoencoder.load(file)
    except ValueError:
        return
    assert results(loaded, rows) == results(TiedAutoencoder.load(FORMAT / "encoder.keras"), rows)


# What users have.


def test_all_layers_of_keras_that_hold_no_code_are_known():
    import keras

    public = {name for name, it in vars(keras.layers).items() if isinstance(it, type)}
    for name in public - set(CODE):
        require_known(make_config("keras.layers", name))


def test_a_graph_of_layers_and_operations_is_known():
    import keras
    from keras import layers, ops

    x = keras.Input((6, 6, 2))
    image = layers.MaxPooling2D()(layers.ZeroPadding2D()(layers.Rescaling(0.5, 1.0)(x)))
    image = image[:, ::2, ..., 1:] * 2 - ops.exp(-image[:, :2, :, 1:])
    words = ops.expand_dims(ops.mean(image, axis=-1), -1)[:, :, :, 0]
    words = layers.GaussianDropout(0.1)(layers.Softmax()(ops.where(words > 0, words, 0.0)))
    inner = keras.Sequential([layers.Flatten(), layers.GaussianNoise(0.1)])
    code = layers.Concatenate()([inner(words), layers.Flatten()(image)])
    model = keras.Model(x, ops.reshape(code, (-1, 2, 4)))
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 9)), "huber")
    require_known(keras.saving.serialize_keras_object(model))


def test_all_that_a_layer_holds_is_known():
    import keras
    from keras import layers

    from keras_tied.layers import KSparse, PartlyLinear
    from keras_tied.regularizers import KLSparsity, Orthonormal

    normal = keras.initializers.RandomNormal(seed=keras.random.SeedGenerator(1))
    convolution = layers.Conv2D(3, 1, activation=keras.activations.silu, bias_constraint="non_neg")
    for layer in (
        layers.Dense(2, kernel_regularizer=Orthonormal(), activity_regularizer=KLSparsity()),
        layers.Dense(2, kernel_initializer=normal, dtype="mixed_float16"),
        layers.Activation(layers.LeakyReLU(0.1)),
        layers.SpectralNormalization(convolution),
        layers.Bidirectional(layers.LSTM(2, kernel_regularizer="l2")),
        layers.TimeDistributed(layers.BatchNormalization(gamma_constraint="max_norm")),
        layers.RNN([layers.GRUCell(2), layers.LSTMCell(2)]),
        layers.MultiHeadAttention(2, 3, kernel_initializer="he_normal"),
        layers.Normalization(mean=np.zeros(3), variance=np.ones(3, "float32")),
        PartlyLinear("tanh", 2),
        KSparse(2),
    ):
        require_known(keras.saving.serialize_keras_object(layer))


def require_known(config: Any) -> None:
    from keras_tied.estimator._known_classes import require_known_classes

    require_known_classes(json.loads(json.dumps(config)))


def test_what_the_user_has_registered_is_known(tmp_path):
    import keras
    from keras import layers

    from keras_tied import Autoencoder
    from keras_tied.estimator._serialization import load_model

    @keras.saving.register_keras_serializable("test_hostile_files")
    def bend(x):
        return keras.ops.tanh(x)

    @keras.saving.register_keras_serializable("test_hostile_files")
    class Twice(layers.Layer):
        def call(self, x):
            return 2 * x

    @keras.saving.register_keras_serializable("test_hostile_files")
    class Damp(keras.regularizers.Regularizer):
        def __call__(self, x):
            return 0.1 * keras.ops.sum(x**2)

        def get_config(self):
            return {}

    dense = layers.Dense(2, activation=bend, kernel_regularizer=Damp())
    Autoencoder(keras.Sequential([keras.Input((4,)), dense]), noise=Twice()).save(
        tmp_path / "m.keras"
    )
    loaded = load_model((tmp_path / "m.keras").read_bytes())
    assert loaded.encoder.layers[0].activation is bend
    assert isinstance(loaded.encoder.layers[0].kernel_regularizer, Damp)
    assert isinstance(loaded.noise, Twice)
    require_known(function("builtins", "bend"))  # as Keras up to 3.6 stored it


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
