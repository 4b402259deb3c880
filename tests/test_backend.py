"""What `import keras_tied` does before and after Keras is imported; each fact in a new process."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from keras_tied import _backend

HERE = Path(__file__).parents[1] / "src"


def run(code, **environment):
    kept = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": str(HERE), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def named(folder, backend):
    settings = {"backend": backend, "floatx": "float32", "epsilon": 1e-7}
    settings["image_data_format"] = "channels_last"
    (folder / "keras.json").write_text(json.dumps(settings))
    return {"KERAS_HOME": str(folder)}


CHOICE = "import keras_tied, os; print(os.environ.get('KERAS_BACKEND'))"


def test_the_environment_decides_first(tmp_path):
    home = named(tmp_path, "jax")
    assert run(CHOICE, KERAS_BACKEND="torch", **home) == ["torch"]


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_an_installed_backend_that_keras_json_names_is_used(backend, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    assert run(CHOICE, **named(tmp_path, backend)) == [backend]


def test_a_backend_that_is_not_installed_is_passed_over(tmp_path):
    assert run(CHOICE, **named(tmp_path, "not_installed_anywhere")) == ["jax"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"backend": 3}', '{"backend": "../jax"}'])
def test_a_broken_keras_json_is_passed_over(text, tmp_path):
    (tmp_path / "keras.json").write_text(text)
    assert run(CHOICE, KERAS_HOME=str(tmp_path)) == ["jax"]


def test_no_keras_json_gives_jax(tmp_path):
    assert run(CHOICE, KERAS_HOME=str(tmp_path)) == ["jax"]


def test_keras_runs_on_what_was_chosen(tmp_path):
    code = "import keras_tied, keras; print(keras.backend.backend())"
    assert run(code, **named(tmp_path, "not_installed_anywhere")) == ["jax"]


def test_importing_the_package_imports_neither_keras_nor_numpy(tmp_path):
    code = "import keras_tied, sys; print('keras' in sys.modules, 'numpy' in sys.modules)"
    assert run(code) == ["False", "False"]


def test_importing_the_layers_imports_no_package_that_keras_does_not():
    code = (
        "import keras, sys; before = set(sys.modules); import keras_tied.layers;"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    assert run(code, KERAS_BACKEND="jax") == ["keras_tied"]


@pytest.mark.parametrize(
    "imports",
    [
        *("keras_tied, keras", "keras, keras_tied", "keras_tied._version, keras_tied, keras"),
        *("keras_tied.layers, keras", "keras_tied._mirror, keras", "keras_tied.training, keras"),
    ],
)
def test_keras_knows_our_classes_whichever_is_imported_first(imports):
    names = ["TiedDense", "KSparse", "Orthonormal", "Autoencoder", "LBFGS"]
    found = f"[keras.saving.get_registered_object('keras_tied>' + n).__name__ for n in {names}]"
    assert run(f"import {imports}; print(*{found})", KERAS_BACKEND="jax") == names


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    import keras_tied

    with pytest.raises(AttributeError, match="no attribute 'autoencoders'"):
        keras_tied.autoencoders  # noqa: B018


def test_nothing_is_installed_under_a_name_that_is_no_module_name():
    assert not _backend.installed("a.b")
