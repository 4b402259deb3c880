"""What a report says first, in sentences."""

from collections.abc import Sequence

import numpy as np

from keras_tied import _text
from keras_tied._reasons import ORDINARY, Cause, describe_reason
from keras_tied.report._columns import LONGEST, format_pair, slice_columns, sum_columns
from keras_tied.report._drift import ALARM, Drift
from keras_tied.report._report import Report

# A column: its name, mean squared error, and share of the variance that is lost.
Bar = tuple[str, float, float]


def rank_columns(report: Report) -> list[Bar]:
    """Return the columns that have values, the largest error first."""
    sizes = np.array([column.n_features for column in report.columns])
    errors = sum_columns(report.columns, report.whole.feature_errors) / sizes
    lost = sum_columns(report.columns, report.whole.lost) / sizes
    order = [
        i for i in np.argsort(-errors, kind="stable").tolist() if np.isfinite(errors[i])
    ]
    return [(report.columns[i].title, float(errors[i]), float(lost[i])) for i in order]


def summarize(report: Report, bars: Sequence[Bar], oddest: int) -> list[str]:
    """Say why a row is the oddest; and what is kept, what is lost, and how many rows stand out."""
    whole, n_columns = (
        report.whole,
        _text.format_quantity(len(report.columns), "column"),
    )
    n_units = report.code.shape[1]
    numbers, s = _text.format_quantity(n_units, "number"), "s" if n_units == 1 else ""
    verb = (
        f"stand{s} for"
        if whole.kept is None
        else f"keep{s} {_text.format_share(whole.kept)} of"
    )
    parts = [f"{numbers} {verb} {n_columns}"]
    if len(bars) > 1 and bars[0][1] > 0:
        parts.append(f"{bars[0][0]} is hardest to reconstruct")
    n, of_rows = whole.n_outstanding, f"of {_text.format_quantity(whole.n_rows, 'row')}"
    if n:
        parts.append(f"{n:,} {of_rows} stand{'s' if n == 1 else ''} out")
    sentence = "; ".join(parts) + "."
    has_score = not np.isnan(report.scores[oddest])
    return [*([_describe_oddest(report, oddest)] if has_score else []), sentence]


def _describe_oddest(report: Report, oddest: int) -> str:
    """Say which row is the oddest, why, how odd it is, and whether a table has such a row."""
    [shares], [expected], [rarity] = report.explain(np.array([oddest]))
    causes, parts = [], slice_columns(report.columns)
    for place in np.argsort(-shares, kind="stable")[:3].tolist():
        column, part = report.columns[place], parts[place]
        given, likely = format_pair(column, report.X[oddest, part], expected[part])
        if shares[place] > 0:
            causes.append(Cause(column.title, shares[place], given, likely))
    name = f"{report.whole.places[oddest] + 1:,}"
    if report.ids is not None:
        name += f" (id {_text.format_value(report.ids[oddest], LONGEST)})"
    score, median = report.scores[oddest], np.nanmedian(report.whole.scores)
    size = (
        f"Its score is {_text.format_number(score / median if median > 0 else score)}"
    )
    size += " times the median" if median > 0 else ""
    if report.explainer is None:
        share = _text.format_share(shares.max(initial=0.0))
        part = f": {share} of its error is in {causes[0].column}" if causes else ""
        return f"The oddest row is {name}{part}. {size}."
    reason = describe_reason(causes, bool(rarity < ORDINARY))
    if report.whole.n_outstanding == 0:
        usual = (
            "within what is usual in"
            f" {_text.format_quantity(report.whole.n_rows, 'row')}"
        )
        return f"Even the oddest row, {name}, is {usual}: {reason}. {size}."
    [one_in] = report.explainer.find_rarity(report.scores[[oddest]])
    rare = _text.describe_rarity(
        _text.format_rarity(one_in, report.explainer.largest_rarity)
    )
    return f"The oddest row is {name}: {reason}. {size}; {rare}."


def describe_shift(report: Report) -> dict[str, object] | None:
    """Return what has drifted since the older table, for the page; None if there is none."""
    if report.old is None:
        return None
    drifts, of_score = report.find_drift()
    name = _text.format_value(report.old[0], LONGEST)
    return {
        "name": name,
        "sentence": _summarize_drift(name, drifts, of_score),
        "drifts": [*drifts, of_score],
        "alarm": f"{ALARM * 100:.0f} %",
        "rows": (len(report.old[1]), len(report.X)),
    }


def _summarize_drift(old: str, drifts: list[Drift], of_score: Drift) -> str:
    """Say in a sentence what has drifted since an older table."""
    names = [
        _text.format_value(drift.name, 40) for drift in drifts if drift.has_drifted
    ]
    if not names:
        if of_score.has_drifted:
            return (
                f"No column alone has drifted since {old}, but the outlier scores have."
            )
        return f"Nothing has drifted since {old}."
    verb = "has" if len(names) == 1 else "have"
    scores = "; the outlier scores have, too" if of_score.has_drifted else ""
    n_drifted = f"{len(names)} of {_text.format_quantity(len(drifts), 'column')}"
    return (
        f"{n_drifted} {verb} drifted since {old}: {_text.list_some(names, 5)}{scores}."
    )
