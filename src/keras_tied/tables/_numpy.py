"""NumPy's files of numbers: `.npy` is mapped, `.npz` is read into memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy
from numpy.typing import NDArray

from keras_tied.tables._errors import TableError, quote, report_read_errors
from keras_tied.tables._file import Batches, Request, TableFile

CELLS = 2**20  # numbers in a piece


def open_npz(name: str, array: str | None) -> TableFile:
    """Open an array of an `.npz` file, by name where there are several."""
    with _report_errors(name, "an .npz file"), open(name, "rb") as file:
        arrays = np.load(file, allow_pickle=False)
        if not isinstance(arrays, np.lib.npyio.NpzFile):
            raise TableError(f"{name!r} is not an .npz file; call it .npy if it is one array.")
        names = arrays.files
        if array is None and len(names) != 1:
            raise TableError(
                f"{name!r} holds {len(names)} arrays, {quote(names)}; name the one to use."
            )
        if array is not None and array not in names:
            raise TableError(f"{name!r} has no array {array!r}; name one of {quote(names)}.")
        return open_npy(name, arrays[array or names[0]])


def open_npy(name: str, array: NDArray[Any] | None = None) -> TableFile:
    """Open a file of rows and columns, which are called x0, x1 and so on, or an array from one."""
    rows = _map_rows(name) if array is None else array
    if rows.ndim != 2 or not rows.shape[1]:
        raise TableError(
            f"{name!r} holds an array of the shape {rows.shape}; save one of rows and columns."
        )
    if rows.dtype.kind not in "biuf" or rows.dtype.itemsize > 8:
        raise TableError(
            f"{name!r} holds values of the type {rows.dtype}; save real numbers, or text as CSV or "
            "Parquet."
        )
    dtype = pa.from_numpy_dtype(_to_native(rows.dtype))
    schema = pa.schema([(f"x{index}", dtype) for index in range(rows.shape[1])])
    size = max(1, CELLS // rows.shape[1])
    sizes = [min(size, len(rows) - start) for start in range(0, len(rows), size)]
    return TableFile(name, schema, sizes, partial(_read, name, array, size))


def _read(name: str, array: NDArray[Any] | None, size: int, request: Request) -> Batches:
    indices = [int(name.removeprefix("x")) for name in request.names]
    for piece in request.pieces:
        # A new map each time lets go of the memory of the rows read before.
        rows = (_map_rows(name) if array is None else array)[piece * size : (piece + 1) * size]
        columns = rows.T[indices].astype(_to_native(rows.dtype), order="C")
        del rows
        yield pa.record_batch([pa.array(column) for column in columns], names=list(request.names))


def _map_rows(name: str) -> NDArray[Any]:
    with _report_errors(name, "an .npy file"):
        return cast("NDArray[Any]", npy.open_memmap(name, mode="r"))


def _to_native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in this machine's byte order; Arrow does not compute with float16."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype.newbyteorder("=")


@contextmanager
def _report_errors(name: str, what: str) -> Iterator[None]:
    """Turn an error of NumPy's while a file is read into a `TableError`."""
    with report_read_errors(name, what):
        try:
            yield
        except TableError:
            raise
        except (ValueError, EOFError, BadZipFile) as error:
            if "Object arrays" in str(error) or "Python objects" in str(error):
                raise TableError(
                    f"{name!r} holds pickled objects, which could run code and are never read; "
                    "save an array of numbers with numpy.save."
                ) from error
            raise TableError(
                f"{name!r} is not a whole file of NumPy's; write it with numpy.save."
            ) from error
