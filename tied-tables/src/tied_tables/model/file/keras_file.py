"""The file of a Keras model: its archive, with that of the fitted value as a part."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tied_tables._files import temporary_folder
from tied_tables._types import StrPath
from tied_tables.model.file.contents import Contents, require, require_plain
from tied_tables.model.file.format import MOST_BYTES, NOT_OURS, read_file
from tied_tables.model.file.reader import LARGEST

if TYPE_CHECKING:
    from tied_tables.autoencoder import Autoencoder

CONFIG, MEMBER = "config.json", "estimator.safetensors"
PARTS = CONFIG, "metadata.json", "model.weights.h5"
ASSETS = "assets/"
"""What Keras writes: parts, and a folder."""
SPARE_BYTES = 2**28  # of a part that is packed


def write_archive(path: Path, model: Autoencoder, content: bytes) -> None:
    """Write a model, with the file of the fitted value, which lacks the network."""
    model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MEMBER, content)


def read_archive(path: StrPath, before_keras: Callable[[], object] | None) -> Contents:
    """Read a model and a fitted value; Keras refuses classes that do harm."""
    require(zipfile.is_zipfile(path), NOT_OURS)
    with temporary_folder() as folder:
        # A copy, as the file may be replaced meanwhile, without the part that Keras
        # does not know: where there are more than three, it extracts all to a folder,
        # which it leaves there at an error.
        copy = Path(folder, "model.keras")  # as Keras asks for this ending
        with zipfile.ZipFile(path) as archive:
            _check_parts(archive, os.path.getsize(path))
            fitted_file = archive.extract(MEMBER, folder)
            _copy_model(archive, copy)
        if before_keras is not None:
            before_keras()
        import keras
        from tied_tables.autoencoder import Autoencoder

        from tied_tables.model.compiled_network import CompiledNetwork

        model = keras.models.load_model(copy, safe_mode=True)
        is_ours = isinstance(model, Autoencoder)
        require(is_ours, "its model is no tied_tables.Autoencoder")
        network = CompiledNetwork(model)
        for weights in model.get_weights():
            is_finite = np.abs(weights) <= LARGEST  # and not NaN
            require(is_finite, "its weights are not finite or too large")
        return read_file(fitted_file, network)


def _check_parts(archive: zipfile.ZipFile, n_bytes: int) -> None:
    """Refuse an archive of so many bytes that holds what does harm."""
    names = archive.namelist()
    is_ours = MEMBER in names
    require(is_ours, "it holds no TiedAutoencoder; try keras.models.load_model")
    require(len(names) == len(set(names)), "two of its parts have one name")
    limits = {CONFIG: MOST_BYTES, MEMBER: n_bytes}
    for member in archive.infolist():
        limit = limits.get(member.filename, 4 * n_bytes + SPARE_BYTES)
        is_short = member.file_size <= limit
        require(is_short, f"its part {member.filename!r} is too long")
    require_plain(json.loads(archive.read(CONFIG)))


def _copy_model(archive: zipfile.ZipFile, path: Path) -> None:
    """Copy the parts that Keras knows to an archive of their own."""
    with zipfile.ZipFile(path, "w") as copy:
        for name in archive.namelist():
            if name in PARTS or name.startswith(ASSETS):
                with (
                    archive.open(name) as part,
                    copy.open(name, "w", force_zip64=True) as target,
                ):
                    shutil.copyfileobj(part, target)
