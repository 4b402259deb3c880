"""Files that were made to do harm: each is refused in one sentence, at little cost."""

import os
import struct
from functools import partial

import numpy as np
import pytest
from tests.marks import for_each, slow
from tests.processes import run_python

from tied_tables import TiedAutoencoder, load
from tied_tables.model import file as files

from .model_files import (
    FOLDER,
    KINDS,
    change,
    pack,
    read_arrays,
    read_document,
    whole,
)

SPARE_BYTES = 2**27
"""That a file may take beyond four times its size."""
TEXT = whole("text")
SETTINGS = read_document("text")["settings"]
PART = "or is incomplete"


@pytest.fixture
def refuse(tmp_path):
    """Loads a file of some content, which is refused."""

    def refuse(content, message=""):
        file = tmp_path / "m.safetensors"
        file.write_bytes(content)
        with pytest.raises(
            ValueError, match=f"'.*' cannot be loaded: .*{message}"
        ) as e:
            TiedAutoencoder.load(file)
        text = str(e.value)
        assert text.endswith(".")
        assert text.isprintable()
        assert len(text) < 600

    return refuse


@pytest.mark.parametrize("kind", [*KINDS, "classes"])
def test_the_checksum_is_that_of_settings_notes_and_arrays(kind, tmp_path):
    """So the files below, which this program has written, would be read if they were
    sound.
    """
    (tmp_path / "m").write_bytes(change(kind))
    files.write(tmp_path / "m.safetensors", files.read(tmp_path / "m"))
    assert (tmp_path / "m.safetensors").read_bytes() == whole(kind)


# Bytes.


def with_header(text, length=None):
    """A file of any header."""
    return struct.pack("<Q", length or len(text)) + text


BYTES = {
    "an archive of nothing": (b"PK\x05\x06" + bytes(18), PART),
    "a byte more": (TEXT + b"\0", PART),
    "another byte at the end": (TEXT[:-1] + b"\xab", "its checksum does not match"),
    "an object that ends early": (with_header(b'{"a":'), PART),
    "bytes that are not UTF-8": (with_header(b'{"\xff":1}'), ""),
    "no metadata": (with_header(b"{}"), "holds no TiedAutoencoder"),
    "an array without a shape": (with_header(b'{"a":{"dtype":"F32"}}'), ""),
    "a short header": (with_header(TEXT[8:], 2), PART),
    "a long header": (with_header(TEXT[8:], 2**24 + 1), "16,777,217 bytes, more than"),
}
for end in (0, 1, 7, 8, 9, 100, -1):
    BYTES[f"a part, up to byte {end}"] = TEXT[:end], PART


@for_each(BYTES, "content", "message")
def test_what_is_no_whole_file_is_refused(content, message, refuse):
    refuse(content, message)


# JSON, and what takes much memory.

JSON = {
    "100,000 brackets": "[" * 100_000 + "]" * 100_000,
    "an int of 5,000 digits": "9" * 5_000,
    "NaN": "NaN",
    "a number that is too large": "1e999",
    "nothing": "",
    "2 million lists": "[" + "[]," * 2_000_000 + "1]",
    "3 million values": "[" + "1," * 3_000_000 + "1]",
    "1.2 million objects": "[" + '{"a":1},' * 1_200_000 + "1]",
}
ENTRY = b'"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'
BOMBS = {
    "100,000 brackets": lambda: with_header(b'{"a":' + b"[" * 100_000),
    "a header of 17 MB": lambda: with_header(b'{"a":"' + b"x" * 17 * 2**20 + b'"}'),
    "200,000 arrays": lambda: with_header(
        b"{" + b"".join(ENTRY % i for i in range(200_000)) + b'"a":1}'
    ),
    "220,000 arrays that are empty": lambda: pack(
        {**read_arrays(), **{str(i): np.zeros(0, "u1") for i in range(220_000)}},
        SETTINGS,
        None,
    ),
    "activation": lambda: change("text", activation="x" * 10**6),
    "format": partial(
        pack,
        read_arrays(),
        SETTINGS,
        None,
        "1" * 10**6,
    ),
}
for name, text in JSON.items():
    BOMBS[f"settings: {name}"] = partial(pack, read_arrays(), text, None)
    BOMBS[f"notes: {name}"] = partial(pack, read_arrays(), SETTINGS, text)


@for_each(BOMBS, "make")
def test_json_that_is_none_or_too_much_is_refused(make, refuse):
    refuse(make())


READ = """
import sys
from pathlib import Path
import tied_tables

def find_peak():
    # Not ru_maxrss, which begins with that of the process that began this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return 1024 * int(fields["VmHWM"].split()[0])

tied_tables.load(sys.argv[1])  # to import all that it takes
before = find_peak()
for file in sys.argv[2:]:
    try:
        tied_tables.load(file)
    except ValueError:
        print(find_peak() - before)
"""


@slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="peaks are unknown")
def test_what_takes_much_memory_is_refused_in_little(tmp_path):
    contents = sorted((make() for make in BOMBS.values()), key=len)
    arguments = [FOLDER / "text.safetensors"]
    for number, content in enumerate(contents):
        arguments.append(tmp_path / f"{number}.safetensors")
        arguments[-1].write_bytes(content)
    done = run_python("-c", READ, *arguments)
    for content, taken in zip(
        contents,
        done.stdout.split(),
        strict=True,
    ):
        assert int(taken) <= 4 * len(content) + SPARE_BYTES


VALUES = {
    "null": None,
    "true": True,
    "-1": -1,
    "1.5": 1.5,
    "text": "x",
    "texts": ["x"] * 7,
    "numbers": [1.0],
    "booleans": [True],
    "object": {},
    "2 ** 63": 2**63,
    "10 ** 400": 10**400,
}
CURVE = {"numbers"}
NUMBER = {"-1", "1.5", "2 ** 63"}
ACCEPTED = {
    "params": {"object"},
    "n_iter_": set(),
    "is_pca_": {"true"},
    "loss_curve_": CURVE,
    "validation_curve_": CURVE,
    "reconstruction_r2_": {"-1"},
    "offset": NUMBER,
    "feature_names": {"null"},  # or those of the columns
    "weight_decay": NUMBER - {"-1"},
    "activation": set(),
    "steps": set(),
    "transposed": set(),
    "version": {"text"},
    "surprise": set(),
}
"""By setting, the values that it may have."""


@pytest.mark.parametrize("setting", ACCEPTED)
def test_a_setting_has_values_of_its_type_alone(setting, refuse, tmp_path):
    for name, value in VALUES.items():
        content = change("text", **{setting: value})
        if name not in ACCEPTED[setting]:
            refuse(content)
        else:
            (tmp_path / "m").write_bytes(content)
            load(tmp_path / "m")


@pytest.mark.parametrize("format", [0, 1, "2", None, [2], True, 2.5])
def test_another_format_is_refused(format, refuse):
    refuse(pack(read_arrays(), SETTINGS, None, format))


# Arrays.


def put(number, place=0):
    """A change of one number of an array."""

    def change(array):
        array = array.copy()
        array.flat[place] = number
        return array

    return change


ORDER = "not finite|not in order|is above|not positive|cannot be inverted"
CHANGES = {
    "longer": (lambda array: np.concatenate([array, array[:1]]), "the shape|lacks"),
    "one axis more": (lambda array: array[None], "has the shape"),
    "one number": (lambda array: array.flat[0], "has the shape"),
    "empty": (lambda array: array[:0], "has the shape|its layers are of"),
    "half": (lambda array: array.astype("f2"), "has the dtype float16"),
    "complex": (lambda array: array.astype("c8"), "has the dtype complex64"),
    "nothing": (lambda array: None, "lacks the array|has no array|layers|the shape"),
    "with a gap": (put(np.nan), ORDER),
    "infinite": (put(-np.inf), ORDER),
}
WHOLE = ".columns", ".kinds", ".features"
ALLOWED = {
    "empty": ("core_axes.vectors",),
    "nothing": ("gaussian.precision", "imputation_weights"),
    "with a gap": WHOLE,
    "infinite": (*WHOLE, "smallest", ".fences.low", ".fences.high"),
}
"""By change, the ends of the names of arrays that it leaves sound, or cannot be of."""
STORED = [
    (kind, name)
    for kind in ("text", "classes", "imputation", "partial")
    for name, array in read_arrays(kind).items()
    if array.size and name != "rules"  # which are the bytes of JSON
]


@pytest.mark.parametrize(("kind", "name"), STORED)
def test_an_array_of_another_shape_dtype_or_with_gaps_is_refused(kind, name, refuse):
    array = read_arrays(kind)[name]
    for what, (make, message) in CHANGES.items():
        if not name.endswith(ALLOWED.get(what, ())):
            refuse(change(kind, {name: make(array)}), message)


LAYOUT = "preprocessing.layout"
PIECES = "preprocessing.gaussian.pieces"
SCORE = "outlier_score"
MUTATIONS = [
    ("text", "rules", put(ord("x")), "its rules are damaged"),
    ("text", "rules", lambda it: it[:-1], "its rules are damaged"),
    ("text", "rules", lambda it: it[None], "'rules' has the shape"),
    ("text", "rules", lambda it: it.astype("i8"), "'rules' has the dtype int64"),
    ("text", f"{LAYOUT}.columns", lambda it: it + 1, "does not number columns"),
    ("text", f"{LAYOUT}.columns", lambda it: it[::-1], "does not number columns"),
    ("text", f"{LAYOUT}.kinds", lambda it: it + 3, "kinds' are none"),
    ("text", f"{LAYOUT}.kinds", 0, "kinds' are none"),
    ("text", "preprocessing.scaling.scale", 0.0, "not positive"),
    ("text", f"{SCORE}.scale", -1.0, "not positive"),
    ("text", f"{SCORE}.fences.low", lambda it: it + 1e9, "not in order"),
    ("text", f"{SCORE}.gaussian.precision", np.negative, "is not positive definite"),
    ("text", f"{SCORE}.gaussian.precision", np.ones_like, "is not positive definite"),
    ("imputation", f"{PIECES}.features", -1, "pieces are none"),
    ("imputation", f"{PIECES}.features", 5, "pieces are none"),
    ("imputation", f"{PIECES}.high", -100.0, "pieces are none"),
    ("imputation", f"{PIECES}.scale", 0.0, "not positive"),
    ("text", f"{SCORE}.gaussian.precision", put(9.0, 1), "is not symmetric"),
    ("text", "network.kernels.0", put(1e30), "not finite or too large"),
    ("text", "preprocessing.scaling.scale", 1e-30, "is not that of 'smallest'"),
    ("deep", "preprocessing.scaling.scale", 1e300, "numbers that are not finite"),
    ("imputation", "imputation_weights", -0.1, "not from 0 to 1"),
    ("imputation", "imputation_weights", 1.1, "not from 0 to 1"),
    ("imputation", "smallest", 1e9, "'smallest' is above 'largest'"),
    ("partial", "nadam.squares", -1.0, "has negative numbers"),
    ("classes", "link.frequencies", 0.0, "not positive"),
    ("classes", "link.frequencies", 1.1, "not from 0 to 1"),
    ("classes", "link.temperatures", 0.0, "not positive"),
    ("classes", "link.mixtures", -0.1, "not from 0 to 1"),
    ("classes", "link.mixtures", 0.0, "a class that may be impossible"),
    ("classes", "link.costs", -1.0, "not positive"),
]
for place in (1, 2, 4, 5, 6):
    MUTATIONS.append(("text", f"{SCORE}.tail.numbers", put(-1, place), "tail"))


@pytest.mark.parametrize(("kind", "name", "make", "message"), MUTATIONS)
def test_an_array_of_wrong_numbers_is_refused(kind, name, make, message, refuse):
    make = make if callable(make) else put(make)
    refuse(change(kind, {name: make(read_arrays(kind)[name])}), message)


NONE = {name: None for name in read_arrays() if name.startswith("network.")}
CLASSES = read_arrays("classes")
LINK = {name: array for name, array in CLASSES.items() if name.startswith("link.")}
CERTAIN = {
    f"{LAYOUT}.kinds": np.array([1, 1, 1, 0, 0, 0, 0]),
    "link.frequencies": np.ones(7),
}
KERNELS = "network.kernels.0", "network.kernels.1"
LARGE = {name: np.full_like(read_arrays("objectives")[name], 1e18) for name in KERNELS}
SURPLUS = [
    ("objectives", LARGE, "it computes numbers that are not finite"),
    ("text", {"x": np.zeros(1)}, "an unexpected array 'x'"),
    ("text", {"network.kernels.2": np.zeros((2, 2), "f4")}, "lacks the array"),
    ("text", {"nadam.averages": np.zeros(9, "f4")}, "the shape"),
    ("text", NONE, "its network has 0 layers"),
    ("classes", CERTAIN, "a boolean that is never false"),
    ("pca", LINK, "a link and no classes"),
]


@pytest.mark.parametrize(("kind", "arrays", "message"), SURPLUS)
def test_arrays_that_do_not_belong_together_are_refused(kind, arrays, message, refuse):
    refuse(change(kind, arrays), message)


COLUMNS = SETTINGS["columns"]["columns"]
OTHERS = {
    "fewer": COLUMNS[1:],
    "in another order": COLUMNS[::-1],
    "more": [*COLUMNS, COLUMNS[0] | {"name": "another"}],
    "of another kind": [COLUMNS[0] | {"kind": "number"}, *COLUMNS[1:]],
}


@pytest.mark.parametrize("columns", OTHERS.values(), ids=OTHERS)
def test_columns_that_are_not_those_of_the_numbers_are_refused(columns, refuse):
    columns = SETTINGS["columns"] | {"columns": columns}
    refuse(change("text", columns=columns))


def test_names_that_are_not_those_of_the_columns_are_refused(refuse):
    names = [f"x{place}" for place in range(7)]
    refuse(change("text", feature_names=names), "names are not those of its columns")


def test_what_is_no_file_is_not_opened(tmp_path):
    """Whoever opens a pipe waits for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for name in ("pipe", "link", ".", "nothing"):
        with pytest.raises(FileNotFoundError, match="There is no file"):
            TiedAutoencoder.load(tmp_path / name)
