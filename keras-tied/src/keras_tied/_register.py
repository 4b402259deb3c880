"""Register our classes once Keras is imported, and not before: that takes seconds."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

MODULES = ("autoencoder", "losses", "regularizers", "training")


class _KerasImportHook:  # a base of importlib.abc would take long to import
    """Calls `register` after the import of Keras, or of our module that imports it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "keras" and not name.startswith("keras_tied."):
            return None
        spec = None
        for finder in sys.meta_path:
            if finder is not self and spec is None:
                spec = finder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        if not hasattr(spec.loader, "exec_module"):
            return spec
        from copy import copy  # Keras imports it, too

        # A copy, as a loader may serve several modules, as pytest's does.
        spec.loader = copy(spec.loader)
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            # Not earlier: a caller may ask for a spec and not execute it, as
            # `python -m` does.
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
    """Import our modules now if Keras is imported, else as soon as it is."""
    if "keras" in sys.modules:
        for module in MODULES:
            import_module(f"keras_tied.{module}")
    else:
        # One of a package that was imported before, and forgotten, would call this one
        # for ever.
        name = _KerasImportHook.__name__
        others = [each for each in sys.meta_path if type(each).__name__ != name]
        sys.meta_path[:] = [_KerasImportHook(), *others]
