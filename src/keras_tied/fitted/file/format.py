"""The file of a fitted value: arrays as safetensors, whose header holds settings as JSON."""

from __future__ import annotations

import hashlib
import os
import reprlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw, Struct, field
from safetensors import SafetensorError
from safetensors.numpy import load, save

from keras_tied._types import Array
from keras_tied.fitted import gaussian, outlier_score
from keras_tied.fitted.activations import ACTIVATIONS
from keras_tied.fitted.dense_network import DenseNetwork
from keras_tied.fitted.fences import Fences
from keras_tied.fitted.file.contents import Contents, NadamState, Settings, require
from keras_tied.fitted.gaussian import Gaussian, Pieces
from keras_tied.fitted.imputation import Preprocessing
from keras_tied.fitted.layout import BOOLEAN, CATEGORY, NUMBER, Layout
from keras_tied.fitted.link import Link
from keras_tied.fitted.outlier_score import Axes, OutlierScore
from keras_tied.fitted.scaling import Scaling
from keras_tied.fitted.tail import N_NUMBERS, Tail
from keras_tied.fitted.value import Fitted, Network

FORMAT, KEY = 1, "keras_tied"
"""The version of the format, and the entry of the header's metadata that holds all JSON."""
MOST_BYTES, MOST_CONTAINERS, MOST_VALUES = 2**24, 2**20, 2**21
"""Of a header, and about the lists and objects and the values in its JSON, which take up to 80 and
60 bytes of memory each. A table of 150,000 columns is below that."""
NOT_OURS = (
    "it is not a file that TiedAutoencoder.save has written, or only a part of one"
)
AXES: dict[str, Any] = {
    "preprocessing.scaling.shift": "d",
    "preprocessing.scaling.scale": "d",
    "preprocessing.mean": "d",
    "preprocessing.layout.columns": "d",
    "preprocessing.layout.kinds": "d",
    "preprocessing.gaussian.mean": "e",
    "preprocessing.gaussian.precision": "ee",
    **{f"preprocessing.gaussian.pieces.{name}": "p" for name in Pieces._fields},
    "imputation_weights": "d",
    "smallest": "d",
    "largest": "d",
    "link.frequencies": "d",
    "link.temperatures": "d",
    "link.mixtures": "d",
    "link.costs": "d",
    "outlier_score.code_axes.mean": "k",
    "outlier_score.code_axes.vectors": "ka",
    "outlier_score.residual_axes.mean": "d",
    "outlier_score.residual_axes.vectors": "db",
    "outlier_score.gaussian.mean": "f",
    "outlier_score.gaussian.precision": "ff",
    **{f"outlier_score.gaussian.pieces.{name}": "q" for name in Pieces._fields},
    "outlier_score.median": "s",
    "outlier_score.scale": "s",
    "outlier_score.fences.middle": "d",
    "outlier_score.fences.low": "d",
    "outlier_score.fences.high": "d",
    "outlier_score.tail.numbers": "t",
    "nadam.averages": "w",
    "nadam.squares": "w",
}
"""The arrays of a fitted value besides those of its network, by their place in it, with their axes:
d features, k components, e and f features with the p and q pieces of their numbers, a
and b principal axes of codes and residuals, t numbers of the tail, s numbers that the
score
standardises: d + a + b, and the features of numbers once more with a precision; and w
    weights of
the network, whose averages `partial_fit` goes on from."""
GAUSSIANS = {
    "preprocessing.gaussian": gaussian.MOST_FEATURES,
    "outlier_score.gaussian": outlier_score.MOST_FEATURES,
}
"""Normal distributions, and the most features that they have a precision of."""
LAYER = {"kernels": (0, 1), "biases": (1,), "decoder_biases": (0,), "gains": (1,)}
"""The axes of `network.NAME.0`: the units before and after the layer, numbered as the layers."""
OPTIONAL = (
    "preprocessing.gaussian.",
    "imputation_weights",
    "smallest",
    "largest",
    "outlier_score.gaussian.precision",
    "outlier_score.gaussian.pieces.",
)
"""Begins the names of arrays that a file may lack."""
WHOLE = "link.", "nadam."
"""Begins the names of arrays that a file may lack, all of them."""
KINDS = {NUMBER, BOOLEAN, CATEGORY}
POSITIVE = ".scale", ".frequencies", ".temperatures", ".costs"  # ends of their names
SHARES = "imputation_weights", "link.frequencies", "link.mixtures"  # from 0 to 1
MAY_BE_INFINITE = (
    *("outlier_score.scale", "outlier_score.fences.low", "outlier_score.fences.high"),
    *("smallest", "largest"),
)


class _Header(Struct):
    """What is read of a header here; the library reads and checks the rest."""

    metadata: dict[str, str] = field(name="__metadata__", default_factory=dict)


class _Document(Struct):
    """The JSON of a header; the checksum is that of settings, notes and arrays."""

    format: Any
    sha256: str
    settings: Raw
    notes: Raw


def to_bytes(contents: Contents) -> bytes:
    """The bytes of a file; those of a Keras model lack the network."""
    arrays = _get_arrays(contents)
    transposed = [name for name, array in arrays.items() if array.flags.fnc]
    arrays |= {name: arrays[name].T for name in transposed}
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    settings = msgspec.structs.replace(contents.settings, transposed=transposed)
    texts = [Raw(msgspec.json.encode(each)) for each in (settings, contents.notes)]
    text = msgspec.json.encode(
        _Document(FORMAT, _digest(texts, arrays), *texts)
    ).decode()
    content = save(arrays, {KEY: text})
    try:
        _require_small_header(content)
        _read_document(text)
    except ValueError as error:
        raise ValueError(
            f"The file could not be read back, as {error}: shorten loss_curve_, or use"
            " fewer features or layers."
        ) from error
    return content


def read_file(path: str | os.PathLike[str], network: Network | None = None) -> Contents:
    """Read a file, with a network that is not in it if one is given."""
    # Not mapped into memory: a process ends at once if somebody cuts off a file that it
    # has mapped.
    with open(path, "rb") as file:
        start = file.read(9)
        _require_small_header(start)
        try:
            header = start[8:] + file.read(int.from_bytes(start[:8], "little") - 1)
            text = msgspec.json.decode(header, type=_Header).metadata.get(KEY, "")
            require(text != "", "it holds no TiedAutoencoder")
            file.seek(0)
            arrays = load(file.read())
        except (SafetensorError, msgspec.DecodeError) as error:
            raise ValueError(NOT_OURS) from error
    axes = _find_axes(arrays, network is None)
    arrays = {name: arrays[name] for name in axes}
    document, settings = _read_document(text)
    digest = _digest((document.settings, document.notes), arrays)
    require(document.sha256 == digest, "its checksum is not that of its contents")
    known = set(settings.transposed) <= arrays.keys()
    require(known, "it has no array of a name that is said to be transposed")
    arrays |= {name: arrays[name].T for name in settings.transposed}
    _check_arrays(arrays, axes, network)
    fitted = _make_fitted(arrays, settings, network)
    notes = msgspec.json.decode(document.notes)
    return Contents(
        settings, fitted, notes, _make_nadam(arrays, settings, fitted.network)
    )


def _require_small_header(content: bytes) -> None:
    """Raise `ValueError` for a header that may take much memory, or that is none."""
    size = int.from_bytes(content[:8], "little")
    require(content[8:9] == b"{", NOT_OURS)
    require(
        size <= MOST_BYTES, f"its header has {size:,} bytes, more than {MOST_BYTES:,}"
    )


def _read_document(text: str) -> tuple[_Document, Settings]:
    """The JSON of a header, and its settings."""
    for marks, most in (("{[", MOST_CONTAINERS), (":,", MOST_VALUES)):
        require(
            sum(map(text.count, marks)) <= most,
            f"it has more than {most:,} values in JSON",
        )
    document = msgspec.json.decode(text, type=_Document)
    version = reprlib.repr(document.format)
    require(
        type(document.format) is int and document.format == FORMAT,
        f"it has the format {version}, and this version of keras-tied reads {FORMAT}",
    )
    return document, msgspec.json.decode(document.settings, type=Settings)


def _digest(texts: Iterable[Raw], arrays: Mapping[str, Array]) -> str:
    """The checksum of a file, whatever the order and the spaces of its header."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text)
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _find_axes(names: Collection[str], has_network: bool) -> dict[str, Any]:
    """The axes of the arrays of these names."""

    def count(start: str) -> int:
        return sum(name.startswith(start) for name in names)

    n_layers = count("network.kernels.")
    require(has_network == (n_layers > 0), f"its network has {n_layers} layers")
    widths = ["d", *map(str, range(1, n_layers)), "k"]
    layers = {
        f"network.{name}.{i}": [widths[i + end] for end in ends]
        for name, ends in LAYER.items()
        for i in range(n_layers)
    }
    axes = AXES | layers
    absent, others = axes.keys() - names, set(names) - axes.keys()
    optional = OPTIONAL + tuple(start for start in WHOLE if not count(start))
    needed = {name for name in absent if not name.startswith(optional)}
    for of in GAUSSIANS:
        if f"{of}.precision" in names:
            needed |= absent & {f"{of}.mean"}
        if count(f"{of}.pieces."):
            needed |= {name for name in absent if name.startswith(of)}
    require(not needed, f"it lacks the array {min(needed, default='')!r}")
    require(not others, f"it has an unexpected array {min(others, default='')!r}")
    return {name: axes[name] for name in axes if name in names}


def _find_dtype(name: str) -> str:
    if name.startswith(("network.", "nadam.")):
        return "float32"
    is_whole = name.startswith("preprocessing.layout.") or name.endswith(
        ".pieces.features"
    )
    return "int64" if is_whole else "float64"


def _check_arrays(
    arrays: Mapping[str, Array], axes: Mapping[str, Any], network: Network | None
) -> None:
    """Require that arrays have the right dtypes, shapes and numbers."""
    sizes = {"t": N_NUMBERS}
    if network is not None:
        sizes["d"], *_, sizes["k"] = network.layer_sizes
    for name, array in arrays.items():
        fits = len(axes[name]) == array.ndim and all(
            sizes.setdefault(axis, n) == n and (n > 0 or axis in ("a", "b"))
            for axis, n in zip(axes[name], array.shape, strict=True)
        )
        require(fits, f"{name!r} has the shape {array.shape}, which does not fit")
        require(
            array.dtype == _find_dtype(name), f"{name!r} has the dtype {array.dtype}"
        )
        wild = np.isnan(array) if name in MAY_BE_INFINITE else ~np.isfinite(array)
        require(not wild.any(), f"{name!r} has numbers that are not finite")
        require(
            not name.endswith(POSITIVE) or bool((array > 0).all()),
            f"{name!r} has numbers that are not positive",
        )
        is_share = name not in SHARES or bool(((array >= 0) & (array <= 1)).all())
        require(is_share, f"{name!r} are not from 0 to 1")
    d, k, precision = (
        sizes["d"],
        sizes["k"],
        arrays.get("outlier_score.gaussian.precision"),
    )
    low, middle, high = (
        arrays[f"outlier_score.fences.{end}"] for end in ("low", "middle", "high")
    )
    columns, kinds = (
        arrays[f"preprocessing.layout.{name}"] for name in ("columns", "kinds")
    )
    steps = np.diff(columns, prepend=-1)
    same = (kinds[1:] == kinds[:-1]) | (steps[1:] == 1)
    sure = (arrays.get("link.frequencies", middle * 0) < 1) | (kinds != BOOLEAN)
    n_numbers = d + sizes["a"] + sizes["b"]
    n_numbers += 0 if precision is None else int((kinds == NUMBER).sum())
    hidden = [size for axis, size in sizes.items() if axis.isdigit()]
    positive = precision is None or (precision.diagonal() > 0).all()
    checks = {
        "its hidden layers are too small": min(hidden, default=k) >= k,
        "its outlier score has another number of medians": sizes["s"] == n_numbers,
        "it has too many features for a precision": all(
            len(arrays.get(f"{of}.precision", ())) <= most
            for of, most in GAUSSIANS.items()
        ),
        "its means have another number of features": (
            sizes.get("e", d) == d + sizes.get("p", 0)
            and sizes["f"] == d + sizes.get("q", 0)
        ),
        "its pieces are none": all(_are_pieces(arrays, of, kinds) for of in GAUSSIANS),
        "'preprocessing.layout.columns' does not number columns": (
            steps[0] == 1 and set(steps) <= {0, 1}
        ),
        "'preprocessing.layout.kinds' are none": set(kinds) <= KINDS and same.all(),
        "it has a link and no classes": "link.costs" not in arrays or kinds.any(),
        "'link.frequencies' has a boolean that is never false": sure.all(),
        "'outlier_score.gaussian.precision' is not positive": positive,
        "'outlier_score.fences' are not in order": (
            ((low < middle) & (middle < high)).all()
        ),
        "'smallest' is above 'largest'": (
            (arrays.get("smallest", low) <= arrays.get("largest", high)).all()
        ),
        "'nadam.squares' has negative numbers": (
            (arrays.get("nadam.squares", middle * 0) >= 0).all()
        ),
        "'outlier_score.tail' is not a tail": _make_tail(arrays).is_valid,
    }
    for otherwise, holds in checks.items():
        require(bool(holds), otherwise)


def _are_pieces(arrays: Mapping[str, Array], gaussian: str, kinds: Array) -> bool:
    """Whether the pieces of a normal distribution, if it has some, are of numbers."""
    if f"{gaussian}.pieces.low" not in arrays:
        return True
    features, low, high = (
        arrays[f"{gaussian}.pieces.{name}"] for name in Pieces._fields[:3]
    )
    within = bool((features >= 0).all() and (features < len(kinds)).all())
    return within and bool((kinds[features] == NUMBER).all() and (low < high).all())


def _get_arrays(contents: Contents) -> dict[str, Array]:
    """The arrays of a file, by name."""
    fitted = contents.fitted
    arrays: dict[str, Any] = dict.fromkeys(AXES, fitted)
    for name in AXES:
        for attribute in name.split("."):
            arrays[name] = getattr(arrays[name], attribute, None)
    if isinstance(fitted.network, DenseNetwork):
        for name in LAYER:
            layers = getattr(fitted.network, name) or ()
            arrays |= {f"network.{name}.{i}": array for i, array in enumerate(layers)}
    arrays = {
        name: np.asarray(array, _find_dtype(name))
        for name, array in arrays.items()
        if array is not None
    }
    if contents.nadam is not None:
        arrays["nadam.averages"] = contents.nadam.averages
        arrays["nadam.squares"] = contents.nadam.squares
    return arrays


def _make_fitted(
    arrays: Mapping[str, Array], settings: Settings, network: Network | None
) -> Fitted:
    """The fitted value of checked arrays."""

    def take(start: str) -> dict[str, Any]:
        """The arrays whose names begin so and have one part more, by that part."""
        places = {
            name: name.removeprefix(f"{start}.")
            for name in arrays
            if name.startswith(start)
        }
        return {
            place: arrays[name] for name, place in places.items() if "." not in place
        }

    if network is None:
        layers: dict[str, Any] = {
            name: tuple(take(f"network.{name}").values()) for name in LAYER
        }
        has_hidden = len(layers["biases"]) > 1
        known = settings.activation in ACTIVATIONS or not has_hidden
        require(known, f"its activation is {settings.activation!r}")
        linear = len(layers["biases"][-1]) if has_hidden else 0
        activation = str(settings.activation)
        network = DenseNetwork(**layers, activation=activation, linear_units=linear)

    def take_gaussian(start: str) -> Gaussian | None:
        """The normal distribution, if there is one."""
        of_rows, pieces = take(start), take(f"{start}.pieces")
        return (
            Gaussian(**of_rows, pieces=Pieces(**pieces) if pieces else None)
            if of_rows
            else None
        )

    layout = Layout(**take("preprocessing.layout"))
    scaling = Scaling(**take("preprocessing.scaling"))
    of_rows, of_score = map(take_gaussian, GAUSSIANS)
    assert of_score is not None  # its mean is needed
    score = OutlierScore(
        **take("outlier_score"),
        code_axes=Axes(**take("outlier_score.code_axes")),
        residual_axes=Axes(**take("outlier_score.residual_axes")),
        gaussian=of_score,
        layout=layout,
        scaling=scaling,
        fences=Fences(**take("outlier_score.fences")),
        tail=_make_tail(arrays),
    )
    finite = score.surprise is None or bool(np.isfinite(score.surprise).all())
    require(finite, "'outlier_score.gaussian.precision' cannot be inverted")
    mean, names = arrays["preprocessing.mean"], settings.feature_names
    require(
        names is None or len(names) == len(mean),
        f"its feature names are not {len(mean)}",
    )
    preprocessing = Preprocessing(scaling, mean, layout, of_rows)
    feature_names = None if names is None else tuple(names)
    columns, of_link = bytes(settings.columns), take("link")
    return Fitted(
        preprocessing=preprocessing,
        network=network,
        outlier_score=score,
        offset=settings.offset,
        feature_names=feature_names,
        imputation_weights=arrays.get("imputation_weights"),
        smallest=arrays.get("smallest"),
        largest=arrays.get("largest"),
        columns_json=None if columns == b"null" else columns,
        link=Link(**of_link, layout=layout, scaling=scaling) if of_link else None,
    )


def _make_nadam(
    arrays: Mapping[str, Array], settings: Settings, network: Network
) -> NadamState | None:
    """The state of Nadam, if there is one."""
    if "nadam.averages" not in arrays:
        return None
    averages, squares = arrays["nadam.averages"], arrays["nadam.squares"]
    n, expected = len(averages), network.n_parameters
    require(n == expected, f"'nadam.averages' has {n} numbers for {expected} weights")
    return NadamState(averages, squares, settings.steps)


def _make_tail(arrays: Mapping[str, Array]) -> Tail:
    return Tail.from_numbers(arrays["outlier_score.tail.numbers"])
