"""The link of the decoder: probabilities of booleans and categories from what it puts out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from keras_tied._types import Array
from keras_tied.estimator._fitted.layout import BOOLEAN, NUMBER, Layout
from keras_tied.estimator._fitted.pca import TINY
from keras_tied.estimator._fitted.scaling import Scaling

MOST_ROWS = 5_000  # that temperatures and mixtures are calibrated on
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
    def parts(self) -> list[slice]:
        """The features of each column of booleans or categories."""
        return [part for part in self.layout.parts if self.layout.kinds[part.start] != NUMBER]

    @cached_property
    def weights(self) -> Array:
        """Of errors, so that their mean over the features is that of the columns, `(d,)`."""
        sizes = np.bincount(self.layout.columns)
        return len(self.costs) / len(sizes) / sizes[self.layout.columns] / self.costs

    @cached_property
    def logits(self) -> tuple[Array, Array]:
        """Slopes and intercepts of the logits of classes as functions of the output, `(d,)` each.

        Those of a boolean are of its odds; those of numbers are 0.
        """
        p, (shift, scale), kinds = self.frequencies, self.scaling, self.layout.kinds
        others = np.where(kinds == BOOLEAN, 1 - p, 1.0)
        slopes = np.where(kinds == NUMBER, 0.0, self.temperatures / (p * others))
        return slopes * scale, np.log(p / others) + slopes * (shift - p)

    def apply(self, outputs: Array) -> Array:
        """What is reconstructed, scaled, of the outputs of the decoder, `(n, d)`."""
        reconstruction, (shift, scale) = outputs.copy(), self.scaling
        shares = self._to_shares(outputs)
        for part in self.parts:
            p = self._select(self.frequencies, part)
            q = _soften(self._select(shares, part), p, self.temperatures[part.start])
            q += self.mixtures[part.start] * (p - q)
            q = q[:, part.start - part.stop :]
            reconstruction[:, part] = (q - shift[part]) / scale[part]
        return reconstruction

    def find_errors(self, scaled: Array, reconstruction: Array) -> Array:
        """Costs relative to the best constant's, `(n, d)` float64; NaN where a value is missing.

        The mean over the features is that over the columns; those of a category share its cost.
        """
        errors = np.square(reconstruction - scaled, dtype=np.float64)
        shares, q = self._to_shares(scaled), self._to_shares(reconstruction)
        for part in self.parts:
            least = self.mixtures[part.start] * self._select(self.frequencies, part)
            logs = np.log(np.maximum(self._select(q, part), least))  # less is a rounding error
            errors[:, part] = -(self._select(shares, part) * logs).sum(axis=1, keepdims=True)
        return errors * self.weights

    def calibrate(self, outputs: Array, scaled: Array, weights: Array) -> Link:
        """The link with the temperatures and mixtures that suit rows of these weights best.

        Guo et al., "On calibration of modern neural networks", ICML 2017, with a mixture.
        """
        some = np.flatnonzero(weights)
        some = some[:: -(-len(some) // MOST_ROWS)]
        outputs, scaled = self._to_shares(outputs[some]), self._to_shares(scaled[some])
        temperatures, mixtures = self.temperatures.copy(), self.mixtures.copy()
        for part in self.parts:
            targets, p = self._select(scaled, part), self._select(self.frequencies, part)
            known = targets.sum(axis=1) > 0.5  # neither missing nor of an unknown category
            places, of_rows = targets[known].argmax(axis=1), weights[some][known]
            shares, of_places = self._select(outputs[known], part), p[places]
            losses = []
            for factor in FACTORS:
                q = _soften(shares, p, factor * temperatures[part.start])
                q = np.take_along_axis(q, places[:, None], axis=1)[:, 0]
                losses.append(-np.log(q + MIXTURES[:, None] * (of_places - q)) @ of_rows)
            table = np.array(losses) - PRIOR * np.log(MIXTURES)
            best, mixture = np.unravel_index(table.argmin(), table.shape)
            temperatures[part] *= FACTORS[best]
            mixtures[part] = MIXTURES[mixture]
        return replace(self, temperatures=temperatures, mixtures=mixtures)

    def _to_shares(self, scaled: Array) -> Array:
        return self.scaling.backward(scaled, np.dtype(np.float64))

    def _select(self, shares: Array, part: slice) -> Array:
        """The shares of the categories of a column, two of a boolean, along the last axis."""
        of_part = shares[..., part]
        is_boolean = self.layout.kinds[part.start] == BOOLEAN
        return np.concatenate([1 - of_part, of_part], axis=-1) if is_boolean else of_part


def _soften(shares: Array, p: Array, temperature: float) -> Array:
    """The softmax in the docstring of `Link`."""
    with np.errstate(over="ignore", invalid="ignore"):
        logits = np.log(p) + temperature * (shares / p - 1)
        q = np.exp(logits - logits.max(axis=1, keepdims=True))
    q /= q.sum(axis=1, keepdims=True)
    return q


def fit_link(scaled: Array, weights: Array, layout: Layout, scaling: Scaling) -> Link:
    """Fit frequencies and costs to scaled rows, `(n, d)`, of weights `(n,)`; not calibrated."""
    is_class = layout.kinds != NUMBER
    ones, mixtures = np.ones(len(is_class)), np.where(is_class, MIXTURES[0], 0.0)
    link = Link(ones, ones, mixtures, ones, layout, scaling)
    count = np.maximum(weights @ ~np.isnan(scaled), TINY)
    mean = weights @ np.nan_to_num(scaled) / count
    costs, p = weights @ np.nan_to_num(scaled - mean) ** 2 / count, ones.copy()
    shares = link._to_shares(scaled)
    for part in link.parts:
        counts = weights @ np.nan_to_num(link._select(shares, part))
        smooth = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
        p[part] = smooth[part.start - part.stop :]
        costs[part] = -(counts @ np.log(smooth)) / max(counts.sum(), TINY) * costs[part].any()
    return replace(link, frequencies=p, costs=np.where(costs > TINY, costs, 1.0))
