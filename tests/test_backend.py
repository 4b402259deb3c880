"""What `import keras_tied` does before and after Keras is imported; each fact in a new
process.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_tied import _backend

HERE = Path(__file__).parents[1]


def run(code, *, paths=(), **environment):
    """What a new process prints, in words; a variable that is None is not set there."""
    source = os.pathsep.join(map(str, [*paths, HERE / "src"]))
    changed = os.environ | {"KERAS_BACKEND": None, "PYTHONPATH": source} | environment
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={name: value for name, value in changed.items() if value is not None},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def named(folder, backend):
    """A home of Keras whose user has chosen a backend, and another epsilon than Keras
    writes.
    """
    settings = _backend.KERAS_DEFAULTS | {"backend": backend, "epsilon": 1e-6}
    (folder / "keras.json").write_text(json.dumps(settings))
    return {"KERAS_HOME": str(folder)}


@pytest.fixture
def fakes(tmp_path):
    """A folder with modules that are found as TensorFlow and PyTorch, and end who
    imports them.
    """
    folder = tmp_path / "fakes"
    for name in ("tensorflow", "torch"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(
            f"raise SystemExit('{name} was imported')"
        )
    return folder


CHOICE = "import keras_tied, os; print(os.environ.get('KERAS_BACKEND'))"
WITHOUT_JAX = f"import sys; sys.modules['jax'] = None; {CHOICE}"


def test_the_environment_decides_first(tmp_path):
    home = named(tmp_path, "jax")
    assert run(CHOICE, KERAS_BACKEND="torch", **home) == ["torch"]


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_an_installed_backend_that_the_users_keras_json_names_is_used(
    backend, tmp_path, fakes
):
    assert run(CHOICE, paths=[fakes], **named(tmp_path, backend)) == [backend]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_than_tensorflow_in_a_keras_json_is_always_the_users(
    backend, tmp_path, fakes
):
    settings = _backend.KERAS_DEFAULTS | {"backend": backend}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    assert run(CHOICE, paths=[fakes], KERAS_HOME=str(tmp_path)) == [backend]


@pytest.mark.slow
def test_the_keras_json_that_keras_writes_is_known(tmp_path):
    run("import keras_tied, keras", KERAS_HOME=str(tmp_path))
    assert json.loads((tmp_path / "keras.json").read_text()) == _backend.KERAS_DEFAULTS


def test_the_keras_json_that_keras_writes_is_nobodys_choice(tmp_path, fakes):
    (tmp_path / "keras.json").write_text(json.dumps(_backend.KERAS_DEFAULTS, indent=4))
    assert run(CHOICE, paths=[fakes], KERAS_HOME=str(tmp_path)) == ["jax"]


@pytest.mark.slow
def test_a_later_process_chooses_as_the_first_one_in_a_new_home(tmp_path, fakes):
    code = f"{CHOICE}; import keras; print(keras.backend.backend())"
    home = {"HOME": str(tmp_path), "KERAS_HOME": None}
    first = run(code, paths=[fakes], **home)
    assert (tmp_path / ".keras" / "keras.json").exists()
    assert first == run(code, paths=[fakes], **home) == ["jax", "jax"]


def test_without_jax_it_is_tensorflow(tmp_path, fakes):
    assert run(WITHOUT_JAX, paths=[fakes], KERAS_HOME=str(tmp_path)) == ["tensorflow"]


def test_without_jax_and_tensorflow_it_is_torch(tmp_path, fakes):
    code = f"import sys; sys.modules['tensorflow'] = None; {WITHOUT_JAX}"
    assert run(code, paths=[fakes], KERAS_HOME=str(tmp_path)) == ["torch"]


def test_a_backend_that_is_not_installed_is_passed_over(tmp_path):
    assert run(CHOICE, **named(tmp_path, "not_installed_anywhere")) == ["jax"]


def test_a_folder_without_a_module_in_it_is_no_installed_backend(tmp_path):
    (tmp_path / "a_backend").mkdir()
    assert run(CHOICE, paths=[tmp_path], **named(tmp_path, "a_backend")) == ["jax"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"backend": 3}', '{"backend": "../jax"}']
)
def test_a_broken_keras_json_is_passed_over(text, tmp_path):
    (tmp_path / "keras.json").write_text(text)
    assert run(CHOICE, KERAS_HOME=str(tmp_path)) == ["jax"]


WITHOUT_BACKENDS = """
import sys
from importlib.machinery import ModuleSpec

class Missing:  # as if they were not installed
    def find_spec(name, *_):
        return ModuleSpec(name, Missing) if name in ("jax", "tensorflow", "torch") else None

    def create_module(spec):
        raise ModuleNotFoundError(name=spec.name)

    exec_module = None

sys.meta_path.insert(0, Missing)
import keras_tied
fitted = keras_tied.TiedAutoencoder(1).fit([[i, i * i] for i in range(9)])
"""


@pytest.mark.slow
def test_without_a_backend_what_needs_one_names_the_command_that_installs_it(tmp_path):
    code = WITHOUT_BACKENDS
    for needed in ("fitted.model_", "keras_tied.tie", "keras_tied.training"):
        code += f"try: {needed}\nexcept ImportError as error: print(error)\n"
    said = " ".join(run(code, KERAS_HOME=str(tmp_path)))
    message = (
        "Keras needs a backend, and tensorflow is not installed: run 'python -m pip"
        " install jax', or install tensorflow or torch and set KERAS_BACKEND to its"
        " name."
    )
    assert said == " ".join([message] * 3)


def test_a_backend_that_cannot_be_imported_for_another_reason_says_which(tmp_path):
    (tmp_path / "torch.py").write_text("import nothing_of_that_name")
    code = (
        "import keras_tied\ntry: keras_tied.tie\nexcept ImportError as error:"
        " print(error)"
    )
    said = run(code, paths=[tmp_path], KERAS_BACKEND="torch", KERAS_HOME=str(tmp_path))
    assert " ".join(said) == "No module named 'nothing_of_that_name'"


def test_no_keras_json_gives_jax(tmp_path):
    assert run(CHOICE, KERAS_HOME=str(tmp_path)) == ["jax"]


@pytest.mark.slow
def test_keras_runs_on_what_was_chosen(tmp_path):
    code = "import keras_tied, keras; print(keras.backend.backend())"
    assert run(code, **named(tmp_path, "not_installed_anywhere")) == ["jax"]


@pytest.mark.slow
def test_the_examples_of_the_readme_run_in_a_new_home_without_tensorflow(tmp_path):
    code = (
        "import doctest, sys; sys.modules['tensorflow'] ="
        f" None;print(doctest.testfile({str(HERE / 'README.md')!r},"
        " module_relative=False).failed)"
    )
    assert run(code, HOME=str(tmp_path), KERAS_HOME=None) == ["0"]


def test_importing_the_package_imports_neither_keras_nor_numpy(tmp_path):
    code = (
        "import keras_tied, sys; print('keras' in sys.modules, 'numpy' in sys.modules)"
    )
    assert run(code) == ["False", "False"]


@pytest.mark.slow
def test_importing_the_layers_imports_msgspec_alone_besides_keras():
    code = (
        "import keras, sys; before = set(sys.modules); import keras_tied.layers;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    assert run(code, KERAS_BACKEND="jax") == ["keras_tied", "msgspec"]


NAMES = ["TiedDense", "KSparse", "Orthonormal", "Autoencoder", "LBFGS"]
FOUND = (
    "print(*[keras.saving.get_registered_object('keras_tied>' + n).__name__ for n in"
    f" {NAMES}])"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "imports",
    [
        "keras, keras_tied",
        "keras_tied, keras",
        "keras_tied._version, keras_tied, keras",
        "keras_tied.layers, keras",
        "keras_tied.autoencoder._mirror, keras",
        "keras_tied.training, keras",
    ],
)
def test_keras_knows_our_classes_whichever_is_imported_first(imports):
    assert run(f"import {imports}; {FOUND}", KERAS_BACKEND="jax") == NAMES


@pytest.mark.slow
def test_keras_knows_our_classes_after_somebody_asked_where_a_module_is_and_left_it():
    lookup = (
        "import keras_tied; from importlib.util import find_spec;"
        " find_spec('keras_tied.tables')"
    )
    assert run(f"{lookup}; import keras; {FOUND}", KERAS_BACKEND="jax") == NAMES


@pytest.mark.slow
def test_keras_knows_our_classes_after_a_first_import_of_keras_that_failed():
    failed = (
        "import sys, keras_tied; sys.modules['jax'] = None\n"
        "try: import keras\n"
        "except ImportError: print('failed')\n"
        "for name in [n for n in sys.modules if n.split('.')[0] in ('keras', 'jax')]:\n"
        "    del sys.modules[name]\n"
    )
    assert run(f"{failed}import keras; {FOUND}", KERAS_BACKEND="jax") == [
        "failed",
        *NAMES,
    ]


@pytest.mark.slow
def test_keras_knows_our_classes_if_another_finder_brings_it():
    """As the finders of editable installs and of frozen applications do."""
    finder = (
        "import sys, importlib.machinery as m\n"
        "class Finder(m.PathFinder):\n"
        "    pass\n"
        "sys.meta_path.insert(0, Finder)\n"
        "find = m.PathFinder.find_spec\n"
        "Finder.find_spec = classmethod(lambda cls, n, p=None, t=None: find(n, p, t))\n"
        "m.PathFinder.find_spec = classmethod(lambda cls, n, p=None, t=None: None)\n"
    )
    assert (
        run(f"{finder}import keras_tied, keras; {FOUND}", KERAS_BACKEND="jax") == NAMES
    )


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    import keras_tied

    with pytest.raises(AttributeError, match="no attribute 'autoencoders'"):
        keras_tied.autoencoders  # noqa: B018


def test_nothing_is_installed_under_a_name_that_is_no_module_name():
    assert not _backend.is_installed("a.b")


@pytest.mark.slow
def test_keras_can_be_imported_after_the_package_was_imported_twice():
    forget = (
        "for name in [each for each in sys.modules if 'keras_tied' in each]: del"
        " sys.modules[name]"
    )
    code = (
        f"import sys, keras_tied\n{forget}\nimport keras_tied, keras;"
        " print(keras_tied.tie)"
    )
    assert "tie" in run(code)[1]
