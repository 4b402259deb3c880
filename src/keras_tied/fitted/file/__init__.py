"""Files of fitted values: safetensors, or Keras's archive for an encoder of the user's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Raw

from keras_tied._files import replace_atomically
from keras_tied.fitted.dense_network import DenseNetwork
from keras_tied.fitted.file.contents import (
    LEARNED,
    Contents,
    NadamState,
    Settings,
    deserialize_params,
    name_file,
    serialize_params,
)
from keras_tied.fitted.file.format import read_file, to_bytes
from keras_tied.fitted.value import Fitted

if TYPE_CHECKING:
    from keras_tied.autoencoder import Autoencoder
    from keras_tied.fitting.judge import Outcome

__all__ = [
    "LEARNED",
    "Contents",
    "deserialize_params",
    "load",
    "name_file",
    "read",
    "write",
]

ZIP = b"PK"  # what an archive of Keras begins with


def load(path: str | os.PathLike[str]) -> Fitted:
    """Read the fitted value of a file that `TiedAutoencoder.save` or `keras-tied fit` has written.

    No code in the file is run. Nothing is imported but NumPy, safetensors and msgspec,
    and Keras for an encoder of the user's own.

    Args:
        path: the file.

    Returns:
        A value with the methods `transform`, `inverse_transform`, `reconstruct`,
        `reconstruction_error`, `score`, `score_samples`, `rarity` and `explain` of
        `TiedAutoencoder`. Rows are arrays of float32 or float64, `(n, n_features)`,
        finite, or NaN where a value is missing.

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
    """Read what `write` has written, whatever the name of the file; errors are those of `load`.

    `before_keras` is called before Keras is imported, for an encoder of the user's own.
    """
    with name_file(path):
        with open(path, "rb") as file:
            is_archive = file.read(len(ZIP)) == ZIP
        if not is_archive:
            return read_file(path)
        from keras_tied.fitted.file.keras_file import read_archive

        return read_archive(path, before_keras)


def write(
    path: str | os.PathLike[str],
    outcome: Outcome,
    params: Mapping[str, Any],
    feature_names: Sequence[str] | None,
    notes: Mapping[str, Any] | None,
    make_model: Callable[[], Autoencoder] | None = None,
) -> None:
    """Write a fit and notes, a JSON object; what is there is replaced once all is written.

    The name of the file ends in `.safetensors`, and in `.keras` for an encoder of the
    user's own, for which `make_model` makes the model of the fitted value.
    """
    target, name, network = Path(path), repr(os.fspath(path)), outcome.fitted.network
    is_dense = isinstance(network, DenseNetwork)
    suffix, why = ".keras", "an encoder of your own is stored as a Keras model"
    if is_dense:
        suffix = ".safetensors"
        why = (
            "the estimator's own network is no Keras model; use model_.save to"
            " write one"
        )
    if target.suffix != suffix:
        raise ValueError(f"path={name} must end in '{suffix}': {why}.")
    nadam = None
    if (state := outcome.nadam) is not None:
        nadam = NadamState(state.averages[0], state.squares[0], state.step)
    settings = Settings(
        params=serialize_params(params),
        n_iter_=outcome.n_iter,
        is_pca_=outcome.is_pca,
        loss_curve_=outcome.losses,
        validation_curve_=list(outcome.validation_errors),
        reconstruction_r2_=outcome.r2,
        offset=outcome.fitted.offset,
        feature_names=None if feature_names is None else list(map(str, feature_names)),
        weight_decay=outcome.weight_decay,
        columns=Raw(outcome.fitted.columns_json or b"null"),
        activation=network.activation if isinstance(network, DenseNetwork) else None,
        steps=0 if nadam is None else nadam.step,
    )
    content = to_bytes(Contents(settings, outcome.fitted, notes, nadam))
    with replace_atomically(target.resolve()) as part:
        if make_model is None or is_dense:
            part.write_bytes(content)
        else:
            from keras_tied.fitted.file.keras_file import write_archive

            write_archive(part, make_model(), content)
