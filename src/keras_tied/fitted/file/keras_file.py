"""The file of a Keras model: its archive, with the file of the fitted value as a member."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_tied._files import temporary_folder
from keras_tied.fitted.file.contents import Contents, require, require_plain
from keras_tied.fitted.file.format import MOST_BYTES, NOT_OURS, read_file

if TYPE_CHECKING:
    from keras_tied.autoencoder import Autoencoder

CONFIG, MEMBER = "config.json", "estimator.safetensors"
PARTS, ASSETS = (
    (CONFIG, "metadata.json", "model.weights.h5"),
    "assets/",
)  # that Keras writes
SPARE_BYTES = 2**28  # of a part that is packed


def write_archive(path: Path, model: Autoencoder, content: bytes) -> None:
    """Write a model, with the file of the fitted value, which lacks the network."""
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MEMBER, content)


def read_archive(
    path: str | os.PathLike[str], before_keras: Callable[[], object] | None
) -> Contents:
    """Read a model and a fitted value; Keras refuses members, weights and classes that do harm."""
    require(zipfile.is_zipfile(path), NOT_OURS)
    with temporary_folder() as folder:
        copy = Path(folder, "model.keras")  # as Keras asks for this ending
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as parts:
            names = archive.namelist()
            require(
                MEMBER in names,
                "it holds no TiedAutoencoder; try keras.models.load_model",
            )
            require(len(names) == len(set(names)), "two of its parts have one name")
            most = os.path.getsize(path)
            for member in archive.infolist():
                limit = (
                    MOST_BYTES if member.filename == CONFIG else 4 * most + SPARE_BYTES
                )
                require(
                    member.file_size <= limit,
                    f"its part {member.filename!r} is too long",
                )
            require(
                archive.getinfo(MEMBER).file_size <= most,
                f"its part {MEMBER!r} is too long",
            )
            require_plain(json.loads(archive.read(CONFIG)))
            fitted_file = archive.extract(MEMBER, folder)
            # A copy, as the file may be replaced meanwhile, without the part that Keras
            # does not know: at a fourth it extracts all to a folder, which it leaves
            # there at an error.
            for name in names:
                if name in PARTS or name.startswith(ASSETS):
                    with (
                        archive.open(name) as part,
                        parts.open(name, "w", force_zip64=True) as it,
                    ):
                        shutil.copyfileobj(part, it)
        if before_keras is not None:
            before_keras()
        import keras

        from keras_tied.autoencoder import Autoencoder
        from keras_tied.fitted.compiled_network import CompiledNetwork

        model = keras.models.load_model(copy, safe_mode=True)
        require(
            isinstance(model, Autoencoder), "its model is no keras_tied.Autoencoder"
        )
        network = CompiledNetwork(model)
        finite = all(np.isfinite(weights).all() for weights in network.weights)
        require(finite, "its weights are not finite")
        return read_file(fitted_file, network)
