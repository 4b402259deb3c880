"""An estimator in one file: Keras's own archive, with two more members."""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import keras
import numpy as np
from numpy.typing import NDArray

from keras_tied._version import __version__
from keras_tied._writing import moved_into_place
from keras_tied.autoencoder import Autoencoder
from keras_tied.estimator._missing import Gaussian
from keras_tied.estimator._oddity import Axes, Oddity
from keras_tied.estimator._scaling import Scaling

if TYPE_CHECKING:
    from keras_tied.estimator._estimator import TiedAutoencoder

Array = NDArray[Any]
Estimator = TypeVar("Estimator", bound="TiedAutoencoder")

FORMAT = 1
SETTINGS, ARRAYS, NOTES = "estimator.json", "estimator.npz", "notes.json"
ENDING = ".keras"
LEARNED: dict[str, Callable[[Any], bool]] = {
    "n_components_": lambda value: type(value) is int and value >= 1,
    "n_features_in_": lambda value: type(value) is int and value >= 1,
    "n_iter_": lambda value: type(value) is int and value >= 0,
    "is_pca_": lambda value: type(value) is bool,
    "loss_curve_": lambda value: type(value) is list and all(map(_is_number, value)),
    "reconstruction_r2_": lambda value: _is_number(value) and value <= 1 + 1e-6,
    "offset_": lambda value: _is_number(value),
}
"""What is learned besides the model and the arrays, and what it can be."""


def save(
    estimator: TiedAutoencoder, path: str | os.PathLike[str], notes: Mapping[str, Any] | None = None
) -> None:
    """Write a fitted estimator.

    Args:
        estimator: what to write.
        path: the file, whose name ends in `.keras`.
        notes: more to keep beside it, as JSON has it.
    """
    target = Path(path)
    if target.suffix != ENDING:
        raise ValueError(f"path={str(path)!r} must end in {ENDING!r}, as Keras's files do.")
    settings = {
        "format": FORMAT,
        "keras_tied": __version__,
        "params": {
            name: _stored(name, value) for name, value in estimator.get_params(deep=False).items()
        },
        "learned": {name: getattr(estimator, name) for name in LEARNED},
        "feature_names_in": _names(estimator),
    }
    members: dict[str, str | bytes] = {SETTINGS: _json(settings), ARRAYS: _npz(_arrays(estimator))}
    if notes is not None:
        members[NOTES] = _json(notes)
    with moved_into_place(target.resolve()) as part:
        estimator.model_.save(part)
        with zipfile.ZipFile(part, "a", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)


def load(cls: type[Estimator], path: str | os.PathLike[str]) -> Estimator:
    """Read what `save` has written, and make sure that it is that."""
    with _reading(path) as archive:
        settings, arrays = json.loads(archive.read(SETTINGS), parse_constant=_refuse), {}
        with np.load(io.BytesIO(archive.read(ARRAYS)), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        estimator = _configured(cls, settings)
        _learn(estimator, settings, arrays)
        model = keras.models.load_model(Path(path), safe_mode=True)
        _require(isinstance(model, Autoencoder), "its model is no keras_tied.Autoencoder")
        widths = (_size(model.encoder.input_shape), _size(model.encoder.output_shape))
        _require(
            widths == (estimator.n_features_in_, estimator.n_components_),
            f"its encoder turns {widths[0]} numbers into {widths[1]}, and not "
            f"{estimator.n_features_in_} into {estimator.n_components_}",
        )
        estimator.model_ = model
    return estimator


def notes(path: str | os.PathLike[str]) -> Any:
    """The notes that were given to `save`, None if there were none."""
    with _reading(path) as archive:
        if NOTES not in archive.namelist():
            return None
        return json.loads(archive.read(NOTES), parse_constant=_refuse)


@contextmanager
def _reading(path: str | os.PathLike[str]) -> Iterator[zipfile.ZipFile]:
    """The archive; whatever goes wrong with it is one `ValueError` that names the file."""
    name = repr(os.fspath(path))
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {name}.")
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{name} is not a file that TiedAutoencoder.save has written, or only a part of one."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            _require(broken is None, f"its part {broken!r} has been changed")
            if SETTINGS not in archive.namelist():
                raise ValueError("it holds no TiedAutoencoder; try keras.models.load_model")
            yield archive
    except Exception as error:  # there is no end to what a file that is not ours can hold
        reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        raise ValueError(f"{name} cannot be loaded: {reason}.") from error


def _stored(name: str, value: Any) -> Any:
    """A parameter as JSON has it."""
    if isinstance(value, np.random.RandomState) or value is np.random:
        return None
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if name == "hidden_layer_sizes":
        return [int(units) for units in value]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of Keras, where there is a lambda in it
            stored = json.loads(_json(keras.saving.serialize_keras_object(value)))
        _restored(stored)
    except Exception as error:  # whatever the layers and functions of the user's own raise
        raise ValueError(
            f"{name}={value!r} cannot be read back from a file: register its classes and functions "
            "with keras.saving.register_keras_serializable, and use no lambda."
        ) from error
    return stored


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return keras.saving.deserialize_keras_object(value, safe_mode=True)
    return tuple(value) if isinstance(value, list) else value


def _configured(cls: type[Estimator], settings: Any) -> Estimator:
    """An estimator of these parameters, not fitted."""
    _require(isinstance(settings, dict), "its settings are none")
    found = settings.get("format")
    _require(
        found == FORMAT, f"it has the format {found!r}, and this version of keras-tied reads 1"
    )
    estimator = cls(**{name: _restored(value) for name, value in settings["params"].items()})
    estimator._validate_params()
    return estimator


def _learn(estimator: TiedAutoencoder, settings: Any, arrays: dict[str, Array]) -> None:
    """Give an estimator what it had learned, the model aside."""
    for name, fits in LEARNED.items():
        value = settings["learned"][name]
        _require(fits(value), f"it has {name}={value!r}")
        setattr(estimator, name, value)
    d, names = estimator.n_features_in_, settings["feature_names_in"]
    if names is not None:
        _require(
            type(names) is list and len(names) == d and all(type(name) is str for name in names),
            f"its feature names are not {d}",
        )
        estimator.feature_names_in_ = np.array(names, dtype=object)
    _check(arrays, _shapes(arrays, d, estimator.n_components_))
    estimator._scaling = Scaling(arrays["scaling.shift"], arrays["scaling.scale"])
    estimator._mean = arrays["mean"]
    estimator._gaussian = None
    if "gaussian.mean" in arrays:
        estimator._gaussian = Gaussian(arrays["gaussian.mean"], arrays.get("gaussian.precision"))
    of_codes, of_residuals = (
        Axes(arrays[f"oddity.{name}.mean"], arrays[f"oddity.{name}.vectors"])
        for name in ("of_codes", "of_residuals")
    )
    estimator._oddity = Oddity(
        of_codes, of_residuals, arrays["oddity.median"], arrays["oddity.scale"]
    )


def _shapes(arrays: dict[str, Array], d: int, k: int) -> dict[str, tuple[int, ...]]:
    """The shapes that the arrays of an estimator of `d` features and `k` components have."""
    along = {
        name: arrays[f"oddity.{name}.vectors"].shape[-1] for name in ("of_codes", "of_residuals")
    }
    numbers = (d + sum(along.values()),)
    shapes: dict[str, tuple[int, ...]] = {
        "scaling.shift": (d,),
        "scaling.scale": (d,),
        "mean": (d,),
        "oddity.of_codes.mean": (k,),
        "oddity.of_codes.vectors": (k, along["of_codes"]),
        "oddity.of_residuals.mean": (d,),
        "oddity.of_residuals.vectors": (d, along["of_residuals"]),
        "oddity.median": numbers,
        "oddity.scale": numbers,
    }
    if "gaussian.mean" in arrays:
        shapes["gaussian.mean"] = (d,)
        if "gaussian.precision" in arrays:
            shapes["gaussian.precision"] = (d, d)
    return shapes


def _check(arrays: dict[str, Array], shapes: dict[str, tuple[int, ...]]) -> None:
    _require(set(arrays) == set(shapes), "it lacks arrays, or has others")
    for name, shape in shapes.items():
        array = arrays[name]
        _require(
            array.shape == shape and array.dtype == np.float64, f"{name!r} is not {shape} numbers"
        )
        wild = np.isnan(array) if name == "oddity.scale" else ~np.isfinite(array)
        _require(not wild.any(), f"{name!r} has numbers that are not finite")
    for name in ("scaling.scale", "oddity.scale"):
        _require(bool((arrays[name] > 0).all()), f"{name!r} has numbers that are not positive")


def _arrays(estimator: TiedAutoencoder) -> dict[str, Array]:
    learned = {
        "scaling": estimator._scaling,
        "mean": estimator._mean,
        "oddity": estimator._oddity,
        "gaussian": estimator._gaussian,
    }
    return {name: array for item in learned.items() for name, array in _leaves(*item)}


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Array]]:
    """The arrays in tuples of tuples, each with the names that lead to it."""
    if isinstance(value, tuple):
        for field in value._fields:  # type: ignore[attr-defined]
            yield from _leaves(f"{name}.{field}", getattr(value, field))
    elif value is not None:
        yield name, np.asarray(value, np.float64)


def _names(estimator: TiedAutoencoder) -> list[str] | None:
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def _npz(arrays: dict[str, Array]) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type] # NumPy takes names for flags
    return content.getvalue()


def _json(content: Any) -> str:
    return json.dumps(content, allow_nan=False, indent=1)


def _refuse(constant: str) -> Any:
    raise ValueError(f"it holds the number {constant}")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _size(shape: tuple[int | None, ...]) -> int:
    return int(np.prod([size or 0 for size in shape[1:]]))


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
