"""Who may import whom; `lint-imports` checks the layers."""

import ast
import importlib
import inspect
import itertools
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {
    "keras_tied": ROOT / "keras-tied/src/keras_tied",
    "tied_tables": ROOT / "tied-tables/src/tied_tables",
}
FILES = sorted(SOURCES["keras_tied"].rglob("*.py"))


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


def imported_names(file, package):
    """The modules and values of a package that a file imports, as paths below it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            first, *parts = (node.module or "").split(".")
            if first == package:
                names.update((*parts, alias.name) for alias in node.names)
    return names


@pytest.mark.parametrize("package", SOURCES)
def test_no_folder_imports_a_private_part_of_another(package):
    private = set()
    for file in sorted(SOURCES[package].rglob("*.py")):
        folder = file.relative_to(SOURCES[package]).parts[0]
        for first, *others in imported_names(file, package):
            if first != folder and any(map(is_private, others)):
                private.add((file.name, first, *others))
    assert not private


def test_a_library_imports_the_other_only_to_make_a_keras_model():
    other = {"keras_tied": "tied_tables", "tied_tables": "keras_tied"}
    found = {
        file.name
        for package, folder in SOURCES.items()
        for file in folder.rglob("*.py")
        if re.search(rf"^ *(from|import) {other[package]}\b", file.read_text(), re.M)
    }
    assert found == {"_keras.py", "_fitted_state.py"}


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED_ACTION = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_names_actions_by_commit(workflow):
    """A tag or a branch can be moved to other code."""
    actions = re.findall(r"\buses:\s*(.*)", workflow.read_text())
    assert actions
    for action in actions:
        assert action.startswith("./") or PINNED_ACTION.fullmatch(action)


INTERNALS = "_keras_internals.py"
NOT_OF_KERAS = {"_asdict", "_exit", "_fields", "_replace", "_run_exitfuncs"}
"""Private names of the standard library that some files use."""


IMPORTS_OF_OTHERS = re.compile(r"^ *(?:from|import) (?!keras\.).*", re.MULTILINE)
DEFINED = re.compile(
    r"(?:def|class) (_\w+)|(?:self\.|^ *)(_\w+)(?=[\w., ]*[:=] )",
    re.MULTILINE,
)
USED = re.compile(
    r"\b(keras\.(?:src|_\w+))"
    r"|[\w)\]]\.(_[a-z]\w*)\b(?<!__)"
    r"|attr\([\w.]+, [\"'](_[a-z]\w*)"
)
OWN = set()
for file in FILES:
    if file.name != INTERNALS:
        OWN.update(*DEFINED.findall(file.read_text()))


def find_private_parts(source):
    """The private modules and attributes of other packages that a
    file's source uses.
    """
    uses = USED.findall(IMPORTS_OF_OTHERS.sub("", source))
    parts = set(filter(None, itertools.chain(*uses)))
    return parts - NOT_OF_KERAS - OWN


def test_only_one_file_touches_the_private_parts_of_keras():
    parts = {file.name: find_private_parts(file.read_text()) for file in FILES}
    assert {name for name in parts if parts[name]} == {INTERNALS}


@pytest.mark.parametrize(
    "source",
    [
        "from keras.src.backend.common import global_state",
        "import keras.src.layers.layer as layer",
        "import keras\nkeras.src.ops.relu(0)",
        "layer._flatten_layers()",
        "bar.progbar._start -= 1.0",
        "getattr(layer, '_layers', ())",
        (
            "class Mine(Layer):\n    def build(self, shape):\n       "
            " super()._lock_state()"
        ),
    ],
)
def test_a_private_part_of_keras_is_noticed(source):
    assert find_private_parts(source)


def find_overridden(cls):
    """The private methods of Keras's that a class replaces."""
    bases = [base for base in cls.__mro__ if base.__module__.startswith("keras.")]
    inherited = {name for base in bases for name in vars(base)}
    return {
        name
        for name in inherited & set(vars(cls))
        if is_private(name) and callable(vars(cls)[name])
    }


def test_only_one_file_replaces_private_methods_of_keras():
    import keras

    for name in ("autoencoder", "layers", "training"):
        importlib.import_module(f"keras_tied.{name}")
    replacing = set()
    for name, module in list(sys.modules.items()):
        if name.startswith("keras_tied."):
            classes = filter(inspect.isclass, vars(module).values())
            own = [cls for cls in classes if cls.__module__ == name]
            if any(map(find_overridden, own)):
                replacing.add(name)
    assert replacing == {"keras_tied._keras_internals"}
    mine = type("Mine", (keras.Model,), {"_lock_state": lambda self: None})
    assert find_overridden(mine) == {"_lock_state"}
