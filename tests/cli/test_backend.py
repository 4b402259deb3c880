"""What the command trains on, and that no version it notes can cost the model."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from keras_tied import TiedAutoencoder, __version__, _backend
from keras_tied.cli import _fit, _keras
from keras_tied.fitted import value
from keras_tied.fitting import sample


@pytest.fixture
def start(tmp_path):
    """Start Python in a home folder of its own, beside a TensorFlow that ends who
    imports it.
    """
    fake = tmp_path / "fake" / "tensorflow"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("raise SystemExit('tensorflow was imported')")
    paths = [str(fake.parent), os.environ.get("PYTHONPATH", "")]
    kept = {
        k: v for k, v in os.environ.items() if k not in ("KERAS_BACKEND", "KERAS_HOME")
    }
    home = {
        "HOME": str(tmp_path / "home"),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    (tmp_path / "home").mkdir()

    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env=kept | home | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def settings(tmp_path, **changes):
    """A home of Keras with a `keras.json`, different or not from what Keras writes by
    itself.
    """
    (tmp_path / "keras.json").write_text(json.dumps(_backend.KERAS_DEFAULTS | changes))
    return {"KERAS_HOME": str(tmp_path)}


def test_a_hidden_module_cannot_be_imported_but_looked_for(start):
    """Torch looks for TensorFlow when it is imported."""
    done = start(
        "-c",
        "from importlib.util import find_spec; from keras_tied.cli._keras import"
        " hide_modules\nwith hide_modules('tensorflow'):\n   "
        " print(find_spec('tensorflow').origin)\n    try: import tensorflow.nn\n   "
        " except ModuleNotFoundError as error:"
        " print(error)\nprint(find_spec('tensorflow').origin is not None)",
    )
    assert done.stdout == "None\nNo module named 'tensorflow'\nTrue\n", done.stderr


@pytest.mark.slow
def test_keras_is_imported_without_what_the_command_does_not_use(start):
    done = start(
        "-c",
        "import sys; from keras_tied.cli._keras import import_keras_alone,"
        " require_backend\nrequire_backend(); import_keras_alone()\nprint([n for n in"
        " ('pandas', 'matplotlib', 'requests') if n in sys.modules])\nimport keras,"
        " matplotlib.pyplot,"
        " pandas\nprint(keras.ops.convert_to_numpy(keras.ops.ones(2)))",
    )
    assert done.stdout == "[]\n[1. 1.]\n", done.stderr


CHOICE = (
    "import os; from keras_tied.cli._keras import"
    " require_backend;print(os.environ['KERAS_BACKEND']); require_backend();"
    " print(os.environ['KERAS_BACKEND'])"
)


def test_the_package_run_as_a_module_is_the_command(start):
    done = start("-m", "keras_tied", "--version")
    assert (done.returncode, done.stdout) == (
        0,
        f"keras-tied {__version__}\n",
    ), done.stderr


@pytest.mark.slow
def test_two_fits_in_a_new_home_leave_no_settings_of_keras(start, tmp_path, rng):
    np.save(tmp_path / "rows.npy", rng.normal(size=(60, 4)).astype(np.float32))
    for name in ("first.safetensors", "second.safetensors"):
        arguments = "fit", "rows.npy", "-o", name, "--epochs", 2, "--json"
        done = start("-m", "keras_tied", *arguments)
        assert done.returncode == 0, done.stderr
        versions = json.loads(done.stdout)["versions"]
        assert list(versions) == ["python", "keras-tied", "numpy", "scipy"]
        assert not (tmp_path / "home" / ".keras").exists()
        assert (tmp_path / name).exists()


def test_neither_fit_nor_encode_imports_a_framework_or_scikit_learn(
    start, tmp_path, rng
):
    np.save(tmp_path / "rows.npy", rng.normal(size=(60, 4)).astype(np.float32))
    code = """
import sys
from keras_tied.cli import run
sys.argv = sys.argv[:1] + {!r}.split()
try:
    run()
except SystemExit:
    pass
print({{"keras", "jax", "sklearn", "scipy", "h5py", "pandas", "tensorflow"}} & sys.modules.keys())
"""
    fit, encode = (
        "fit rows.npy -o m.safetensors --epochs 2",
        "encode m.safetensors rows.npy -o c.npy",
    )
    for command in (fit, encode):
        done = start("-c", code.format(f"{command} --quiet"))
        assert done.stdout == "set()\n", done.stderr


def test_a_keras_json_of_the_user_is_obeyed_by_the_library_and_not_by_the_command(
    start, tmp_path
):
    done = start("-c", CHOICE, **settings(tmp_path, epsilon=1e-6))
    assert done.stdout.split() == ["tensorflow", "jax"], done.stderr


def test_the_environment_is_obeyed_by_the_command_whatever_a_keras_json_says(
    start, tmp_path
):
    done = start(
        "-c", CHOICE, **settings(tmp_path, backend="jax"), KERAS_BACKEND="tensorflow"
    )
    assert done.stdout.split() == ["tensorflow", "tensorflow"], done.stderr


def test_without_jax_the_command_trains_on_what_is_installed(start):
    done = start("-c", f"import sys; sys.modules['jax'] = None; {CHOICE}")
    assert done.stdout.split() == ["tensorflow", "tensorflow"], done.stderr


def out_of_memory(*_, **__):
    raise MemoryError("too many rows")


def test_a_model_that_cannot_be_compared_with_pca_is_there(
    keras_tied, monkeypatch, tmp_path, fruit_csv
):
    monkeypatch.setattr(value, "baseline_errors", out_of_memory)
    done = keras_tied("fit", fruit_csv, "-o", "model.safetensors", "--epochs", 2)
    assert done.code == 1
    assert (
        "MemoryError: too many rows; 'model.safetensors' holds the model so far"
        in done.err
    )
    assert TiedAutoencoder.load(tmp_path / "model.safetensors").n_iter_ == 2
    assert (
        "error"
        not in json.loads(keras_tied("inspect", "model.safetensors", "--json").out)[
            "notes"
        ]
    )
    assert (
        keras_tied("encode", "model.safetensors", fruit_csv, "-o", "codes.csv").code
        == 0
    )


def test_a_bad_row_outside_the_sample_is_found_before_training(
    keras_tied, monkeypatch, tmp_path, rng
):
    monkeypatch.setattr(sample, "MOST_ROWS", 2_000)
    rows = rng.normal(size=(9_000, 4))
    rows[8_999, 2] = np.inf
    np.save(tmp_path / "rows.npy", rows)
    done = keras_tied("fit", "rows.npy", "-o", "model.safetensors", "--epochs", 2)
    assert done.code == 2
    assert "row 9000" in done.err
    assert not (tmp_path / "model.safetensors").exists()


def test_more_components_than_columns_are_refused_before_training(
    keras_tied, monkeypatch, fruit_csv
):
    monkeypatch.setattr(_fit, "collect_versions", out_of_memory)  # the last step before
    done = keras_tied("fit", fruit_csv, "-o", "model.safetensors", "--components", 99)
    assert done.code == 2
    assert "--components 99" in done.err


@pytest.mark.parametrize("given", [None, _keras.Backend.jax])
def test_without_any_backend_the_message_says_what_to_install(monkeypatch, given):
    monkeypatch.setattr(_backend, "USER_CHOICE", None)
    monkeypatch.setattr(_backend, "is_installed", lambda _: False)
    with pytest.raises(
        _keras.UsageError, match="installed; run 'python -m pip install jax'"
    ):
        _keras.require_backend(given)
