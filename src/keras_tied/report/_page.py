"""The page of a report: the template with its parts, which runs no script but ours.

The user's texts reach the page in two ways: through the template, which escapes them, or as JSON,
which the page's scripts turn into text nodes. The Content-Security-Policy of the page allows its
own scripts, by their hashes, and loads nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.resources import Resources
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from keras_tied._reasons import ORDINARY
from keras_tied._text import format_number, format_quantity, format_rarity, format_value
from keras_tied.drawing import DENSE_POINTS
from keras_tied.report._bars import N_BARS, rank_columns
from keras_tied.report._colours import describe_labels, describe_palettes
from keras_tied.report._columns import describe_columns
from keras_tied.report._decoder import MOST_WEIGHTS, describe_decoder, encode_floats
from keras_tied.report._drawn import DrawnRows, choose_rows
from keras_tied.report._figures import Figures, Panel
from keras_tied.report._planes import Planes
from keras_tied.report._shift import describe_shift
from keras_tied.report._summary import format_share, summarize
from keras_tied.report._units import correlate, describe_units, name_axis

if TYPE_CHECKING:
    from keras_tied.report._report import Report

MOST_NUMBERS = 180_000
"""Numbers of the drawn rows: what is given and expected in their columns, and shares."""
SCRIPTS = (
    *("data", "format", "marks", "decoder", "colours", "plots", "toolbar", "row", "table"),
    *("units", "download", "link", "page"),
)
"""The modules of the page, in the order that they are loaded."""


def render_html(report: Report) -> str:
    """Return the whole page."""
    errors, whole = report.errors, report.whole
    drawn = _choose_drawn(report)
    curves = _select_curves(report)
    ordinary = ~report.is_far
    correlations = correlate(report.X[ordinary], report.code[ordinary])
    units = describe_units(report.columns, correlations)
    axes = [name_axis(i, report.columns, drivers) for i, drivers in enumerate(units)]
    panels = _make_panels(report, errors, drawn, axes)
    views = [[*pair, *hexagons.view] for pair, hexagons in panels[1].pairs.items()]
    figures = Figures()
    standing_out = drawn.worst[: whole.n_outstanding]
    figures.add_panels(panels, len(drawn.rows), standing_out.tolist())
    all_errors = np.asarray(whole.errors, np.float64)
    mean_error = whole.mean_error
    marks = {} if mean_error is None else {"mean": mean_error}
    pca = {} if report.pca_error is None else {"pca": float(report.pca_error)}
    figures.add_errors("errors", all_errors, marks | pca)
    if curves:
        figures.add_losses("losses", curves, pca)
    known = [width for width in report.widths if not np.isnan(width[3])]
    best = min(known, key=lambda width: width[3], default=None)
    if report.widths:
        figures.add_widths("widths", report.widths, report.code.shape[1])
    scripts = [
        *Resources(mode="inline", components=["bokeh"], log_level="warn").js_raw,
        *(_read(f"{name}.js") for name in SCRIPTS),
    ]
    environment = Environment(
        loader=PackageLoader("keras_tied.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        text=format_value,
        number=format_number,
        count="{:,}".format,
        quantity=format_quantity,
        share=format_share,
    )
    bars = rank_columns(report, whole)
    rows_data = _describe_rows(report, errors, drawn)
    oddest = int(drawn.rows[drawn.worst[0]])
    return environment.get_template("page.html").render(
        report=report,
        whole=whole,
        policy=_make_policy(scripts),
        style=Markup(_read("page.css")),
        scripts=[Markup(script) for script in scripts],
        figures=_embed_json(figures.to_json()),
        rows=_embed_json(json.dumps(rows_data | {"units": units, "axes": axes, "views": views})),
        sentence=summarize(report, whole, bars, oddest),
        shift=describe_shift(report),
        panels={panel.name: panel for panel in panels},
        n_drawn=len(drawn.rows),
        n_worst=len(drawn.worst),
        mean_error=mean_error,
        median_error=float(np.nanmedian(all_errors)) if marks else None,
        curves=curves,
        best_width=best and best[0],
        best_hidden=best and best[3],
        bars=bars,
        has_decoder=rows_data["decoder"] is not None,
        most_weights=MOST_WEIGHTS,
        n_bars=N_BARS,
    )


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(f"page/{name}").read_text("utf-8")


def _make_policy(scripts: list[str]) -> str:
    """Return the policy that allows these scripts, and loads nothing."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _embed_json(text: str) -> Markup:
    """Escape JSON so that it cannot end its HTML element."""
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _choose_drawn(report: Report) -> DrawnRows:
    """Choose the rows to draw: few enough for the eye, and for the size of the page."""
    n_features = report.X.shape[1]
    most = min(report.most_points, max(200, MOST_NUMBERS // (3 * n_features)))
    if report.whole.n_rows > most:
        most = min(most, DENSE_POINTS)
    return choose_rows(report.scores, most, report.n_worst, report.random_state)


def _make_panels(report: Report, errors: Any, drawn: DrawnRows, axes: list[str]) -> list[Panel]:
    names = [format_value(name) for name in report.feature_names]
    parts = report.X, report.code, report.reconstruction, errors
    ordinary = ~report.is_far
    X, code, reconstruction, of_rows = (part[ordinary] for part in parts)
    planes = report.whole.planes or Planes(X, code, reconstruction, of_rows, names)
    points = planes.project(*parts)
    is_dense = report.whole.n_rows > len(drawn.rows)
    if is_dense and report.whole.planes is None:
        planes.count(*parts)
    titles = {
        "input": planes.plane.names,
        "code": (axes[0], axes[1] if len(axes) > 1 else "error"),
        "reconstruction": planes.plane.names,
    }
    return [
        Panel(
            name,
            points[name][drawn.rows],
            titles[name],
            planes.hexagons[name],
            is_dense,
            planes.pairs if name == "code" else {},
        )
        for name in titles
    ]


def _select_curves(report: Report) -> dict[str, list[float]]:
    names = {"training": "loss", "validation": "val_loss"}
    curves = {name: report.history.get(key, []) for name, key in names.items()}
    return {
        name: [float(loss) for loss in losses]
        for name, losses in curves.items()
        if np.isfinite(losses).any()
    }


def _describe_rows(report: Report, errors: Any, drawn: DrawnRows) -> dict[str, Any]:
    """Return the data of the drawn rows for the page's scripts."""
    rows, whole = drawn.rows, report.whole
    shares, expected, of_mended = report.explain(rows)
    scores = report.scores[rows]
    one_in, most = None, 0.0
    if report.fitted is not None and report.explains:
        one_in, most = report.fitted.rarity(scores).tolist(), report.fitted.largest_rarity
    return {
        "ids": [f"{row + 1:,}" for row in whole.places[rows]]
        if report.ids is None
        else [format_value(name) for name in report.ids[rows].tolist()],
        "places": (whole.places[rows] + 1).tolist(),
        "n_all": whole.n_rows,
        "ranks": whole.ranks[rows].tolist(),
        "labels": None
        if report.labels is None
        else [_format_label(label) for label in report.labels[rows].tolist()],
        "errors": [None if np.isnan(error) else float(f"{error:.7g}") for error in errors[rows]],
        "scores": [None if np.isnan(score) else float(f"{score:.7g}") for score in scores],
        "one_in": one_in and [format_rarity(n, most) for n in one_in],
        "is_far": report.is_far[rows].tolist(),
        "is_mended": (of_mended < ORDINARY).tolist(),
        "mean": None if whole.mean_error is None else format_number(whole.mean_error),
        "columns": describe_columns(report.columns),
        "X": encode_floats(report.X[rows]),
        "expected": encode_floats(expected),
        "shares": encode_floats(shares),
        "codes": encode_floats(report.code[rows]),
        "n_units": report.code.shape[1],
        "worst": drawn.worst.tolist(),
        "colour_by": describe_labels(report, rows),
        "palettes": describe_palettes(),
        "decoder": describe_decoder(report.fitted),
        "safe_csv": report.safe_csv,
        "file": format_value(report.title, 60),
    }


def _format_label(label: Any) -> str:
    return "" if label is None or label != label else format_value(label)
