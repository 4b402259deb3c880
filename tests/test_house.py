"""Who may import whom; `lint-imports` checks the layers."""

import ast
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "keras_tied"
FILES = sorted(SOURCE.rglob("*.py"))


def imported_modules(file: Path) -> set[tuple[str, ...]]:
    """The modules of ours that a file imports, as paths below the package."""
    modules = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "keras_tied"
        ):
            parts = tuple(node.module.split(".")[1:])
            for name in (alias.name for alias in node.names):
                place = SOURCE.joinpath(*parts, name)
                is_module = place.is_dir() or place.with_suffix(".py").exists()
                modules.add((*parts, name) if is_module else parts)
    return modules


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_no_package_imports_a_private_module_of_another(file):
    package = file.relative_to(SOURCE).parts[0]
    for module in imported_modules(file):
        if len(module) > 1 and module[0] != package:
            assert not any(part.startswith("_") for part in module[1:]), module


INTERNALS = "_keras_internals.py"
NOT_OF_KERAS = {"_asdict", "_exit", "_fields", "_meta", "_replace", "_run_exitfuncs"}
NOT_OF_KERAS |= {"_init_callback_context"}
"""Private names of the standard library, of Dask and of scikit-learn that some files
use.
"""


def find_own_names(tree: ast.Module) -> set[str]:
    """The names that a file defines itself: functions, classes, variables, attributes
    of `self`.
    """
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                names.add(name)
    return names


OWN = {
    name
    for file in FILES
    if file.name != INTERNALS
    for name in find_own_names(ast.parse(file.read_text()))
}


def find_private_parts(source: str) -> set[str]:
    """The private modules and attributes of other packages that a
    file's source uses.
    """
    parts = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=aliases):
                parts |= {
                    a.name
                    for a in aliases
                    if a.name.startswith(("keras.src", "keras._"))
                }
            case ast.ImportFrom(module=str(module)) if module.startswith(
                ("keras.src", "keras._")
            ):
                parts.add(module)
            case ast.Attribute(value=ast.Name(id="keras"), attr="src"):
                parts.add("keras.src")
            case ast.Attribute(attr=name) if name.startswith("_") and not name.endswith(
                "__"
            ):
                parts.add(name)
            case ast.Call(
                func=ast.Name(id="getattr" | "hasattr"),
                args=[_, ast.Constant(name), *_],
            ):
                parts |= (
                    {name}
                    if name.startswith("_") and not name.endswith("__")
                    else set()
                )
    return parts - NOT_OF_KERAS - OWN


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_only_one_file_touches_the_private_parts_of_keras(file):
    parts = find_private_parts(file.read_text())
    assert parts if file.name == INTERNALS else not parts


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


def find_overridden(cls: type) -> set[str]:
    """The private methods of Keras's that a class replaces."""
    bases = [base for base in cls.__mro__ if base.__module__.startswith("keras.")]
    inherited = {name for base in bases for name in vars(base)}
    return {
        name
        for name in inherited & set(vars(cls))
        if callable(vars(cls)[name])
        and name.startswith("_")
        and not name.endswith("__")
    }


def test_only_one_file_replaces_private_methods_of_keras():
    import keras

    from keras_tied import _keras_internals, autoencoder, layers, training

    assert {
        autoencoder.__name__,
        layers.__name__,
        training.__name__,
    } < sys.modules.keys()
    ours = [
        module for name, module in sys.modules.items() if name.startswith("keras_tied.")
    ]
    classes = {
        cls for each in ours for cls in vars(each).values() if isinstance(cls, type)
    }
    mine = {cls for cls in classes if cls.__module__.startswith("keras_tied.")}
    replacing = {cls.__module__ for cls in mine if find_overridden(cls)}
    assert replacing == {_keras_internals.__name__}
    assert find_overridden(
        type("Mine", (keras.Model,), {"_lock_state": lambda self: None})
    )
