"""Files of fitted values: safetensors, or Keras's archive for an encoder of the user's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from keras_tied._files import replace_atomically
from keras_tied.estimator._files.contents import LEARNED, Contents, Settings, name_file
from keras_tied.estimator._files.format import read_file, to_bytes
from keras_tied.estimator._files.params import deserialize_params, serialize_params
from keras_tied.estimator._fitted.dense_network import DenseNetwork
from keras_tied.estimator._fitted.value import Fitted

if TYPE_CHECKING:
    from keras_tied.autoencoder import Autoencoder

__all__ = [
    "LEARNED",
    "Contents",
    "Settings",
    "deserialize_params",
    "load",
    "name_file",
    "read",
    "serialize_params",
    "write",
]
ZIP = b"PK"
"""What an archive of Keras begins with."""


def load(path: str | os.PathLike[str]) -> Fitted:
    """Read the fitted value of a file that `TiedAutoencoder.save` or `keras-tied fit` has written.

    No code in the file is run. Nothing is imported but NumPy, safetensors and msgspec, and Keras
    for an encoder or an activation of the user's own.

    Args:
        path: the file.

    Returns:
        A value with the methods `transform`, `inverse_transform`, `reconstruct`,
        `reconstruction_error`, `score`, `score_samples`, `rarity` and `explain` of
        `TiedAutoencoder`. They do not validate: rows are arrays of float32 or float64,
        `(n, n_features)`, finite, or NaN where a value is missing.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is something else, incomplete or changed.

    Examples:
        >>> import tempfile
        >>> import keras_tied
        >>> from sklearn.datasets import load_iris
        >>> X, _ = load_iris(return_X_y=True)
        >>> autoencoder = keras_tied.TiedAutoencoder(1, max_iter=5, random_state=0).fit(X)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     autoencoder.save(f"{folder}/iris.safetensors")
        ...     fitted = keras_tied.load(f"{folder}/iris.safetensors")
        >>> bool((fitted.transform(X) == autoencoder.transform(X)).all())
        True
    """
    return read(path).fitted


def read(
    path: str | os.PathLike[str], before_keras: Callable[[], object] | None = None
) -> Contents:
    """Read what `write` has written, whatever the name of the file.

    Args:
        path: the file.
        before_keras: is called before Keras is imported, for an encoder or an activation of the
            user's own. Defaults to none.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is something else, incomplete or changed.
    """
    with name_file(path):
        with open(path, "rb") as file:
            is_archive = file.read(len(ZIP)) == ZIP
        if not is_archive:
            return read_file(path)
        from keras_tied.estimator._files.keras_file import read_archive

        return read_archive(path, before_keras)


def write(
    path: str | os.PathLike[str], contents: Contents, make_model: Callable[[], Autoencoder]
) -> None:
    """Write a fitted estimator; what is there already is replaced once all is written.

    Args:
        path: the file. Its name ends in `.safetensors`, and in `.keras` where an encoder or an
            activation of the user's own needs Keras.
        contents: what to write.
        make_model: makes the Keras model that computes what the fitted value does.
    """
    target, name = Path(path), repr(os.fspath(path))
    is_dense = isinstance(contents.fitted.network, DenseNetwork)
    if is_dense and target.suffix != ".safetensors":
        raise ValueError(
            f"path={name} must end in '.safetensors': the estimator's own network is stored "
            "without Keras. Use model_.save for a Keras model."
        )
    if not is_dense and target.suffix != ".keras":
        raise ValueError(
            f"path={name} must end in '.keras': an encoder or an activation of your own is stored "
            "as a Keras model."
        )
    content = to_bytes(contents)
    with replace_atomically(target.resolve()) as part:
        if is_dense:
            part.write_bytes(content)
        else:
            from keras_tied.estimator._files.keras_file import write_archive

            write_archive(part, make_model(), content)
