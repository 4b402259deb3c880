"""Choose an installed Keras backend before Keras is imported, which fails for another.

That is ``KERAS_BACKEND``; else what the user's ``keras.json`` names; else the first of
`BACKENDS`.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

BACKENDS = ("jax", "tensorflow", "torch")

# Read before `settle` sets the variable.
USER_CHOICE = os.environ.get("KERAS_BACKEND") or None

# The ``keras.json`` that Keras writes on its first import, on any backend.
KERAS_DEFAULTS = {
    "floatx": "float32",
    "epsilon": 1e-7,
    "backend": "tensorflow",
    "image_data_format": "channels_last",
}


def is_installed(backend: str) -> bool:
    """Whether the library of a Keras backend can be imported, without importing it."""
    spec = find_spec(backend) if backend.isidentifier() else None
    # A folder of that name without an __init__.py is found too, but has no origin.
    return spec is not None and spec.origin is not None


def read_user_setting() -> str | None:
    """Return the backend that the user's ``keras.json`` names, or None."""
    home = os.path.expanduser("~")
    default = Path(home if os.access(home, os.W_OK) else "/tmp", ".keras")
    folder = os.path.expanduser(os.environ.get("KERAS_HOME", default))
    try:
        settings = json.loads(Path(folder, "keras.json").read_text(encoding="utf-8"))
        backend = settings["backend"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    is_choice = isinstance(backend, str) and settings != KERAS_DEFAULTS
    return backend if is_choice else None


@contextmanager
def explain_missing() -> Iterator[None]:
    """Tell how to install a backend, where Keras is imported and finds none."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in BACKENDS or is_installed(name):
            raise
        raise ImportError(
            f"Keras needs a backend, and {name} is not installed: run 'python -m pip"
            " install jax', or install tensorflow or torch and set KERAS_BACKEND to"
            " its name."
        ) from error


def settle() -> None:
    """Set ``KERAS_BACKEND``, unless it is set already or Keras has been imported."""
    if "keras" in sys.modules or USER_CHOICE:
        return
    backend = read_user_setting()
    if not (backend and is_installed(backend)):
        backend = next(filter(is_installed, BACKENDS), None)
    if backend:
        os.environ["KERAS_BACKEND"] = backend
