"""What the error of a reconstruction costs: squares, deviances, or those of scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from tied_tables._types import Array
from tied_tables.model.link import Link
from tied_tables.model.pca import Components


class Loss(Protocol):
    """The loss of the outputs of networks, of targets with NaN where one is missing."""

    @property
    def link(self) -> Link | None:
        """What turns features into probabilities; None if all errors are squares."""

    def measure(self, outputs: Array, targets: Array) -> Array:
        """The mean error of each row, `(n,)` float64; outputs and targets `(n, d)`."""

    def compare(self, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """The mean error of each row, `(networks, n)`, and its gradient in the outputs.

        Features are rows here: outputs are `(networks, d, n)`, targets `(d, n)`.
        """

    def calibrate(self, outputs: Array, targets: Array, weights: Array) -> Loss:
        """The loss with the link that suits weighted rows best."""


@dataclass(frozen=True, eq=False)
class Squares:
    """The mean square of errors.

    Attributes:
        share: the outputs, of all features that errors are the mean of.
    """

    share: float = 1.0
    link = None

    def measure(self, outputs: Array, targets: Array) -> Array:
        """The mean square of each row, `(n,)`."""
        errors = np.square(outputs - targets, dtype=np.float64)
        return np.nan_to_num(errors).mean(axis=1) * self.share

    def compare(self, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """The mean square of each row, and its gradient."""
        gradient = outputs - targets
        np.copyto(gradient, 0, where=np.isnan(targets))
        errors = np.add.reduce(gradient * gradient, axis=1)
        errors *= self.share / len(targets)
        gradient *= 2 * self.share / len(targets)
        return errors, gradient

    def calibrate(self, outputs: Array, targets: Array, weights: Array) -> Squares:
        """The same: squares have no link."""
        return self


@dataclass(frozen=True, eq=False)
class Deviance:
    """The mean of what columns cost: deviances of classes, and squares of numbers."""

    link: Link

    def measure(self, outputs: Array, targets: Array) -> Array:
        """The mean cost of each row, `(n,)`."""
        errors = self.link.find_errors(targets, self.link.apply(outputs))
        return np.nan_to_num(errors).mean(axis=1)

    def compare(self, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """The mean cost of each row, and its gradient."""
        return self.link.compare(outputs, targets)

    def calibrate(self, outputs: Array, targets: Array, weights: Array) -> Deviance:
        """The deviance with another link."""
        return Deviance(self.link.calibrate(outputs, targets, weights))


@dataclass(frozen=True, eq=False)
class Projected:
    """A loss of features, of networks whose outputs are scores on principal axes."""

    loss: Loss
    axes: Components

    @property
    def link(self) -> Link | None:
        """That of the features."""
        return self.loss.link

    def measure(self, outputs: Array, targets: Array) -> Array:
        """The mean error of the features of each row, `(n,)`."""
        return self.loss.measure(self._restore(outputs), targets)

    def compare(self, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """The mean error of each row, and its gradient in the scores."""
        vectors = self.axes.vectors.astype(outputs.dtype)
        mean = self.axes.mean.astype(outputs.dtype)
        features = vectors @ outputs + mean[:, None]
        errors, gradient = self.loss.compare(features, targets)
        return errors, vectors.T @ gradient

    def calibrate(self, outputs: Array, targets: Array, weights: Array) -> Projected:
        """That of the calibrated loss of the features."""
        features = self._restore(outputs)
        return replace(self, loss=self.loss.calibrate(features, targets, weights))

    def _restore(self, outputs: Array) -> Array:
        """The features, `(n, d)`, of scores, `(n, k)`."""
        return outputs @ self.axes.vectors.T + self.axes.mean


def choose_loss(link: Link | None) -> Squares | Deviance:
    """The loss of features: deviances where there is a link, or else squares."""
    return Squares() if link is None else Deviance(link)
