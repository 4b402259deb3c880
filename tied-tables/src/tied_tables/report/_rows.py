"""Some rows of a table, and what a model makes of them."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from tied_tables._types import Array
from tied_tables.drawing import average_errors


@dataclass(eq=False)
class Rows:
    """Some rows of a table, their codes, their reconstructions and their errors.

    Args:
        X: (n, features) the rows, NaN where a value is missing.
        code: (n, components) their code.
        reconstruction: (n, features) the reconstructed rows.
        feature_errors: (n, features) the squared error of each value, NaN where one is
            missing; the error of a row is their mean.
        outlier_scores: (n,) how odd the rows are, from 0 on. Defaults to the errors.
        ids: (n,) the names of the rows. Defaults to their numbers, counted from 1.
        labels: (n,) colour the rows, None or NaN where one is missing. Defaults to the
            score.
        label_name: the name of the labels. Defaults to "label".
        places: (n,) where in their table the rows are, counted from 0. Defaults to the
            first.

    Raises:
        ValueError: where the scores, ids or labels are not one for each row.
    """

    X: Array
    code: Array
    reconstruction: Array
    feature_errors: Array
    outlier_scores: Array | None = None
    ids: Array | None = None
    labels: Array | None = None
    label_name: str = "label"
    places: Array | None = None

    def __post_init__(self) -> None:
        self.X = np.asarray(self.X, np.float64)
        if self.places is None:
            self.places = np.arange(len(self.X))
        for name in ("outlier_scores", "ids", "labels"):
            values = getattr(self, name)
            if values is not None:
                setattr(self, name, check_vector(values, name, len(self.X)))

    @classmethod
    def compute(cls, model: Any, X: Any, **facts: Any) -> Self:
        """Encode and reconstruct rows by a model with the methods of `TableModel`."""
        errors = model.reconstruction_error(X, per_feature=True)
        return cls(X, model.transform(X), model.reconstruct(X), errors, **facts)

    def take(self, places: Array) -> Self:
        """Return the rows at some places, or those that a mask tells."""
        arrays: dict[str, Any] = {
            name: values[places]
            for name, values in vars(self).items()
            if isinstance(values, np.ndarray)
        }
        return replace(self, **arrays)

    @property
    def errors(self) -> Array:
        """(n,) the mean error of each row over the features that are not missing."""
        return average_errors(self.feature_errors)

    @property
    def scores(self) -> Array:
        """(n,) the outlier scores, or the errors."""
        scores = self.outlier_scores
        return self.errors if scores is None else scores.astype(np.float64)


def check_vector(values: ArrayLike, name: str, n: int) -> Array:
    """Return one value for each row, (n,), or raise."""
    vector = np.asarray(values)
    if vector.shape != (n,):
        raise ValueError(
            f"{name} has the shape {vector.shape}; give one for each row, {n}."
        )
    return vector
