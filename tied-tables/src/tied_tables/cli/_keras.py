"""Import Keras for a command that needs it."""

import os
import platform
from enum import StrEnum
from importlib import metadata

from tied_tables import _backend
from tied_tables._version import __version__
from tied_tables.cli._messages import UsageError

Backend = StrEnum("Backend", ["jax", "tensorflow", "torch"])


def require_backend(backend: Backend | None = None) -> None:
    """Choose the backend of Keras, before Keras is imported."""
    # keras.json is ignored: the first import of Keras writes it, with TensorFlow in it.
    name = backend or _backend.USER_CHOICE or _backend.find_installed()
    choices = ", ".join(_backend.BACKENDS)
    if name not in _backend.BACKENDS:
        problem = "no Keras backend is installed"
        if name:
            problem = f"Keras is set to run on {name!r}"
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
    """Import Keras, and hide most of TensorFlow's log messages."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras  # noqa: F401


def collect_versions() -> dict[str, str]:
    """Return the versions of the libraries that train a model."""
    libraries = {name: metadata.version(name) for name in ("numpy", "scipy")}
    return {
        "python": platform.python_version(),
        "tied-tables": __version__,
        **libraries,
    }
