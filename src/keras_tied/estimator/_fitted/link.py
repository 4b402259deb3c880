"""The link of the decoder: probabilities of booleans and categories from what it puts out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from keras_tied._types import Array
from keras_tied.estimator._fitted.layout import BOOLEAN, NUMBER, Layout
from keras_tied.estimator._fitted.pca import TINY
from keras_tied.estimator._fitted.scaling import Scaling

MOST_ROWS = 10_000  # that temperatures and mixtures are calibrated on
FACTORS = 2.0 ** np.arange(-4, 3.01, 0.25)  # of temperatures, that are compared
MIXTURES = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
PRIOR = 0.5  # the rows that the frequencies alone explain, by which mixtures are held up


@dataclass(frozen=True, eq=False)
class Link:
    r"""Turns the output of the decoder into what is reconstructed, numbers as they are.

    Where the output says $\pi$ in the units of an indicator that is 1 in a share p of the rows,

    $$q = (1 - \epsilon) \operatorname{softmax}(\log p + \tau (\pi / p - 1)) + \epsilon p$$

    over the categories of a column. To first order in $\pi - p$ it is $\pi$, if $\tau = 1$ and
    $\epsilon = 0$. A boolean has two categories of opposite indicators. What a column costs is the
    squared error of a number, and the deviance $-\log q$ of the category of a row.

    Attributes:
        frequencies: p, `(d,)` float64 each; 1 for numbers.
        temperatures: $\tau$, the same for all features of a column, positive; 1 for numbers.
        mixtures: $\epsilon$, the same for all features of a column; 0 for numbers.
        costs: what the best constant costs in training, by which errors are divided, positive.
        layout: the columns of the features, with booleans or categories among them.
        scaling: of the features.
    """

    frequencies: Array
    temperatures: Array
    mixtures: Array
    costs: Array
    layout: Layout
    scaling: Scaling

    @cached_property
    def classes(self) -> Array:
        """The features of booleans and categories."""
        return np.flatnonzero(self.layout.kinds != NUMBER)

    @cached_property
    def is_boolean(self) -> Array:
        """Which of `classes` are booleans."""
        return self.layout.kinds[self.classes] == BOOLEAN

    @cached_property
    def owners(self) -> Array:
        """The column of each of `classes`, counted from 0 among those without numbers."""
        return np.unique(self.layout.columns[self.classes], return_inverse=True)[1]

    @cached_property
    def weights(self) -> Array:
        """Of errors, so that their mean over the features is that of the columns, `(d,)`."""
        sizes = np.bincount(self.layout.columns)
        return len(self.costs) / len(sizes) / sizes[self.layout.columns] / self.costs

    @cached_property
    def logits(self) -> tuple[Array, Array]:
        """The slopes and intercepts of the logits as functions of the output, of `classes`."""
        p, temperatures = self.frequencies[self.classes], self.temperatures[self.classes]
        shift, scale = (array[self.classes] for array in self.scaling)
        odds = np.where(self.is_boolean, 1 - p, 1.0)
        slopes = temperatures / (p * odds)
        return slopes * scale, np.log(p / odds) + slopes * (shift - p)

    def apply(self, outputs: Array) -> Array:
        """What is reconstructed, scaled, of the outputs of the decoder, `(n, d)`."""
        classes, dtype = self.classes, outputs.dtype
        slopes, intercepts = (array.astype(dtype) for array in self.logits)
        with np.errstate(over="ignore", invalid="ignore"):
            logits = outputs[:, classes] * slopes + intercepts
            largest = np.maximum.reduceat(logits, self._starts, axis=1)[:, self.owners]
            largest[:, self.is_boolean] = np.maximum(largest[:, self.is_boolean], 0)
            q = np.exp(logits - largest)
            total = np.add.reduceat(q, self._starts, axis=1)[:, self.owners]
            total += self.is_boolean * np.exp(-largest)
            q /= total
        p, mixtures = (a[classes].astype(dtype) for a in (self.frequencies, self.mixtures))
        q += mixtures * (p - q)
        shift, scale = (array[classes].astype(dtype) for array in self.scaling)
        reconstruction = outputs.copy()
        reconstruction[:, classes] = (q - shift) / scale
        return reconstruction

    @cached_property
    def _starts(self) -> Array:
        return np.flatnonzero(np.diff(self.owners, prepend=-1))

    def find_errors(self, scaled: Array, reconstruction: Array) -> Array:
        """The cost of each feature relative to the best constant's, `(n, d)` float64.

        The mean over the features is that over the columns. The features of a category have equal
        shares of its cost; NaN where a value is missing.
        """
        classes = self.classes
        errors = np.square(reconstruction - scaled, dtype=np.float64)
        shift, scale = (array[classes] for array in self.scaling)
        indicators, q = (rows[:, classes] * scale + shift for rows in (scaled, reconstruction))
        least = (self.mixtures * self.frequencies)[classes]  # rounding may give less
        q = np.maximum(q, least)
        deviances = -indicators * np.log(q)
        others = np.maximum(1 - q, (self.mixtures * (1 - self.frequencies))[classes])
        others[:, ~self.is_boolean] = 1
        deviances -= (1 - indicators) * np.log(others)
        errors[:, classes] = np.add.reduceat(deviances, self._starts, axis=1)[:, self.owners]
        return errors * self.weights

    def calibrate(self, outputs: Array, scaled: Array, weights: Array) -> Link:
        """The link with the temperatures and mixtures that suit rows of these weights best.

        Guo et al., "On calibration of modern neural networks", ICML 2017, with a mixture.
        """
        some = np.flatnonzero(weights)
        some = some[:: -(-len(some) // MOST_ROWS)]
        temperatures, mixtures = self.temperatures.copy(), self.mixtures.copy()
        shift, scale = self.scaling
        for part in self.layout.parts:
            if self.layout.kinds[part.start] == NUMBER:
                continue
            target = scaled[some, part] * scale[part] + shift[part]
            p, estimate = self.frequencies[part], outputs[some, part] * scale[part] + shift[part]
            if self.layout.kinds[part.start] == BOOLEAN:
                p, target, estimate = (
                    np.concatenate([1 - each, each], -1) for each in (p, target, estimate)
                )
            present = np.isfinite(estimate).all(axis=1) & (target.sum(axis=1) > 0.5)
            if not present.any():
                continue
            place, of_rows = target[present].argmax(axis=1), weights[some][present]
            steps = estimate[present] / p - 1
            mixture, log_p = MIXTURES[:, None], np.log(p)
            losses = []
            for factor in FACTORS:
                logits = log_p + factor * temperatures[part.start] * steps
                q = np.exp(logits - logits.max(axis=1, keepdims=True))
                q = np.take_along_axis(q, place[:, None], 1)[:, 0] / q.sum(axis=1)
                losses.append(-np.log(q + mixture * (p[place] - q)) @ of_rows)
            table = np.array(losses) - PRIOR * np.log(MIXTURES)
            best, least = np.unravel_index(table.argmin(), table.shape)
            temperatures[part] *= FACTORS[best]
            mixtures[part] = MIXTURES[least]
        return replace(self, temperatures=temperatures, mixtures=mixtures)


def fit_link(scaled: Array, weights: Array, layout: Layout, scaling: Scaling) -> Link:
    """Fit frequencies and costs to scaled rows, `(n, d)`, of weights `(n,)`; not calibrated."""
    is_class, is_boolean = layout.kinds != NUMBER, layout.kinds == BOOLEAN
    present = ~np.isnan(scaled)
    count = np.maximum(weights @ present, TINY)
    rows = np.where(present, scaled, 0.0)
    mean = weights @ rows / count
    variances = weights @ np.where(present, (rows - mean) ** 2, 0.0) / count
    shares = np.clip(mean * scaling.scale + scaling.shift, 0.0, 1.0)
    sizes = np.where(is_boolean, 2, np.bincount(layout.columns)[layout.columns])
    p = np.where(is_class, (shares * count + 0.5) / (count + 0.5 * sizes), 1.0)
    starts = layout.starts
    p /= np.where(is_boolean | ~is_class, 1.0, np.add.reduceat(p, starts)[layout.columns])
    entropies = -shares * np.log(p) - is_boolean * (1 - shares) * np.log(
        np.where(is_boolean, 1 - p, 1)
    )
    entropies = np.add.reduceat(entropies, starts)[layout.columns]
    costs = np.where(is_class, entropies, variances)
    varies = np.maximum.reduceat(variances, starts)[layout.columns] > TINY
    costs = np.where(varies & (costs > TINY), costs, 1.0)
    ones = np.ones(len(p))
    return Link(p, ones, np.where(is_class, MIXTURES[0], 0.0), costs, layout, scaling)
