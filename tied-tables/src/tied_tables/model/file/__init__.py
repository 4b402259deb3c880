"""Files of models, in the format of safetensors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tied_tables._files import replace_atomically
from tied_tables._types import StrPath
from tied_tables.model.file.contents import Contents
from tied_tables.model.file.format import read_file, to_bytes
from tied_tables.model.value import TableModel

LONGEST_MESSAGE = 300  # characters of a message that quotes the file


def load(path: StrPath) -> TableModel:
    """Read the model in a file of `TiedAutoencoder.save` or `tied-tables fit`.

    No code in the file is run. Only NumPy, safetensors, msgspec and threadpoolctl are
    imported; for a model of columns of any kind also PyArrow, if it is installed.

    Args:
        path: the file.

    Returns:
        A model with the methods `transform`, `inverse_transform`, `reconstruct`,
        `reconstruction_error`, `score`, `score_samples`, `rarity` and `explain` of
        `TiedAutoencoder`. Rows are arrays of float32 or float64, `(n, n_features)`,
        finite, or NaN where a value is missing. Its `columns` encode the rows of a
        table so; they are None for a model of numbers, and without PyArrow.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is something else, incomplete or changed.

    Examples:
        >>> import tempfile
        >>> import tied_tables
        >>> from sklearn.datasets import load_iris
        >>> X, _ = load_iris(return_X_y=True)
        >>> autoencoder = tied_tables.TiedAutoencoder(1, max_iter=5, random_state=0)
        >>> autoencoder = autoencoder.fit(X)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     autoencoder.save(f"{folder}/iris.safetensors")
        ...     model = tied_tables.load(f"{folder}/iris.safetensors")
        >>> bool((model.transform(X) == autoencoder.transform(X)).all())
        True
    """
    return read(path, needs_columns=False).model


def read(path: StrPath, *, needs_columns: bool = True) -> Contents:
    """Read what `write` has written, whatever the name of the file.

    Errors are those of `load`. It is another one if columns need PyArrow, which is not
    installed; they are left out if they are not needed.
    """
    with name_file(path):
        return read_file(path, needs_columns)


def write(path: StrPath, contents: Contents) -> None:
    """Write a file; what is there is replaced once all is written.

    The name of the file ends in `.safetensors`.
    """
    target = Path(path)
    if target.suffix != ".safetensors":
        raise ValueError(
            f"path={os.fspath(path)!r} must end in '.safetensors'; to write a Keras"
            " model, use to_keras().save."
        )
    content = to_bytes(contents)
    with replace_atomically(target) as part:
        part.write_bytes(content)


@contextmanager
def name_file(path: StrPath) -> Iterator[None]:
    """Turn any error of reading a file into one `ValueError` that names the file."""
    name = repr(os.fspath(path))
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {name}.")
    try:
        yield
    except Exception as error:  # any file can be given
        text = str(error).strip() or type(error).__name__
        line = text.splitlines()[0]
        if len(line) > LONGEST_MESSAGE:
            line = f"{line[:LONGEST_MESSAGE]}..."
        reason = line.rstrip(".")
        if not reason.isprintable():
            reason = repr(reason)[1:-1]
        raise ValueError(f"{name} cannot be loaded: {reason}.") from error
