"""The outlier score of a row, of its features, code, residuals and surprises."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tied_tables._layout import Layout
from tied_tables._types import Array
from tied_tables.model.fences import Fences
from tied_tables.model.gaussian import Gaussian, fit_pieces, make_gaussian
from tied_tables.model.imputation import Preprocessing
from tied_tables.model.link import Link
from tied_tables.model.pca import fit_pca
from tied_tables.model.scaling import Scaling
from tied_tables.model.tail import Tail

MOST_SURPRISE_FEATURES = 256  # with more, there are no surprises
SCORE_SAMPLE_ROWS = 20_000  # that the score is fitted to, at random
HUBER_DELTA = 2.0
"""Huber's function is linear from here on, in standard deviations."""
SMALLEST_SCALE = 0.05
"""Relative to the standard deviation: below, most values equal the median. Also the
scale of a constant feature: a row with another value is an outlier. Also the least
scale of residuals in a table with classes: of rows that it was trained on, a network
may be right about all classes."""
SMALLEST_SURPRISE_SCALE = 0.5
"""The same of a surprise, but 1 of a column of several features: those of a category
have two values, of which the more frequent one gives the median absolute deviation."""
SMALLEST_SPREAD = 1e-6  # the variation of a column below this is rounding error
SURPRISE_WEIGHT = 12.0
"""Of surprises in a table with classes, chosen on 55 tables."""
CLASS_WEIGHT = 4.0
"""Of the surprise of a class beside that of a number, chosen on the same."""
LEAST_FREQUENCY = 1e-6  # of a class
LEAST_LIKELIHOOD_RATIO = 0.05  # of a class to its frequency
PRIOR_ROWS = 4.0
"""A class is as likely whatever the other columns are in so many rows besides those of
training: few rows of a class do not tell what goes with it."""
CORE_SHARE = 0.75
"""Of the rows, those with the lowest scores: anomalies do not bend what judges them."""
CORE_RIDGE = 0.003  # added to the variances of the core, relative to their mean
OPTIMISM = 1.0, 4.0
"""The least and largest factor of squared errors, from trained rows to others."""


class Axes(NamedTuple):
    """Principal axes."""

    mean: Array
    vectors: Array

    def select(self, features: Array) -> Axes:
        """The axes of rows with all features in another order."""
        return Axes(self.mean[features], self.vectors[features])

    def project(self, rows: Array) -> Array:
        """The coordinates of rows along the axes."""
        return (rows - self.mean) @ self.vectors

    def find_distances(self, rows: Array) -> Array:
        """The distances of rows from the mean along the axes, `(n,)`."""
        return np.linalg.norm(self.project(rows), axis=1)


class Comparison(NamedTuple):
    """How likely the other columns make the classes of rows."""

    probability: Array  # that of the class of the row, 1 of a number, `(n, columns)`
    largest_probability: Array  # that of the likeliest class
    likeliest: Array  # whether a feature is 1 in the likeliest class, `(n, d)` bool


class Block(NamedTuple):
    """A block of rows after the forward pass."""

    scaled: Array  # `(n, d)` float32, with NaN for missing values
    complete: Array  # the same, imputed; the same array where nothing is missing
    codes: Array  # `(n, k)` float32
    reconstruction: Array  # `(n, d)` float32, scaled

    @property
    def residuals(self) -> Array:
        """Reconstruction less input, NaN where missing; infinite after an overflow."""
        with np.errstate(invalid="ignore"):
            residuals = self.reconstruction - self.scaled
        overflow = np.isnan(residuals) & ~np.isnan(self.scaled)
        residuals[overflow] = np.inf
        return residuals

    @property
    def known_residuals(self) -> Array:
        """Reconstruction less input, 0 where a value is missing."""
        return np.where(np.isnan(self.scaled), 0, self.residuals)

    @property
    def squares(self) -> Array:
        """The squared residuals, `(n, d)` float64 with NaN."""
        return np.square(self.residuals, dtype=np.float64)

    @property
    def mean_squares(self) -> Array:
        """The mean of each row, `(n,)`, over what is not missing; 0 where all is."""
        present = ~np.isnan(self.scaled)
        count = np.count_nonzero(present, axis=1)
        totals = np.nansum(self.squares, axis=1)
        return totals / np.maximum(count, 1)

    def select(self, rows: Array | slice) -> Block:
        """The rows at these places."""
        return Block(*(values[rows] for values in self))

    def find_errors(self, link: Link | None) -> Array:
        """The squared residuals, or the costs of a link, `(n, d)` float64 with NaN."""
        if link is None:
            return self.squares
        return link.find_errors(self.scaled, self.reconstruction)

    def sums_of_squares(
        self,
        mean: Array,
        weights: Array,
        link: Link | None,
    ) -> Array:
        """Of each feature errors, those of the mean, weights and squares, `(4, d)`.

        The errors are squares, too, without a link.
        """
        baseline = self._replace(reconstruction=mean[None])
        present = ~np.isnan(self.scaled)
        errors = self.find_errors(link), baseline.find_errors(link)
        parts = *errors, present, self.squares
        return np.stack([weights @ np.where(present, part, 0.0) for part in parts])


@dataclass(frozen=True, eq=False)
class OutlierScore:
    r"""Measures how far a row is from most others.

    It takes the scaled features, the code and the residuals along their principal axes,
    and the surprise of each number, which is its distance from what the other columns
    suggest: in a normal distribution with the precision P, of the features b of a
    column, with their pieces,

    $$P_{bb}^{-1} (P (x - \mu))_b$$

    Each of these numbers has its median subtracted, is divided by its spread (1.4826
    times the median absolute deviation), and adds Huber's function of it:

    $$\sum_j \rho(z_j), \quad \rho(z) = \begin{cases} z^2 / 2 & |z| < 2 \\ 2 |z| - 2 &
        \text{otherwise} \end{cases}$$

    In a table with columns of classes, with the probability p of the class of each
    given the other columns, it adds over the surprises of numbers and over these
    columns

    $$12 \left(\sum_{j \text{ surprise}} \rho(z_j) - 4 \sum \log p\right)$$

    In a table of numbers alone, the sum is multiplied by the distance of the row from
    the core of the table, relative to the median distance, where that is above 1. It is
    the Mahalanobis distance of the signed roots of $2 \rho(z_j)$ of the features, with
    the mean and the covariance of the rows of the `CORE_SHARE` lowest sums.

    A value beyond the fences of its column adds `tail.limit`, the largest score of a
    row without such values, times its distance from the median relative to that of the
    fence.

    Code and residuals are the major and minor components of Shyu et al., "A novel
    anomaly detection scheme based on principal component classifier", ICDM workshop
    2003; the surprises are those of Rousseeuw and Van den Bossche, "Detecting deviating
    data cells", Technometrics 60, 2018, in one normal distribution; the function is
    that of Huber, "Robust estimation of a location parameter", 1964; the core is a step
    of Rousseeuw and Van Driessen, "A fast algorithm for the minimum covariance
    determinant estimator", Technometrics 41, 1999. The features detect extreme rows
    that are reconstructed well.

    Attributes:
        code_axes, residual_axes: their principal axes.
        core_axes: those of the core, divided by its spreads along them and the median
            distance; none in a table with classes, or without surprises.
        gaussian: the normal distribution of the scaled rows; without precision for more
            than `MOST_SURPRISE_FEATURES` features, and there are no surprises then.
        layout, scaling: the columns of the features, and their scaling.
        median, scale: of the features, of the coordinates along the axes, and of the
            surprises of numbers, in this order. The scale of a constant feature is
            `SMALLEST_SCALE`; it is infinite for a feature that is missing in all rows
            and for another number that is constant.
        fences: of the scaled features.
        tail: the distribution of the score, of rows that were not trained on.
    """

    code_axes: Axes
    residual_axes: Axes
    core_axes: Axes
    gaussian: Gaussian
    layout: Layout
    scaling: Scaling
    median: Array
    scale: Array
    fences: Fences
    tail: Tail

    def select(self, features: Array) -> OutlierScore:
        """The score of rows with all features in another order."""
        layout = self.layout.select(features)
        *_, end = self._offsets
        order = [features, np.arange(len(features), end)]
        if self.gaussian.precision is not None:
            numbers = features[layout.numbers]
            order.append(end + np.searchsorted(self.layout.numbers, numbers))
        coordinates = np.concatenate(order)
        return replace(
            self,
            residual_axes=self.residual_axes.select(features),
            core_axes=self.core_axes.select(features),
            gaussian=self.gaussian.select(features),
            layout=layout,
            scaling=self.scaling.select(features),
            median=self.median[coordinates],
            scale=self.scale[coordinates],
            fences=self.fences.select(features),
        )

    @cached_property
    def surprise(self) -> Array | None:
        """The matrix that deviations from the mean are multiplied by, `(D, d)`."""
        precision = self.gaussian.precision
        layout = self.layout
        if precision is None:
            return None
        d = len(layout.columns)
        pieces = self.gaussian.pieces
        columns = layout.columns
        if pieces is not None:
            columns = np.append(columns, columns[pieces.features])  # (D,)
        matrix = precision[:, :d] / precision.diagonal()[:d]
        for column, part in enumerate(layout.parts):
            column_features = np.flatnonzero(columns == column)
            if len(column_features) > 1:
                inverse = np.linalg.inv(
                    precision[np.ix_(column_features, column_features)]
                )
                block = precision[:, column_features] @ inverse
                matrix[:, part] = block[:, : part.stop - part.start]
        return matrix

    def find_surprises(self, complete: Array) -> Array:
        """Scaled rows minus what their other columns suggest, `(n, d)`."""
        deviations = self.gaussian.find_deviations(complete)
        return deviations if self.surprise is None else deviations @ self.surprise

    def compare_classes(
        self,
        scaled: Array,
        complete: Array,
        factors: Array | float = 1.0,
    ) -> Comparison:
        r"""How likely the other columns make the class of each column.

        The probabilities of its classes are the conditional means of their indicators,
        at least `LEAST_LIKELIHOOD_RATIO` times the frequency each, divided by their
        sum. With that, p, the frequency f and the number of rows n of each class, and m
        of `PRIOR_ROWS`:

        $$\frac{n p}{n + m} + f \left(1 - \sum \frac{n p}{n + m}\right)$$

        A row without a class has one that is as unlikely as can be, and a missing value
        is no surprise.
        Distances from conditional means are multiplied by `factors`, `(n, d)`.
        """
        n, d = scaled.shape
        layout = self.layout
        indicators = layout.indicators
        columns = indicators.columns
        starts = indicators.starts
        backward = self.scaling.backward
        frequencies = backward(self.gaussian.mean[:d], np.float64)
        frequencies = np.clip(frequencies, LEAST_FREQUENCY, 1 - LEAST_FREQUENCY)
        means = complete - self.find_surprises(complete) * factors
        # The categories of all columns are rows from here on, (m, n).
        frequency = indicators.select(frequencies[:, None])
        p = indicators.select(backward(means, np.float64).T)
        p = np.maximum(p, LEAST_LIKELIHOOD_RATIO * frequency)
        p /= indicators.add_up(p)[columns]
        count = self.tail.n_rows * frequency
        p *= count / (count + PRIOR_ROWS)
        p += frequency * (1 - indicators.add_up(p)[columns])
        largest = np.maximum.reduceat(p, starts)  # (columns of classes, n)
        values = indicators.select(backward(scaled, np.float64).T)
        is_on = values > 0.5
        is_known = np.logical_or.reduceat(is_on, starts)
        least = LEAST_LIKELIHOOD_RATIO * np.minimum.reduceat(frequency, starts)
        chance = np.where(is_known, indicators.add_up(p * is_on), least)
        is_likeliest = p == largest[columns]

        probability = np.ones((n, len(layout.starts)))
        largest_probability = probability.copy()
        likeliest = np.zeros((n, d), bool)
        places = layout.columns[indicators.features[starts]]
        probability[:, places] = chance.T
        largest_probability[:, places] = largest.T
        likeliest[:, indicators.classes] = is_likeliest[indicators.last].T
        missing = np.isnan(scaled)[:, layout.starts]
        probability[missing] = largest_probability[missing] = 1.0
        return Comparison(probability, largest_probability, likeliest)

    def score(self, block: Block) -> Array:
        """The scores of rows, `(n,)` float64: the higher, the more of an outlier."""
        scores = self._add_up(self._standardize(block), block)
        return scores + self.tail.limit * self.fences.sum_distances(block.scaled)

    def find_added(self, scaled: Array) -> Array:
        """What values beyond fences add to the scores, `(n, columns)`: mostly 0.

        It makes a row odd, even where the others do not fit what is expected there.
        """
        beyond = self.fences.find(scaled)
        distances = self.fences.distances(scaled.astype(np.float64))
        added = np.where(beyond, self.tail.limit * distances, 0.0)
        return np.add.reduceat(added, self.layout.starts, axis=1)

    def score_held_out(self, block: Block, optimism: float) -> Array:
        r"""About the scores of training rows if they had not been trained on, `(n,)`.

        Surprises are those of the normal distribution of all rows but this one, by the
        formula of Sherman and Morrison. With the squared Mahalanobis distance m of the
        row, and x its deviations from the mean:

        $$(P x)_j \frac{n}{n - m} \Big/ \left(P_{jj} + \frac{(P x)_j^2}{n - m}\right)$$

        For a column of classes b, $P_{bb}^{-1} (P x)_b$ is multiplied by
        $n / (n - m + (P x)_b^T P_{bb}^{-1} (P x)_b)$.

        Squared residuals grow by the optimism, the error of rows held out divided by
        that of training rows, more for a row that is far from the others: the network
        bends towards it.
        """
        z = self._standardize(block)
        features, codes, residuals, surprises = np.split(z, self._offsets, axis=1)
        n, d = features.shape
        precision = self.gaussian.precision
        factors: Array | float = 1.0
        if precision is not None and n > 2 * d:
            deviations = self.gaussian.find_deviations(block.complete)
            product = deviations @ precision
            distances = np.einsum("ij,ij->i", deviations, product)
            remaining = n - np.minimum(distances, n / 2)[:, None]
            self_influence = product**2 / (precision.diagonal() * remaining)
            factor = (n / remaining) / (1 + self_influence)
            surprises *= factor[:, self.layout.numbers]
            products = product[:, :d] * (deviations @ self.surprise)
            products = np.add.reduceat(products, self.layout.starts, axis=1)
            column_factors = n / (remaining + products)
            factors = column_factors[:, self.layout.columns]
        distance = add_up_huber(np.hstack([features, codes, surprises]))
        relative = distance / max(float(distance.mean()), SMALLEST_SPREAD)
        growth = np.clip(optimism, *OPTIMISM) - 1
        residuals *= np.sqrt(1 + growth * relative)[:, None]
        return self._add_up(z, block, factors)

    def _add_up(
        self,
        z: Array,
        block: Block,
        factors: Array | float = 1.0,
    ) -> Array:
        """The scores of rows whose standardised coordinates these are, `(n,)`."""
        scores = add_up_huber(z)
        if self.surprise is None or not self.layout.has_classes:
            features = compress(z[:, : self._offsets[0]])
            distances = self.core_axes.find_distances(features)
            return scores * np.maximum(distances, 1.0)
        probability = self.compare_classes(
            block.scaled, block.complete, factors
        ).probability
        classes = np.log(probability).sum(axis=1)
        numbers = add_up_huber(z[:, self._offsets[2] :])
        return scores + SURPRISE_WEIGHT * (numbers - CLASS_WEIGHT * classes)

    @property
    def _offsets(self) -> tuple[int, int, int]:
        """Where the features, the codes and the residuals end in the coordinates."""
        features = len(self.layout.columns)
        codes = features + self.code_axes.vectors.shape[1]
        return features, codes, codes + self.residual_axes.vectors.shape[1]

    def _compute_coordinates(self, block: Block) -> Array:
        """Features, codes, residuals and surprises side by side, float64."""
        complete = block.complete.astype(np.float64)
        codes = self.code_axes.project(block.codes)
        residuals = self.residual_axes.project(block.known_residuals)
        parts = [complete, codes, residuals]
        if self.surprise is not None:
            surprises = self.find_surprises(complete)
            parts.append(surprises[:, self.layout.numbers])
        return np.hstack(parts)

    def _standardize(self, block: Block) -> Array:
        z = self._compute_coordinates(block)
        z -= self.median
        z /= self.scale
        return z


def add_up_huber(z: Array) -> Array:
    """The sum of Huber's function of each row, `(n,)`."""
    size = np.abs(z)
    # With c = min(z, delta), Huber's function is c * (z - c / 2).
    slope = np.minimum(size, HUBER_DELTA)
    size -= slope / 2
    return np.einsum("ij,ij->i", size, slope)


def compress(z: Array) -> Array:
    """Numbers whose squares are twice Huber's function, with their signs, `(n, d)`."""
    size = np.abs(z)
    slope = np.minimum(size, HUBER_DELTA)
    squares = slope * (2 * size - slope)
    return np.copysign(np.sqrt(squares), z)


def fit_outlier_score(
    block: Block,
    weights: Array,
    preprocessing: Preprocessing,
    fences: Fences,
) -> OutlierScore:
    """Fit the score without its tail to rows without absurd values.

    The fences are those of scaled features, the normal distribution that of the
    imputation.
    """
    layout = preprocessing.layout
    d = len(layout.columns)
    none = np.zeros(0)
    score = OutlierScore(
        code_axes=_fit_axes(block.codes, weights),
        residual_axes=_fit_axes(block.known_residuals, weights),
        core_axes=Axes(np.zeros(d), np.zeros((d, 0))),
        gaussian=_choose_gaussian(block, weights, preprocessing, fences),
        layout=layout,
        scaling=preprocessing.scaling,
        median=none,
        scale=none,
        fences=fences,
        tail=Tail(0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, float(len(block.scaled)), none),
    )
    coordinates = score._compute_coordinates(block)
    median = _find_medians(coordinates, weights)
    scale = 1.4826 * _find_medians(np.abs(coordinates - median), weights)
    mean = np.average(coordinates, axis=0, weights=weights)
    squares = (coordinates - mean) ** 2
    spread = np.sqrt(np.average(squares, axis=0, weights=weights))
    scale = np.where(scale > SMALLEST_SCALE * spread, scale, spread)
    features, _, residuals, surprises = np.split(scale, score._offsets)
    if score.surprise is not None:
        several = layout.sizes[layout.numbers] > 1
        least = np.where(several, 1.0, SMALLEST_SURPRISE_SCALE)
        least *= spread[score._offsets[2] :]
        np.maximum(surprises, least, out=surprises)
    if layout.has_classes:
        np.maximum(residuals, SMALLEST_SCALE, out=residuals)
    is_constant = spread <= SMALLEST_SPREAD
    scale[is_constant] = np.inf
    known = ~np.isnan(block.scaled).all(axis=0)
    features[is_constant[: len(features)] & known] = SMALLEST_SCALE
    score = replace(score, median=median, scale=scale)
    if layout.has_classes or score.surprise is None:
        return score
    return _add_core(score, block, weights)


def _add_core(score: OutlierScore, block: Block, weights: Array) -> OutlierScore:
    """The score with the axes of the core of its rows."""
    z = score._standardize(block)
    sums = add_up_huber(z)
    largest = find_weighted_quantile(sums, weights, CORE_SHARE)
    core = sums <= largest
    features = compress(z[:, : score._offsets[0]])
    axes = _fit_axes(features[core], weights[core], CORE_RIDGE)
    distances = axes.find_distances(features)
    median = find_weighted_quantile(distances, weights, 0.5)
    if median > 0:
        axes = axes._replace(vectors=axes.vectors / median)
    return replace(score, core_axes=axes)


def find_weighted_quantile(
    values: Array,
    weights: Array,
    share: float,
) -> float:
    """The value, of `(n,)`, that a share of the weight lies below.

    Where the weight below a value is just the share, the middle between it and the next
    one: so a row of weight 2 counts as two rows.
    """
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order])
    slack = 1e-9 * below[-1]
    weight = share * below[-1]
    bounds = [weight - slack, weight + slack]
    places = np.searchsorted(below, bounds)
    places = np.minimum(places, len(values) - 1)
    neighbours = values[order[places]]
    return float(neighbours.mean())


def _find_medians(values: Array, weights: Array) -> Array:
    """The weighted median of each column, `(columns,)`."""
    if (weights == weights[0]).all():
        return np.median(values, axis=0)
    medians = [find_weighted_quantile(column, weights, 0.5) for column in values.T]
    return np.array(medians)


def _fit_axes(rows: Array, weights: Array, ridge: float | None = None) -> Axes:
    """The principal axes of rows; with a ridge, divided by the spreads along them."""
    mean, vectors, variances, spreads = fit_pca(rows, weights)
    varying = variances > 1e-6 * variances[0]
    vectors = vectors[:, varying]
    if ridge is not None:
        ridge *= spreads.mean()
        vectors = vectors / np.sqrt(variances[varying] + ridge)
    return Axes(mean, vectors)


def _choose_gaussian(
    block: Block,
    weights: Array,
    preprocessing: Preprocessing,
    fences: Fences,
) -> Gaussian:
    """The normal distribution of rows: that of the imputation, or one of its own.

    Values beyond the fences are no part of it.
    """
    layout = preprocessing.layout
    gaussian = preprocessing.gaussian
    d = len(layout.columns)
    if gaussian is None:
        rows = fences.trim(block.complete)
        pieces = fit_pieces(rows, layout) if layout.has_classes else None
        if pieces is not None:
            rows = pieces.add(rows)
        rows = rows.astype(np.float64)
        mean = np.average(rows, axis=0, weights=weights)
        if len(mean) > MOST_SURPRISE_FEATURES:
            return Gaussian(mean)
        covariance = np.cov(rows, rowvar=False, bias=True, aweights=weights)
        return make_gaussian(mean, np.atleast_2d(covariance), pieces)
    if d > MOST_SURPRISE_FEATURES:
        return Gaussian(gaussian.mean)
    return gaussian if layout.has_classes else gaussian.marginalize(d)
