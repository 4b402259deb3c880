"""A fit and its file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Raw

from tied_tables._types import StrPath
from tied_tables.fit.judge import Outcome
from tied_tables.model.file import write
from tied_tables.model.file.contents import Contents, Settings

ATTRIBUTES = (
    "n_iter",
    "is_pca",
    "loss_curve",
    "validation_curve",
    "reconstruction_r2",
)
"""Of an outcome; those of an estimator and of the settings in a file end in `_`."""


def write_outcome(
    path: StrPath,
    outcome: Outcome,
    params: Mapping[str, Any],
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write a fit with its parameters, and notes, a JSON object; see `write`."""
    write(path, make_contents(outcome, params, notes))


def make_contents(
    outcome: Outcome,
    params: Mapping[str, Any],
    notes: Mapping[str, Any] | None = None,
) -> Contents:
    """What the file of a fit holds."""
    fitted, network, nadam = outcome.fitted, outcome.fitted.network, outcome.nadam
    attributes = {f"{name}_": getattr(outcome, name) for name in ATTRIBUTES}
    params = {name: params[name] for name in sorted(params)}
    settings = Settings(
        **attributes,
        params=params,
        offset=fitted.offset,
        feature_names=fitted.feature_names,
        weight_decay=outcome.weight_decay,
        columns=Raw(fitted.columns_json or b"null"),
        activation=network.activation,
        steps=0 if nadam is None else nadam.step,
    )
    return Contents(settings, fitted, notes, nadam)


def make_outcome(contents: Contents) -> Outcome:
    """The fit that a file holds, without what it does not."""
    settings = contents.settings
    attributes = {name: getattr(settings, f"{name}_") for name in ATTRIBUTES}
    return Outcome(
        **attributes,
        fitted=contents.fitted,
        weight_decay=settings.weight_decay,
        feature_r2=None,
        n_trimmed=0,
        nadam=contents.nadam,
    )
