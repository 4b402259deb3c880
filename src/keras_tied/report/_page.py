"""The page of a report: the template escapes texts; as JSON, they become text nodes."""

import base64
import hashlib
import json
from importlib import resources
from typing import Any

import numpy as np
from bokeh.palettes import Viridis256
from bokeh.resources import Resources
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import ArrayLike

from keras_tied import _text, drawing
from keras_tied._reasons import CONTRADICTION, MAIN_SHARE, ORDINARY
from keras_tied._text import format_number, format_quantity, format_share, format_value
from keras_tied._types import Array
from keras_tied.fitted.value import Fitted
from keras_tied.report import _columns
from keras_tied.report._figures import (
    draw_errors,
    draw_losses,
    draw_panels,
    draw_widths,
    to_json,
)
from keras_tied.report._histograms import draw_histograms
from keras_tied.report._report import Report
from keras_tied.report._summary import describe_shift, rank_columns, summarize
from keras_tied.report._whole import LARGEST, Planes

FOLDER = resources.files(__package__) / "page"
MOST_NUMBERS = (
    180_000  # of the drawn rows: given and expected in their columns, and shares
)
N_BARS = 12  # columns whose errors are shown at first; of many, those with the largest
SCRIPTS = (  # in the order that they are loaded
    *(
        "data",
        "format",
        "marks",
        "decoder",
        "colours",
        "plots",
        "toolbar",
        "row",
        "table",
    ),
    *("units", "download", "link", "page"),
)
MOST_WEIGHTS = 2**18  # a decoder with more would make the page too large

_LIGHTER = {"#832DB6": "#A86BD6", "#BD1F01": "#D8382A"}  # too dark for a dark page

PALETTES = {  # each on a light page and on a dark one
    # The ends that fade into the page are left out, and the largest number stands out
    # most.
    "shades": [list(Viridis256[215::-5]), list(Viridis256[50::5])],
    "density": [
        ["#eef0f2", "#e2e5e9", "#d5d9de", "#c7cdd3", "#b9c0c8", "#abb3bc"],
        ["#1d2024", "#25292e", "#2d3238", "#363c43", "#3f464e", "#49515a"],
    ],
    "groups": [
        [
            [*drawing.palette(n)],
            [_LIGHTER.get(colour, colour) for colour in drawing.palette(n)],
        ]
        for n in range(drawing.MOST_COLOURS + 1)
    ],
    # Of rows without a label, or whose label is one of too many.
    "neutral": ["#8A8F96", "#7D838B"],
}


def render_html(report: Report) -> str:
    """Return the whole page."""
    whole, ordinary = report.whole, ~report.is_far
    rows, worst = _choose_rows(report)
    correlations = _columns.correlate(report.X[ordinary], report.code[ordinary])
    units = _columns.describe_units(report.columns, correlations)
    axes = [
        _columns.name_axis(i, report.columns, drivers)
        for i, drivers in enumerate(units)
    ]
    planes = _fit_planes(report, len(rows))
    bars, data = rank_columns(report), _describe_rows(report, rows, worst)
    views = [[*pair, *hexagons.view] for pair, hexagons in planes.pairs.items()]
    data |= {"units": units, "axes": axes, "views": views}
    known_widths = [width for width in report.widths if not np.isnan(width[3])]
    loader = PackageLoader("keras_tied.report", "page")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    filters = {
        "text": format_value,
        "number": format_number,
        "quantity": format_quantity,
    }
    environment.filters |= filters | {"count": "{:,}".format, "share": format_share}
    bokeh = Resources(mode="inline", components=["bokeh"], log_level="warn").js_raw
    scripts = [
        *bokeh,
        *((FOLDER / f"{name}.js").read_text("utf-8") for name in SCRIPTS),
    ]
    return environment.get_template("page.html").render(
        report=report,
        whole=whole,
        policy=_make_policy(scripts),
        style=Markup((FOLDER / "page.css").read_text("utf-8")),
        scripts=[Markup(script) for script in scripts],
        figures=_embed_json(_draw(report, planes, rows, worst)),
        rows=_embed_json(json.dumps(data)),
        histograms=draw_histograms(report),
        sentences=summarize(report, bars, int(rows[worst[0]])),
        shift=describe_shift(report),
        n_drawn=len(rows),
        n_worst=len(worst),
        curves=_select_curves(report),
        best_width=min(known_widths, key=lambda width: width[3], default=None),
        bars=bars,
        has_decoder=data["decoder"] is not None,
        most_weights=MOST_WEIGHTS,
        n_bars=N_BARS,
    )


def _make_policy(scripts: list[str]) -> str:
    """Return the policy that allows these scripts, and loads nothing."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    hashes = " ".join(
        f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _embed_json(text: str) -> Markup:
    """Escape JSON so that it cannot end its HTML element."""
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _choose_rows(report: Report) -> tuple[Array, Array]:
    """Choose the rows to draw, in order, and which of them are the oddest, the oddest first."""
    n = len(report.X)
    most = min(report.most_points, max(200, MOST_NUMBERS // (3 * report.X.shape[1])))
    if report.whole.n_rows > most:
        most = min(most, drawing.DENSE_POINTS)
    order = np.argsort(-np.nan_to_num(report.scores, nan=-1.0), kind="stable")
    worst, rows = order[: report.n_worst], np.arange(n)
    if n > most:
        rng = np.random.default_rng(report.random_state)
        others = rng.permutation(order[report.n_worst :])
        rows = np.sort(np.concatenate([worst, others[: max(0, most - len(worst))]]))
    return rows, np.searchsorted(rows, worst)


def _fit_planes(report: Report, n_drawn: int) -> Planes:
    """Return the planes of the panels, with all rows counted if they are not all drawn."""
    if report.whole.planes is not None:
        return report.whole.planes
    parts = (
        report.X,
        drawing.pair_with_errors(report.code, report.errors),
        report.reconstruction,
    )
    X, code, reconstruction = (part[~report.is_far] for part in parts)
    planes = Planes(
        X, code, reconstruction, [format_value(name) for name in report.feature_names]
    )
    if report.whole.n_rows > n_drawn:
        planes.count(*parts)
    return planes


def _draw(report: Report, planes: Planes, rows: Array, worst: Array) -> str:
    """Return the figures as JSON."""
    whole, curves = report.whole, _select_curves(report)
    code = drawing.pair_with_errors(report.code, report.errors)
    points = planes.project(report.X, code, report.reconstruction)
    titles = dict.fromkeys(points, planes.plane.names)
    titles["code"] = "unit 1", "unit 2" if report.code.shape[1] > 1 else "error"
    mean = {} if whole.mean_error is None else {"mean": whole.mean_error}
    pca = {} if report.pca_error is None else {"pca": float(report.pca_error)}
    drawn, rings = (
        {name: of[rows] for name, of in points.items()},
        worst[: whole.n_outstanding],
    )
    plots = draw_panels(planes, drawn, titles, whole.n_rows > len(rows), rings.tolist())
    plots.append(draw_errors(np.asarray(whole.errors, np.float64), mean | pca))
    if curves:
        plots.append(draw_losses(curves, pca))
    if report.widths:
        plots.append(draw_widths(report.widths, report.code.shape[1]))
    return to_json(plots)


def _select_curves(report: Report) -> dict[str, list[float]]:
    """Return the losses of each epoch that are finite, by the name of the curve."""
    names = {"training": "loss", "validation": "val_loss"}
    curves = {
        name: list(map(float, report.history.get(key, ())))
        for name, key in names.items()
    }
    return {
        name: losses for name, losses in curves.items() if np.isfinite(losses).any()
    }


def _describe_rows(report: Report, rows: Array, worst: Array) -> dict[str, Any]:
    """Return the data of the drawn rows, of which `worst` are the oddest, the oddest first."""
    whole, scores = report.whole, report.scores[rows]
    shares, expected, rarity = report.explain(rows)
    one_in, rarities = None, {}
    if explainer := report.explainer:
        most = explainer.largest_rarity
        one_in = [
            _text.format_rarity(n, most) for n in explainer.find_rarity(scores).tolist()
        ]
        rarities = {text: _text.describe_rarity(text) for text in one_in}
    return {
        "ids": (
            [f"{row + 1:,}" for row in whole.places[rows]]
            if report.ids is None
            else [format_value(name) for name in report.ids[rows].tolist()]
        ),
        "places": (whole.places[rows] + 1).tolist(),
        "n_all": whole.n_rows,
        "ranks": whole.ranks[rows].tolist(),
        "labels": (
            None
            if report.labels is None
            else [
                "" if x is None or x != x else format_value(x)
                for x in report.labels[rows].tolist()
            ]
        ),
        "errors": _round(report.errors[rows]),
        "scores": _round(scores),
        "one_in": one_in,
        "rarities": rarities,
        "main_share": MAIN_SHARE,
        "contradiction": CONTRADICTION,
        "is_far": report.is_far[rows].tolist(),
        "is_mended": (rarity < ORDINARY).tolist(),
        "mean": None if whole.mean_error is None else format_number(whole.mean_error),
        "columns": _columns.describe_columns(report.columns),
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
        "file": format_value(report.title, _columns.LONGEST),
    }


def _round(numbers: Array) -> list[float | None]:
    return [None if np.isnan(number) else float(f"{number:.7g}") for number in numbers]


def _describe_labels(report: Report, rows: Array) -> dict[str, Any] | None:
    """Return the labels of the drawn rows, as groups or as a number for each; None if none."""
    if report.labels is None:
        return None
    labels = drawing.classify_labels(report.labels)
    return {
        "name": format_value(report.label_name),
        "values": [None if x != x else x for x in labels.values[rows].tolist()],
        "groups": labels.groups,
        "n_coloured": labels.n_coloured,
    }


def _describe_decoder(fitted: Fitted | None) -> dict[str, object] | None:
    """Return the arrays that decode a code, and how; None if the network is not dense or large."""
    network: Any = fitted and fitted.network
    if (
        fitted is None
        or not hasattr(network, "kernels")
        or network.n_parameters > MOST_WEIGHTS
    ):
        return None
    scaling, link = fitted.preprocessing.scaling, fitted.link
    of_link = (*link.logits, link.mixtures, link.frequencies) if link else ()
    return {
        "sizes": network.layer_sizes,
        "activation": network.activation,
        "linear_units": network.linear_units,
        "kernels": [_encode(kernel) for kernel in network.kernels],
        "biases": [_encode(bias) for bias in network.decoder_biases],
        "gains": [_encode(gain) for gain in network.gains],
        "scale": [float(number) for number in scaling.scale],
        "shift": [float(number) for number in scaling.shift],
        "parts": [[int(of.start), int(of.stop)] for of in link.parts] if link else [],
        "link": [of.tolist() for of in of_link],
    }


def _encode(values: ArrayLike) -> str:
    """Return numbers as base64 of single precision, little-endian, row by row."""
    # What is too large for it, or for a sum of many, becomes the largest that is not.
    within = np.clip(values, -LARGEST, LARGEST).astype("<f4")
    return base64.b64encode(np.ascontiguousarray(within).tobytes()).decode()
