"""The link of the decoder: probabilities of booleans and categories from its output."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tied_tables._layout import BOOLEAN, NUMBER, Layout
from tied_tables._types import Array
from tied_tables.model.pca import TINY
from tied_tables.model.scaling import Scaling

LINK_SAMPLE_ROWS = 5_000  # that temperatures and mixtures are calibrated on
FACTORS = 2.0 ** np.arange(-4, 3.01, 0.25)  # of temperatures, that are compared
MIXTURES = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
MIXTURE_PRIOR_ROWS = 0.5
"""The rows that the frequencies alone explain, by which mixtures are held up."""


@dataclass(frozen=True, eq=False)
class Link:
    r"""Turns the output of the decoder into what is reconstructed, numbers as they are.

    Where the output says $\pi$ in the units of an indicator that is 1 in a share p of
    the rows,

    $$q = (1 - \epsilon) \operatorname{softmax}(\log p + \tau (\pi / p - 1))
        + \epsilon p$$

    over the categories of a column. To first order in $\pi - p$ it is $\pi$, if
    $\tau = 1$ and $\epsilon = 0$. A boolean has two categories of opposite indicators.
    What a column costs is the squared error of a number, and the deviance $-\log q$ of
    the category of a row.

    Attributes:
        frequencies: p, `(d,)` float64 each; 1 for numbers.
        temperatures: $\tau$, the same for all features of a column, positive; 1 for
            numbers.
        mixtures: $\epsilon$, the same for all features of a column; 0 for numbers.
        costs: what the best constant costs in training, by which errors are divided,
            positive.
        layout: the columns of the features, with booleans or categories among them.
        scaling: of the features.
    """

    frequencies: Array
    temperatures: Array
    mixtures: Array
    costs: Array
    layout: Layout
    scaling: Scaling

    def select(self, features: Array) -> Link:
        """The link of rows with all features in another order."""
        return Link(
            self.frequencies[features],
            self.temperatures[features],
            self.mixtures[features],
            self.costs[features],
            self.layout.select(features),
            self.scaling.select(features),
        )

    @cached_property
    def weights(self) -> Array:
        """Of errors, so that their mean is that of the columns, `(d,)`."""
        features_per_column = len(self.costs) / len(self.layout.starts)
        return features_per_column / self.layout.sizes / self.costs

    @cached_property
    def logits(self) -> tuple[Array, Array]:
        """Slopes and intercepts of the logits of classes in the output, `(d,)` each.

        Those of a boolean are of its odds; those of numbers are 0.
        """
        p = self.frequencies
        kinds = self.layout.kinds
        shift, scale = self.scaling
        other_probability = np.where(kinds == BOOLEAN, 1 - p, 1.0)
        slopes = np.where(
            kinds == NUMBER, 0.0, self.temperatures / (p * other_probability)
        )
        return slopes * scale, np.log(p / other_probability) + slopes * (shift - p)

    def apply(self, outputs: Array) -> Array:
        """What is reconstructed, scaled, of the outputs of the decoder, `(n, d)`."""
        indicators = self.layout.indicators
        terms = self._terms
        shares = self._soften(outputs.T.astype(np.float64))
        probabilities = self._mix(shares)
        scaled = (probabilities - terms.shift) / terms.scale  # (m, n)
        reconstruction = outputs.copy()
        reconstruction[:, indicators.classes] = scaled[indicators.last].T
        return reconstruction

    def find_errors(self, scaled: Array, reconstruction: Array) -> Array:
        """Costs relative to the best constant's, `(n, d)` float64, NaN where missing.

        The mean over the features is that over the columns; those of a category share
        its cost.
        """
        indicators = self.layout.indicators
        errors = np.square(reconstruction - scaled, dtype=np.float64)
        targets = self._indicate(scaled.T)
        probabilities = self._indicate(reconstruction.T)
        least = self._mix(np.zeros(1))  # a smaller one is a rounding error
        logs = np.log(np.maximum(probabilities, least))
        deviances = indicators.add_up(-targets * logs)
        columns = indicators.columns[indicators.last]
        errors[:, indicators.classes] = deviances[columns].T
        return errors * self.weights

    def compare(self, outputs: Array, scaled: Array) -> tuple[Array, Array]:
        """The mean over the features of `find_errors`, and its gradient in the outputs.

        Features are rows here: outputs of networks side by side are `(networks, d, n)`,
        scaled rows `(d, n)`, errors `(networks, n)`, the gradient `(networks, d, n)`.
        """
        indicators = self.layout.indicators
        dtype = outputs.dtype
        weights = self.weights / len(self.weights)
        weights = weights.astype(dtype)[:, None]
        differences = outputs - scaled
        np.copyto(differences, 0, where=np.isnan(scaled))
        differences[:, indicators.classes] = 0
        gradient = weights * differences
        costs = gradient * differences
        errors = costs.sum(axis=1)
        gradient *= 2

        targets = np.nan_to_num(self._indicate(scaled))
        targets = targets.astype(dtype)
        class_weights = weights * self.layout.sizes[:, None]
        targets *= class_weights[indicators.features]
        shares = self._soften(outputs)
        probabilities = self._mix(shares)
        gains = targets * np.log(probabilities)
        errors -= gains.sum(axis=1)
        # The derivatives in the shares, in the logits of the softmax, and in the
        # outputs.
        mixtures = self._terms.mixtures.astype(dtype)
        share_gradient = (mixtures - 1) * targets / probabilities
        means = indicators.add_up(shares * share_gradient)
        logit_gradient = shares * (share_gradient - means[:, indicators.columns])
        logit_gradient *= self._terms.slopes.astype(dtype)
        firsts = np.append(0, indicators.last[:-1] + 1)
        class_gradient = np.add.reduceat(logit_gradient, firsts, axis=-2)
        gradient[:, indicators.classes] = class_gradient
        return errors, gradient

    def calibrate(
        self,
        outputs: Array,
        scaled: Array,
        weights: Array,
    ) -> Link:
        """The link with the temperatures and mixtures that suit weighted rows best.

        Guo et al., "On calibration of modern neural networks", ICML 2017, with a
        mixture.
        """
        sample = np.flatnonzero(weights)
        sample = sample[:: -(-len(sample) // LINK_SAMPLE_ROWS)]
        # NaN and unknown categories have no target.
        targets = self._indicate(scaled[sample].T) > 0.5
        row_weights = weights[sample] * targets
        outputs = outputs[sample].T.astype(np.float64)
        add_up = self.layout.indicators.add_up
        shape = len(FACTORS), len(MIXTURES), len(self.layout.classes)
        losses = np.empty(shape)
        for i, factor in enumerate(FACTORS):
            link = replace(self, temperatures=factor * self.temperatures)
            shares = link._soften(outputs)
            for j, mixture in enumerate(MIXTURES):
                logs = np.log(shares + mixture * (link._terms.p - shares))
                gains = np.where(targets, row_weights * logs, 0.0)
                gains = gains.sum(axis=1, keepdims=True)
                losses[i, j] = -add_up(gains)[:, 0]
        losses -= MIXTURE_PRIOR_ROWS * np.log(MIXTURES)[:, None]
        temperatures = self.temperatures.copy()
        mixtures = self.mixtures.copy()
        for column, part in enumerate(self.layout.classes):
            table = losses[..., column]
            factor, mixture = divmod(int(table.argmin()), len(MIXTURES))
            temperatures[part] *= FACTORS[factor]
            mixtures[part] = MIXTURES[mixture]
        return replace(self, temperatures=temperatures, mixtures=mixtures)

    @cached_property
    def _terms(self) -> Terms:
        indicators = self.layout.indicators
        features = indicators.features
        p = indicators.select(self.frequencies[:, None])
        shift = indicators.select(self.scaling.shift[:, None])
        scale = self.scaling.scale[features, None]
        scale = np.where(indicators.is_opposite, -scale, scale)
        steepness = self.temperatures[features, None] / p
        return Terms(
            p=p,
            mixtures=self.mixtures[features, None],
            shift=shift,
            scale=scale,
            slopes=steepness * scale,
            intercepts=np.log(p) + steepness * (shift - p),
        )

    def _indicate(self, scaled: Array) -> Array:
        """The indicators of categories, `(m, n)` float64, of scaled rows, `(d, n)`."""
        features = self.layout.indicators.features
        terms = self._terms
        return scaled[features] * terms.scale + terms.shift

    def _mix(self, shares: Array) -> Array:
        """The probabilities q, `(..., m, n)`, of the softmax."""
        p = self._terms.p.astype(shares.dtype)
        mixtures = self._terms.mixtures.astype(shares.dtype)
        return shares + mixtures * (p - shares)

    def _soften(self, outputs: Array) -> Array:
        """The softmax in the docstring, `(..., m, n)`, of outputs, `(..., d, n)`."""
        indicators = self.layout.indicators
        terms = self._terms
        dtype = outputs.dtype
        with np.errstate(over="ignore", invalid="ignore"):
            logits = outputs[..., indicators.features, :]
            logits *= terms.slopes.astype(dtype)
            logits += terms.intercepts.astype(dtype)
            largest = np.maximum.reduceat(logits, indicators.starts, axis=-2)
            logits -= largest[..., indicators.columns, :]
            odds = np.exp(logits, out=logits)
        odds /= indicators.add_up(odds)[..., indicators.columns, :]
        return odds


class Terms(NamedTuple):
    """What the link takes of each category, `(m, 1)` each."""

    p: Array
    mixtures: Array
    shift: Array  # the indicator of a category is shift + scale * the scaled feature
    scale: Array
    slopes: Array  # the logit is intercept + slope * the output
    intercepts: Array


def fit_link(
    scaled: Array,
    weights: Array,
    layout: Layout,
    scaling: Scaling,
) -> Link:
    """Fit frequencies and costs to scaled rows, `(n, d)`, of weights `(n,)`."""
    is_class = layout.kinds != NUMBER
    ones = np.ones(len(layout.kinds))
    frequencies = np.where(is_class, 0.5, 1.0)
    mixtures = np.where(is_class, MIXTURES[0], 0.0)
    link = Link(frequencies, ones, mixtures, ones, layout, scaling)
    present = np.maximum(weights @ ~np.isnan(scaled), TINY)
    mean = weights @ np.nan_to_num(scaled) / present
    deviations = np.nan_to_num(scaled - mean)
    costs = weights @ deviations**2 / present
    columns = layout.indicators.columns
    all_counts = np.nan_to_num(link._indicate(scaled.T)) @ weights
    for column, part in enumerate(link.layout.classes):
        counts = all_counts[columns == column]
        total = counts.sum()
        smooth = (counts + 0.5) / (total + 0.5 * len(counts))
        frequencies[part] = smooth[part.start - part.stop :]
        deviance = -(counts @ np.log(smooth)) / max(total, TINY)
        costs[part] = deviance * costs[part].any()
    costs[costs <= TINY] = 1.0
    return replace(link, frequencies=frequencies, costs=costs)
