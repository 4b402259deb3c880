"""What `import keras_tied` does before and after Keras is imported; each fact in a new
process.
"""

import json
import os
from pathlib import Path

import pytest
from tests.marks import for_each, slow
from tests.processes import run_python

import keras_tied
from keras_tied._backend import KERAS_DEFAULTS

HERE = Path(__file__).parents[1]
CHOICE = "import keras_tied, os; print(os.environ.get('KERAS_BACKEND'))"


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
    code = f"{hide}; {CHOICE}"
    assert run(code, paths=[fakes], KERAS_HOME=str(tmp_path)) == [backend]


@slow
def test_a_later_process_chooses_as_the_first_one_in_a_new_home(tmp_path, fakes):
    code = f"{CHOICE}; import keras; print(keras.backend.backend())"
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
import keras_tied
fitted = keras_tied.TiedAutoencoder(1).fit([[i, i * i] for i in range(9)])
"""


@slow
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


@slow
def test_the_examples_of_the_readme_run_in_a_new_home_without_tensorflow(tmp_path):
    code = (
        "import doctest, sys; sys.modules['tensorflow'] ="
        f" None;print(doctest.testfile({str(HERE / 'README.md')!r},"
        " module_relative=False).failed)"
    )
    assert run(code, HOME=str(tmp_path), KERAS_HOME=None) == ["0"]


def test_importing_the_package_imports_neither_keras_nor_numpy():
    code = "import keras_tied, sys; print({'keras', 'numpy'} & sys.modules.keys())"
    assert run(code) == ["set()"]


@slow
def test_importing_the_layers_imports_msgspec_alone_besides_keras():
    code = (
        "import keras, sys; before = set(sys.modules); import keras_tied.layers;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    assert run(code, KERAS_BACKEND="jax") == ["keras_tied", "msgspec"]


NAMES = ["TiedDense", "KSparse", "Orthonormal", "Autoencoder", "LBFGS"]
FOUND = f"""
import keras_tied
assert keras_tied.tie
for name in {NAMES}:
    print(keras.saving.get_registered_object('keras_tied>' + name).__name__)
"""
IMPORTS = {
    "Keras first": "import keras, keras_tied",
    "ours first": "import keras_tied, keras",
    "a module first": "import keras_tied._version, keras_tied, keras",
    "layers": "import keras_tied.layers, keras",
    "mirror": "import keras_tied.autoencoder._mirror, keras",
    "training": "import keras_tied.training, keras",
    "after a module was looked up": """
import keras_tied
from importlib.util import find_spec
find_spec('keras_tied.tables')
import keras
""",
    "after an import that failed": """
import sys, keras_tied
sys.modules['jax'] = None
try: import keras
except ImportError: failed = True
for name in [n for n in sys.modules if n.split('.')[0] in ('keras', 'jax')]:
    del sys.modules[name]
import keras
assert failed
""",
    # As the finders of editable installs and of frozen applications do.
    "by another finder": """
import sys, importlib.machinery as m
class Finder(m.PathFinder):
    pass
sys.meta_path.insert(0, Finder)
find = m.PathFinder.find_spec
Finder.find_spec = classmethod(lambda cls, n, p=None, t=None: find(n, p, t))
m.PathFinder.find_spec = classmethod(lambda cls, n, p=None, t=None: None)
import keras_tied, keras
""",
    "twice": """
import sys, keras_tied
for name in [each for each in sys.modules if 'keras_tied' in each]:
    del sys.modules[name]
import keras_tied, keras
""",
}


@slow
@for_each(IMPORTS, "code")
def test_keras_knows_our_classes_however_it_is_imported(code):
    assert run(f"{code}\n{FOUND}", KERAS_BACKEND="jax") == NAMES


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'autoencoders'"):
        keras_tied.autoencoders  # noqa: B018
