"""An estimator in one file: Keras's archive of the model, with two or three more members.

`estimator.json` holds parameters and learned numbers, `estimator.npz` the arrays besides the
network's weights, `notes.json` the notes of the command. The arrays of the estimator's own
network are read from Keras's `model.weights.h5` without Keras; an encoder of the user's own is
loaded by Keras, after all that its configuration names has been found on a list.
"""

from __future__ import annotations

import io
import json
import os
import reprlib
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_tied._files import replace_atomically
from keras_tied._types import Array
from keras_tied._version import __version__
from keras_tied.estimator import _archive
from keras_tied.estimator._archive import require
from keras_tied.estimator._fitted.activations import activation_name
from keras_tied.estimator._fitted.dense_network import DenseNetwork
from keras_tied.estimator._fitted.fences import Fences
from keras_tied.estimator._fitted.imputation import Gaussian
from keras_tied.estimator._fitted.outlier_score import Axes, OutlierScore
from keras_tied.estimator._fitted.preprocessing import Preprocessing
from keras_tied.estimator._fitted.scaling import Scaling
from keras_tied.estimator._fitted.tail import N_NUMBERS, Tail
from keras_tied.estimator._fitted.value import Fitted

if TYPE_CHECKING:
    from keras_tied.autoencoder import Autoencoder

FORMAT = 3
SETTINGS, ARRAYS, NOTES = "estimator.json", "estimator.npz", "notes.json"
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MEMBERS = (SETTINGS, ARRAYS, NOTES, CONFIG, METADATA, WEIGHTS)
IMPUTATION = "imputation.weights"
ENDING = ".keras"
LONGEST = 300
"""Characters of a message that quotes the file."""
LEARNED: dict[str, Callable[[Any], bool]] = {
    "n_components_": lambda value: _is_count(value) and value >= 1,
    "n_features_in_": lambda value: _is_count(value) and value >= 1,
    "n_iter_": lambda value: _is_count(value),
    "is_pca_": lambda value: type(value) is bool,
    "loss_curve_": lambda value: _is_curve(value),
    "validation_curve_": lambda value: _is_curve(value),
    "reconstruction_r2_": lambda value: _is_number(value) and value <= 1 + 1e-6,
    "offset_": lambda value: _is_number(value),
}
"""What is learned besides the arrays, and which values it can have."""
ARRAYS_OF_FILE = {
    "scaling.shift": ("d", "preprocessing.scaling.shift"),
    "scaling.scale": ("d", "preprocessing.scaling.scale"),
    "mean": ("d", "preprocessing.mean"),
    "gaussian.mean": ("d", "preprocessing.gaussian.mean"),
    "gaussian.precision": ("dd", "preprocessing.gaussian.precision"),
    IMPUTATION: ("d", "imputation_weights"),
    "score.columns": ("d", "outlier_score.columns"),
    "score.code_axes.mean": ("k", "outlier_score.code_axes.mean"),
    "score.code_axes.vectors": ("ka", "outlier_score.code_axes.vectors"),
    "score.residual_axes.mean": ("d", "outlier_score.residual_axes.mean"),
    "score.residual_axes.vectors": ("db", "outlier_score.residual_axes.vectors"),
    "score.gaussian.mean": ("d", "outlier_score.gaussian.mean"),
    "score.gaussian.precision": ("dd", "outlier_score.gaussian.precision"),
    "score.median": ("s", "outlier_score.median"),
    "score.scale": ("s", "outlier_score.scale"),
    "score.fences.middle": ("d", "outlier_score.fences.middle"),
    "score.fences.low": ("d", "outlier_score.fences.low"),
    "score.fences.high": ("d", "outlier_score.fences.high"),
    "score.tail": ("t", "outlier_score.tail.numbers"),
}
"""The arrays of a file, all float64: their axes, and their place in a fitted value. The axes are d
features, k components, a and b principal axes of codes and residuals, s numbers that the score adds
up, d + a + b and d more with a precision, and t numbers of the tail."""
OPTIONAL = (
    "gaussian.mean",
    "gaussian.precision",
    IMPUTATION,
    "score.gaussian.precision",
)
"""Arrays that a file may lack."""
POSITIVE = ("scaling.scale", "score.scale")
MAY_BE_INFINITE = ("score.scale", "score.fences.low", "score.fences.high")


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
        params: of the estimator, as JSON has them.
        learned: the values of `LEARNED`.
        fitted: the fitted value.
        weight_decay: of the network.
        trainable: an archive of Keras with an optimizer, after `partial_fit`; else None.
        notes: the notes of the command; None if there are none.
    """

    params: dict[str, Any]
    learned: dict[str, Any]
    fitted: Fitted
    weight_decay: float
    trainable: bytes | None
    notes: Any


def write(
    path: str | os.PathLike[str],
    model: Autoencoder,
    fitted: Fitted,
    params: Mapping[str, Any],
    learned: Mapping[str, Any],
    feature_names: Any,
    notes: Mapping[str, Any] | None,
) -> None:
    """Write a fitted estimator.

    Args:
        path: the file, whose name ends in `.keras`.
        model: computes what the fitted value does.
        fitted: the fitted value.
        params: the estimator's parameters.
        learned: the values of `LEARNED`.
        feature_names: of the columns, or None.
        notes: a JSON object to store too, or None.
    """
    target = Path(path)
    if target.suffix != ENDING:
        raise ValueError(f"path={str(path)!r} must end in {ENDING!r}, as Keras's files do.")
    settings = {
        "format": FORMAT,
        "keras_tied": __version__,
        "params": {name: _serialize_param(name, value) for name, value in params.items()},
        "learned": dict(learned),
        "feature_names_in": None if feature_names is None else list(map(str, feature_names)),
    }
    members: dict[str, str | bytes] = {
        SETTINGS: _write_json(settings),
        ARRAYS: _write_npz(_get_arrays(fitted)),
    }
    if notes is not None:
        members[NOTES] = _write_json(notes)
    with replace_atomically(target.resolve()) as part:
        model.save(part)
        with zipfile.ZipFile(part, "a", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        _require_readable(part)


def _require_readable(path: Path) -> None:
    """Raise `ValueError` for a file that exceeds the limits of reading."""
    try:
        with _archive.open_archive(path, MEMBERS) as archive:
            _archive.read_json(archive)
            with _archive.open_hdf5(_archive.read_member(archive, WEIGHTS, _archive.HDF5)):
                pass
    except ValueError as error:
        raise ValueError(
            f"The file could not be read back, as {error}: shorten loss_curve_, or use fewer "
            "features or layers."
        ) from error


def read(
    path: str | os.PathLike[str], before_keras: Callable[[], object] | None = None
) -> Contents:
    """Read what `write` has written.

    Args:
        path: the file.
        before_keras: is called before Keras is imported, for an encoder or activation of the
            user's own. Defaults to none.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is something else, incomplete, changed or not finite.
    """
    with errors_of(path), _archive.open_archive(path, MEMBERS) as archive:
        if SETTINGS not in archive.namelist():
            raise ValueError("it holds no TiedAutoencoder; try keras.models.load_model")
        json_members = _archive.read_json(archive)
        for name in (CONFIG, METADATA):
            require(name in json_members, f"it lacks the part {name!r}")
        settings, config = json_members[SETTINGS], json_members[CONFIG]
        params, learned = _check_settings(settings)
        d, k = learned["n_features_in_"], learned["n_components_"]
        names = _check_names(settings.get("feature_names_in"), d)
        arrays = _read_arrays(archive, d, k)
        weights = _archive.read_member(archive, WEIGHTS, _archive.HDF5)
        with _archive.open_hdf5(weights) as datasets:
            network = _read_network(datasets, params, config, d, k)
            trained_in_batches = any(name.startswith("optimizer/") for name in datasets)
        members: dict[str, str | bytes] = {
            METADATA: json.dumps(json_members[METADATA]),
            CONFIG: json.dumps(config),
            WEIGHTS: weights,
        }
        keras_archive = _pack(members) if network is None or trained_in_batches else b""
        if network is None:
            if before_keras is not None:
                before_keras()
            network = _load_network(keras_archive, params, d, k)
        mean, scaling, gaussian, outlier_score = _make_values(arrays)
        matrix = outlier_score.surprise
        require(
            matrix is None or bool(np.isfinite(matrix).all()),
            "'score.gaussian.precision' cannot be inverted",
        )
        return Contents(
            params,
            learned,
            Fitted(
                Preprocessing(scaling, mean, gaussian),
                network,
                outlier_score,
                learned["offset_"],
                names,
                arrays.get(IMPUTATION),
            ),
            _read_weight_decay(config),
            keras_archive if trained_in_batches else None,
            json_members.get(NOTES),
        )


@contextmanager
def errors_of(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn any error of reading a file into one `ValueError` that names the file."""
    try:
        yield
    except (FileNotFoundError, _archive.NotAnArchiveError):
        raise
    except Exception as error:  # any file can be given
        raise ValueError(f"{os.fspath(path)!r} cannot be loaded: {_describe(error)}.") from error


def _describe(error: Exception) -> str:
    """The first line of a message, which may quote the file, in printable characters."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    line = lines[0] if len(lines[0]) <= LONGEST else f"{lines[0][:LONGEST]}..."
    printable = (letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
    return "".join(printable).rstrip(".")


def load_model(archive: bytes) -> Autoencoder:
    """Load the model of an archive of Keras, after a check of all classes that it names."""
    import keras

    from keras_tied.autoencoder import Autoencoder
    from keras_tied.estimator._known_classes import require_known_classes

    with zipfile.ZipFile(io.BytesIO(archive)) as members:
        require_known_classes(json.loads(members.read(CONFIG)))
    with TemporaryDirectory() as folder:
        file = Path(folder, f"model{ENDING}")
        file.write_bytes(archive)
        model = keras.models.load_model(file, safe_mode=True)
    require(isinstance(model, Autoencoder), "its model is no keras_tied.Autoencoder")
    return model


def deserialize_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of an estimator from what JSON has of them."""
    return {name: _deserialize_param(value) for name, value in params.items()}


def _serialize_param(name: str, value: Any) -> Any:
    """A parameter as JSON has it."""
    if isinstance(value, np.random.RandomState) or value is np.random:
        return None
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if name == "hidden_layer_sizes":
        return [int(units) for units in value]
    import keras

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of Keras, where there is a lambda in it
            config = json.loads(_write_json(keras.saving.serialize_keras_object(value)))
        _deserialize_param(config)
    except Exception as error:  # layers and functions of the user's own can raise anything
        raise ValueError(
            f"{name}={value!r} cannot be read back from a file: register its classes and functions "
            "with keras.saving.register_keras_serializable, and use no lambda."
        ) from error
    return config


def _deserialize_param(value: Any) -> Any:
    if not isinstance(value, dict):
        return tuple(value) if isinstance(value, list) else value
    import keras

    from keras_tied.estimator._known_classes import require_known_classes

    require_known_classes(value)
    return keras.saving.deserialize_keras_object(value, safe_mode=True)


def _check_settings(settings: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the learned values."""
    require(isinstance(settings, dict), "its settings are none")
    version = settings.get("format")
    require(
        type(version) is int and version == FORMAT,
        f"it has the format {reprlib.repr(version)}, and this version of keras-tied reads {FORMAT}",
    )
    params, learned = settings.get("params"), settings.get("learned")
    require(isinstance(params, dict) and isinstance(learned, dict), "its settings are none")
    for name in ("encoder", "activation"):
        require(name in params, f"its settings lack {name!r}")
    for name, fits in LEARNED.items():
        require(fits(learned.get(name)), f"it has {name}={reprlib.repr(learned.get(name))}")
    return params, {name: learned[name] for name in LEARNED}


def _check_names(names: Any, d: int) -> tuple[str, ...] | None:
    if names is None:
        return None
    fits = type(names) is list and len(names) == d and all(type(name) is str for name in names)
    require(fits, f"its feature names are not {d}")
    return tuple(names)


def _read_arrays(archive: zipfile.ZipFile, d: int, k: int) -> dict[str, Array]:
    """The arrays, once their names, dtypes and shapes have been checked."""
    with _archive.open_npz(_archive.read_member(archive, ARRAYS, _archive.ZIP)) as npz:
        names = sorted(name.removesuffix(".npy") for name in npz.namelist())
        absent = set(ARRAYS_OF_FILE) - set(names)
        complete = len(set(names)) == len(names) and set(names) <= set(ARRAYS_OF_FILE)
        has_gaussian = "gaussian.mean" in names or "gaussian.precision" not in names
        require(
            complete and absent <= set(OPTIONAL) and has_gaussian, "it lacks arrays, or has others"
        )
        sizes = {"d": d, "k": k, "t": N_NUMBERS}
        for name, axis, most in (
            ("score.code_axes.vectors", "a", k),
            ("score.residual_axes.vectors", "b", d),
        ):
            shape = _archive.read_shape(npz, name)
            fits = len(shape) == 2 and 0 <= shape[1] <= most
            require(fits, f"{name!r} is not {most} numbers wide")
            sizes[axis] = shape[1]
        surprises = d if "score.gaussian.precision" in names else 0
        sizes["s"] = d + sizes["a"] + sizes["b"] + surprises
        arrays = {
            name: _archive.read_array(
                npz, name, tuple(sizes[axis] for axis in ARRAYS_OF_FILE[name][0])
            )
            for name in names
        }
    for name, array in arrays.items():
        wild = np.isnan(array) if name in MAY_BE_INFINITE else ~np.isfinite(array)
        require(not wild.any(), f"{name!r} has numbers that are not finite")
        if name in POSITIVE:
            require(bool((array > 0).all()), f"{name!r} has numbers that are not positive")
        if name == IMPUTATION:
            within = bool(((array >= 0) & (array <= 1)).all())
            require(within, f"{name!r} has numbers that are not between 0 and 1")
    _check_score(arrays)
    return arrays


def _check_score(arrays: dict[str, Array]) -> None:
    """Require that the arrays of the outlier score fit together."""
    columns, numbers = arrays["score.columns"], arrays["score.tail"]
    steps = np.diff(columns, prepend=-1.0)
    steps_fit = bool(((steps == 0) | (steps == 1)).all()) and columns[0] == 0
    require(steps_fit, "'score.columns' does not number columns")
    if (precision := arrays.get("score.gaussian.precision")) is not None:
        require(
            bool((precision.diagonal() > 0).all()), "'score.gaussian.precision' is not positive"
        )
    low, middle, high = (arrays[f"score.fences.{name}"] for name in ("low", "middle", "high"))
    require(bool(((low < middle) & (middle < high)).all()), "'score.fences' are not in order")
    require(Tail.from_numbers(numbers).is_valid, "'score.tail' is not a tail")


def _make_values(arrays: dict[str, Array]) -> tuple[Array, Scaling, Gaussian | None, OutlierScore]:
    gaussian = None
    if "gaussian.mean" in arrays:
        gaussian = Gaussian(arrays["gaussian.mean"], arrays.get("gaussian.precision"))
    return (
        arrays["mean"],
        Scaling(arrays["scaling.shift"], arrays["scaling.scale"]),
        gaussian,
        OutlierScore(
            Axes(arrays["score.code_axes.mean"], arrays["score.code_axes.vectors"]),
            Axes(arrays["score.residual_axes.mean"], arrays["score.residual_axes.vectors"]),
            Gaussian(arrays["score.gaussian.mean"], arrays.get("score.gaussian.precision")),
            arrays["score.columns"].astype(np.intp),
            arrays["score.median"],
            arrays["score.scale"],
            Fences(*(arrays[f"score.fences.{name}"] for name in Fences._fields)),
            Tail.from_numbers(arrays["score.tail"]),
        ),
    )


def _get_arrays(fitted: Fitted) -> dict[str, Array]:
    """The arrays of `ARRAYS_OF_FILE`, without those that are None."""
    arrays = {}
    for name, (_, place) in ARRAYS_OF_FILE.items():
        if fitted.preprocessing.gaussian is not None or not name.startswith("gaussian."):
            arrays[name] = attrgetter(place)(fitted)
    return {name: np.asarray(array, float) for name, array in arrays.items() if array is not None}


def _read_network(
    datasets: dict[str, Any], params: dict[str, Any], config: Any, d: int, k: int
) -> DenseNetwork | None:
    """The estimator's own network; None for an encoder or an activation of the user's."""
    if params["encoder"] is not None:
        return None
    layers, names = "decoder/layers", ["tied_dense"]
    while f"{layers}/tied_dense_{len(names)}/kernel_layer/vars/0" in datasets:
        names.append(f"tied_dense_{len(names)}")
    activation = _read_activation(params, config) if len(names) > 1 else "linear"
    if activation is None:
        return None
    kernels, biases, decoder_biases, gains, width = [], [], [], [], d
    unread = {path for path in datasets if path.startswith("decoder/")}

    def take(path: str, *shape: int | None) -> Array:
        unread.discard(path)
        return _archive.read_dataset(datasets, path, shape)

    for name in reversed(names):  # the decoder's last layer is tied to the encoder's first
        kernel = take(f"{layers}/{name}/kernel_layer/vars/0", width, None)
        rows, width = kernel.shape
        kernels.append(kernel)
        biases.append(take(f"{layers}/{name}/kernel_layer/vars/1", width))
        if len(names) > 1:
            gains.append(take(f"{layers}/{name}/vars/0", width))
        decoder_biases.append(take(f"{layers}/{name}/vars/{int(len(names) > 1)}", rows))
    require(not unread, f"no layer has its weights {min(unread, default='')!r}")
    hidden = [len(bias) for bias in biases[:-1]]
    require(
        width == k and all(units >= k for units in hidden),
        f"its encoder turns {d} numbers into {width}, and not into {k}",
    )
    return DenseNetwork(
        tuple(kernels),
        tuple(biases),
        tuple(decoder_biases),
        tuple(gains) or None,
        activation,
        k if hidden else 0,
    )


def _load_network(archive: bytes, params: dict[str, Any], d: int, k: int) -> Any:
    from keras_tied.estimator._fitted.compiled_network import CompiledNetwork
    from keras_tied.estimator._known_classes import require_known_classes

    require_known_classes(params)
    network = CompiledNetwork(load_model(archive))
    first, last = network.layer_sizes
    require(
        (first, last) == (d, k),
        f"its encoder turns {first} numbers into {last}, and not {d} into {k}",
    )
    return network


def _read_weight_decay(config: Any) -> float:
    """The factor that the kernels of the encoder's first dense layer were trained with."""
    try:
        layers = config["config"]["encoder"]["config"]["layers"]
        regularizer = layers[1]["config"]["kernel_regularizer"]
        factor = regularizer["config"]["l2"] if regularizer else 0.0
    except (KeyError, IndexError, TypeError):
        return 0.0
    require(_is_number(factor) and factor >= 0, f"its weight decay is {reprlib.repr(factor)}")
    return float(factor)


def _read_activation(params: dict[str, Any], config: Any) -> str | None:
    """The name of the activation of the hidden layers; None for one of the user's."""
    if params["activation"] != "auto":
        return activation_name(params["activation"])
    try:
        layer = config["config"]["encoder"]["config"]["layers"][2]
        name = activation_name(layer["config"]["activation"])
    except (KeyError, IndexError, TypeError):
        name = None
    require(name is not None, "its hidden layers have no activation")
    return name


def _pack(members: Mapping[str, str | bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def _write_npz(arrays: dict[str, Array]) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type] # NumPy takes names for flags
    return content.getvalue()


def _write_json(content: Any) -> str:
    return json.dumps(content, allow_nan=False, indent=1)


def _is_curve(value: Any) -> bool:
    return type(value) is list and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63
