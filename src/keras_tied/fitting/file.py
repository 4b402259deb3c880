"""A fit and its file."""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Raw

from keras_tied.fitted.dense_network import DenseNetwork
from keras_tied.fitted.file import (
    Contents,
    NadamState,
    Settings,
    serialize_params,
    write,
)
from keras_tied.fitting.judge import Outcome
from keras_tied.fitting.nadam import Nadam

if TYPE_CHECKING:
    from keras_tied.autoencoder import Autoencoder


def write_outcome(
    path: str | os.PathLike[str],
    outcome: Outcome,
    params: Mapping[str, Any],
    notes: Mapping[str, Any] | None = None,
    make_model: "Callable[[], Autoencoder] | None" = None,
) -> None:
    """Write a fit with its parameters, and notes, a JSON object; see `file.write`."""
    fitted, network, nadam = outcome.fitted, outcome.fitted.network, outcome.nadam
    names = fitted.feature_names
    settings = Settings(
        params=serialize_params(params),
        n_iter_=outcome.n_iter,
        is_pca_=outcome.is_pca,
        loss_curve_=outcome.losses,
        validation_curve_=list(outcome.validation_errors),
        reconstruction_r2_=outcome.r2,
        offset=fitted.offset,
        feature_names=None if names is None else list(names),
        weight_decay=outcome.weight_decay,
        columns=Raw(fitted.columns_json or b"null"),
        activation=network.activation if isinstance(network, DenseNetwork) else None,
        steps=0 if nadam is None else nadam.step,
    )
    state = None
    if nadam is not None:  # that of one network
        state = NadamState(nadam.averages[0], nadam.squares[0])
    write(path, Contents(settings, fitted, notes, state), make_model)


def make_outcome(contents: Contents) -> Outcome:
    """The fit that a file holds."""
    settings, nadam = contents.settings, None
    if contents.nadam is not None:
        averages, squares = (array[None] for array in contents.nadam)
        nadam = Nadam(averages, squares, settings.steps)
    return Outcome(
        fitted=contents.fitted,
        losses=settings.loss_curve_,
        n_iter=settings.n_iter_,
        is_pca=settings.is_pca_,
        weight_decay=settings.weight_decay,
        r2=settings.reconstruction_r2_,
        feature_r2=None,
        n_trimmed=0,
        validation_errors=settings.validation_curve_,
        nadam=nadam,
    )
