"""What a report says of all rows of a table, some of which it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras_tied.cli._model import Model, Rows
from keras_tied.cli._progress import show_rows
from keras_tied.cli._sample import Sample, take

if TYPE_CHECKING:
    from keras_tied.estimator.internal import Fitted
    from keras_tied.report import Whole

N_WORST = 20
"""The oddest rows, which a report always holds."""


def survey_rows(model: Model, rows: Rows, quiet: bool) -> tuple[Sample, Whole]:
    """Read the rows of a report, and measure all rows of the table.

    A long table is read three times, and of all of its rows only scores and errors are held, as by
    `keras-tied score`: once for a sample, once for these, and once for the oddest rows and for how
    many lie where.
    """
    import numpy as np

    from keras_tied.report import Planes, measure_sums

    fitted = model.fitted_value
    sample = take(rows, quiet)
    n_rows = rows.source.n_rows
    if len(sample.numbers) == n_rows:
        scores, errors = fitted.measure_rows(sample.numbers)
        sums, places, planes = _sum_squares(fitted, sample.numbers), sample.places, None
    else:
        scores, errors = np.empty((2, n_rows), np.float32)
        sums, first = np.zeros((3, fitted.n_features)), 0
        with show_rows("scoring", n_rows, quiet) as advance:
            for batch, numbers in rows.batches():
                part = slice(first, first := first + len(numbers))
                scores[part], errors[part] = fitted.measure_rows(numbers)
                sums += _sum_squares(fitted, numbers)
                advance(batch.num_rows)
        ordinary = sample.numbers[~fitted.find_far_rows(sample.numbers)]
        planes = Planes(*_compute(fitted, ordinary), rows.columns.features)

        def count(numbers: Any) -> None:
            planes.count(*_compute(fitted, numbers))

        worst = np.sort(np.argsort(-scores, kind="stable")[:N_WORST])
        places = np.union1d(sample.places, worst)
        sample = take(rows, quiet, places, "drawing", count)
    n_outstanding = int(fitted.stand_out(scores, n_rows).sum())
    return sample, measure_sums(scores, errors, sums, places, n_outstanding, planes)


def _sum_squares(fitted: Fitted, numbers: Any) -> Any:
    """Add up the squares of the rows without a value far outside its column."""
    import numpy as np

    ordinary = numbers[~fitted.find_far_rows(numbers)]
    return fitted.sums_of_squares(ordinary, np.ones(len(ordinary)))


def _compute(fitted: Fitted, numbers: Any) -> tuple[Any, Any, Any, Any]:
    """Return rows, their codes, reconstructions and errors."""
    return (
        numbers,
        fitted.transform(numbers),
        fitted.reconstruct(numbers),
        fitted.reconstruction_error(numbers),
    )
