"""Files of each kind are read, give what they gave, and are written the same today.

`make.py` has written them, and has the parameters and the rows.
"""

from functools import cache

import numpy as np
import pandas
import pytest
from msgspec import json
from numpy.testing import assert_allclose
from safetensors import safe_open
from safetensors.numpy import load_file
from tests.marks import slow_but
from typer.testing import CliRunner

from tied_tables import TiedAutoencoder, cli
from tied_tables.model.file import read, write

from .make import (
    COMMANDS,
    FIT,
    FOLDER,
    SETTINGS,
    fit,
    name_file,
    read_results,
    results,
)

KINDS = list(SETTINGS)
TOLERANCES = {
    "factors": 1e-9,
    "reconstruct": 3e-5,
    "inverse_transform": 3e-5,
    "score_samples": 1e-3,
}
"""Relative and absolute, where they are not 1e-5: a score divides by spreads that may
be tiny.
"""


@cache
def load_pinned(kind):
    """The estimator of a file, as it is loaded today."""
    return TiedAutoencoder.load(FOLDER / name_file(kind))


def assert_close(found, expected, name):
    tolerance = TOLERANCES.get(name, 1e-5)
    assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_gives_what_it_gave_and_has_learned_what_it_had(kind):
    X, expected = read_results(kind)
    found = results(load_pinned(kind), X)
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert_close(found[name], values, name)
        assert np.asarray(found[name]).dtype == values.dtype, name


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_has_the_parameters_that_it_had_and_todays_defaults(kind):
    expected = TiedAutoencoder(random_state=0, **SETTINGS[kind])
    found = load_pinned(kind).get_params(deep=False)
    assert found == expected.get_params(deep=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_written_today_as_it_was(kind, tmp_path):
    """A loaded estimator keeps all but the version and the notes, bit for bit."""
    file = FOLDER / name_file(kind)
    contents = read(file)
    saved, copy = tmp_path / "m.safetensors", tmp_path / "copy.safetensors"
    load_pinned(kind).save(saved)
    write(copy, contents._replace(version=read(saved).version, notes=None))
    assert saved.read_bytes() == copy.read_bytes()


def describe(file):
    """The names of all that a file holds, and facts that do not depend on rounding."""
    with safe_open(file, "numpy") as opened:
        document = json.decode(opened.metadata()["tied_tables"])
    arrays = load_file(file)
    settings = document["settings"]
    return {
        "arrays": {name: (a.dtype, a.ndim) for name, a in arrays.items()},
        "settings": list(settings),
        "params": list(settings["params"]),
        "columns": settings["columns"],
        "notes": document["notes"] and set(document["notes"]),
        "names": settings["feature_names"],
        "has weight decay": settings["weight_decay"] > 0,
    }


@pytest.mark.parametrize(
    "kind",
    slow_but(KINDS[1:], "missing", "pca", "partial", "classes"),
)
def test_what_is_fitted_today_has_a_file_of_the_same_names(kind, tmp_path):
    """Else the format is another, of another number."""
    fit(kind).save(tmp_path / "m.safetensors")
    expected = describe(FOLDER / name_file(kind))
    assert describe(tmp_path / "m.safetensors") == expected


def run(command):
    done = CliRunner().invoke(cli.app, command.split())
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command_fits_a_file_of_the_same_names_and_columns(folder):
    (folder / "text.csv").write_bytes((FOLDER / "text.csv").read_bytes())
    run(FIT)
    assert describe(folder / "text.safetensors") == describe(
        FOLDER / "text.safetensors"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_makes_of_a_file_what_it_made(name, folder):
    for file in ("text.csv", "text.encode.csv", "text.safetensors"):
        (folder / file).write_bytes((FOLDER / file).read_bytes())
    run(COMMANDS[name])
    found, expected = (
        pandas.read_csv(each / f"text.{name}.csv", dtype={"name": str})
        for each in (folder, FOLDER)
    )
    tolerance = 1e-3 if name == "score" else 3e-5
    pandas.testing.assert_frame_equal(found, expected, rtol=tolerance, atol=tolerance)
