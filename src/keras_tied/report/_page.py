"""The page of a report: the template escapes texts; as JSON, they become text nodes."""

import base64
import hashlib
import json
from importlib import resources

import numpy as np
from bokeh.resources import Resources
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from keras_tied._text import format_number, format_quantity, format_share, format_value
from keras_tied._types import Array
from keras_tied.drawing import DENSE_POINTS
from keras_tied.report._columns import correlate, describe_units, name_axis
from keras_tied.report._contents import Contents
from keras_tied.report._figures import draw_errors, draw_losses, draw_panels, draw_widths, to_json
from keras_tied.report._rows import MOST_WEIGHTS, describe_rows
from keras_tied.report._summary import describe_shift, rank_columns, summarize
from keras_tied.report._whole import Planes

MOST_NUMBERS = 180_000
"""Numbers of the drawn rows: what is given and expected in their columns, and shares."""
N_BARS = 12  # columns whose errors are shown at first; of many, those with the largest
SCRIPTS = (
    *("data", "format", "marks", "decoder", "colours", "plots", "toolbar", "row", "table"),
    *("units", "download", "link", "page"),
)
"""The modules of the page, in the order that they are loaded."""


def render_html(report: Contents) -> str:
    """Return the whole page."""
    whole, ordinary = report.whole, ~report.is_far
    rows, worst = _choose_rows(report)
    units = describe_units(report.columns, correlate(report.X[ordinary], report.code[ordinary]))
    axes = [name_axis(i, report.columns, drivers) for i, drivers in enumerate(units)]
    planes = _fit_planes(report, len(rows))
    bars, data = rank_columns(report), describe_rows(report, rows, worst)
    views = [[*pair, *hexagons.view] for pair, hexagons in planes.pairs.items()]
    data |= {"units": units, "axes": axes, "views": views}
    known_widths = [width for width in report.widths if not np.isnan(width[3])]
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
    bokeh = Resources(mode="inline", components=["bokeh"], log_level="warn").js_raw
    scripts = [*bokeh, *(_read(f"{name}.js") for name in SCRIPTS)]
    return environment.get_template("page.html").render(
        report=report,
        whole=whole,
        policy=_make_policy(scripts),
        style=Markup(_read("page.css")),
        scripts=[Markup(script) for script in scripts],
        figures=_embed_json(_draw(report, planes, rows, worst, axes)),
        rows=_embed_json(json.dumps(data)),
        sentence=summarize(report, bars, int(rows[worst[0]])),
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


def _choose_rows(report: Contents) -> tuple[Array, Array]:
    """Choose the rows to draw, in order, and which of them are the oddest, the oddest first."""
    n = len(report.X)
    most = min(report.most_points, max(200, MOST_NUMBERS // (3 * report.X.shape[1])))
    if report.whole.n_rows > most:
        most = min(most, DENSE_POINTS)
    order = np.argsort(-np.nan_to_num(report.scores, nan=-1.0), kind="stable")
    worst, rows = order[: report.n_worst], np.arange(n)
    if n > most:
        rng = np.random.default_rng(report.random_state)
        others = rng.permutation(order[report.n_worst :])
        rows = np.sort(np.concatenate([worst, others[: max(0, most - len(worst))]]))
    return rows, np.searchsorted(rows, worst)


def _fit_planes(report: Contents, n_drawn: int) -> Planes:
    """Return the planes of the panels, with all rows counted if they are not all drawn."""
    if report.whole.planes is not None:
        return report.whole.planes
    parts = report.X, report.code, report.reconstruction, report.errors
    X, code, reconstruction, errors = (part[~report.is_far] for part in parts)
    names = [format_value(name) for name in report.feature_names]
    planes = Planes(X, code, reconstruction, errors, names)
    if report.whole.n_rows > n_drawn:
        planes.count(*parts)
    return planes


def _draw(report: Contents, planes: Planes, rows: Array, worst: Array, axes: list[str]) -> str:
    """Return the figures as JSON."""
    whole, curves = report.whole, _select_curves(report)
    points = planes.project(report.X, report.code, report.reconstruction, report.errors)
    titles = dict.fromkeys(points, planes.plane.names)
    titles["code"] = axes[0], axes[1] if len(axes) > 1 else "error"
    mean = {} if whole.mean_error is None else {"mean": whole.mean_error}
    pca = {} if report.pca_error is None else {"pca": float(report.pca_error)}
    drawn, rings = {name: of[rows] for name, of in points.items()}, worst[: whole.n_outstanding]
    plots = draw_panels(planes, drawn, titles, whole.n_rows > len(rows), rings.tolist())
    plots.append(draw_errors(np.asarray(whole.errors, np.float64), mean | pca))
    if curves:
        plots.append(draw_losses(curves, pca))
    if report.widths:
        plots.append(draw_widths(report.widths, report.code.shape[1]))
    return to_json(plots)


def _select_curves(report: Contents) -> dict[str, list[float]]:
    """Return the losses of each epoch that are finite, by the name of the curve."""
    names = {"training": "loss", "validation": "val_loss"}
    curves = {name: report.history.get(key, []) for name, key in names.items()}
    return {
        name: [float(loss) for loss in losses]
        for name, losses in curves.items()
        if np.isfinite(losses).any()
    }
