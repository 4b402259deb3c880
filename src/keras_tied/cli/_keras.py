"""Keras, imported for a command that needs it."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from keras_tied import _backend
from keras_tied.cli._messages import UsageError


class Backend(StrEnum):
    """What Keras can run on."""

    jax = "jax"
    tensorflow = "tensorflow"
    torch = "torch"


def require_backend(backend: Backend | None = None) -> None:
    """Settle what Keras runs on, before it is imported and fails without it."""
    name = backend or os.environ.get("KERAS_BACKEND", "")
    known = ", ".join(_backend.BACKENDS)
    if name not in _backend.BACKENDS:
        given = f"Keras is set to run on {name!r}" if name else "no Keras backend is installed"
        raise UsageError(f"{given}; install one of {known}, and name it with --backend.")
    if not _backend.installed(name):
        raise UsageError(f"{name} is not installed; install it, or name another of {known}.")
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
    with hidden("tensorflow"):
        import_keras()
        import keras

        keras.activations.serialize(keras.activations.tanh)


@contextmanager
def hidden(module: str) -> Iterator[None]:
    """As if a module were not installed."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
