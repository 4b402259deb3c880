"""The rows of a fit: as they were given, scaled, and as a solver takes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from tied_tables._types import Array
from tied_tables.model.dense_network import DenseNetwork
from tied_tables.model.fences import Fences
from tied_tables.model.imputation import Preprocessing
from tied_tables.model.layout import Layout
from tied_tables.model.link import Link
from tied_tables.model.pca import Components
from tied_tables.model.value import compute_block


class Features(NamedTuple):
    """What is known of the features of the rows.

    Attributes:
        names: of the features, or None.
        layout: the columns that they were made from; None for numbers.
        columns_json: what else is known of these columns, for the fitted value.
    """

    names: tuple[str, ...] | None = None
    layout: Layout | None = None
    columns_json: bytes | None = None

    def select(self, places: Array) -> Features:
        """The features in another order, of columns in another one."""
        names = self.names and tuple(self.names[place] for place in places)
        layout = self.layout and self.layout.select(places)
        return Features(names, layout, self.columns_json)


NUMBERS = Features()
"""Those of rows without names, which are numbers."""


@dataclass(frozen=True, eq=False)
class GivenRows:
    """Rows to fit to, with medians in place of absurd values.

    Attributes:
        X: `(n, d)`.
        features: of these.
        weights: `(n,)`, with mean 1.
        ends: of the columns, beyond which a value is absurd.
        fences: of the columns.
        distances: of the values beyond the fences, as they were given, added up in each
            row, `(n,)`.
        n_trimmed: the number of absurd values.
        empty: the columns without values, by their names or places.
        smallest, largest: of the values of each column, as they were given, `(d,)`
            float64; NaN without any.
    """

    X: Array
    features: Features
    weights: Array
    ends: Fences
    fences: Fences
    distances: Array
    n_trimmed: int
    empty: list[str | int]
    smallest: Array
    largest: Array

    def select(self, places: Array) -> GivenRows:
        """The rows with their features in another order."""
        return replace(
            self,
            X=np.take(self.X, places, axis=1),
            features=self.features.select(places),
            ends=self.ends.select(places),
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
        validation: rows to hold out; None for some of these.
    """

    given: GivenRows
    preprocessing: Preprocessing
    scaled: Array
    complete: Array
    validation: PreparedRows | None = None


@dataclass(frozen=True)
class TrainingRows:
    """Scaled rows to train on.

    Attributes:
        inputs: `(n, features)` float32, complete.
        targets: the same, with NaN where the input was imputed.
        weights: `(n,)` float64, positive, with mean 1.
        share: the features of `inputs`, of all that errors are the mean of.
        lost: the mean squared error of each row that `project` leaves, `(n,)`.
        link: that training begins with; None if all errors are squares.
        axes: of `inputs`, if `targets` are features and these are scores.
        plain: the rows as they are, if these are copies of them, one after the other,
            in each of which other values are hidden.
        validation: rows to hold out; None for some of these.
    """

    inputs: Array
    targets: Array
    weights: Array
    share: float = 1.0
    lost: Array | None = None
    link: Link | None = None
    axes: Components | None = None
    plain: TrainingRows | None = None
    validation: TrainingRows | None = None

    @property
    def count(self) -> int:
        """The number of different rows."""
        return len((self.plain or self).inputs)

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
            lost=None if self.lost is None else self.lost[places],
            plain=self.plain and self.plain.select(rows),
        )

    def project(self, principal: Components) -> TrainingRows:
        """The scores of complete rows on the components, `(n, k)`."""
        deviations = self.inputs - principal.mean.astype(np.float32)
        scores = deviations @ principal.vectors.astype(np.float32)
        validation = self.validation and self.validation.project(principal)
        rows = replace(self, inputs=scores, validation=validation)
        if self.link is not None or self.targets is not self.inputs:  # of gaps
            return replace(rows, axes=principal)
        d, k = principal.vectors.shape
        squares = np.square(deviations).sum(axis=1)
        squares -= np.square(scores).sum(axis=1)
        lost = np.maximum(squares, 0) / d
        return replace(
            rows,
            targets=scores,
            share=k / d,
            lost=lost,
        )

    def reconstruct(self, network: DenseNetwork) -> Array:
        """What a network's decoder puts out, `(n, d)`, without the link."""
        outputs = compute_block(network, self.inputs, self.inputs).reconstruction
        if self.axes is None:
            return outputs
        return outputs @ self.axes.vectors.T + self.axes.mean

    def measure(self, network: DenseNetwork, link: Link | None = None) -> Array:
        """The mean error of each row, `(n,)`; the link is by default that of these."""
        link = link or self.link
        outputs = self.reconstruct(network)
        if link is None:
            errors = np.square(outputs - self.targets, dtype=np.float64)
        else:
            errors = link.find_errors(self.targets, link.apply(outputs))
        means = np.nan_to_num(errors).mean(axis=1) * self.share
        return means if self.lost is None else means + self.lost

    def compare(self, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """The mean error of each row, and its gradient in the outputs.

        Outputs are `(networks, features, rows)`, targets `(features, rows)`, with NaN
        where a value is missing, errors `(networks, rows)`.
        """
        if self.link is None:
            gradient = outputs - targets
            np.copyto(gradient, 0, where=np.isnan(targets))
            errors = np.add.reduce(gradient * gradient, axis=1)
            errors *= self.share / len(targets)
            gradient *= 2 * self.share / len(targets)
            return errors, gradient
        if self.axes is None:
            return self.link.compare(outputs, targets)
        vectors = self.axes.vectors.astype(outputs.dtype)
        mean = self.axes.mean.astype(outputs.dtype)
        features = vectors @ outputs + mean[:, None]
        errors, gradient = self.link.compare(features, targets)
        return errors, vectors.T @ gradient
