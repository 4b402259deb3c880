"""The fitted value as a function of Arrow batches, against
`TiedAutoencoder` on arrays.
"""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from keras_tied import TiedAutoencoder
from keras_tied.rows import load_transform
from keras_tied.tables import TableError, open_table


@pytest.fixture
def batch(folder):
    return next(open_table(folder).batches(1000))


@pytest.fixture
def numbers(batch):
    return np.column_stack([batch.column(name) for name in "abcde"])


def test_codes_are_those_of_the_estimator(model, batch, numbers):
    found = load_transform(model, id="who")(batch)
    assert found.schema.names == ["who", "code0", "code1"]
    assert found.column("who").equals(batch.column("who"))
    expected = TiedAutoencoder.load(model)._fitted.transform(numbers)
    np.testing.assert_array_equal(np.column_stack(found.columns[1:]), expected)


def test_reconstructions_have_the_columns_of_the_model(model, batch, numbers):
    found = load_transform(model, "reconstructions")(batch)
    assert found.schema.names == list("abcde")
    expected = TiedAutoencoder.load(model)._fitted.reconstruct(numbers)
    np.testing.assert_array_equal(np.column_stack(found.columns), expected)


def test_scores_are_those_of_the_estimator_and_name_columns_where_asked(
    model, batch, numbers
):
    estimator = TiedAutoencoder.load(model)
    found = load_transform(model, "scores")(batch)
    assert found.schema.names == ["score", "one_in", "error"]
    table = dict(zip("abcde", numbers.T, strict=True))
    rows = pd.DataFrame(table)
    np.testing.assert_allclose(
        found.column("score"), -estimator.score_samples(rows), rtol=1e-6
    )
    np.testing.assert_allclose(
        found.column("one_in"), estimator.rarity(rows), rtol=1e-5
    )
    errors = estimator.reconstruction_error(rows)
    np.testing.assert_allclose(found.column("error"), errors, rtol=1e-6)
    explained = load_transform(model, "scores", explain=True)(batch)
    shares = estimator.explain(rows).shares
    has_share = shares.max(axis=1) > 0
    names = np.array(explained.column("column1").to_pylist())
    expected = np.array(list("abcde"))[shares.argmax(axis=1)]
    np.testing.assert_array_equal(names[has_share], expected[has_share])
    np.testing.assert_allclose(
        explained.column("share1"), shares.max(axis=1), rtol=1e-6
    )


def test_columns_may_come_in_any_order_beside_others(model, batch):
    transform = load_transform(model)
    other = batch.select(["e", "who", "c", "b", "d", "a"])
    assert transform(other).equals(transform(batch))


def test_a_batch_without_a_column_is_refused(model, batch):
    with pytest.raises(TableError, match="no column 'b'"):
        load_transform(model)(batch.select(["a", "c", "d", "e"]))


def test_an_id_with_the_name_of_a_result_is_refused(model, batch):
    renamed = batch.rename_columns(["code0", *"abcde"])
    with pytest.raises(
        TableError, match="'code0' has the name of a column of the result"
    ):
        load_transform(model, id="code0")(renamed)


def test_a_model_without_names_is_refused(tmp_path, rng):
    TiedAutoencoder(1, max_iter=1).fit(rng.normal(size=(40, 3))).save(
        tmp_path / "m.safetensors"
    )
    with pytest.raises(ValueError, match="knows no names of columns"):
        load_transform(tmp_path / "m.safetensors")


@pytest.mark.slow
def test_a_pickled_function_is_small_and_needs_no_keras(model, batch, tmp_path):
    transform = load_transform(model)
    content = pickle.dumps(transform)
    assert len(content) < 2 * model.stat().st_size
    (tmp_path / "f").write_bytes(content)
    with (
        pa.OSFile(str(tmp_path / "rows"), "wb") as file,
        pa.ipc.new_file(file, batch.schema) as w,
    ):
        w.write_batch(batch)
    code = (
        "import pickle, sys, pyarrow as pa\n"
        "transform = pickle.load(open('f', 'rb'))\n"
        "batch = pa.ipc.open_file('rows').get_batch(0)\n"
        "print(transform(batch).column(0).to_pylist()[0])\n"
        "print(sorted({'keras', 'jax', 'torch', 'tensorflow'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    first, modules = done.stdout.splitlines()
    assert float(first) == transform(batch).column(0)[0].as_py()
    assert modules == "[]"
