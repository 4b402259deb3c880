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
from keras_tied.estimator._files.contents import Contents, require, require_plain
from keras_tied.estimator._files.format import MOST_BYTES, NOT_OURS, read_file

if TYPE_CHECKING:
    from keras_tied.autoencoder import Autoencoder

CONFIG, MEMBER = "config.json", "estimator.safetensors"


def write_archive(path: Path, model: Autoencoder, content: bytes) -> None:
    """Write a model, with the file of the fitted value, which lacks the network."""
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MEMBER, content)


def read_archive(
    path: str | os.PathLike[str], before_keras: Callable[[], object] | None
) -> Contents:
    """Read a model and a fitted value; Keras refuses members, weights and classes that do harm."""
    with temporary_folder() as folder:
        # A copy, as the file may be replaced meanwhile; Keras asks for this ending.
        copy = shutil.copyfile(path, Path(folder, "model.keras"))
        require(zipfile.is_zipfile(copy), NOT_OURS)
        with zipfile.ZipFile(copy) as archive:
            names = archive.namelist()
            require(MEMBER in names, "it holds no TiedAutoencoder; try keras.models.load_model")
            require(len(names) == len(set(names)), "two of its parts have one name")
            for name in (MEMBER, CONFIG):
                member = archive.getinfo(name)
                most = MOST_BYTES if name == CONFIG else os.path.getsize(copy)
                require(member.file_size <= most, f"its part {name!r} is too long")
            with archive.open(CONFIG) as config:  # whose size may be a lie
                require_plain(json.loads(config.read(MOST_BYTES)))
            fitted_file = archive.extract(MEMBER, folder)
        if before_keras is not None:
            before_keras()
        import keras

        from keras_tied.autoencoder import Autoencoder
        from keras_tied.estimator._fitted.compiled_network import CompiledNetwork

        model = keras.models.load_model(copy, safe_mode=True)
        require(isinstance(model, Autoencoder), "its model is no keras_tied.Autoencoder")
        network = CompiledNetwork(model)
        finite = all(np.isfinite(weights).all() for weights in network.weights)
        require(finite, "its weights are not finite")
        contents = read_file(fitted_file, network)
    return contents._replace(trainable=model if model.optimizer is not None else None)
