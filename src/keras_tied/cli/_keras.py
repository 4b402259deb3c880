"""Keras, imported for a command that needs it."""

import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib import import_module
from importlib.abc import MetaPathFinder
from typing import Any

from keras_tied import _backend
from keras_tied._version import __version__
from keras_tied.cli._messages import UsageError


class Backend(StrEnum):
    """What Keras can run on."""

    jax = "jax"
    tensorflow = "tensorflow"
    torch = "torch"


def require_backend(backend: Backend | None = None) -> None:
    """Settle what Keras runs on, before it is imported and fails without it.

    ``keras.json`` has no say: Keras writes that file on its first import, naming TensorFlow, and
    the second run of a command must not differ from the first.
    """
    name = backend or _backend.USER_CHOICE or _backend.find_installed()
    choices = ", ".join(_backend.BACKENDS)
    if name not in _backend.BACKENDS:
        problem = f"Keras is set to run on {name!r}" if name else "no Keras backend is installed"
        raise UsageError(f"{problem}; install one of {choices}, and name it with --backend.")
    if not _backend.is_installed(name):
        raise UsageError(f"{name} is not installed; install it, or name another of {choices}.")
    os.environ["KERAS_BACKEND"] = name


def import_keras() -> None:
    """Import Keras without TensorFlow's remarks on this machine, unless the import fails.

    They bypass Python and come whatever TF_CPP_MIN_LOG_LEVEL says, so the file descriptor itself
    is turned away meanwhile.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as remarks:
        os.dup2(remarks.fileno(), 2)
        try:
            import keras  # noqa: F401
        except BaseException:
            remarks.seek(0)
            os.write(terminal, remarks.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def import_keras_alone() -> None:
    """Import Keras, and leave TensorFlow alone where Keras runs on something else.

    When Keras first serialises anything, it imports TensorFlow where that is installed, only to
    compare types: that takes seconds, and hundreds of megabytes.
    """
    if os.environ["KERAS_BACKEND"] == Backend.tensorflow or "keras" in sys.modules:
        import_keras()
        return
    with hide_module("tensorflow"):
        import_keras()
        import keras

        keras.activations.serialize(keras.activations.tanh)


def collect_versions() -> dict[str, str]:
    """The versions of the libraries that a model is trained with.

    Each module is asked itself: the distribution of the module ``tensorflow`` may be called
    ``tensorflow-cpu``.
    """
    import keras
    import numpy
    import sklearn

    backend = keras.backend.backend()
    modules = {"keras": keras, "numpy": numpy, "scikit-learn": sklearn}
    modules[backend] = import_module(backend)
    return {
        "python": platform.python_version(),
        "keras-tied": __version__,
        **{name: str(getattr(module, "__version__", "?")) for name, module in modules.items()},
    }


class _MissingModule(MetaPathFinder):
    """Finds that a module is not installed."""

    def __init__(self, module: str) -> None:
        self.module = module

    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        """Refuse the module, and leave all others to the other finders."""
        if name == self.module:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextmanager
def hide_module(module: str) -> Iterator[None]:
    """As if a module were not installed, unless it has been imported."""
    finder = _MissingModule(module)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
