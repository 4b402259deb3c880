"""What a report says of all rows of a table, some of which it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_tied.cli._model import Model
from keras_tied.cli._progress import show_rows
from keras_tied.cli._sample import Sample, take

if TYPE_CHECKING:
    from keras_tied._types import Array
    from keras_tied.estimator.internal import Fitted
    from keras_tied.report import Whole
    from keras_tied.tables import Scan

N_WORST = 20
"""The oddest rows, which a report always holds."""


def survey_rows(model: Model, rows: Scan, quiet: bool) -> tuple[Sample, Whole]:
    """Read the rows of a report, and measure all rows of the table.

    A long table is read three times, and of all of its rows only scores and errors are held, as by
    `keras-tied score`: once for a sample, once for these, and once for the oddest rows and for how
    many lie where.
    """
    import numpy as np

    from keras_tied.distributed import measure_rows
    from keras_tied.report import Planes, measure_sums

    fitted = model.fitted_value
    sample = take(rows, quiet)
    n_rows = rows.source.n_rows
    sums, places, planes = np.zeros((3, fitted.n_features)), sample.places, None

    def add_squares(numbers: Array) -> None:
        """Add the squares of the rows without a value far outside its column."""
        ordinary = numbers[~fitted.find_far_rows(numbers)]
        sums[:] += fitted.sums_of_squares(ordinary, np.ones(len(ordinary)))

    if len(places) == n_rows:
        scores, errors = fitted.measure_rows(sample.numbers)
        add_squares(sample.numbers)
    else:
        with show_rows("scoring", rows, quiet) as shown_rows:
            scores, errors = measure_rows(shown_rows, fitted, add_squares)
        ordinary = sample.numbers[~fitted.find_far_rows(sample.numbers)]
        planes = Planes(*_compute(fitted, ordinary), rows.columns.features)
        worst = np.sort(np.argsort(-scores, kind="stable")[:N_WORST])
        places, count = np.union1d(places, worst), planes.count
        sample = take(rows, quiet, places, "drawing", lambda some: count(*_compute(fitted, some)))
    n_outstanding = int(fitted.stand_out(scores, n_rows).sum())
    return sample, measure_sums(scores, errors, sums, places, n_outstanding, planes)


def _compute(fitted: Fitted, numbers: Array) -> tuple[Array, Array, Array, Array]:
    """Return rows, their codes, reconstructions and errors."""
    return (
        numbers,
        fitted.transform(numbers),
        fitted.reconstruct(numbers),
        fitted.reconstruction_error(numbers),
    )
