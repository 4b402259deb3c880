"""The rows of a fit: as they were given, scaled, and as a solver takes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from keras_tied._types import Array
from keras_tied.fitted.fences import Fences
from keras_tied.fitted.imputation import Preprocessing
from keras_tied.fitted.link import Link
from keras_tied.fitted.pca import Components, fit_pca


@dataclass(frozen=True, eq=False)
class GivenRows:
    """Rows to fit to, with medians in place of absurd values."""

    X: Array  # `(n, d)`
    weights: Array  # `(n,)`, with mean 1
    fences: Fences  # of the columns
    distances: (
        Array  # of the values beyond the fences, as given, added up in each row, `(n,)`
    )
    n_trimmed: int  # absurd values


@dataclass(frozen=True, eq=False)
class PreparedRows:
    """Scaled rows."""

    preprocessing: Preprocessing  # what was done to them
    scaled: Array  # `(n, d)` float32, with NaN for missing values
    complete: Array  # the same, with missing values imputed; the same array where none are missing
    weights: Array  # `(n,)`, with mean 1
    given: GivenRows  # the rows before they were scaled
    validation: PreparedRows | None = None  # those to hold out; None for some of these

    @property
    def missing(self) -> float:
        """The share of the values that is missing."""
        return (
            0.0 if self.complete is self.scaled else float(np.isnan(self.scaled).mean())
        )


@dataclass(frozen=True)
class TrainingRows:
    """Scaled rows to train on."""

    inputs: Array  # `(n, ...)` float32, complete, in the shape that the encoder takes
    targets: Array  # the same, with NaN where the input was imputed
    weights: Array  # `(n,)` float64, positive, with mean 1
    copies: int = 1  # the copies of all rows in these arrays, one after the other
    share: float = (
        1.0  # the features of `inputs` divided by all that errors are the mean of
    )
    # the mean squared error of each row that `project` leaves, `(n,)`, or 0
    lost: Array | float = 0.0
    link: Link | None = (
        None  # that training begins with; None if all errors are squares
    )
    axes: Components | None = (
        None  # of `inputs`, if `targets` are features and these are scores
    )
    plain: TrainingRows | None = (
        None  # the rows as they are, if values of these are hidden
    )
    validation: TrainingRows | None = None  # those to hold out; None for some of these

    @property
    def count(self) -> int:
        """The number of different rows."""
        return len(self.inputs) // self.copies

    def with_link(self, link: Link | None) -> TrainingRows:
        """These rows, with a link that training begins with."""
        validation = self.validation and self.validation.with_link(link)
        return replace(self, link=link, validation=validation)

    def select(self, rows: Array) -> TrainingRows:
        """All copies of the rows at these places, which are indices and not a mask."""
        places = (np.arange(self.copies)[:, None] * self.count + rows).ravel()
        inputs = self.inputs[places]
        targets = inputs if self.targets is self.inputs else self.targets[places]
        lost = self.lost[places] if isinstance(self.lost, np.ndarray) else self.lost
        return replace(
            self,
            inputs=inputs,
            targets=targets,
            weights=self.weights[places],
            lost=lost,
        )

    def select_places(self, places: Array) -> TrainingRows:
        """The rows at these places in the arrays, of a copy each."""
        return replace(self, copies=1).select(places)

    def project(self, principal: Components) -> TrainingRows:
        """The scores of complete rows on the components, `(n, k)`."""
        deviations = self.flat - principal.mean.astype(np.float32)
        scores = deviations @ principal.vectors.astype(np.float32)
        validation = self.validation and self.validation.project(principal)
        if self.link is not None:
            return replace(self, inputs=scores, axes=principal, validation=validation)
        lost = np.square(deviations).sum(axis=1) - np.square(scores).sum(axis=1)
        n, width = scores.shape[1], deviations.shape[1]
        lost = np.maximum(lost, 0) / width
        share = n / width
        new = {"inputs": scores, "targets": scores, "share": share, "lost": lost}
        return replace(self, **new, validation=validation)

    def keras_weights(self, weights: Array) -> Array:
        """Weights of the rows as Keras takes them: with as many axes as losses have."""
        return weights.reshape(-1, *[1] * (self.inputs.ndim - 2))

    @property
    def flat(self) -> Array:
        """The inputs, `(n, d)`."""
        return self.inputs.reshape(len(self.inputs), -1)

    @cached_property
    def principal(self) -> Components:
        """PCA of these rows."""
        return fit_pca(self.flat, self.weights)

    def errors(self, reconstruction: Array) -> Array:
        """The mean error of each row, `(n,)`, for reconstructions `(n, d)`."""
        targets = self.targets.reshape(len(self.targets), -1)
        if self.link is None:
            errors = np.square(reconstruction - targets, dtype=np.float64)
        else:
            errors = self.link.find_errors(targets, reconstruction)
        return np.nan_to_num(errors).mean(axis=1) * self.share + self.lost

    def pca_errors(self, principal: Components) -> Array:
        """The mean error of each row, `(n,)`, for PCA."""
        outputs = self.undo_projection(principal.reconstruct(self.flat))
        return self.errors(outputs if self.link is None else self.link.apply(outputs))

    def undo_projection(self, outputs: Array) -> Array:
        """The scaled features, `(n, d)`, of what a network gives for these rows."""
        return (
            outputs
            if self.axes is None
            else outputs @ self.axes.vectors.T + self.axes.mean
        )
