"""The rows that a page draws, as its scripts have them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tied_tables._reasons import ORDINARY, Cause, describe_reason
from tied_tables._text import format_number, format_rarity
from tied_tables._types import Array
from tied_tables.drawing import DENSE_POINTS
from tied_tables.model.value import TableModel
from tied_tables.report._columns import LARGEST_SHOWN, slice_columns
from tied_tables.report._fields import (
    Field,
    describe_column,
    describe_ids,
    describe_labels,
    describe_measure,
    list_shares,
    pack,
)
from tied_tables.report._rows import Rows
from tied_tables.report._units import find_nearest

if TYPE_CHECKING:
    from tied_tables.report._report import Report

# Of the drawn rows: given and expected in their columns, and shares.
MOST_PAGE_NUMBERS = 180_000
FEWEST_POINTS = 200  # that are drawn, of however many columns
MOST_DRAWN_CAUSES = 3  # columns that are named as why a row is odd
MOST_WEIGHTS = 2**18  # a decoder with more would make the page too large


def choose_rows(report: Report) -> tuple[Array, Array]:
    """Choose the rows to draw, in order, and the oddest of them, the oddest first."""
    n_features = report.rows.X.shape[1]
    fitting = MOST_PAGE_NUMBERS // (3 * n_features)
    most = min(report.most_points, max(FEWEST_POINTS, fitting))
    if report.all_rows.n_rows > most:
        most = min(most, DENSE_POINTS)
    scores = np.nan_to_num(report.rows.scores, nan=-1.0)
    order = np.argsort(-scores, kind="stable")
    worst, other_places = np.split(order, [report.n_worst])
    other_places = np.random.default_rng(0).permutation(other_places)
    n_others = max(0, most - len(worst))
    places = np.sort(np.append(worst, other_places[:n_others]))
    return places, np.searchsorted(places, worst)


def describe_rows(report: Report, places: Array, worst: Array) -> dict[str, Any]:
    """Return what the page shows of the drawn rows, of which `worst` are the oddest."""
    all_rows = report.all_rows
    rows = report.rows.take(places)
    ranks = all_rows.ranks[rows.places].tolist()
    columns = _describe_columns(report, rows)
    oddness = _describe_oddness(report.fitted, rows.scores)
    return {
        "id": describe_ids(rows),
        "label": describe_labels(rows),
        "score": describe_measure("outlier score", rows.scores),
        "error": describe_measure("error", rows.errors),
        **columns,
        "one_in": pack(one_in for one_in, _ in oddness),
        "oddness": pack(sentence for _, sentence in oddness),
        "standings": _describe_standings(rows, oddness, ranks, all_rows.n_rows),
        "places": (np.asarray(rows.places) + 1).tolist(),  # in the table
        "ranks": ranks,
        "nearest": find_nearest(rows.code),
        "codes": _encode(rows.code),
        "n_units": rows.code.shape[1],
        "worst": worst.tolist(),
        "decoder": describe_decoder(report.fitted),
    }


def _describe_columns(report: Report, rows: Rows) -> dict[str, Any]:
    """Return the columns of rows, their shares in the score of each, and reasons."""
    fitted = report.fitted
    explanation = fitted.explain(rows.X)
    expected = explanation.expected
    if fitted.columns is not None:
        expected = fitted.columns.snap(expected)
    columns = [
        describe_column(column, rows.X[:, part], expected[:, part])
        for column, part in slice_columns(report.columns)
    ]
    shares = list_shares(explanation.shares, columns)
    is_ordinary = fitted.find_rarity(explanation.scores) < ORDINARY
    return {
        "columns": columns,
        "shares": shares,
        "reasons": _describe_reasons(columns, np.array(shares).T, is_ordinary),
    }


def _describe_reasons(
    columns: Sequence[Field], shares: Array, is_ordinary: Array
) -> list[str]:
    """Say why each row is odd, by shares of columns, (n, columns).

    `is_ordinary`, (n, columns), is whether a row would be with what is expected there.
    """
    order = np.argsort(-shares, axis=1, kind="stable")[:, :MOST_DRAWN_CAUSES]
    reasons = []
    for row, places in enumerate(order.tolist()):
        causes = []
        for place in places:
            field = columns[place]
            texts = field["texts"]
            value, expected = field["cells"][row], field["expected"][row]
            share = float(shares[row, place]) / 100
            if share > 0:
                causes.append(
                    Cause(field["name"], share, texts[value], texts[expected])
                )
        is_cured = bool(is_ordinary[row, places[0]])
        reasons.append(describe_reason(causes, is_cured, len(columns) == 1))
    return reasons


def _describe_oddness(fitted: TableModel, scores: Array) -> list[tuple[str, str]]:
    """Return one row in how many is as odd as each, and a sentence of it."""
    most = fitted.largest_rarity
    oddness = []
    for one_in in fitted.find_rarity(scores).tolist():
        text = format_rarity(one_in, most)
        sentence = f"one row in {text} is as odd"
        if text.startswith("> "):
            sentence = f"fewer than one row in {text[2:]} are as odd"
        oddness.append((text, sentence))
    return oddness


def _describe_standings(
    rows: Rows, oddness: list[tuple[str, str]], ranks: list[int], n_rows: int
) -> list[str]:
    """Say where each row stands among all, by its score."""
    standings = []
    measures = zip(rows.scores.tolist(), rows.errors.tolist(), strict=True)
    for row, (score, error) in enumerate(measures):
        _, sentence = oddness[row]
        standing = (
            f"Outlier score {format_number(score)}: {sentence}, number {ranks[row]:,}"
            f" of {n_rows:,}. Error {format_number(error)}."
        )
        if np.isnan(score):
            standing = "It has no score: all of its values are missing."
        standings.append(standing)
    return standings


def describe_decoder(fitted: TableModel) -> dict[str, Any] | None:
    """Return what decodes a code; None if the network is not dense, or large."""
    network: Any = fitted.network
    is_dense = hasattr(network, "kernels")
    if not is_dense or network.n_parameters > MOST_WEIGHTS:
        return None
    scaling, link = fitted.preprocessing.scaling, fitted.link
    decoder: dict[str, Any] = {
        "sizes": network.layer_sizes,
        "activation": network.activation,
        "linear_units": network.linear_units,
        "kernels": list(map(_encode, network.kernels)),
        "biases": list(map(_encode, network.decoder_biases)),
        "gains": list(map(_encode, network.gains)),
        "scale": scaling.scale.tolist(),
        "shift": scaling.shift.tolist(),
        "parts": [],
        "link": [],
    }
    if link is not None:
        arrays = *link.logits, link.mixtures, link.frequencies
        classes = link.layout.classes
        decoder["parts"] = [[int(part.start), int(part.stop)] for part in classes]
        decoder["link"] = [array.tolist() for array in arrays]
    return decoder


def _encode(values: ArrayLike, dtype: str = "<f4") -> str:
    """Return numbers as base64, row by row."""
    # What is too large for a sum of many becomes the largest that is not.
    numbers = np.clip(values, -LARGEST_SHOWN, LARGEST_SHOWN).astype(dtype)
    return base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode()
