"""What a report says first, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tied_tables._text import (
    format_number,
    format_quantity,
    format_share,
    format_value,
    list_some,
)
from tied_tables.report._columns import LONGEST_NAME, format_name, slice_columns
from tied_tables.report._drift import ALARM, Drift

if TYPE_CHECKING:
    from tied_tables.report._report import Report

# A column: its name, and the share of its variance that is lost, or its mean error.
Bar = tuple[str, float]


def rank_columns(report: Report) -> list[Bar]:
    """Return the columns by what is lost of them, or by error, the largest first."""
    all_rows = report.all_rows
    features = (
        all_rows.feature_errors if all_rows.kept is None else all_rows.lost_shares
    )
    bars = []
    for column, part in slice_columns(report.columns):
        loss = float(features[part].mean())
        if np.isfinite(loss):
            bars.append((format_name(column), loss))
    return sorted(bars, key=lambda bar: -bar[1])


def summarize(report: Report, bars: Sequence[Bar]) -> list[str]:
    """Say what is kept and lost, and how many rows stand out."""
    all_rows, n_units = report.all_rows, report.rows.code.shape[1]
    ending = "s" if n_units == 1 else ""  # of a verb
    verb = f"stand{ending} for"
    if all_rows.kept is not None:
        verb = f"keep{ending} {format_share(all_rows.kept)} of"
    n_columns = format_quantity(len(report.columns), "column")
    parts = [f"{format_quantity(n_units, 'number')} {verb} {n_columns}"]
    if len(bars) > 1 and bars[0][1] > 0:
        parts.append(f"{bars[0][0]} is hardest to reconstruct")
    if n := all_rows.n_outstanding:
        ending = "s" if n == 1 else ""
        n_rows = format_quantity(all_rows.n_rows, "row")
        parts.append(f"{n:,} of {n_rows} stand{ending} out")
    sentences = [f"{'; '.join(parts)}."]
    if all_rows.has_drifted:
        sentences.append(
            "Far more rows are odd than in training: fit a model to this table to find"
            " what is odd in it."
        )
    return sentences


def describe_oddest(report: Report, rows: dict[str, Any]) -> str:
    """Say which row is the oddest, why, and how odd it is, from what is drawn."""
    all_rows = report.all_rows
    row = rows["worst"][0]
    score = rows["score"]["numbers"][row]
    if score is None:
        return ""
    name = f"{rows['places'][row]:,}"
    if report.rows.ids is not None:
        ids = rows["id"]
        name = f"{name} (id {ids['texts'][ids['cells'][row]]})"
    size = format_number(score)
    median = float(np.median(np.nan_to_num(all_rows.scores)))
    if median > 0:
        size = f"{format_number(score / median)} times the median"
    reason = rows["reasons"][row]
    if not all_rows.n_outstanding:
        return (
            f"Even the oddest row, {name}, is within what is usual in"
            f" {all_rows.n_rows:,} rows: {reason}. Its score is {size}."
        )
    oddness = rows["oddness"]
    sentence = oddness["texts"][oddness["cells"][row]]
    ending = " in training" if all_rows.has_drifted else ""
    return (
        f"The oddest row is {name}: {reason}. Its score is {size}; {sentence}{ending}."
    )


def describe_shift(report: Report) -> dict[str, object] | None:
    """Return what has drifted since the older table; None if there is none."""
    if report.old is None:
        return None
    drifts, score = report.find_drift()
    name, old, _ = report.old
    name = format_value(name, LONGEST_NAME)
    return {
        "name": name,
        "sentence": _summarize_drift(name, drifts, score),
        "drifts": [*drifts, score],
        "alarm": f"{ALARM * 100:.0f} %",
        "rows": (len(old), len(report.rows.X)),
    }


def _summarize_drift(old: str, drifts: list[Drift], score: Drift) -> str:
    """Say in a sentence what has drifted since an older table."""
    names = [format_value(drift.name, 40) for drift in drifts if drift.has_drifted]
    if names:
        n_drifted = f"{len(names)} of {format_quantity(len(drifts), 'column')}"
        verb = "has" if len(names) == 1 else "have"
        scores = "; the outlier scores have, too" if score.has_drifted else ""
        examples = list_some(names, 5)
        return f"{n_drifted} {verb} drifted since {old}: {examples}{scores}."
    if score.has_drifted:
        return f"No column alone has drifted since {old}, but the outlier scores have."
    return f"Nothing has drifted since {old}."
