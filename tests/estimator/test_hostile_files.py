"""Files that were made to do harm: each is refused in one sentence, at little cost.

Most are read in another process (`main`), one after the other, by `load` and by the
command. They need no Keras there. Archives of Keras are read in this one.
"""

import contextlib
import importlib
import io
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_tied import TiedAutoencoder
from keras_tied.fitted import file as _files

from .model_files import FOLDER, pack, read_arrays, read_text, whole

SPARE_BYTES = 2**27
"""That a file may take beyond four times its size."""
KILLED_AFTER = 300
"""Seconds, of all files together: then one of them hangs."""

Make = Callable[[], bytes]
CASES: dict[str, Make] = {}
"""By name: a function that makes a file to be refused."""


def case(name: str, make: Make) -> None:
    assert name not in CASES, name
    CASES[name] = make


def with_settings(kind: str = "text", **changes: Any) -> bytes:
    """A file with other settings."""
    document = json.loads(read_text(kind))
    return pack(read_arrays(kind), document["settings"] | changes, document["notes"])


def with_arrays(changes: dict[str, Any], kind: str = "text") -> bytes:
    """A file with other arrays; None leaves one out."""
    document, arrays = json.loads(read_text(kind)), read_arrays(kind) | changes
    arrays = {n: np.asarray(a, order="C") for n, a in arrays.items() if a is not None}
    return pack(arrays, document["settings"], document["notes"])


def with_array(name: str, change: Callable[[Any], Any], kind: str = "text") -> bytes:
    return with_arrays({name: change(read_arrays(kind)[name])}, kind)


def with_header(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A file of any header, bytes or what is JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def with_entry(**changes: Any) -> bytes:
    """A file whose header says something else of the first array."""
    (length,) = struct.unpack("<Q", whole()[:8])
    header = json.loads(whole()[8 : 8 + length])
    header[next(name for name in header if name != "__metadata__")] |= changes
    return with_header(header, whole()[8 + length :])


# Bytes.

case("nothing", lambda: b"")
case("zeros", lambda: bytes(1000))
case("an archive of nothing", lambda: b"PK\x05\x06" + bytes(18))
case("an end of an archive alone", lambda: b"PK\x05\x06" + b"\xff" * 18)
case("HDF5", lambda: b"\x89HDF\r\n\x1a\n" + bytes(1000))
for n_bytes in (1, 7, 8, 9, 100, -1):
    case(f"a part, up to byte {n_bytes}", lambda n_bytes=n_bytes: whole()[:n_bytes])
case("a byte more", lambda: whole() + b"\0")
case("another byte at the end", lambda: whole()[:-1] + bytes([whole()[-1] ^ 1]))
for length in (2, 2**24, 2**25, 2**40, 2**64 - 1):
    case(
        f"a header of {length} bytes, as it says",
        lambda length=length: with_header(whole()[8:], length=length),
    )
case(
    "a header of 17 MB", lambda: with_header({"__metadata__": {"a": "x" * 17 * 2**20}})
)
HEADERS: dict[str, bytes] = {
    "a list": b"[]",
    "an object that ends early": b'{"a":',
    "bytes that are not UTF-8": b'{"\xff":1}',
    "100,000 brackets": b'{"a":' + b"[" * 100_000,
    "no metadata": b"{}",
    "metadata of numbers": b'{"__metadata__":{"keras_tied":1}}',
    "metadata of another program": b'{"__metadata__":{"format":"pt"}}',
    "an array without a shape": b'{"a":{"dtype":"F32","data_offsets":[0,0]}}',
    "200,000 arrays": (
        b"{"
        + b",".join(
            b'"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % i
            for i in range(200_000)
        )
        + b"}"
    ),
}
for what, text in HEADERS.items():
    case(f"the header is {what}", lambda text=text: with_header(text))
ENTRIES: dict[str, dict[str, Any]] = {
    "2 ** 40 numbers": {"shape": [2**40]},
    "2 ** 70 numbers": {"shape": [2**70]},
    "2 ** 62 times 4 numbers": {"shape": [2**62, 4]},
    "a negative shape": {"shape": [-1]},
    "2 ** 40 times no numbers": {"shape": [2**40, 0]},
    "a place behind the end": {"data_offsets": [2**30, 2**30 + 8]},
    "a place that ends first": {"data_offsets": [8, 0]},
    "the place of another": {"data_offsets": [8, 16]},
    **{
        dtype: {"dtype": dtype}
        for dtype in ("F16", "BF16", "F8_E4M3", "F4", "U64", "O", "BOOL")
    },
}
for what, changes in ENTRIES.items():
    case(
        f"an array is said to be {what}", lambda changes=changes: with_entry(**changes)
    )

# JSON.

JSON: dict[str, str] = {
    "100,000 brackets": "[" * 100_000 + "]" * 100_000,
    "100,000 braces": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "an int of 5,000 digits": "9" * 5_000,
    "NaN": "NaN",
    "infinity": "-Infinity",
    "a number that is too large": "1e999",
    "nothing": "",
    "a comment": "1 // x",
    "2 million lists": "[" + "[]," * 2_000_000 + "1]",
    "3 million values": "[" + "1," * 3_000_000 + "1]",
    "1.2 million objects": "[" + '{"a":1},' * 1_200_000 + "1]",
}
for what, text in JSON.items():
    case(f"settings are {what}", lambda text=text: pack(read_arrays(), text, None))
    case(
        f"notes are {what}",
        lambda text=text: pack(
            read_arrays(), json.loads(read_text())["settings"], text
        ),
    )
for value in (0, 2, "1", None, [1], True, 1.5, "1" * 10**6):
    case(
        f"format is {str(value)[:20]} ({type(value).__name__})",
        lambda value=value: pack(
            read_arrays(), *list(json.loads(read_text()).values())[2:], value
        ),
    )
VALUES: dict[str, list[Any]] = {
    "n_iter_": [-1, 1.5, False, None, 2**63, 10**4000],
    "is_pca_": [0, 1, "true", None],
    "loss_curve_": [None, 1.0, "1", [None], ["1"], [True], [[1.0]], [10**400], {}],
    "validation_curve_": [
        None,
        1.0,
        "1",
        [None],
        ["1"],
        [True],
        [[1.0]],
        [10**400],
        {},
    ],
    "reconstruction_r2_": [1.1, 10**400, -(10**400), True, None, "0.5"],
    "offset": [None, "0", 10**400, True, [0.0]],
    "weight_decay": [-1.0, "nan", 10**400, True, [1.0], None],
    "activation": ["glu", "", 1, None, ["tanh"], "x" * 10**6],
    "feature_names": [
        ["a"],
        [],
        list(range(7)),
        "abcdefg",
        dict.fromkeys("abcdefg", 1),
    ],
    "params": [None, [], "x", 7],
    "steps": [-1, 1.5, None, True, "1", 2**63],
    "transposed": [None, "x", ["x"], [1]],
    "version": [1, None],
    "surprise": [1],
}
for name, values in VALUES.items():
    for value in values:
        case(
            f"{name} is {str(value)[:20]} ({type(value).__name__})",
            lambda name=name, value=value: with_settings(**{name: value}),
        )

# Arrays.


def with_number(value: float, place: int = 0) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array = array.copy()
        array.flat[place] = value
        return array

    return change


MAY_BE_MISSING = (
    "preprocessing.gaussian.precision imputation_weights smallest largest".split()
)
CHANGES: dict[str, Callable[[Any], Any]] = {
    "has a row more": lambda array: np.concatenate([array, array[:1]]),
    "has an axis more": lambda array: array[None],
    "is one number": lambda array: array.flat[0],
    "is empty": lambda array: array[:0],
    "is of half precision": lambda array: array.astype("f2"),
    "is complex": lambda array: array.astype("c8"),
    "is not there": lambda array: None,
}
for name, array in sorted(read_arrays().items()):
    changes = dict(CHANGES)
    if array.dtype.kind == "f":
        changes["has a NaN"] = with_number(np.nan)
        if not name.endswith((".scale", ".low", ".high", "smallest")):
            changes["has an infinite number"] = with_number(-np.inf)
    if name in MAY_BE_MISSING:
        del changes["is not there"]
    for what, change in changes.items():
        case(
            f"{name} {what}", lambda name=name, change=change: with_array(name, change)
        )
for what, change in {
    "do not begin with 0": lambda array: array + 1,
    "fall": lambda array: array[::-1],
    "leave one out": lambda array: 2 * array,
}.items():
    case(
        f"columns {what}",
        lambda change=change: with_array("preprocessing.layout.columns", change),
    )
case(
    "kinds are none",
    lambda: with_array("preprocessing.layout.kinds", lambda array: array + 3),
)
PIECES = "preprocessing.gaussian.pieces"
for name in sorted(
    name for name in read_arrays("imputation") if name.startswith(PIECES)
):
    for what, change in CHANGES.items():
        case(
            f"{name} {what}",
            lambda name=name, change=change: with_array(name, change, "imputation"),
        )
for what, (name, value) in {
    "of a feature before the first": ("features", -1),
    "of a feature after the last": ("features", 5),
    "that end before they begin": ("high", -100.0),
    "without a spread": ("scale", 0.0),
}.items():
    case(
        f"pieces {what}",
        lambda name=name, value=value: with_array(
            f"{PIECES}.{name}", with_number(value), "imputation"
        ),
    )
case(
    "pieces of a score that has none",
    lambda: with_arrays(
        {
            name.replace("preprocessing", "outlier_score"): array
            for name, array in read_arrays("imputation").items()
            if name.startswith(PIECES)
        },
        "imputation",
    ),
)


def with_link(kind: str = "text", **changes: Any) -> bytes:
    """A file with a link that is right but for these arrays."""
    d = len(read_arrays(kind)["preprocessing.mean"])
    values = {"frequencies": 0.5, "temperatures": 1.0, "mixtures": 0.1, "costs": 1.0}
    arrays = {name: np.full(d, value) for name, value in values.items()} | changes
    return with_arrays({f"link.{name}": array for name, array in arrays.items()}, kind)


def test_the_link_of_the_cases_below_is_right(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(with_link())
    assert _files.read(path).fitted.link is not None


N_FEATURES = len(read_arrays()["preprocessing.mean"])
case("a link of numbers alone", lambda: with_link("pca"))
for name in ("frequencies", "temperatures", "mixtures", "costs"):
    case(
        f"{name} of the link are not there", lambda name=name: with_link(**{name: None})
    )
    for value in (-0.1, np.nan, np.inf):
        wrong = np.full(N_FEATURES, value)
        case(
            f"{name} of the link are {value}",
            lambda n=name, a=wrong: with_link(**{n: a}),
        )
    short = np.full(N_FEATURES - 1, 0.5)
    case(f"{name} of the link are too few", lambda n=name, a=short: with_link(**{n: a}))
    if name != "mixtures":
        none = np.zeros(N_FEATURES)
        case(f"{name} of the link are 0", lambda n=name, a=none: with_link(**{n: a}))
for name in ("frequencies", "mixtures"):
    many = np.full(N_FEATURES, 1.5)
    case(f"{name} of the link are above 1", lambda n=name, a=many: with_link(**{n: a}))
case("a boolean is always true", lambda: with_link(frequencies=np.ones(N_FEATURES)))

PRECISION = "outlier_score.gaussian.precision"
case(
    "fences cross",
    lambda: with_array("outlier_score.fences.low", lambda array: array + 1e9),
)
case("precision is negative", lambda: with_array(PRECISION, np.negative))
case("precision cannot be inverted", lambda: with_array(PRECISION, np.ones_like))
for place in (1, 2, 4, 5, 6):
    case(
        f"number {place} of the tail is negative",
        lambda place=place: with_array(
            "outlier_score.tail.numbers", with_number(-1, place)
        ),
    )
for name in ("preprocessing.scaling.scale", "outlier_score.scale"):
    for value in (0.0, -1.0):
        case(
            f"{name} has {value}",
            lambda name=name, value=value: with_array(name, with_number(value)),
        )
for value in (-0.1, 1.1):
    case(
        f"imputation_weights has {value}",
        lambda value=value: with_array(
            "imputation_weights", with_number(value), "imputation"
        ),
    )
case("there is an array more", lambda: with_arrays({"x": np.zeros(1)}))
case(
    "there is a layer more",
    lambda: with_arrays({"network.kernels.2": np.zeros((2, 2), "f4")}),
)
case(
    "there is no network",
    lambda: with_arrays({n: None for n in read_arrays() if n.startswith("network.")}),
)
for name in ("nadam.averages", "nadam.squares"):
    for what, change in {**CHANGES, "has a NaN": with_number(np.nan)}.items():
        case(f"{name} {what}", lambda n=name, c=change: with_array(n, c, "partial"))
case(
    "a square is negative",
    lambda: with_array("nadam.squares", with_number(-1.0), "partial"),
)
case(
    "there are fewer averages than weights",
    lambda: with_arrays(
        {f"nadam.{n}": np.zeros(9, "f4") for n in ("averages", "squares")}
    ),
)


# The other process.


def main(folder: Path) -> None:
    """Read what is in a folder, and print a line of JSON on each file."""
    read_twice(FOLDER / "text.safetensors")  # to import all that it takes
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def measure_growth() -> int:
        return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most)

    for file in sorted(
        folder.glob("*.safetensors"), key=lambda file: file.stat().st_size
    ):
        result = read_twice(file)
        result["bytes"] = measure_growth()
        print(json.dumps(result), flush=True)


def read_twice(file: Path) -> dict[str, Any]:
    """Load a file, and have the command inspect it."""
    from keras_tied import TiedAutoencoder, cli

    error = None
    try:
        TiedAutoencoder.load(file)
    except Exception as raised:
        error = [type(raised).__name__, str(raised)]
    sys.argv = ["keras-tied", "inspect", str(file)]
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
    keras = "keras" in sys.modules
    return {
        "file": file.stem,
        "error": error,
        "code": code,
        "said": said.getvalue(),
        "keras": keras,
    }


def one_sentence(message: str) -> bool:
    return message.endswith(".") and message.isprintable() and len(message) < 600


def few_quick(names: Iterable[str], every: int) -> list[Any]:
    """Parameters of which each `every`th is not slow."""
    return [
        pytest.param(
            name, marks=[pytest.mark.slow] * (index % every > 0 or "MB" in name)
        )
        for index, name in enumerate(names)
    ]


@pytest.fixture(scope="module")
def read(request, tmp_path_factory) -> dict[str, Any]:
    """What came of the files that some test asks for, by the name of the case."""
    params = [
        item.callspec.params
        for item in request.session.items
        if hasattr(item, "callspec")
    ]
    wanted = {each.get("name") for each in params}
    names = [name for name in CASES if name in wanted]
    folder = tmp_path_factory.mktemp("files")
    temporary = folder / "temporary"
    temporary.mkdir()
    for index, name in enumerate(names):
        (folder / f"{index}.safetensors").write_bytes(CASES[name]())
    done = subprocess.run(
        [sys.executable, "-m", "tests.estimator.test_hostile_files", folder],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=KILLED_AFTER,
    )
    assert done.returncode == 0, done.stderr
    assert list(temporary.iterdir()) == []
    lines = {line["file"]: line for line in map(json.loads, done.stdout.splitlines())}
    return {name: lines[str(index)] for index, name in enumerate(names)}


@pytest.mark.parametrize("name", few_quick(CASES, 11))
def test_a_hostile_file_is_refused_in_little_memory_without_keras(read, name):
    kind, message = read[name]["error"]
    assert kind == "ValueError"
    assert one_sentence(message)
    assert read[name]["bytes"] <= 4 * len(CASES[name]()) + SPARE_BYTES
    assert not read[name]["keras"]
    assert read[name]["code"] == 2
    assert one_sentence(read[name]["said"].removesuffix("\n"))


def test_a_scale_may_be_infinite(tmp_path):
    """It is where all values are equal."""
    file = tmp_path / "m.safetensors"
    file.write_bytes(with_array("outlier_score.scale", with_number(np.inf)))
    assert TiedAutoencoder.load(file).n_features_in_ == 5


def test_what_is_no_file_is_not_opened(tmp_path):
    """Whoever opens a pipe waits for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for name in ("pipe", "link", "."):
        with pytest.raises(FileNotFoundError, match="There is no file"):
            TiedAutoencoder.load(tmp_path / name)


# Archives of Keras.


def test_an_archive_that_is_replaced_while_it_is_read_is_read_whole(tmp_path):
    """Else settings of one model could meet the network of another."""
    file = tmp_path / "m.keras"
    file.write_bytes(whole("encoder"))
    contents = _files.read(file, before_keras=lambda: file.write_bytes(b""))
    assert contents.fitted.n_features == contents.fitted.network.layer_sizes[0]


CONFIG, WEIGHTS = "config.json", "model.weights.h5"
NEEDED = CONFIG, WEIGHTS, "estimator.safetensors"


@cache
def members() -> dict[str, bytes]:
    """What a whole file holds."""
    with zipfile.ZipFile(FOLDER / "encoder.keras") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive(method: int = zipfile.ZIP_STORED, **changes: bytes | None) -> bytes:
    """A file with other members, whose names have `__` for a dot; None
    leaves one out.
    """
    file = io.BytesIO()
    contents = members() | {name.replace("__", "."): it for name, it in changes.items()}
    with zipfile.ZipFile(file, "w", method) as opened:
        for name, content in contents.items():
            if content is not None:
                opened.writestr(name, content)
    return file.getvalue()


def weights(change: Callable[[Any], None]) -> bytes:
    """A file with other weights, after a change to them."""
    content = io.BytesIO(members()[WEIGHTS])
    with h5py.File(content, "r+") as file:
        change(file)
    return archive(model__weights__h5=content.getvalue())


KERNEL = "decoder/layers/tied_conv/kernel_layer/vars/0"


def put(make: Callable[[Any, Any], Any]) -> Callable[[Any], None]:
    """A change of the first kernel for what `make` makes of the file and of the kernel
    before.
    """

    def change(file: Any) -> None:
        old = file[KERNEL][()]
        del file[KERNEL]
        made = make(file, old)
        if made is not None:
            file[KERNEL] = made

    return change


def create(
    shape: tuple[int, ...] | None = None, **options: Any
) -> Callable[[Any], None]:
    return put(
        lambda file, old: (
            file.create_dataset(KERNEL, shape or old.shape, "f4", **options) and None
        )
    )


def make_virtual(file: Any, old: Any) -> None:
    layout = h5py.VirtualLayout(old.shape, "f4")
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", old.shape)
    file.create_virtual_dataset(KERNEL, layout)


LONG = 600 * 2**20
ARCHIVES: dict[str, Make] = {
    **{f"no {name}": lambda name=name: archive(**{name: None}) for name in NEEDED},
    **{f"half of {n}": lambda n=n: archive(**{n: members()[n][:999]}) for n in NEEDED},
    **{
        f"600 MB of blanks as {name}": lambda name=name: archive(
            zipfile.ZIP_DEFLATED, **{name: b" " * LONG}
        )
        for name in (*NEEDED, "metadata.json")
    },
    "an external link": lambda: weights(
        put(lambda *_: h5py.ExternalLink("pipe", "/x"))
    ),
    "a soft link": lambda: weights(put(lambda *_: h5py.SoftLink("/x"))),
    "a virtual dataset of another file": lambda: weights(put(make_virtual)),
    "links in a circle": lambda: weights(put(lambda *_: h5py.SoftLink(f"/{KERNEL}"))),
    "a dataset in another file": lambda: weights(
        create(external=[("/etc/passwd", 0, 2**20)])
    ),
    "10 ** 11 zeros that are packed": lambda: weights(
        create((10**11,), chunks=(10**6,), compression="gzip")
    ),
    "a NaN": lambda: weights(put(lambda file, old: with_number(np.nan)(old))),
    "an axis more": lambda: weights(put(lambda file, old: old[None])),
    "no kernel": lambda: weights(put(lambda *_: None)),
    "a part": lambda: whole("encoder")[:-9],
    "other metadata": lambda: whole("encoder").replace(b"date_saved", b"date_laved", 1),
    "400 MB of blanks beside": lambda: archive(
        zipfile.ZIP_DEFLATED, x=b" " * 400 * 2**20
    ),
    "another model": lambda: archive(
        config__json=json.dumps(
            json.loads(members()[CONFIG])["config"]["encoder"]
        ).encode()
    ),
    "a network of its own": lambda: archive(estimator__safetensors=whole("pca")),
}
"""By name: a function that makes an archive to be refused."""


@pytest.mark.parametrize("what", few_quick(ARCHIVES, 7))
def test_a_hostile_archive_is_refused_and_leaves_nothing(tmp_path, monkeypatch, what):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    file = tmp_path / "m.keras"
    file.write_bytes(ARCHIVES[what]())
    refuse(file)
    assert list(temporary.iterdir()) == []


CODE = ("Lambda", "TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper")


def function(module: Any, name: str, registered: Any = "function") -> dict[str, Any]:
    return make_config(module, "function", name, registered)


def make_config(
    module: Any, name: str, config: Any = None, registered: Any = None
) -> dict[str, Any]:
    """What Keras stores of an object."""
    return {
        "module": module,
        "class_name": name,
        "config": {} if config is None else config,
        "registered_name": registered,
    }


OURS = "keras_tied>Autoencoder"
REFUSED: dict[str, dict[str, Any]] = {
    "a Lambda": make_config("keras.layers", "Lambda", {"function": "tanh"}),
    "a Lambda under our name": make_config(
        "keras.layers", "Lambda", {"function": "tanh"}, OURS
    ),
    "a private Lambda": make_config("keras.src.layers.core.lambda_layer", "Lambda"),
    "a TFSMLayer": make_config("keras.layers", "TFSMLayer", {"filepath": "trap"}),
    "a JaxLayer": make_config("keras.layers", "JaxLayer"),
    "a TorchModuleWrapper": make_config("keras.layers", "TorchModuleWrapper"),
    "the code of a lambda": make_config(None, "__lambda__", {"value": "x"}),
    "the code of a lambda under our name": make_config(
        "x", "__lambda__", {"value": "x"}, OURS
    ),
    "a type of TensorFlow": (
        make_config("trap", "__typespec__", [1], OURS) | {"spec_name": "x"}
    ),
    "os.system": function("os", "system"),
    "posix.system": function("posix", "system"),
    "subprocess.Popen": make_config("subprocess", "Popen", {"args": ["touch", "trap"]}),
    "builtins.eval": function("builtins", "eval"),
    "builtins.exec": make_config("builtins", "exec"),
    "a module to import": make_config("trap", "Trap"),
    "a module to import for a function": function("trap", "trap"),
    "a module to import under our name": function("trap", "trap", OURS),
    "a module of Keras to import": make_config("keras.src.trap", "Trap"),
    "a module of Keras to import for data": make_config("keras.src.trap", "__numpy__"),
    "a module of Keras to import for a tuple": make_config(
        "keras.src.trap", "__tuple__"
    ),
    "a module of Keras to import for operations": make_config(
        "keras.src.ops.trap", "Trap"
    ),
    "another package of Keras": make_config("keras_hub.trap", "Trap"),
    "get_file": function("keras.utils", "get_file"),
    "get_file as a class": make_config("keras.utils", "get_file"),
    "load_model": function("keras.models", "load_model"),
    "load_model under our name": function("keras.models", "load_model", OURS),
    "clone_model under our name": function("keras.models", "clone_model", OURS),
    "load_model of the builtins": function("builtins", "load_model"),
    "deserialize": function("builtins", "deserialize"),
    "keras.activations.deserialize": function("keras.activations", "deserialize"),
    "keras.losses.get": function("keras.losses", "get"),
    "enable_unsafe_deserialization": function(
        "keras.config", "enable_unsafe_deserialization"
    ),
    "a private class": make_config("keras.src.trainers.trainer", "Trainer"),
    "a private operation's neighbour": make_config(
        "keras.src.ops.numpy", "KerasTensor"
    ),
    "a private module's function": function(
        "keras.src.saving.saving_lib", "load_model"
    ),
    "a class of the user's that is not registered": make_config(
        "package", "Layer", {}, "package>Layer"
    ),
    "text of 1 GB": make_config(
        None, "__numpy__", {"value": ["a"], "dtype": "S1000000000"}
    ),
    "a name that is no text": make_config("keras.layers", ["Dense"]),  # type: ignore[arg-type]
    "a registered name that is no text": make_config("keras.layers", "Trap", {}, ["x"]),
    "an old name of a layer": {"class_name": "Dense", "config": {"units": 1}},
    "an old name of a layer under our name": {
        "class_name": "Functional",
        "config": {},
        "registered_name": OURS,
    },
}
"""By name: what must neither be imported nor called. There is no module `trap`."""


def first_layer(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the convolution with which the encoder begins."""
    return config["config"]["encoder"]["config"]["layers"][1]["config"]


PLACES: dict[str, Callable[[dict[str, Any], Any], None]] = {
    "an activation": lambda config, it: first_layer(config).update(activation=it),
    "an initializer": (
        lambda config, it: first_layer(config).update(kernel_initializer=it)
    ),
    "a regularizer": lambda config, it: first_layer(config).update(bias_regularizer=it),
    "a constraint": lambda config, it: first_layer(config).update(kernel_constraint=it),
    "a dtype": lambda config, it: first_layer(config).update(dtype=it),
    "a layer": (
        lambda config, it: config["config"]["encoder"]["config"]["layers"].append(it)
    ),
    "the encoder": lambda config, it: config["config"].update(encoder=it),
    "the noise": lambda config, it: config["config"].update(noise=it),
    "an optimizer": lambda config, it: config.update(compile_config={"optimizer": it}),
    "a loss": lambda config, it: config.update(compile_config={"loss": [it]}),
    "the model": lambda config, it: config.clear() or config.update(it),
}
"""By name: a function that puts something into the configuration of a model."""


@pytest.fixture(autouse=True)
def nothing_is_imported(monkeypatch):
    """No module that is named there is imported with `importlib`, but for some of Keras
    itself.
    """
    modules = {it.get("module") for it in REFUSED.values()}
    import_module = importlib.import_module

    def import_known(name: str, package: str | None = None) -> Any:
        assert name not in modules or name.startswith("keras")
        return import_module(name, package)

    monkeypatch.setattr(importlib, "import_module", import_known)


def write_model(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Write a file after a change to the configuration of its model."""
    config = json.loads(members()[CONFIG])
    change(config)
    file = folder / "m.keras"
    file.write_bytes(archive(config__json=json.dumps(config).encode()))
    return file


def refuse(file: Path) -> None:
    with pytest.raises(ValueError, match="cannot be loaded: ") as error:
        TiedAutoencoder.load(file)
    assert one_sentence(str(error.value))


@pytest.mark.parametrize("what", few_quick(REFUSED, 5))
def test_a_model_names_only_what_is_known(tmp_path, what):
    refuse(
        write_model(
            tmp_path,
            lambda config: first_layer(config).update(activation=REFUSED[what]),
        )
    )


@pytest.mark.parametrize("place", PLACES)
def test_no_place_in_a_model_names_what_is_not_known(tmp_path, place):
    refuse(
        write_model(
            tmp_path, lambda config: PLACES[place](config, REFUSED["os.system"])
        )
    )


@pytest.mark.parametrize("what", few_quick(REFUSED, 5))
def test_a_parameter_names_only_what_is_known(tmp_path, what):
    params = json.loads(read_text())["settings"]["params"]
    file = tmp_path / "m.safetensors"
    file.write_bytes(with_settings(params=params | {"encoder": REFUSED[what]}))
    refuse(file)


@pytest.mark.slow
def test_what_the_user_has_registered_is_known(iris, tmp_path):
    import keras
    from keras import layers

    @keras.saving.register_keras_serializable("test_hostile_files")
    def bend(x):
        return keras.ops.tanh(x)

    @keras.saving.register_keras_serializable("test_hostile_files")
    class Lasso(keras.regularizers.Regularizer):
        def __call__(self, x):
            return 0.01 * keras.ops.sum(keras.ops.abs(x))

        def get_config(self):
            return {}

    dense = layers.Dense(2, activation=bend, kernel_regularizer=Lasso())
    encoder = keras.Sequential([keras.Input((4,)), dense])
    TiedAutoencoder(encoder=encoder, max_iter=1).fit(iris).save(tmp_path / "m.keras")
    layer = TiedAutoencoder.load(tmp_path / "m.keras").encoder_.layers[0]
    assert layer.activation is bend
    assert isinstance(layer.kernel_regularizer, Lasso)


def with_layer(layer: dict[str, Any]) -> Callable[[Path], Path]:
    """A function that writes a file whose encoder has another last layer."""

    def change(config: dict[str, Any]) -> None:
        last = config["config"]["encoder"]["config"]["layers"][-1]
        last |= {key: value for key, value in layer.items() if key != "config"}
        last["config"] = {"name": last["config"]["name"], **layer["config"]}

    return lambda folder: write_model(folder, change)


def with_weights(what: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "m.keras").write_bytes(ARCHIVES[what]())
        return folder / "m.keras"

    return write


def write_legacy(folder: Path) -> Path:
    """A model in Keras's former file, which knows no `safe_mode`, with the code of a
    lambda.
    """
    import keras

    layers = [keras.Input((2,)), keras.layers.Lambda(lambda x: x)]
    keras.Sequential(layers).save(folder / "m.h5")
    return (folder / "m.h5").rename(folder / "m.keras")


LAMBDA = make_config(
    None, "__lambda__", {"code": "4wEAAA==", "defaults": None, "closure": None}
)
TEXTS = {"max_tokens": None, "vocabulary": "/etc/passwd", "output_mode": "int"}
HISTORY: dict[str, Callable[[Path], Path]] = {
    "CVE-2024-3660": with_layer(
        make_config("keras.layers", "Lambda", {"function": LAMBDA})
    ),
    "CVE-2025-1550": with_layer(make_config("os", "system", {"command": "touch trap"})),
    "CVE-2025-8747": with_layer(
        make_config("keras.layers", "Lambda", {"function": REFUSED["get_file"]})
    ),
    "CVE-2025-9905": write_legacy,
    "CVE-2025-9906": with_layer(
        REFUSED["enable_unsafe_deserialization"] | {"config": {}}
    ),
    "CVE-2025-12058": with_layer(make_config("keras.layers", "StringLookup", TEXTS)),
    "CVE-2025-49655": with_layer(
        make_config(
            "keras.layers",
            "TorchModuleWrapper",
            {"module": {"class_name": "__bytes__"}},
        )
    ),
    "CVE-2026-0897": with_weights("10 ** 11 zeros that are packed"),
    "CVE-2026-1462": with_layer(
        make_config("keras.layers", "TFSMLayer", {"filepath": "trap"})
    ),
    "CVE-2026-1669": with_weights("a dataset in another file"),
}
"""By number: a function that writes a file such as Keras once did harm with."""


@pytest.mark.slow
@pytest.mark.parametrize("number", HISTORY)
def test_what_keras_once_did_harm_with_is_refused(tmp_path, number):
    refuse(HISTORY[number](tmp_path))


@pytest.mark.slow
def test_names_that_lead_out_of_an_archive_are_not_written(tmp_path):
    """Nor is what they link to read."""
    link = zipfile.ZipInfo("assets/link")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    inner = tmp_path / "inner"
    inner.mkdir()
    content = io.BytesIO(archive())
    with zipfile.ZipFile(content, "a") as opened:
        opened.writestr(link, "/etc/passwd")
        for name in ("../outside", "assets/../../outside", str(tmp_path / "outside")):
            opened.writestr(name, b"x")
    (inner / "m.keras").write_bytes(content.getvalue())
    with contextlib.suppress(ValueError):
        TiedAutoencoder.load(inner / "m.keras")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inner", "m.keras"]


@pytest.mark.slow
def test_groups_in_groups_cost_nothing(tmp_path):
    """What is beside the weights is not walked through."""

    def nest(file: Any) -> None:
        for _ in range(14_000):
            file = file.create_group("a")

    file = tmp_path / "m.keras"
    file.write_bytes(weights(nest))
    rows = np.ones((2, np.prod(TiedAutoencoder.load(file).encoder_.input_shape[1:])))
    whole_model = TiedAutoencoder.load(FOLDER / "encoder.keras")
    np.testing.assert_array_equal(
        TiedAutoencoder.load(file).transform(rows), whole_model.transform(rows)
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
