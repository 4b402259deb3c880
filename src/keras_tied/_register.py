"""Makes our classes known to Keras as soon as Keras is imported, and not before.

`keras.models.load_model` finds a class in Keras's registry, into which the module of the class
enters it when it is imported. Importing ours imports Keras, which takes seconds; whoever only asks
for the command's help, or for the NumPy reference, shall not wait for that.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

MODULES = (
    "keras_tied.autoencoder",
    "keras_tied.losses",
    "keras_tied.regularizers",
    "keras_tied.training",
)
"""Those that register classes, and import those that register others."""


class _KerasImportHook(MetaPathFinder):
    """Lets Keras be imported as usual, by itself or by a module of ours, and then sees to ours.

    Not before the module of ours has been imported, too: those that have to be registered import
    one another, and one of them may be the first to import Keras.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "keras" and not name.startswith("keras_tied."):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            # Removed only now: whoever asks for a spec, as `python -m` does, may not execute it.
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            try:
                execute(module)
            except BaseException:
                sys.meta_path.insert(0, self)
                raise
            register()

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def register() -> None:
    """Import our modules now if Keras is there, else as soon as it is."""
    if "keras" in sys.modules:
        for module in MODULES:
            import_module(module)
    else:
        sys.meta_path.insert(0, _KerasImportHook())
