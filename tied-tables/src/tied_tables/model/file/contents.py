"""What a file holds, with parameters as JSON has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Annotated, Any, NamedTuple

import numpy as np
from msgspec import Meta, Raw, Struct
from numpy.typing import ArrayLike

from tied_tables._version import __version__
from tied_tables.model.value import TableModel

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Contents(NamedTuple):
    """What a file holds."""

    model: TableModel
    params: Mapping[str, Any]  # of the estimator
    notes: Any = None  # a JSON object of the command
    version: str = __version__  # of tied-tables, which has written it


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a file holds besides arrays, as JSON.

    Names that end in `_` are attributes of the estimator. `steps` are those of Nadam
    that `partial_fit` has taken, 0 after `fit`; `columns` describes those of a table
    that features were made from, if they are not its own; `transposed` names the arrays
    that are stored transposed, as they lie in memory.
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
    version: str


def make_settings(contents: Contents, transposed: list[str]) -> Settings:
    """What JSON has of a model, some of whose arrays are stored transposed."""
    model, params = contents.model, contents.params
    training = model.training
    columns = b"null" if model.columns is None else model.columns.to_json()
    return Settings(
        params={name: params[name] for name in sorted(params)},
        n_iter_=training.n_iter,
        is_pca_=training.is_pca,
        loss_curve_=list(training.loss_curve),
        validation_curve_=list(training.validation_curve),
        reconstruction_r2_=training.reconstruction_r2,
        offset=model.offset,
        feature_names=model.feature_names,
        weight_decay=training.weight_decay,
        activation=model.network.activation,
        columns=Raw(columns),
        steps=0 if training.nadam is None else training.nadam.step,
        transposed=transposed,
        version=contents.version,
    )


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
