"""What a file holds, with parameters as JSON has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Annotated, Any, NamedTuple

import numpy as np
from msgspec import Meta, Raw, Struct
from numpy.typing import ArrayLike

from tied_tables._types import Array
from tied_tables._version import __version__
from tied_tables.model.value import Fitted

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a file holds besides arrays and notes, as JSON.

    Names that end in `_` are attributes of the estimator. `activation` is that of
    the network; `steps` are those
    of Nadam that `partial_fit` has taken, 0 after `fit`; `columns` describes those of a
    table that features were made from, if they are not its own; `transposed` names the
    arrays that are stored transposed, as they lie in memory.
    """

    params: dict[str, Any]
    n_iter_: Count
    is_pca_: bool
    loss_curve_: list[float]
    validation_curve_: list[float]
    reconstruction_r2_: Annotated[float, Meta(le=1 + 1e-6)]
    offset: float
    feature_names: tuple[str, ...] | None
    weight_decay: Annotated[float, Meta(ge=0)]
    activation: str
    columns: Raw
    steps: Count
    transposed: list[str] = []
    version: str = __version__


class NadamState(NamedTuple):
    """What `partial_fit` goes on from."""

    averages: Array  # of the gradients of all weights, (n,) float32
    squares: Array  # the averages of their squares, (n,) float32
    step: int  # the number of steps taken


class Contents(NamedTuple):
    """What a file holds."""

    settings: Settings  # of the estimator
    fitted: Fitted  # the fitted value
    notes: Any  # a JSON object of the command
    nadam: NadamState | None  # what `partial_fit` goes on from; None after `fit`


def require(holds: ArrayLike, otherwise: str) -> None:
    """Raise `ValueError` unless something holds, for all numbers of an array."""
    if not np.all(holds):
        raise ValueError(otherwise)


def to_json(value: Any) -> Any:
    """What JSON has of a parameter; of a generator of random numbers None."""
    if isinstance(value, np.random.RandomState | ModuleType):
        return None
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"a parameter is {value!r}, which no file can hold")


def deserialize_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters from what JSON has of them; no code in it is run."""
    values = {}
    for name, value in params.items():
        require(not isinstance(value, dict), f"its parameter {name!r} is an object")
        values[name] = tuple(value) if isinstance(value, list) else value
    return values
