"""NumPy's files of numbers: `.npy` is mapped, `.npz` is read into memory."""

from collections.abc import Iterator, Sequence
from typing import Any, cast
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy
from numpy.typing import NDArray

from keras_tied.tables._errors import TableError, quote, report_read_errors

CELLS = 2**20
"""Numbers in a piece."""


class ArrayFile:
    """An array of rows and columns, which are called x0, x1 and so on."""

    def __init__(self, name: str, array: NDArray[Any] | None = None) -> None:
        self.name = name
        self._array = array
        rows = _check_array(self._open_rows(), name)
        fields = [
            pa.field(f"x{i}", pa.from_numpy_dtype(_to_native(rows.dtype)))
            for i in range(rows.shape[1])
        ]
        self.schema = pa.schema(fields)
        self._size = max(1, CELLS // rows.shape[1])
        n = len(rows)
        self.rows = [min(self._size, n - start) for start in range(0, n, self._size)]

    def _open_rows(self) -> NDArray[Any]:
        """Return all rows; a new map each time lets go of the memory of rows read before."""
        if self._array is not None:
            return self._array
        with report_read_errors(self.name, "an .npy file"):
            try:
                return cast("NDArray[Any]", npy.open_memmap(self.name, mode="r"))
            except (ValueError, EOFError) as error:
                raise _array_error(self.name, error) from error

    def read(
        self, pieces: Sequence[int], names: Sequence[str], n_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Read some pieces; see `TableFile`."""
        indices = [self.schema.get_field_index(name) for name in names]
        for piece in pieces:
            start = piece * self._size
            rows = self._open_rows()[start : start + self.rows[piece]]
            columns = rows.T[indices].astype(_to_native(rows.dtype), order="C")
            del rows
            yield pa.record_batch([pa.array(column) for column in columns], names=list(names))


def open_npz(name: str, array: str | None) -> ArrayFile:
    """Open an array of an `.npz` file, by name where there are several."""
    with report_read_errors(name, "an .npz file"), open(name, "rb") as file:
        try:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise TableError(f"{name!r} is not an .npz file; call it .npy if it is one array.")
            return ArrayFile(name, arrays[_choose_array(arrays.files, array, name)])
        except TableError:
            raise
        except (ValueError, EOFError, BadZipFile) as error:
            raise _array_error(name, error) from error


def _choose_array(names: list[str], array: str | None, file: str) -> str:
    if array is None and len(names) != 1:
        raise TableError(
            f"{file!r} holds {len(names)} arrays, {quote(names)}; name the one to use."
        )
    if array is not None and array not in names:
        raise TableError(f"{file!r} has no array {array!r}; name one of {quote(names)}.")
    return names[0] if array is None else array


def _to_native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in this machine's byte order; Arrow does not compute with float16."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype.newbyteorder("=")


def _check_array(rows: NDArray[Any], name: str) -> NDArray[Any]:
    if rows.ndim != 2 or not rows.shape[1]:
        raise TableError(
            f"{name!r} holds an array of the shape {rows.shape}; save one of rows and columns."
        )
    if rows.dtype.kind not in "biuf" or rows.dtype.itemsize > 8:
        raise TableError(
            f"{name!r} holds values of the type {rows.dtype}; save real numbers, or text as CSV or "
            "Parquet."
        )
    return rows


def _array_error(name: str, error: Exception) -> TableError:
    if "Object arrays" in str(error) or "Python objects" in str(error):
        return TableError(
            f"{name!r} holds pickled objects, which could run code and are never read; save an "
            "array of numbers with numpy.save."
        )
    return TableError(f"{name!r} is not a whole file of NumPy's; write it with numpy.save.")
