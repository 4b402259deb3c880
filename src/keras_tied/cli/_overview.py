"""What a report says of all rows of a table, some of which it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras_tied.cli._model import Model, Rows
from keras_tied.cli._progress import show_rows
from keras_tied.cli._sample import Sample, take

if TYPE_CHECKING:
    from keras_tied.report import Whole

N_WORST = 20
"""Rows with the largest errors that a report always holds."""


def survey_rows(model: Model, rows: Rows, quiet: bool) -> tuple[Sample, Whole]:
    """Read the rows of a report, and measure all rows of the table.

    A long table is read three times, and of all of its rows only the errors are held, as by
    `keras-tied score`: once for a sample, once for the errors, and once for the worst rows and for
    how many lie where.
    """
    import numpy as np

    from keras_tied.report import Planes, measure_sums

    fitted = model.fitted_value
    sample = take(rows, quiet)
    n_rows = rows.source.n_rows
    if len(sample.numbers) == n_rows:
        errors = fitted.reconstruction_error(sample.numbers)
        sums = fitted.sums_of_squares(sample.numbers, np.ones(n_rows))
        return sample, measure_sums(errors, sums, sample.places)

    errors, first = np.empty(n_rows, np.float32), 0
    sums = np.zeros((3, fitted.n_features))
    with show_rows("scoring", n_rows, quiet) as advance:
        for batch, numbers in rows.batches():
            errors[first : first + len(numbers)] = fitted.reconstruction_error(numbers)
            sums += fitted.sums_of_squares(numbers, np.ones(len(numbers)))
            first += len(numbers)
            advance(batch.num_rows)
    planes = Planes(*_compute(fitted, sample.numbers), rows.columns.features)

    def count(numbers: Any) -> None:
        planes.count(*_compute(fitted, numbers))

    worst = np.sort(np.argsort(-errors, kind="stable")[:N_WORST])
    places = np.union1d(sample.places, worst)
    sample = take(rows, quiet, places, "drawing", count)
    return sample, measure_sums(errors, sums, places, planes)


def _compute(fitted: Any, numbers: Any) -> tuple[Any, Any, Any, Any]:
    """Return rows, their codes, reconstructions and errors."""
    return (
        numbers,
        fitted.transform(numbers),
        fitted.reconstruct(numbers),
        fitted.reconstruction_error(numbers),
    )
