"""What training needs of a link: the errors of classes, and their gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from keras_tied._types import Array
from keras_tied.estimator._fitted.layout import BOOLEAN, NUMBER
from keras_tied.estimator._fitted.link import Link
from keras_tied.estimator._fitted.pca import Components

LARGEST = 30.0  # no logit is larger in training: single precision has no larger odds


class Likelihood(NamedTuple):
    """What the errors of a `Link` are computed from; of features `(d, 1)` each."""

    slopes: Any  # of the logits of classes; 0 for numbers
    intercepts: Any
    scale: Any  # from scaled features to indicators; 1 for numbers
    shift: Any
    weights: Any  # of the squared errors of numbers and the deviances of classes
    is_boolean: Any
    owners: Any  # 1 where a feature belongs to a column of classes, else 0, `(columns, d)`
    axes: Components | None  # that outputs are scores on; None if they are features

    @classmethod
    def of_link(cls, link: Link, axes: Components | None) -> Likelihood:
        """That of a link, for outputs that are features or scores on some axes."""
        is_class, columns = link.layout.kinds != NUMBER, link.layout.columns
        owners = columns == np.unique(columns[is_class])[:, None]
        scale, shift = np.where(is_class, link.scaling.scale, 1.0), is_class * link.scaling.shift
        # An error of a class is that of the column, of which `Link.weights` gives a share each.
        sizes = np.where(is_class, np.bincount(columns)[columns], 1)
        weights = link.weights / len(columns) * sizes
        arrays: Any = *link.logits, scale, shift, weights, link.layout.kinds == BOOLEAN
        a, b, scale, shift, weights, is_boolean = (array.astype(float)[:, None] for array in arrays)
        return cls(a, b, scale, shift, weights, is_boolean, owners * 1.0, axes)

    def astype(self, dtype: Any) -> Likelihood:
        """That of another dtype."""
        axes = self.axes
        if axes is not None:
            axes = axes._replace(mean=axes.mean.astype(dtype), vectors=axes.vectors.astype(dtype))
        arrays = {
            name: array.astype(dtype) for name, array in self._asdict().items() if name != "axes"
        }
        return self._replace(**arrays, axes=axes)

    def compare(self, outputs: Array, targets: Array, gradient: Array) -> Array:
        """The mean error over the columns, as `Link.find_errors` has it without mixtures.

        Outputs are `(networks, d, n)`, targets `(d, n)`, errors `(networks, n)`; their gradient in
        the outputs is written to `gradient`.
        """
        slopes, intercepts, scale, shift, weights, is_boolean, owners, axes = self
        if axes is not None:
            outputs = axes.vectors @ outputs + axes.mean[:, None]
        is_number, missing = slopes == 0, np.isnan(targets)
        known = np.where(missing, outputs * is_number, targets * scale + shift)
        logits = slopes * outputs + intercepts
        within = np.abs(logits) < LARGEST
        np.clip(logits, -LARGEST, LARGEST, out=logits)
        odds = np.exp(logits)
        totals = owners @ odds + owners @ is_boolean
        of_column = owners @ (weights * np.where(missing, 0.0, np.maximum(known, is_boolean)))
        differences = outputs - known
        costs = weights * np.where(is_number, np.square(differences), -known * logits)
        errors: Array = costs.sum(axis=1) + (of_column * np.log(totals)).sum(axis=1)
        of_classes = slopes * within * (odds * (owners.T @ (of_column / totals)) - weights * known)
        of_outputs = np.where(is_number, 2 * weights * differences, of_classes)
        gradient[...] = of_outputs if axes is None else axes.vectors.T @ of_outputs
        return errors
