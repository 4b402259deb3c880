"""Reads members of an archive from an unknown source, after checks of their number and size."""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from keras_tied._types import Array

MOST_JSON, MOST_CONTAINERS, MOST_VALUES = 2**24, 2**20, 2**21
"""Bytes of all members of JSON together, and about the lists and objects and the values in them,
which take up to 80 and 60 bytes of memory each. A table of 150,000 columns is below that."""
SMALL, MOST_PACKED = 2**22, 100
"""A member of more bytes than the former may be packed up to the latter: numbers hardly pack."""
HDF5, ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
"""What such a member begins with."""
ENTRY, MOST_ARRAYS = b"PK\x01\x02", 1000
"""What an entry in the list of members begins with, and how many are looked at."""
MOST_OBJECTS = 15_000
"""Groups and datasets of an HDF5 file: those of about 1,800 layers."""


class NotAnArchiveError(ValueError):
    """The file is no archive at all."""


@contextmanager
def open_archive(path: str | os.PathLike[str], names: Collection[str]) -> Iterator[zipfile.ZipFile]:
    """Open an archive and look at its list of members.

    Args:
        path: the file.
        names: those that members can have.
    """
    name = repr(os.fspath(path))
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {name}.")
    if not zipfile.is_zipfile(path):
        raise NotAnArchiveError(
            f"{name} is not a file that TiedAutoencoder.save has written, or only a part of one."
        )
    with zipfile.ZipFile(path) as archive:
        members, names_in_file = archive.infolist(), archive.namelist()
        require(len(names_in_file) == len(set(names_in_file)), "two of its parts have one name")
        for member in members:
            part = f"its part {member.filename!r}"
            require(member.filename in names, f"{part} is none that such a file has")
            is_readable = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            require(is_readable, f"{part} is packed in another way than deflate")
            longest = os.path.getsize(path)
            require(member.compress_size <= longest, f"{part} is longer than the file")
            ratio = member.file_size / max(1, member.compress_size)
            is_bounded = member.file_size <= SMALL or member.filename.endswith(".json")  # see below
            require(
                is_bounded or ratio <= MOST_PACKED,
                f"{part} would unpack to {ratio:,.0f} times its size",
            )
        size = sum(member.file_size for member in members if member.filename.endswith(".json"))
        require(size <= MOST_JSON, f"it has {size:,} bytes of JSON, more than {MOST_JSON:,}")
        yield archive


def read_member(archive: zipfile.ZipFile, name: str, begin: bytes = b"") -> bytes:
    """Read a member that begins with these bytes."""
    require(name in archive.namelist(), f"it lacks the part {name!r}")
    size = archive.getinfo(name).file_size
    with archive.open(name) as member:
        content = member.read(size)  # without a size, all that there is would be unpacked first
    whole = len(content) == size and content.startswith(begin)
    require(whole, f"its part {name!r} is not what it is called")
    return content


def read_json(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Read all members of JSON, by name: finite numbers, and one value for each key."""
    names = [name for name in archive.namelist() if name.endswith(".json")]
    texts = {name: read_member(archive, name).decode() for name in names}
    for marks, most in (("{[", MOST_CONTAINERS), (":,", MOST_VALUES)):
        values = sum(text.count(mark) for text in texts.values() for mark in marks)
        require(values <= most, f"it has more than {most:,} values in JSON")
    return {
        name: json.loads(
            text,
            parse_float=_parse_finite,
            parse_constant=_parse_finite,
            object_pairs_hook=_make_unique,
        )
        for name, text in texts.items()
    }


@contextmanager
def open_npz(content: bytes) -> Iterator[zipfile.ZipFile]:
    """Open an archive of arrays as `numpy.savez` writes them, which is without packing them."""
    # zipfile creates an object for each entry before it gives their number.
    require(content.count(ENTRY) <= MOST_ARRAYS, "it has too many arrays")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist():
            is_stored = member.compress_type == zipfile.ZIP_STORED
            require(is_stored, f"its array {member.filename!r} is packed")
        yield archive


def read_shape(npz: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    """The shape of an array, from its header."""
    with npz.open(f"{name}.npy") as member:
        return _read_header(member, name)[0]


def read_array(npz: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> Array:
    """Read a float64 array of this shape."""
    with npz.open(f"{name}.npy") as member:
        actual_shape, fortran = _read_header(member, name)
        require(actual_shape == shape, f"{name!r} is not {shape} numbers")
        size = 8 * math.prod(shape)
        content = member.read(size + 1)
        require(len(content) == size, f"{name!r} is not {shape} numbers")
    return np.frombuffer(content, "<f8").reshape(shape, order="F" if fortran else "C")


def _read_header(member: Any, name: str) -> tuple[tuple[int, ...], bool]:
    version = np.lib.format.read_magic(member)
    require(version == (1, 0), f"{name!r} has a header of another version")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
    require(dtype == np.dtype("<f8"), f"{name!r} is not of float64")
    return shape, fortran


@contextmanager
def open_hdf5(content: bytes) -> Iterator[dict[str, Any]]:
    """Open an HDF5 file and look at all that it holds: the datasets, by their paths.

    Links and datasets can lead to other files, groups back to themselves, and a dataset can be
    larger than what is stored; a file with one of these is refused.
    """
    import h5py

    with h5py.File(io.BytesIO(content), "r") as file:
        datasets, groups, objects, bytes_left = {}, [file], {file}, len(content)
        while groups:
            group = groups.pop()
            for name in group:
                path = f"{group.name}/{name}".lstrip("/")
                hard = isinstance(group.get(name, getlink=True), h5py.HardLink)
                require(hard, f"its weights {path!r} are only a link")
                item = group[name]
                require(item not in objects, f"its weights {path!r} are there under another name")
                objects.add(item)
                require(len(objects) <= MOST_OBJECTS, f"it has more than {MOST_OBJECTS:,} weights")
                if isinstance(item, h5py.Group):
                    groups.append(item)
                    continue
                require(_is_plain(item), f"its weights {path!r} are not plain numbers")
                bytes_left -= item.nbytes
                require(bytes_left >= 0, f"its weights {path!r} are more than are stored")
                finite = item.dtype.kind != "f" or bool(np.isfinite(item[()]).all())
                require(finite, f"its weights {path!r} are not finite")
                datasets[path] = item
        yield datasets


def _is_plain(item: Any) -> bool:
    """Whether an item is a dataset of plain numbers, contiguous and uncompressed in the file."""
    import h5py

    return (
        isinstance(item, h5py.Dataset)
        and item.shape is not None
        and item.dtype.kind in "biufV"  # V is how bfloat16 is stored
        and item.dtype.fields is None
        and item.dtype.byteorder != ">"
        and item.dtype.itemsize <= 8
        and item.chunks is None
        and item.external is None
        and not item.is_virtual
        and item.id.get_storage_size() == item.nbytes
    )


def read_dataset(datasets: dict[str, Any], path: str, shape: tuple[int | None, ...]) -> Array:
    """Read an array of float32.

    Args:
        datasets: those of a file.
        path: which one.
        shape: its shape, with None for any length from 1 on.
    """
    require(path in datasets, f"its weights lack {path!r}")
    actual_shape = datasets[path].shape
    fits = len(actual_shape) == len(shape) and all(
        length == expected or (expected is None and length > 0)
        for length, expected in zip(actual_shape, shape, strict=True)
    )
    expected = ", ".join("n" if length is None else str(length) for length in shape)
    require(fits, f"its weights {path!r} have the shape {actual_shape}, and not ({expected})")
    require(datasets[path].dtype.kind == "f", f"its weights {path!r} are not of float32")
    with np.errstate(over="ignore"):
        array: Array = datasets[path][()].astype(np.float32)
    require(bool(np.isfinite(array).all()), f"its weights {path!r} are not finite")
    return array


def require(holds: bool, otherwise: str) -> None:
    """Raise `ValueError` unless something holds."""
    if not holds:
        raise ValueError(otherwise)


def _parse_finite(number: str) -> float:
    require(math.isfinite(float(number)), f"it holds the number {number:.20}")
    return float(number)


def _make_unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    require(len(content) == len(pairs), "it has two values for one key")
    return content
