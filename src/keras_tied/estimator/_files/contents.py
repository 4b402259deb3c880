"""What a file holds, and how it is refused where it does not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple

from msgspec import Meta, Struct

from keras_tied._version import __version__
from keras_tied.estimator._fitted.value import Fitted

LONGEST = 300  # characters of a message that quotes the file
LEARNED = "n_iter_", "is_pca_", "loss_curve_", "validation_curve_", "reconstruction_r2_"
"""The settings that are attributes of the estimator."""


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a file holds besides arrays and notes, as JSON: parameters as such, and `LEARNED`.

    `activation` is that of the estimator's own network, and None if the network is a Keras model;
    `transposed` names the arrays that are stored transposed, as they lie in memory.
    """

    params: dict[str, Any]
    n_iter_: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    is_pca_: bool
    loss_curve_: list[float]
    validation_curve_: list[float]
    reconstruction_r2_: Annotated[float, Meta(le=1 + 1e-6)]
    offset: float
    feature_names: list[str] | None
    weight_decay: Annotated[float, Meta(ge=0)]
    activation: str | None
    transposed: list[str] = []
    version: str = __version__


class Contents(NamedTuple):
    """What a file holds."""

    settings: Settings  # of the estimator
    fitted: Fitted  # the fitted value
    notes: Any  # a JSON object of the command, or None
    # what `partial_fit` goes on with: a compiled Keras model, or the variables of the optimizer of
    # the estimator's own network; None after `fit`
    trainable: Any


def require(holds: bool, otherwise: str) -> None:
    """Raise `ValueError` unless something holds."""
    if not holds:
        raise ValueError(otherwise)


@contextmanager
def name_file(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn any error of reading a file into one `ValueError` that names the file."""
    name = repr(os.fspath(path))
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {name}.")
    try:
        yield
    except Exception as error:  # any file can be given
        lines = str(error).strip().splitlines() or [type(error).__name__]
        line = lines[0] if len(lines[0]) <= LONGEST else f"{lines[0][:LONGEST]}..."
        printable = (letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
        reason = "".join(printable).rstrip(".")
        raise ValueError(f"{name} cannot be loaded: {reason}.") from error
