"""Import Keras for a command that needs it."""

import os
import platform
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib import metadata
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from keras_tied import _backend
from keras_tied._version import __version__
from keras_tied.cli._messages import UsageError

Backend = StrEnum("Backend", ["jax", "tensorflow", "torch"])


def require_backend(backend: Backend | None = None) -> None:
    """Choose the backend of Keras, before Keras is imported."""
    # keras.json is ignored: the first import of Keras writes it, with TensorFlow in it.
    name = backend or _backend.USER_CHOICE or _backend.find_installed()
    choices = ", ".join(_backend.BACKENDS)
    if name not in _backend.BACKENDS:
        problem = (
            f"Keras is set to run on {name!r}"
            if name
            else "no Keras backend is installed"
        )
        raise UsageError(
            f"{problem}; run 'python -m pip install jax', or install tensorflow or"
            " torch and name it with --backend."
        )
    if not _backend.is_installed(name):
        raise UsageError(
            f"{name} is not installed; run 'python -m pip install {name}', or name"
            f" another of {choices}."
        )
    os.environ["KERAS_BACKEND"] = name


def import_keras() -> None:
    """Import Keras, and hide TensorFlow's log messages unless the import fails."""
    # The messages bypass Python and ignore TF_CPP_MIN_LOG_LEVEL.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            import keras  # noqa: F401
        except BaseException:
            messages.seek(0)
            os.write(terminal, messages.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def import_keras_alone() -> None:
    """Import Keras without what it imports if it can, and the command does not use."""
    if os.environ["KERAS_BACKEND"] == Backend.tensorflow or "keras" in sys.modules:
        import_keras()
        return
    with hide_modules("tensorflow", "pandas", "matplotlib", "requests"):
        import_keras()
        import keras

        # The first call would import TensorFlow, which takes seconds, only to compare
        # types.
        keras.activations.serialize(keras.activations.tanh)


def collect_versions() -> dict[str, str]:
    """Return the versions of the libraries that train a model."""
    libraries = {name: metadata.version(name) for name in ("numpy", "scipy")}
    return {"python": platform.python_version(), "keras-tied": __version__, **libraries}


class _MissingModules(MetaPathFinder, Loader):
    """A finder that reports some modules as not installed, once they are imported."""

    # A None in `sys.modules` is not enough: pyarrow reads the version of what is there;
    # and Torch looks for specifications without an import, and expects no error.

    def __init__(self, modules: Collection[str]) -> None:
        self.modules = modules

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Find these modules, and leave all others to the next finder."""
        return ModuleSpec(name, self) if name in self.modules else None

    def exec_module(self, module: ModuleType) -> None:
        """Raise what an import raises of a module that is not installed."""
        name = module.__name__
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextmanager
def hide_modules(*modules: str) -> Iterator[None]:
    """Make modules appear as not installed, unless they have been imported."""
    finder = _MissingModules(modules)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
