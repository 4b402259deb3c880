"""The rows of a fit: as they were given, scaled, and as a solver takes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tied_tables._layout import Layout
from tied_tables._types import Array
from tied_tables.fit.loss import Loss, Projected, Squares
from tied_tables.model.dense_network import DenseNetwork
from tied_tables.model.fences import Fences
from tied_tables.model.imputation import Preprocessing
from tied_tables.model.pca import Components
from tied_tables.model.value import compute_block

if TYPE_CHECKING:
    from tied_tables.columns import Columns


class Features(NamedTuple):
    """What is known of the features of the rows.

    Attributes:
        names: of the features, or None.
        layout: the columns that they were made from; None for numbers.
        columns: what encodes these columns, for the model; None for numbers.
    """

    names: tuple[str, ...] | None = None
    layout: Layout | None = None
    columns: Columns | None = None

    @classmethod
    def of(cls, columns: Columns) -> Features:
        """The features that columns of a table are encoded as."""
        return cls(tuple(columns.features), columns.layout, columns)


NUMERIC_FEATURES = Features()
"""Those of rows without names, which are numbers."""


@dataclass(frozen=True, eq=False)
class GivenRows:
    """Rows to fit to, with medians instead of absurd values.

    Attributes:
        X: `(n, d)`.
        names: of the features, or None.
        layout: the columns that the features were made from.
        weights: `(n,)`, with mean 1.
        absurd_limits: of the columns, beyond which a value is absurd.
        fences: of the columns.
        distances: of the values beyond the fences, as they were given, added up in each
            row, `(n,)`.
        n_trimmed: the number of absurd values.
        trimmed: the columns of these, by their names or places.
        empty: the columns without values, by their names or places.
        smallest, largest: of the values of each column, as they were given, `(d,)`
            float64; NaN without any.
    """

    X: Array
    names: tuple[str, ...] | None
    layout: Layout
    weights: Array
    absurd_limits: Fences
    fences: Fences
    distances: Array
    n_trimmed: int
    trimmed: list[str | int]
    empty: list[str | int]
    smallest: Array
    largest: Array

    def select(self, places: Array) -> GivenRows:
        """The rows with their features in another order."""
        return replace(
            self,
            X=np.take(self.X, places, axis=1),
            names=self.names and tuple(self.names[place] for place in places),
            layout=self.layout.select(places),
            absurd_limits=self.absurd_limits.select(places),
            fences=self.fences.select(places),
            smallest=self.smallest[places],
            largest=self.largest[places],
        )


@dataclass(frozen=True, eq=False)
class PreparedRows:
    """Scaled rows.

    Attributes:
        given: the rows before they were scaled.
        preprocessing: what was done to them.
        scaled: `(n, d)` float32, with NaN for missing values.
        complete: the same, imputed; the same array where nothing is missing.
    """

    given: GivenRows
    preprocessing: Preprocessing
    scaled: Array
    complete: Array


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Scaled rows to train on.

    Attributes:
        inputs: `(n, features)` float32, complete.
        targets: what the loss compares outputs with, with NaN where it is not known.
        weights: `(n,)` float64, positive, with mean 1.
        loss: of the outputs of a network.
        projection_error: what no network can change of the error of each row, `(n,)`,
            or none.
        unmasked: the rows as they are, if these are copies of them, one after the
            other, in each of which other values are hidden.
    """

    inputs: Array
    targets: Array
    weights: Array
    loss: Loss
    projection_error: Array | None = None
    unmasked: TrainingRows | None = None

    @property
    def count(self) -> int:
        """The number of different rows."""
        return len((self.unmasked or self).inputs)

    def select(self, rows: Array) -> TrainingRows:
        """All copies of the rows at these places, which are indices and not a mask."""
        copies = np.arange(len(self.inputs)).reshape(-1, self.count)
        places = copies[:, rows].ravel()
        inputs = self.inputs[places]
        is_complete = self.targets is self.inputs
        return replace(
            self,
            inputs=inputs,
            targets=inputs if is_complete else self.targets[places],
            weights=self.weights[places],
            projection_error=None
            if self.projection_error is None
            else self.projection_error[places],
            unmasked=self.unmasked and self.unmasked.select(rows),
        )

    def project(self, axes: Components) -> TrainingRows:
        """Rows whose inputs are the scores of these on axes, `(n, k)`.

        Where the loss is squares of complete rows, targets are scores, too: what they
        leave is the same for all networks.
        """
        deviations = self.inputs - axes.mean.astype(np.float32)
        scores = deviations @ axes.vectors.astype(np.float32)
        if self.loss.link is not None or self.targets is not self.inputs:
            return replace(self, inputs=scores, loss=Projected(self.loss, axes))
        d, k = axes.vectors.shape
        squares = np.square(deviations).sum(axis=1)
        squares -= np.square(scores).sum(axis=1)
        projection_error = np.maximum(squares, 0) / d
        loss = Squares(share=k / d)
        return replace(
            self,
            inputs=scores,
            targets=scores,
            loss=loss,
            projection_error=projection_error,
        )

    def compute_outputs(self, network: DenseNetwork) -> Array:
        """What a network puts out for the inputs, `(n, features)`."""
        return compute_block(network, self.inputs, self.inputs).reconstruction

    def measure(self, network: DenseNetwork, loss: Loss | None = None) -> Array:
        """The error of a network on each row, `(n,)`, by default by the own loss."""
        loss = loss or self.loss
        errors = loss.measure(self.compute_outputs(network), self.targets)
        return (
            errors if self.projection_error is None else errors + self.projection_error
        )
