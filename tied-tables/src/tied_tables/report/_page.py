"""The page of a report: the template escapes texts; as JSON, they become text nodes."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.palettes import Viridis256
from bokeh.resources import Resources
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import ArrayLike

from tied_tables._reasons import CONTRADICTION, MAIN_SHARE, ORDINARY
from tied_tables._text import (
    format_number,
    format_quantity,
    format_rarity,
    format_share,
    format_value,
)
from tied_tables._types import Array
from tied_tables.drawing import DENSE_POINTS, MOST_COLOURS, palette
from tied_tables.model.value import Fitted
from tied_tables.report._columns import LONGEST, correlate
from tied_tables.report._figures import draw_panels
from tied_tables.report._histograms import draw_histograms
from tied_tables.report._summary import describe_shift, rank_columns, summarize
from tied_tables.report._whole import LARGEST, Planes

if TYPE_CHECKING:
    from tied_tables.report._report import Report

FOLDER = resources.files(__package__) / "page"
# Of the drawn rows: given and expected in their columns, and shares.
MOST_NUMBERS = 180_000
FEWEST_POINTS = 200  # that are drawn, of however many columns
# In the order that they are loaded.
SCRIPTS = (
    "format data histograms marks decoder colours plots toolbar row table units"
    " download link page"
).split()
MOST_WEIGHTS = 2**18  # a decoder with more would make the page too large

_LIGHTER = {"#832DB6": "#A86BD6", "#BD1F01": "#D8382A"}  # too dark for a dark page


def _lighten(colours: list[str]) -> list[str]:
    return [_LIGHTER.get(colour, colour) for colour in colours]


PALETTES = {  # each on a light page and on a dark one
    # The ends that fade into the page are left out, and the largest number stands out
    # most.
    "shades": [list(Viridis256[215::-5]), list(Viridis256[50::5])],
    "density": [
        ["#eef0f2", "#e2e5e9", "#d5d9de", "#c7cdd3", "#b9c0c8", "#abb3bc"],
        ["#1d2024", "#25292e", "#2d3238", "#363c43", "#3f464e", "#49515a"],
    ],
    "groups": [[palette(n), _lighten(palette(n))] for n in range(MOST_COLOURS + 1)],
    # Of rows without a label, or whose label is one of too many.
    "neutral": ["#8A8F96", "#7D838B"],
}


def render(report: Report) -> str:
    """Return the whole page."""
    places, worst = _choose_rows(report)
    ordinary = report.rows.take(~report.is_far)
    planes = Planes(ordinary, report.columns)
    drawn = report.rows.take(places)
    is_dense = report.all_rows.n_rows > len(places)
    counted = report.rows if is_dense else None
    outstanding = worst[: report.all_rows.n_outstanding].tolist()
    figures = draw_panels(planes, drawn, counted, outstanding)
    data = _describe_rows(report, places, worst)
    correlations = correlate(ordinary.X, ordinary.code)
    data["correlations"] = np.round(correlations, 3).tolist()
    data["histograms"] = [each._asdict() for each in draw_histograms(report)]
    data["views"] = [[*pair, *view] for pair, view in planes.pairs.items()]
    bars = rank_columns(report)
    bokeh = Resources(mode="inline", components=["bokeh"], log_level="warn").js_raw
    ours = [(FOLDER / f"{name}.js").read_text("utf-8") for name in SCRIPTS]
    scripts = [*bokeh, *ours]
    template = _make_environment().get_template("page.html")
    return template.render(
        report=report,
        policy=_make_policy(scripts),
        style=Markup((FOLDER / "page.css").read_text("utf-8")),
        scripts=[Markup(script) for script in scripts],
        figures=figures,
        rows=data,
        sentences=summarize(report, bars),
        shift=describe_shift(report),
        bars=bars,
        most_weights=MOST_WEIGHTS,
    )


def _make_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tied_tables.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Bokeh reads keys in their order.
    environment.policies["json.dumps_kwargs"] = {}
    environment.filters |= {
        "text": format_value,
        "number": format_number,
        "quantity": format_quantity,
        "count": "{:,}".format,
        "share": format_share,
    }
    return environment


def _make_policy(scripts: list[str]) -> str:
    """Return the policy that allows these scripts, and loads nothing."""
    hashes = []
    for script in scripts:
        digest = hashlib.sha256(script.encode()).digest()
        hashes.append(f"'sha256-{base64.b64encode(digest).decode()}'")
    return (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src 'unsafe-inline';"
        " img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _choose_rows(report: Report) -> tuple[Array, Array]:
    """Choose the rows to draw, in order, and the oddest of them, the oddest first."""
    n_features = report.rows.X.shape[1]
    fitting = MOST_NUMBERS // (3 * n_features)
    most = min(report.most_points, max(FEWEST_POINTS, fitting))
    if report.all_rows.n_rows > most:
        most = min(most, DENSE_POINTS)
    scores = np.nan_to_num(report.rows.scores, nan=-1.0)
    order = np.argsort(-scores, kind="stable")
    worst, others = np.split(order, [report.n_worst])
    others = np.random.default_rng(0).permutation(others)
    n_others = max(0, most - len(worst))
    places = np.sort(np.append(worst, others[:n_others]))
    return places, np.searchsorted(places, worst)


def _describe_rows(report: Report, places: Array, worst: Array) -> dict[str, Any]:
    """Return the data of the drawn rows, of which `worst` are the oddest."""
    whole, fitted = report.all_rows, report.fitted
    rows = report.rows.take(places)
    reasons = fitted.explain(rows.X)
    expected = reasons.expected
    if fitted.columns_json is not None:
        from tied_tables.columns import Columns

        expected = Columns.from_json(fitted.columns_json).snap(expected)
    is_mended = fitted.find_rarity(reasons.scores) < ORDINARY
    numbers = np.asarray(rows.places) + 1  # in the table
    most, rarest = fitted.largest_rarity, fitted.find_rarity(rows.scores)
    one_in = [format_rarity(n, most) for n in rarest.tolist()]
    labels, label_numbers = None, None
    if rows.labels is not None:
        labels = [
            "" if label is None or label != label else format_value(label)
            for label in rows.labels.tolist()
        ]
        if rows.labels.dtype.kind in "iuf":
            label_numbers = _round(rows.labels, 15)
    ids = None
    if rows.ids is not None:
        ids = [format_value(name) for name in rows.ids.tolist()]
    return {
        "ids": ids,
        "places": numbers.tolist(),
        "n_all": whole.n_rows,
        "n_outstanding": whole.n_outstanding,
        "has_drifted": whole.has_drifted,
        "median": float(np.median(np.nan_to_num(whole.scores))),
        "ranks": whole.ranks[rows.places].tolist(),
        "labels": labels,
        "label_numbers": label_numbers,
        "label_name": format_value(rows.label_name),
        "errors": _round(rows.errors),
        "scores": _round(rows.scores),
        "one_in": one_in,
        "main_share": MAIN_SHARE,
        "contradiction": CONTRADICTION,
        "is_far": report.is_far[places].tolist(),
        "is_mended": _encode(is_mended, "u1"),
        "mean": whole.mean_error,
        "columns": [column.to_json() for column in report.columns],
        "X": _encode(rows.X, "<f8"),
        "expected": _encode(expected, "<f8"),
        "shares": _encode(reasons.shares),
        "codes": _encode(rows.code),
        "n_units": rows.code.shape[1],
        "worst": worst.tolist(),
        "palettes": PALETTES,
        "decoder": _describe_decoder(fitted),
        "safe_csv": report.about.safe_csv,
        "file": format_value(report.about.title, LONGEST),
    }


def _round(numbers: Array, digits: int = 7) -> list[float | None]:
    finite = np.clip(numbers, -LARGEST, LARGEST)  # JSON has no infinite ones
    return [None if np.isnan(x) else float(f"{x:.{digits}g}") for x in finite]


def _describe_decoder(fitted: Fitted) -> dict[str, Any] | None:
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
    numbers = np.clip(values, -LARGEST, LARGEST).astype(dtype)
    return base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode()
