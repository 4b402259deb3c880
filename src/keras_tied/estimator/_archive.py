"""Reads members of an archive of unknown origin, after they have been counted and measured."""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from keras_tied._types import Array

MOST_MEMBERS = 1000
MOST_JSON = 2**25
"""Bytes of a JSON member."""
SMALL, MOST_PACKED = 2**22, 100
"""A member of more bytes than the former may be packed up to the latter: numbers hardly pack."""
HDF5, ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
"""What such a member begins with."""


class NotAnArchiveError(ValueError):
    """The file is no archive at all."""


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[zipfile.ZipFile]:
    """Open an archive and look at its list of members."""
    name = repr(os.fspath(path))
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {name}.")
    if not zipfile.is_zipfile(path):
        raise NotAnArchiveError(
            f"{name} is not a file that TiedAutoencoder.save has written, or only a part of one."
        )
    with zipfile.ZipFile(path) as archive:
        count = len(archive.infolist())
        require(count <= MOST_MEMBERS, f"it has {count:,} parts, and {MOST_MEMBERS:,} are allowed")
        require(count == len(set(archive.namelist())), "two of its parts have one name")
        for member in archive.infolist():
            ratio = member.file_size / max(1, member.compress_size)
            require(
                member.file_size <= SMALL or ratio <= MOST_PACKED,
                f"its part {member.filename!r} would unpack to {ratio:,.0f} times its size",
            )
        yield archive


def read_member(archive: zipfile.ZipFile, name: str, begin: bytes) -> bytes:
    """Read a member that begins with these bytes."""
    require(name in archive.namelist(), f"it lacks the part {name!r}")
    with archive.open(name) as member:
        first = member.read(len(begin))
        require(first == begin, f"its part {name!r} is not what it is called")
        return first + member.read()


def read_json(archive: zipfile.ZipFile, name: str) -> Any:
    """Read a member of JSON, without constants that JSON does not have."""
    require(name in archive.namelist(), f"it lacks the part {name!r}")
    size = archive.getinfo(name).file_size
    require(size <= MOST_JSON, f"its part {name!r} has {size:,} bytes, more than {MOST_JSON:,}")
    return json.loads(archive.read(name), parse_constant=_refuse)


def shape_of(npz: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    """The shape of an array, from its header."""
    with npz.open(f"{name}.npy") as member:
        return _header(member, name)[0]


def read_array(npz: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> Array:
    """Read a float64 array of this shape."""
    with npz.open(f"{name}.npy") as member:
        found, fortran = _header(member, name)
        require(found == shape, f"{name!r} is not {shape} numbers")
        size = 8 * math.prod(shape)
        content = member.read(size + 1)
        require(len(content) == size, f"{name!r} is not {shape} numbers")
    return np.frombuffer(content, "<f8").reshape(shape, order="F" if fortran else "C")


def _header(member: Any, name: str) -> tuple[tuple[int, ...], bool]:
    version = np.lib.format.read_magic(member)
    require(version == (1, 0), f"{name!r} has a header of another version")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
    require(dtype == np.dtype("<f8"), f"{name!r} is not of float64")
    return shape, fortran


@contextmanager
def hdf5(content: bytes) -> Iterator[Any]:
    """Open an HDF5 file."""
    import h5py

    with h5py.File(io.BytesIO(content), "r") as file:
        yield file


def read_dataset(file: Any, path: str, shape: tuple[int | None, ...]) -> Array:
    """Read an array of numbers that lies whole in an HDF5 file, as float32.

    Links and datasets can lead to other files, and a dataset can claim to be larger than what is
    stored; none of these is followed.

    Args:
        file: the file.
        path: the names that lead to it.
        shape: its shape, with None for any length from 1 on.
    """
    import h5py

    place = file
    for name in path.split("/"):
        hard = isinstance(place, h5py.Group) and isinstance(
            place.get(name, getlink=True), h5py.HardLink
        )
        require(hard, f"its weights lack {path!r}")
        place = place[name]
    require(isinstance(place, h5py.Dataset), f"its weights lack {path!r}")
    found = place.shape
    fits = len(found) == len(shape) and all(
        length == wanted or (wanted is None and length > 0)
        for length, wanted in zip(found, shape, strict=True)
    )
    wanted = ", ".join("n" if length is None else str(length) for length in shape)
    require(fits, f"its weights {path!r} have the shape {found}, and not ({wanted})")
    whole = (
        place.dtype.kind == "f"
        and place.chunks is None
        and place.external is None
        and not place.is_virtual
        and place.id.get_storage_size() == place.size * place.dtype.itemsize
    )
    require(whole, f"its weights {path!r} are not plain numbers")
    array: Array = place[()].astype(np.float32)
    require(bool(np.isfinite(array).all()), f"its weights {path!r} are not finite")
    return array


def require(holds: bool, otherwise: str) -> None:
    """Raise `ValueError` unless something holds."""
    if not holds:
        raise ValueError(otherwise)


def _refuse(constant: str) -> Any:
    raise ValueError(f"it holds the number {constant}")
