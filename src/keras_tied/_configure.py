"""``python -m keras_tied configure``: name a backend in ``keras.json``.

After that ``import keras`` alone works, also before ``import keras_tied``.
"""

import json
from contextlib import suppress

from keras_tied import _backend
from keras_tied._files import replace_atomically

SIGNATURE = {"written_by": "keras-tied configure"}  # TensorFlow is a choice then, too


def configure(backend: str | None = None) -> str:
    """Write a backend into the user's ``keras.json``, and keep its other settings.

    Args:
        backend: one of `_backend.BACKENDS`. None for the one that the file names, if
            that is the user's choice and installed, or else the first that is
            installed.

    Returns:
        What was done, in a sentence.

    Raises:
        ValueError: if there is no such backend, it is not installed, or the file is not
            JSON.
    """
    file, choice = _backend.settings_file(), _backend.read_user_setting()
    if backend is None and choice and _backend.is_installed(choice):
        return f"{file} names {choice} already; name another backend to change it."
    backend = backend or _backend.find_installed()
    choices = ", ".join(_backend.BACKENDS)
    if backend is None:
        raise ValueError(f"no backend of Keras is installed; install one of {choices}.")
    if backend not in _backend.BACKENDS:
        raise ValueError(f"Keras has no backend {backend!r}; name one of {choices}.")
    if not _backend.is_installed(backend):
        raise ValueError(
            f"{backend} is not installed; install it, or name another of {choices}."
        )
    settings = dict(_backend.KERAS_DEFAULTS)
    with suppress(FileNotFoundError):
        try:
            settings |= json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{file} is not a JSON object; correct it, or delete it."
            ) from error
    file.parent.mkdir(parents=True, exist_ok=True)
    settings |= SIGNATURE | {"backend": backend}
    with replace_atomically(file.resolve()) as part:
        part.write_text(json.dumps(settings, indent=4) + "\n", encoding="utf-8")
    return f"wrote {backend} into {file}; Keras runs on it from now on."
