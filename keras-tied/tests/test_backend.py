"""What `import keras_tied` does; each fact in a new process."""

import json
import os
from pathlib import Path

import pytest
from tests.marks import for_each, slow
from tests.processes import run_python

from keras_tied._backend import KERAS_DEFAULTS

HERE = Path(__file__).parents[1]
FILE = HERE / "src/keras_tied/_backend.py"
# Without the import of the package, which imports Keras.
CHOICE = f"""
import os
from runpy import run_path
run_path({str(FILE)!r})['settle']()
print(os.environ.get('KERAS_BACKEND'))
"""


def run(code, *, paths=(), **environment):
    """What a new process prints, in words; a variable that is None is not set there."""
    source = os.pathsep.join(map(str, [*paths, HERE / "src"]))
    changed = {"KERAS_BACKEND": None, "PYTHONPATH": source} | environment
    return run_python("-c", code, environment=changed).stdout.split()


@pytest.fixture
def fakes(tmp_path):
    """A folder with modules that are found as TensorFlow and PyTorch, and end who
    imports them; and with a folder that is no module.
    """
    folder = tmp_path / "fakes"
    (folder / "no_module").mkdir(parents=True)
    for name in ("tensorflow", "torch"):
        end = f"raise SystemExit('{name} was imported')"
        (folder / f"{name}.py").write_text(end)
    return folder


def name_backend(backend):
    """The text of a user who has chosen a backend, and another epsilon than Keras."""
    return json.dumps(KERAS_DEFAULTS | {"backend": backend, "epsilon": 1e-6})


CHOICES = {
    "tensorflow": (name_backend("tensorflow"), "tensorflow"),
    "nothing but the backend": (
        json.dumps(KERAS_DEFAULTS | {"backend": "torch"}),
        "torch",
    ),
    "Keras's own": (json.dumps(KERAS_DEFAULTS, indent=4), "jax"),
    "not installed": (name_backend("not_installed_anywhere"), "jax"),
    "no module": (name_backend("no_module"), "jax"),
    "no module's name": (name_backend("jax.numpy"), "jax"),
    "empty": ("", "jax"),
    "no dict": ("[]", "jax"),
    "no file": (None, "jax"),
}


@for_each(CHOICES, "text", "backend")
def test_an_installed_backend_that_the_users_keras_json_names_is_used(
    text, backend, tmp_path, fakes
):
    if text is not None:
        (tmp_path / "keras.json").write_text(text)
    assert run(CHOICE, paths=[fakes], KERAS_HOME=str(tmp_path)) == [backend]


def test_the_environment_decides_first(tmp_path):
    (tmp_path / "keras.json").write_text(name_backend("jax"))
    found = run(CHOICE, KERAS_BACKEND="torch", KERAS_HOME=str(tmp_path))
    assert found == ["torch"]


@pytest.mark.parametrize(
    ("missing", "backend"),
    [(["jax"], "tensorflow"), (["jax", "tensorflow"], "torch")],
)
def test_the_first_installed_backend_is_used(missing, backend, tmp_path, fakes):
    hide = f"import sys; sys.modules.update(dict.fromkeys({missing}))"
    code = f"{hide}\n{CHOICE}"
    assert run(code, paths=[fakes], KERAS_HOME=str(tmp_path)) == [backend]


@slow
def test_a_later_process_chooses_as_the_first_one_in_a_new_home(tmp_path, fakes):
    code = f"{CHOICE}\nimport keras; print(keras.backend.backend())"
    home = {"HOME": str(tmp_path), "KERAS_HOME": None}
    first = run(code, paths=[fakes], **home)
    written = (tmp_path / ".keras" / "keras.json").read_text()
    assert json.loads(written) == KERAS_DEFAULTS
    assert first == run(code, paths=[fakes], **home) == ["jax", "jax"]


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
"""


@slow
def test_without_a_backend_the_import_names_the_command_that_installs_one(tmp_path):
    code = "try: import keras_tied\nexcept ImportError as error: print(error)\n"
    printed = run(WITHOUT_BACKENDS + code, KERAS_HOME=str(tmp_path))
    message = (
        "Keras needs a backend, and tensorflow is not installed: run 'python -m pip"
        " install jax', or install tensorflow or torch and set KERAS_BACKEND to its"
        " name."
    )
    assert " ".join(printed) == message


def test_a_backend_that_cannot_be_imported_for_another_reason_says_which(tmp_path):
    (tmp_path / "torch.py").write_text("import nothing_of_that_name")
    code = "try: import keras_tied\nexcept ImportError as error: print(error)"
    said = run(code, paths=[tmp_path], KERAS_BACKEND="torch", KERAS_HOME=str(tmp_path))
    assert " ".join(said) == "No module named 'nothing_of_that_name'"


@slow
def test_the_examples_of_the_readme_run_in_a_new_home_without_tensorflow(tmp_path):
    code = (
        "import doctest, sys; sys.modules['tensorflow'] ="
        f" None;print(doctest.testfile({str(HERE / 'README.md')!r},"
        " module_relative=False).failed)"
    )
    assert run(code, HOME=str(tmp_path), KERAS_HOME=None) == ["0"]


@slow
def test_the_import_adds_no_module_and_no_finder_to_what_keras_imports():
    code = (
        "import keras, sys; before = set(sys.modules); finders = sys.meta_path[:];"
        "import keras_tied; print(finders == sys.meta_path,"
        "*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    assert run(code, KERAS_BACKEND="jax") == ["True", "keras_tied"]
