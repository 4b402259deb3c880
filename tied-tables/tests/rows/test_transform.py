"""The fitted value as a function of Arrow batches, against `TiedAutoencoder`."""

import pickle
import re
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.marks import for_each, slow
from tests.processes import run_python

from tied_tables import TiedAutoencoder
from tied_tables.io import TableError, open_table
from tied_tables.rows import load_transform

from ..estimator.networks import seeded
from .conftest import NAMES


@pytest.fixture
def batch(folder):
    return next(open_table(folder).batches(1000))


def test_scores_are_those_of_the_estimator_and_name_columns_where_asked(model, batch):
    estimator = TiedAutoencoder.load(model)
    rows = batch.select(NAMES).to_pandas()
    shares = estimator.explain(rows).shares
    found = load_transform(model, "scores", explain=True)(batch)
    expected = {
        "score": -estimator.score_samples(rows),
        "one_in": estimator.rarity(rows),
        "error": estimator.reconstruction_error(rows),
        "share1": shares.max(axis=1),
    }
    for name, values in expected.items():
        assert_allclose(found[name], values, rtol=1e-5)
    has_share = shares.max(axis=1) > 0
    names = np.array(NAMES)[shares.argmax(axis=1)]
    assert_array_equal(np.array(found["column1"])[has_share], names[has_share])
    brief = load_transform(model, "scores")(batch)
    assert brief.schema.names == ["score", "one_in", "error"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["code0", *"a?cde"], "lacks columns of the model: 'b'"),
        (["code0", *NAMES], "'code0' has the name of a column of the result"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(model, batch, names, message):
    with pytest.raises(TableError, match=message):
        load_transform(model, id="code0")(batch.rename_columns(names))


def test_a_batch_with_a_name_twice_is_refused(model, batch):
    twice = batch.append_column("a", batch["b"])
    with pytest.raises(TableError, match="duplicate column names: 'a'"):
        load_transform(model)(twice)


def test_blanks_at_the_ends_of_names_are_ignored(model, batch):
    padded = batch.rename_columns([f" {name} " for name in batch.column_names])
    codes = load_transform(model, id="who")(batch)
    assert load_transform(model, id=" who ")(padded).equals(codes)


def test_a_model_without_names_is_refused(tmp_path, rng):
    path = tmp_path / "m.safetensors"
    TiedAutoencoder(1, max_iter=1).fit(rng.normal(size=(40, 3))).save(path)
    with pytest.raises(ValueError, match="fitted without column names"):
        load_transform(path)


PROGRAM = """
import pickle, sys
transform, batch = pickle.load(open("f", "rb"))
print(transform(batch)["code0"][0].as_py())
print({"keras", "jax", "torch", "tensorflow"} & set(sys.modules))
"""


@slow
def test_a_pickled_function_is_small_and_needs_no_keras(model, batch, folder, tmp_path):
    transform = load_transform(model)
    assert len(pickle.dumps(transform)) < 2 * model.stat().st_size
    (tmp_path / "f").write_bytes(pickle.dumps((transform, batch)))
    printed = run_python("-c", PROGRAM, cwd=tmp_path).stdout
    assert printed == f"{transform(batch)['code0'][0]}\nset()\n"


FORMS = {
    "points": ("{:.2f}", {}),
    "decimal commas": ("{:.2f}", {",": ".", ".": ","}),
    "thousands": ("{:,.2f}", {",": "'"}),
    "a unit": ("{:.2f} kg", {}),
    "a currency": ("${:.2f}", {}),
}


@pytest.mark.parametrize("factor", [1, 1000])
@for_each(FORMS, "form")
def test_a_suggestion_has_the_same_digits_in_each_form(tmp_path, rng, form, factor):
    pattern, marks = form
    size = rng.normal(size=300)
    mass = 500 + 100 * size + rng.normal(size=300)
    mass[7] = 215.33
    frame = pd.DataFrame({"mass": mass.round(2), "width": size, "height": -size})
    frame["mass"] *= factor
    given = pa.RecordBatch.from_pandas(frame)
    path = tmp_path / "model.safetensors"
    seeded(1, max_iter=5).fit(frame).save(path)
    explain = load_transform(path, "scores", explain=True)
    expected = explain(given)["expected1"][7].as_py()
    texts = [pattern.format(x).translate(str.maketrans(marks)) for x in frame["mass"]]
    written = given.set_column(0, "mass", pa.array(texts))
    explain = replace(explain, columns=explain.columns.adapt(written))
    suggestion = explain(written)["expected1"][7].as_py()
    assert re.sub(r"\D", "", suggestion) == re.sub(r"\D", "", expected)
    assert len(re.findall(r"[1-9]", suggestion)) <= 3


def test_no_suggestion_is_the_value_that_stands_there(tmp_path, rng):
    """It is a multiple of 5 of weights that are, and a level of 1 to 5 of ratings."""
    size = rng.normal(size=300)
    frame = pd.DataFrame(
        {
            "weight": 5.0 * np.rint(14 + 4 * size + rng.normal(size=300)),
            "rating": np.clip(np.rint(3 + size), 1, 5).astype(int),
            "kind": np.where(size > 0, "large", "small"),
        }
    )
    path = tmp_path / "model.safetensors"
    seeded(1, max_iter=5).fit(frame).save(path)
    given = pa.RecordBatch.from_pandas(frame)
    found = load_transform(path, "scores", explain=True)(given).to_pylist()
    suggestions = defaultdict(list)
    for row, reasons in enumerate(found):
        for place in "123":
            name, likely = reasons[f"column{place}"], reasons[f"expected{place}"]
            if likely is not None:
                suggestions[name].append(likely)
                assert likely != str(frame[name][row])
    weights = np.float64(suggestions["weight"])
    assert len(weights) > 100
    assert not np.remainder(weights, 5).any()
    assert {"2", "3"} <= set(suggestions["rating"]) <= set("12345")
