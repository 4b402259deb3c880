"""The data of the drawn rows, for the page's scripts."""

import base64
from typing import Any

import numpy as np
from bokeh.palettes import Viridis256
from numpy.typing import ArrayLike

from keras_tied._reasons import CONTRADICTION, MAIN_SHARE, ORDINARY
from keras_tied._text import describe_rarity, format_number, format_rarity, format_value
from keras_tied._types import Array
from keras_tied.drawing import MOST_COLOURS, classify_labels, palette
from keras_tied.estimator.internal import Fitted
from keras_tied.report._columns import LONGEST, describe_columns
from keras_tied.report._contents import Contents
from keras_tied.report._whole import LARGEST

MOST_WEIGHTS = 2**18  # a decoder with more would make the page too large

# Petroff's colours that are too dark for a dark page.
_LIGHTER = {"#832DB6": "#A86BD6", "#BD1F01": "#D8382A"}

PALETTES = {
    # The ends that fade into the page are left out, and the largest number stands out most.
    "shades": [list(Viridis256[215::-5]), list(Viridis256[50::5])],
    "density": [
        ["#eef0f2", "#e2e5e9", "#d5d9de", "#c7cdd3", "#b9c0c8", "#abb3bc"],
        ["#1d2024", "#25292e", "#2d3238", "#363c43", "#3f464e", "#49515a"],
    ],
    "groups": [
        [[*palette(n)], [_LIGHTER.get(colour, colour) for colour in palette(n)]]
        for n in range(MOST_COLOURS + 1)
    ],
    # Of rows without a label, or whose label is one of too many.
    "neutral": ["#8A8F96", "#7D838B"],
}
"""The colours of shades, densities and groups, each on a light page and on a dark one."""


def describe_rows(report: Contents, rows: Array, worst: Array) -> dict[str, Any]:
    """Return the data of the drawn rows, of which `worst` are the oddest, the oddest first."""
    whole, scores = report.whole, report.scores[rows]
    shares, expected, rarity = report.explain(rows)
    one_in, rarities = None, {}
    if report.explainer is not None:
        most = report.explainer.largest_rarity
        all_rarities = report.explainer.rarity(scores).tolist()
        one_in = [format_rarity(n, most) for n in all_rarities]
        rarities = {text: describe_rarity(text) for text in one_in}
    return {
        "ids": [f"{row + 1:,}" for row in whole.places[rows]]
        if report.ids is None
        else [format_value(name) for name in report.ids[rows].tolist()],
        "places": (whole.places[rows] + 1).tolist(),
        "n_all": whole.n_rows,
        "ranks": whole.ranks[rows].tolist(),
        "labels": None
        if report.labels is None
        else ["" if x is None or x != x else format_value(x) for x in report.labels[rows].tolist()],
        "errors": _round(report.errors[rows]),
        "scores": _round(scores),
        "one_in": one_in,
        "rarities": rarities,
        "main_share": MAIN_SHARE,
        "contradiction": CONTRADICTION,
        "is_far": report.is_far[rows].tolist(),
        "is_mended": (rarity < ORDINARY).tolist(),
        "mean": None if whole.mean_error is None else format_number(whole.mean_error),
        "columns": describe_columns(report.columns),
        "X": _encode(report.X[rows]),
        "expected": _encode(expected),
        "shares": _encode(shares),
        "codes": _encode(report.code[rows]),
        "n_units": report.code.shape[1],
        "worst": worst.tolist(),
        "colour_by": _describe_labels(report, rows),
        "palettes": PALETTES,
        "decoder": _describe_decoder(report.fitted),
        "safe_csv": report.safe_csv,
        "file": format_value(report.title, LONGEST),
    }


def _round(numbers: Array) -> list[float | None]:
    return [None if np.isnan(number) else float(f"{number:.7g}") for number in numbers]


def _describe_labels(report: Contents, rows: Array) -> dict[str, Any] | None:
    """Return the labels of the drawn rows, as groups or as a number for each; None if none."""
    if report.labels is None:
        return None
    labels = classify_labels(report.labels)
    values = [None if value != value else value for value in labels.values[rows].tolist()]
    name, n_coloured = format_value(report.label_name), labels.n_coloured
    return {"name": name, "values": values, "groups": labels.groups, "n_coloured": n_coloured}


def _describe_decoder(fitted: Fitted | None) -> dict[str, object] | None:
    """Return the arrays that decode a code, and how; None if the network is not dense or large."""
    network: Any = fitted and fitted.network
    if fitted is None or not hasattr(network, "kernels") or network.n_parameters > MOST_WEIGHTS:
        return None
    scaling = fitted.preprocessing.scaling
    return {
        "sizes": network.layer_sizes,
        "activation": network.activation,
        "linear_units": network.linear_units,
        "kernels": [_encode(kernel) for kernel in network.kernels],
        "biases": [_encode(bias) for bias in network.decoder_biases],
        "gains": None if network.gains is None else [_encode(g) for g in network.gains],
        "scale": [float(number) for number in scaling.scale],
        "shift": [float(number) for number in scaling.shift],
    }


def _encode(values: ArrayLike) -> str:
    """Return numbers as base64 of single precision, little-endian, row by row."""
    # What is too large for it, or for a sum of many, becomes the largest that is not.
    within = np.clip(values, -LARGEST, LARGEST).astype("<f4")
    return base64.b64encode(np.ascontiguousarray(within).tobytes()).decode()
