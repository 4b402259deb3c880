"""Picks an installed Keras backend before Keras is imported.

Keras reads its backend once, when it is first imported, and fails there if that backend is not
installed. This module settles the choice first: ``KERAS_BACKEND`` if it is set; else what
``keras.json`` names, if that can be imported; else the first that is installed of JAX, TensorFlow
and PyTorch.
"""

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

BACKENDS = ("jax", "tensorflow", "torch")
"""The backends that we test on, most preferred first; each is named as the module behind it."""


def installed(backend: str) -> bool:
    """Whether the library behind a Keras backend can be imported, without importing it."""
    return backend.isidentifier() and find_spec(backend) is not None


def configured() -> str | None:
    """The backend that the user's ``keras.json`` names, or None."""
    home = os.environ.get("KERAS_HOME")
    path = (Path(home) if home else Path.home() / ".keras") / "keras.json"
    try:
        named = json.loads(path.read_text(encoding="utf-8"))["backend"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return named if isinstance(named, str) else None


def choose() -> str | None:
    """The backend to use where ``KERAS_BACKEND`` is not set, or None if none is installed."""
    named = configured()
    candidates = [named, *BACKENDS] if named else [*BACKENDS]
    return next((name for name in candidates if installed(name)), None)


def settle() -> None:
    """Set ``KERAS_BACKEND``, unless it is set already or Keras has been imported."""
    if "keras" in sys.modules or os.environ.get("KERAS_BACKEND"):
        return
    if backend := choose():
        os.environ["KERAS_BACKEND"] = backend
