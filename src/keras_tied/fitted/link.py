"""The link of the decoder: probabilities of booleans and categories from what it puts out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from keras_tied._types import Array
from keras_tied.fitted.layout import BOOLEAN, NUMBER, Layout
from keras_tied.fitted.pca import TINY
from keras_tied.fitted.scaling import Scaling
from keras_tied.fitted.validation import require, require_finite

MOST_ROWS = 5_000  # that temperatures and mixtures are calibrated on
FACTORS = 2.0 ** np.arange(-4, 3.01, 0.25)  # of temperatures, that are compared
MIXTURES = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
PRIOR = (
    0.5  # the rows that the frequencies alone explain, by which mixtures are held up
)


@dataclass(frozen=True, eq=False)
class Link:
    r"""Turns the output of the decoder into what is reconstructed, numbers as they are.

    Where the output says $\pi$ in the units of an indicator that is 1 in a share p of
    the rows,

    $$q = (1 - \epsilon) \operatorname{softmax}(\log p + \tau (\pi / p - 1)) + \epsilon p$$

    over the categories of a column. To first order in $\pi - p$ it is $\pi$, if $\tau =
    1$ and
    $\epsilon = 0$. A boolean has two categories of opposite indicators. What a column costs is the
    squared error of a number, and the deviance $-\log q$ of the category of a row.

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

    def validate(self) -> None:
        """Raise `ValueError` unless these may be numbers of a table with classes."""
        kinds, frequencies = self.layout.kinds, self.frequencies
        require_finite(kinds.shape, frequencies=frequencies, mixtures=self.mixtures)
        require_finite(kinds.shape, temperatures=self.temperatures, costs=self.costs)
        require(self.layout.has_classes, "costs are those of no class")
        for name in ("frequencies", "temperatures", "costs"):
            is_positive = (getattr(self, name) > 0).all()
            require(is_positive, f"{name} has numbers that are not positive")
        require((frequencies <= 1).all(), "frequencies has numbers above 1")
        is_never_false = (frequencies == 1) & (kinds == BOOLEAN)
        message = "frequencies has a boolean that is never false"
        require(not is_never_false.any(), message)
        is_share = (self.mixtures >= 0) & (self.mixtures <= 1)
        require(is_share.all(), "mixtures has numbers that are not from 0 to 1")

    @cached_property
    def parts(self) -> list[slice]:
        """The features of each column of booleans or categories."""
        return [
            part
            for part in self.layout.parts
            if self.layout.kinds[part.start] != NUMBER
        ]

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

    @cached_property
    def categories(self) -> Categories:
        """The categories of the columns of booleans and categories."""
        return Categories.of_layout(self.layout)

    def apply(self, outputs: Array) -> Array:
        """What is reconstructed, scaled, of the outputs of the decoder, `(n, d)`."""
        categories = self.categories
        features = categories.classes
        p, mixtures = self._frequencies, self.mixtures[categories.features, None]
        shares = self._soften(outputs.T.astype(np.float64))
        probabilities = shares + mixtures * (p - shares)
        of_features = probabilities[categories.last].T
        shift, scale = self.scaling.shift[features], self.scaling.scale[features]
        reconstruction = outputs.copy()
        reconstruction[:, features] = (of_features - shift) / scale
        return reconstruction

    def find_errors(self, scaled: Array, reconstruction: Array) -> Array:
        """Costs relative to the best constant's, `(n, d)` float64; NaN where a value is missing.

        The mean over the features is that over the columns; those of a category share
        its cost.
        """
        categories = self.categories
        errors = np.square(reconstruction - scaled, dtype=np.float64)
        targets = self._find_shares(scaled.T)
        probabilities = self._find_shares(reconstruction.T)
        least = self.mixtures[categories.features, None] * self._frequencies
        logs = np.log(np.maximum(probabilities, least))  # less is a rounding error
        deviances = categories.add_up(-targets * logs)
        errors[:, categories.classes] = deviances[categories.columns_of_classes].T
        return errors * self.weights

    def compare(self, outputs: Array, scaled: Array) -> tuple[Array, Array]:
        """The mean over the features of `find_errors`, and its gradient in the outputs.

        Features are rows here: outputs of networks side by side are `(networks, d, n)`,
            scaled rows
        `(d, n)`, errors `(networks, n)`, and the gradient `(networks, d, n)`.
        """
        categories, dtype = self.categories, outputs.dtype
        features = categories.features
        weights = (self.weights / len(self.weights)).astype(dtype)[:, None]
        differences = np.where(np.isnan(scaled), dtype.type(0), outputs - scaled)
        differences[:, categories.classes] = 0
        gradient = weights * differences
        errors: Array = (gradient * differences).sum(axis=1)
        gradient *= 2

        targets = np.nan_to_num(self._find_shares(scaled)).astype(dtype)
        targets *= weights[features] * categories.sizes[features, None]
        p = self._frequencies.astype(dtype)
        mixtures = self.mixtures[features, None].astype(dtype)
        shares = self._soften(outputs)
        probabilities = shares + mixtures * (p - shares)
        errors -= (targets * np.log(probabilities)).sum(axis=1)
        # The derivatives in the shares, in the logits of the softmax, and in the
        # outputs.
        of_shares = (mixtures - 1) * targets / probabilities
        means = categories.add_up(shares * of_shares)
        of_logits = shares * (of_shares - means[:, categories.columns])
        of_logits *= self._slopes.astype(dtype)
        gradient[:, categories.classes] = categories.add_up_by_feature(of_logits)
        return errors, gradient

    def calibrate(self, outputs: Array, scaled: Array, weights: Array) -> Link:
        """The link with the temperatures and mixtures that suit rows of these weights best.

        Guo et al., "On calibration of modern neural networks", ICML 2017, with a
        mixture.
        """
        some = np.flatnonzero(weights)
        some = some[:: -(-len(some) // MOST_ROWS)]
        categories, p = self.categories, self._frequencies
        targets = (
            self._find_shares(scaled[some].T) > 0.5
        )  # NaN and unknown categories have none
        of_rows = weights[some] * targets
        outputs = outputs[some].T.astype(np.float64)
        losses = np.empty((len(FACTORS), len(MIXTURES), len(categories.starts)))
        for place, factor in enumerate(FACTORS):
            shares = replace(self, temperatures=factor * self.temperatures)._soften(
                outputs
            )
            for number, mixture in enumerate(MIXTURES):
                logs = np.log(shares + mixture * (p - shares))
                of_categories = np.where(targets, of_rows * logs, 0.0).sum(axis=1)
                losses[place, number] = -categories.add_up(of_categories[:, None])[:, 0]
        losses -= PRIOR * np.log(MIXTURES)[:, None]
        temperatures, mixtures = self.temperatures.copy(), self.mixtures.copy()
        for column, part in enumerate(self.parts):
            table = losses[..., column]
            best, mixture = np.unravel_index(table.argmin(), table.shape)
            temperatures[part] *= FACTORS[best]
            mixtures[part] = MIXTURES[mixture]
        return replace(self, temperatures=temperatures, mixtures=mixtures)

    @cached_property
    def _frequencies(self) -> Array:
        """Those of the categories, `(m, 1)`."""
        categories = self.categories
        p = self.frequencies[categories.features, None]
        return categories.offsets + categories.signs * p

    @cached_property
    def _slopes(self) -> Array:
        """Those of the logits of categories as functions of the outputs, `(m, 1)`."""
        features = self.categories.features
        factors = (self.temperatures * self.scaling.scale)[features, None]
        return self.categories.signs * factors / self._frequencies

    @cached_property
    def _intercepts(self) -> Array:
        """Those of the same logits, `(m, 1)`."""
        categories, p = self.categories, self._frequencies
        shift, scale = (of[categories.features, None] for of in self.scaling)
        at_p = (
            categories.signs * (p - categories.offsets) - shift
        ) / scale  # where pi is p
        return np.log(p) - self._slopes * at_p

    def _find_shares(self, scaled: Array) -> Array:
        """The indicators of categories, `(m, n)` float64, of scaled features, `(d, n)`."""
        categories = self.categories
        shift, scale = (of[categories.features, None] for of in self.scaling)
        return categories.offsets + categories.signs * (
            scaled[categories.features] * scale + shift
        )

    def _soften(self, outputs: Array) -> Array:
        """The softmax in the docstring, `(..., m, n)`, of outputs, `(..., d, n)`."""
        categories, dtype = self.categories, outputs.dtype
        with np.errstate(over="ignore", invalid="ignore"):
            logits = outputs[..., categories.features, :] * self._slopes.astype(dtype)
            logits += self._intercepts.astype(dtype)
            largest = np.maximum.reduceat(logits, categories.starts, axis=-2)
            logits -= largest[..., categories.columns, :]
            odds = np.exp(logits, out=logits)
        odds /= categories.add_up(odds)[..., categories.columns, :]
        return odds


@dataclass(frozen=True, eq=False)
class Categories:
    """The m categories of all columns of booleans and categories, one column after the other.

    A feature is the indicator of a category. That of a boolean is the indicator of two
    categories, the first of which has one less it.
    """

    features: Array  # the feature of each category, `(m,)`
    signs: Array  # its indicator is an offset, 0 or 1, plus a sign times the feature, `(m, 1)`
    offsets: Array
    columns: (
        Array  # the column of each category, `(m,)`, numbered without those of numbers
    )
    starts: Array  # the first category of each such column
    classes: Array  # the features of these columns
    columns_of_classes: Array  # the column of each such feature
    last: Array  # the last category of each such feature: the one that it indicates
    sizes: Array  # the number of features of the column of each feature, `(d,)`

    @classmethod
    def of_layout(cls, layout: Layout) -> Categories:
        """Those of a table."""
        classes = np.flatnonzero(layout.kinds != NUMBER)
        counts = np.where(layout.kinds[classes] == BOOLEAN, 2, 1)
        features = np.repeat(classes, counts)
        last = np.cumsum(counts) - 1
        is_other = np.ones(len(features), bool)
        is_other[last] = False
        _, columns = np.unique(layout.columns[features], return_inverse=True)
        return cls(
            features=features,
            signs=np.where(is_other, -1.0, 1.0)[:, None],
            offsets=is_other.astype(np.float64)[:, None],
            columns=columns,
            starts=np.flatnonzero(np.diff(columns, prepend=-1)),
            classes=classes,
            columns_of_classes=columns[last],
            last=last,
            sizes=np.bincount(layout.columns)[layout.columns],
        )

    def add_up(self, values: Array) -> Array:
        """The sums over the categories of each column, `(..., columns, n)`."""
        sums: Array = np.add.reduceat(values, self.starts, axis=-2)
        return sums

    def add_up_by_feature(self, values: Array) -> Array:
        """The sums over the categories of each feature, `(..., features, n)`."""
        starts = np.append(0, self.last[:-1] + 1)
        sums: Array = np.add.reduceat(values, starts, axis=-2)
        return sums


def fit_link(scaled: Array, weights: Array, layout: Layout, scaling: Scaling) -> Link:
    """Fit frequencies and costs to scaled rows, `(n, d)`, of weights `(n,)`; not calibrated."""
    is_class = layout.kinds != NUMBER
    ones, mixtures = np.ones(len(is_class)), np.where(is_class, MIXTURES[0], 0.0)
    link = Link(ones, ones, mixtures, ones, layout, scaling)
    count = np.maximum(weights @ ~np.isnan(scaled), TINY)
    mean = weights @ np.nan_to_num(scaled) / count
    costs, p = weights @ np.nan_to_num(scaled - mean) ** 2 / count, ones.copy()
    categories = link.categories
    counts = np.nan_to_num(link._find_shares(scaled.T)) @ weights
    for column, part in enumerate(link.parts):
        of_column = counts[categories.columns == column]
        smooth = (of_column + 0.5) / (of_column.sum() + 0.5 * len(of_column))
        p[part] = smooth[part.start - part.stop :]
        deviance = -(of_column @ np.log(smooth)) / max(of_column.sum(), TINY)
        costs[part] = deviance * costs[part].any()
    return replace(link, frequencies=p, costs=np.where(costs > TINY, costs, 1.0))
