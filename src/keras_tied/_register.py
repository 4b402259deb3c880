"""Makes our layers and regularizers known to Keras as soon as Keras is imported, and not before.

`keras.models.load_model` finds a class in Keras's registry, into which the class's module enters it
when it is imported. Importing our layers imports Keras, which takes seconds; whoever only asks for
the command's help, or for the NumPy reference, shall not wait for that.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

MODULES = ("keras_tied.layers", "keras_tied.regularizers")


class _WhenKerasIsImported(MetaPathFinder):
    """Lets Keras be imported as usual, and then imports our modules."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            _import_modules()

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def register() -> None:
    """Import our modules now if Keras is there, else as soon as it is."""
    if "keras" in sys.modules:
        _import_modules()
    else:
        sys.meta_path.insert(0, _WhenKerasIsImported())


def _import_modules() -> None:
    for module in MODULES:
        import_module(module)
