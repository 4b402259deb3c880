import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from keras_tied.reference import NumpyAutoencoder, PyTensorAutoencoder

needs_pytensor = pytest.mark.skipif(
    find_spec("pytensor") is None, reason='pip install "keras-tied[pytensor]"'
)

FIRST_USE = """
import numpy as np
from keras_tied.reference import PyTensorAutoencoder
X = np.random.default_rng(0).uniform(size=(50, 3))
PyTensorAutoencoder(2, epochs=2).fit(X, X)
"""


@pytest.mark.slow
@needs_pytensor
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_costs_equal_those_of_numpy_from_the_same_start(rng, dtype):
    X = rng.uniform(size=(400, 2)) @ rng.uniform(size=(2, 4))
    histories = [
        engine(2, epochs=500, dtype=dtype, random_state=3)
        .fit(X[:300], X[300:])
        .history_
        for engine in (NumpyAutoencoder, PyTensorAutoencoder)
    ]
    for name in ("loss", "val_loss"):
        numpy_costs, pytensor_costs = (history[name] for history in histories)
        np.testing.assert_allclose(pytensor_costs, numpy_costs, rtol=1e-3)


@pytest.mark.slow
@needs_pytensor
def test_costs_equal_those_of_numpy_on_the_articles_file(donut_file):
    X = np.load(donut_file, allow_pickle=False)[:, :4]
    X = np.random.default_rng(0).permutation((X - X.min(axis=0)) / np.ptp(X, axis=0))
    numpy_costs, pytensor_costs = (
        engine(2, epochs=500, random_state=0).fit(X[:6030]).history_["loss"]
        for engine in (NumpyAutoencoder, PyTensorAutoencoder)
    )
    np.testing.assert_allclose(pytensor_costs, numpy_costs, rtol=1e-3)


def test_construction_without_pytensor_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(
        sys.modules, "pytensor", None
    )  # Python's own mark of a blocked import
    with pytest.raises(ImportError, match=r'pip install "keras-tied\[pytensor\]"'):
        PyTensorAutoencoder()


def test_importing_the_reference_does_not_import_pytensor():
    check = "import sys, keras_tied.reference; sys.exit('pytensor' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


@pytest.mark.slow
@needs_pytensor
def test_first_use_needs_no_compiler_and_prints_and_leaves_nothing(tmp_path):
    cache, elsewhere = tmp_path / "cache", tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = os.environ | {
        "PATH": "",
        "PYTENSOR_FLAGS": f"base_compiledir={cache}",
    }
    command = [sys.executable, "-W", "always", "-c", FIRST_USE]
    result = subprocess.run(
        command,
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (result.stdout, result.stderr) == ("", "")
    assert not list(elsewhere.iterdir())
