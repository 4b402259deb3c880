"""What a report says first, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_tied._reasons import ORDINARY, Cause, describe_reason
from keras_tied._text import describe_rarity, format_quantity, format_value, list_some
from keras_tied.report._bars import Bar
from keras_tied.report._columns import format_features
from keras_tied.report._whole import Whole

if TYPE_CHECKING:
    from keras_tied.report._drift import Drift
    from keras_tied.report._report import Report


def summarize(report: Report, whole: Whole, bars: list[Bar], oddest: int) -> str:
    """Say which row is the oddest and why, what is kept, what is lost, and how many rows stand out.

    Args:
        report: the report.
        whole: facts of all rows.
        bars: the columns, the largest error first.
        oddest: the number of the oddest row among those of the report.
    """
    n_units, n_columns = report.code.shape[1], format_quantity(len(report.columns), "column")
    numbers, s = format_quantity(n_units, "number"), "s" if n_units == 1 else ""
    if whole.kept is None:
        parts = [f"{numbers} stand{s} for {n_columns}"]
    else:
        parts = [f"{numbers} keep{s} {format_share(whole.kept)} of {n_columns}"]
    if len(bars) > 1 and bars[0].error > 0:
        parts.append(f"{bars[0].name} is hardest to reconstruct")
    n, of_rows = whole.n_outstanding, f"of {format_quantity(whole.n_rows, 'row')}"
    if n:
        parts.append(f"{n:,} {of_rows} stand{'s' if n == 1 else ''} out")
    sentence = "; ".join(parts) + "."
    if not report.explains or np.isnan(report.scores[oddest]):
        return sentence
    why = describe_oddest(report, whole, oddest)
    return f"{why} {sentence}" if n else f"{sentence} {why}"


def describe_oddest(report: Report, whole: Whole, oddest: int) -> str:
    """Say which row is the oddest, and why."""
    assert report.fitted is not None
    [shares], [expected], [rarity] = report.explain(np.array([oddest]))
    causes = []
    begins = np.cumsum([0, *(column.n_features for column in report.columns)])
    for place in np.argsort(-shares, kind="stable")[:3].tolist():
        column, part = report.columns[place], slice(begins[place], begins[place + 1])
        given, likely = (
            format_features(column, features[part]) for features in (report.X[oddest], expected)
        )
        if shares[place] > 0:
            causes.append(Cause(format_value(column.name, 60), shares[place], given, likely))
    reason = describe_reason(causes, bool(rarity < ORDINARY))
    name = f"{whole.places[oddest] + 1:,}" if report.ids is None else report.ids[oddest]
    [one_in] = report.fitted.rarity(report.scores[[oddest]])
    rare = describe_rarity(one_in, report.fitted.largest_rarity)
    return f"The oddest row is {format_value(name, 60)} ({rare}): {reason}."


def summarize_drift(name: str, drifts: list[Drift], of_score: Drift) -> str:
    """Say in a sentence what has drifted since an older table."""
    drifted = [format_value(drift.name, 40) for drift in drifts if drift.has_drifted]
    since = f"since {format_value(name, 60)}"
    if not drifted:
        if of_score.has_drifted:
            return f"No column alone has drifted {since}, but the outlier scores have."
        return f"Nothing has drifted {since}."
    verb = "has" if len(drifted) == 1 else "have"
    scores = "; the outlier scores have, too" if of_score.has_drifted else ""
    columns = format_quantity(len(drifts), "column")
    return f"{len(drifted)} of {columns} {verb} drifted {since}: {list_some(drifted, 5)}{scores}."


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
