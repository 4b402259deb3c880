"""The file of a fitted value: arrays as safetensors, settings as JSON in its header."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw, Struct, field
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tied_tables._types import Array, StrPath
from tied_tables.model.file.contents import (
    Contents,
    Settings,
    make_settings,
    require,
    to_json,
)
from tied_tables.model.file.reader import RULES, Reader
from tied_tables.model.tail import Tail

FORMAT_VERSION = 2
KEY = "tied_tables"  # the entry of the header's metadata that holds all JSON
MOST_BYTES = 2**24  # of a header
MOST_ARRAY_BYTES = 2**18
"""Of the names, dtypes, shapes and places of arrays: those of some 2,000 arrays, each
of which takes more than a kilobyte of memory."""
MOST_JSON_MARKS = {"{[": 2**20, ":,": 2**21}
"""About the lists and objects, and the values, in its JSON, which take up to 80 and 60
bytes of memory each. A table of 150,000 columns is below that."""
NOT_OURS = "it was not written by TiedAutoencoder.save, or is incomplete"
SKIPPED = (
    "outlier_score.layout outlier_score.scaling link.layout link.scaling"
    " columns rules training"
).split()
"""Values that are those of the preprocessing, which is written once, or are in JSON."""


class _Header(Struct):
    """What is read of a header here; the library reads and checks the rest."""

    metadata: Raw = field(name="__metadata__", default_factory=lambda: Raw(b"{}"))


class _Document(Struct):
    """The JSON of a header; the checksum is that of settings, notes and arrays."""

    format: int
    sha256: str
    settings: Raw
    notes: Raw


def to_bytes(contents: Contents) -> bytes:
    """The bytes of a file."""
    model = contents.model
    arrays = dict(_list_arrays(model))
    arrays |= _list_arrays(model.training.nadam, "nadam.")
    if model.rules is not None:
        arrays[RULES] = np.frombuffer(model.rules.to_json(), np.uint8)
    transposed = []
    for name, array in arrays.items():
        if array.dtype.kind == "i":  # which has other sizes on other systems
            array = array.astype(np.int64)
        if array.flags.fnc:
            transposed.append(name)
            array = array.T
        arrays[name] = np.asarray(array, order="C")
    settings = make_settings(contents, transposed)
    texts = []
    for value in (settings, contents.notes):
        text = msgspec.json.encode(value, enc_hook=to_json)
        texts.append(Raw(text))
    document = _Document(FORMAT_VERSION, _digest(texts, arrays), *texts)
    metadata = msgspec.json.encode(document).decode()
    content = save(arrays, {KEY: metadata})
    try:
        _require_small_header(content)
        length = int.from_bytes(content[:8], "little")
        _read_document(_read_metadata(content[8 : 8 + length]))
    except ValueError as error:
        raise ValueError(
            f"The file could not be read back, as {error}: shorten loss_curve_, or use"
            " fewer features or layers."
        ) from error
    return content


def _list_arrays(value: Any, place: str = "") -> Iterator[tuple[str, Array]]:
    """The arrays in a value, by name: the place of the value, and the own one."""
    parts: dict[Any, Any] = {}
    if isinstance(value, Tail):
        parts = {"numbers": value.numbers}
    elif is_dataclass(value):
        parts = {each.name: getattr(value, each.name) for each in fields(value)}
    elif isinstance(value, tuple):
        names = getattr(value, "_fields", range(len(value)))
        parts = dict(zip(names, value, strict=True))
    for part_name, part in parts.items():
        name = f"{place}{part_name}"
        if isinstance(part, np.ndarray):
            yield name, part
        elif name not in SKIPPED:
            yield from _list_arrays(part, f"{name}.")


def read_file(path: StrPath, needs_columns: bool) -> Contents:
    """Read a file, and check all that it holds."""
    # Not mapped into memory: a process ends at once if somebody cuts off a file that it
    # has mapped.
    with open(path, "rb") as file:
        start = file.read(9)
        _require_small_header(start)
        length = int.from_bytes(start[:8], "little")
        try:
            header = start[8:] + file.read(length - 1)
            text = _read_metadata(header)
            file.seek(0)
            arrays = load(file.read())
        except (SafetensorError, msgspec.DecodeError) as error:
            raise ValueError(NOT_OURS) from error
    document, settings = _read_document(text)
    digest = _digest((document.settings, document.notes), arrays)
    require(document.sha256 == digest, "its checksum does not match its contents")
    for name in settings.transposed:
        require(
            name in arrays, "it has no array of a name that is marked as transposed"
        )
        arrays[name] = arrays[name].T
    reader = Reader(arrays)
    model = reader.make_model(settings, needs_columns)
    other = min(arrays, default=None)
    require(other is None, f"it has an unexpected array {other!r}")
    notes = msgspec.json.decode(document.notes)
    return Contents(model, settings.params, notes, settings.version)


def _require_small_header(content: bytes) -> None:
    """Raise `ValueError` for a header that may take much memory, or that is none."""
    size = int.from_bytes(content[:8], "little")
    require(content[8:9] == b"{", NOT_OURS)
    message = f"its header has {size:,} bytes, more than {MOST_BYTES:,}"
    require(size <= MOST_BYTES, message)


def _read_metadata(header: bytes) -> str:
    """The JSON of ours in a header that lists not too many arrays besides."""
    raw = bytes(msgspec.json.decode(header, type=_Header).metadata)
    size = len(header) - len(raw)
    message = f"its list of arrays has {size:,} bytes, more than {MOST_ARRAY_BYTES:,}"
    require(size <= MOST_ARRAY_BYTES, message)
    metadata = msgspec.json.decode(raw, type=dict[str, str])
    require(KEY in metadata, "it holds no TiedAutoencoder")
    return metadata[KEY]


def _read_document(text: str) -> tuple[_Document, Settings]:
    """The JSON of a header, and its settings."""
    for marks, most in MOST_JSON_MARKS.items():
        count = sum(map(text.count, marks))
        require(count <= most, f"it has more than {most:,} values in JSON")
    document = msgspec.json.decode(text, type=_Document)
    require(
        document.format == FORMAT_VERSION,
        f"it has the format {document.format}, and this version of tied-tables reads"
        f" {FORMAT_VERSION}",
    )
    return document, msgspec.json.decode(document.settings, type=Settings)


def _digest(texts: Iterable[Raw], arrays: Mapping[str, Array]) -> str:
    """The checksum of a file, whatever the order and the spaces of its header."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text)
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(array.data)
    return digest.hexdigest()
