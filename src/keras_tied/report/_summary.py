"""What a report says first, in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_tied._text import format_quantity, format_value, list_some
from keras_tied.report._bars import Bar
from keras_tied.report._whole import Whole

if TYPE_CHECKING:
    from keras_tied.report._drift import Drift
    from keras_tied.report._report import Report


def summarize(report: Report, whole: Whole, bars: list[Bar]) -> str:
    """Say in a sentence what is kept, what is lost, and which rows stand out."""
    n_units, n_columns = report.code.shape[1], format_quantity(len(report.columns), "column")
    numbers, s = format_quantity(n_units, "number"), "s" if n_units == 1 else ""
    if whole.kept is None:
        parts = [f"{numbers} stand{s} for {n_columns}"]
    else:
        parts = [f"{numbers} keep{s} {format_share(whole.kept)} of {n_columns}"]
    if len(bars) > 1 and bars[0].error > 0:
        parts.append(f"{bars[0].name} is hardest to reconstruct")
    n, of_rows = whole.count_outstanding(), f"of {format_quantity(whole.n_rows, 'row')}"
    if n:
        parts.append(f"{n:,} {of_rows} stand{'s' if n == 1 else ''} out")
    else:
        parts.append(f"none {of_rows} stands out")
    return "; ".join(parts) + "."


def summarize_drift(name: str, drifts: list[Drift], of_error: Drift) -> str:
    """Say in a sentence what has drifted since an older table."""
    drifted = [format_value(drift.name, 40) for drift in drifts if drift.has_drifted]
    since = f"since {format_value(name, 60)}"
    if not drifted:
        if of_error.has_drifted:
            return f"No column alone has drifted {since}, but the errors have."
        return f"Nothing has drifted {since}."
    verb = "has" if len(drifted) == 1 else "have"
    errors = "; so have the errors" if of_error.has_drifted else "; the errors have not"
    columns = format_quantity(len(drifts), "column")
    return f"{len(drifted)} of {columns} {verb} drifted {since}: {list_some(drifted, 5)}{errors}."


def format_share(share: float) -> str:
    """Format a share as a percentage, never 100 % unless it is.

    Examples:
        >>> format_share(0.8962), format_share(0.9996), format_share(1.0), format_share(0.0123)
        ('90 %', '99.9 %', '100 %', '1.2 %')
    """
    percent = 100 * share
    if 99 < percent < 100:
        return f"{np.floor(10 * percent) / 10:.1f} %"
    return f"{percent:.1f} %" if 0 < percent < 9.95 else f"{percent:.0f} %"
