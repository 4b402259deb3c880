"""The page of a report: its parts put into the template, with nothing that could run but ours.

All of the user's own texts reach the page in one of two ways: through the template, which escapes
them, or as JSON, which the page's script turns into text nodes. The page's Content-Security-Policy
says the rest: it may run the scripts that are in it, known by their hashes, and load nothing.
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

from keras_tied._plane import principal
from keras_tied._text import count, number, quantity, shown
from keras_tied.report._colours import Colours, colours
from keras_tied.report._drawn import Drawn, contributing, drawn
from keras_tied.report._figures import Figures, Panel

if TYPE_CHECKING:
    from keras_tied.report._report import Report

N_BARS = 20
"""Features whose errors are shown; of many, those with the largest."""


def html(report: Report) -> str:
    """The whole page."""
    errors = report.errors
    chosen = drawn(errors, report.most_points, report.n_worst, report.random_state)
    coloured = colours(report, errors, chosen)
    curves = _curves(report)
    figures = Figures()
    panels = _panels(report, errors)
    figures.add_panels(
        [Panel(p.name, p.points[chosen.rows], p.axes, p.log_y) for p in panels], coloured.values
    )
    marks = {"mean": float(np.nanmean(errors))} if np.isfinite(errors).any() else {}
    pca = {} if report.pca_error is None else {"pca": float(report.pca_error)}
    figures.add_errors("errors", errors, marks | pca)
    if curves:
        figures.add_losses("losses", curves, pca)
    scripts = [*Resources(mode="inline", components=["bokeh"], log_level="warn").js_raw, _script()]
    environment = Environment(
        loader=PackageLoader("keras_tied.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(shown=shown, number=number, count=count, quantity=quantity)
    return environment.get_template("page.html").render(
        report=report,
        policy=_policy(scripts),
        style=Markup(resources.files(__package__).joinpath("page/page.css").read_text("utf-8")),
        scripts=[Markup(script) for script in scripts],
        figures=_data(figures.as_json()),
        rows=_data(json.dumps(_rows(report, errors, chosen, coloured))),
        colours=coloured,
        panels=panels,
        n_drawn=len(chosen.rows),
        n_worst=len(chosen.worst),
        mean_error=marks.get("mean"),
        median_error=float(np.nanmedian(errors)) if marks else None,
        curves=curves,
        bars=_bars(report),
    )


def _script() -> str:
    return resources.files(__package__).joinpath("page/page.js").read_text("utf-8")


def _policy(scripts: list[str]) -> str:
    """What the page may do: run these scripts, and load nothing from anywhere."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _data(text: str) -> Markup:
    """JSON that cannot end the element that it stands in."""
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _panels(report: Report, errors: Any) -> list[Panel]:
    names = [shown(name) for name in report.feature_names]
    plane = principal(report.X, names)
    width = report.code.shape[1]
    if width > 1:
        code = Panel("code", report.code[:, :2], ("unit 1", "unit 2"))
    else:
        against = np.column_stack([report.code[:, 0], errors])
        code = Panel("code", against, ("unit 1", "error"), bool((errors > 0).all()))
    return [
        Panel("input", plane.of(report.X), plane.names),
        code,
        Panel("reconstruction", plane.of(report.reconstruction), plane.names),
    ]


def _curves(report: Report) -> dict[str, list[float]]:
    names = {"training": "loss", "validation": "val_loss"}
    curves = {name: report.history.get(key, []) for name, key in names.items()}
    return {
        name: [float(loss) for loss in losses]
        for name, losses in curves.items()
        if np.isfinite(losses).any()
    }


def _rows(report: Report, errors: Any, chosen: Drawn, coloured: Colours) -> dict[str, Any]:
    """What the page's script tells of each row that is drawn."""
    rows = chosen.rows
    features, shares = contributing(report.feature_errors[rows])
    used, feature = np.unique(features, return_inverse=True)
    at = (rows[:, None], features)
    return {
        "ids": [count(int(row) + 1) for row in rows]
        if report.ids is None
        else [shown(name) for name in report.ids[rows].tolist()],
        "labels": None
        if report.labels is None
        else [_label(label) for label in report.labels[rows].tolist()],
        "errors": [None if np.isnan(error) else float(f"{error:.4g}") for error in errors[rows]],
        "shown": [number(error) for error in errors[rows]],
        "mean": number(float(np.nanmean(errors))) if np.isfinite(errors).any() else None,
        "features": feature.reshape(features.shape).tolist(),
        "shares": np.round(shares, 3).tolist(),
        "given": [[number(value) for value in row] for row in report.X[at].tolist()],
        "restored": [
            [number(value) for value in row] for row in report.reconstruction[at].tolist()
        ],
        "names": [shown(name, 60) for name in report.feature_names[used]],
        "worst": chosen.worst.tolist(),
        "groups": None if coloured.groups is None else coloured.values.astype(int).tolist(),
        "colours": {
            "low": coloured.low,
            "high": coloured.high,
            "light": coloured.light,
            "dark": coloured.dark,
        },
    }


def _label(label: Any) -> str:
    return "" if label is None or label != label else shown(label)


def _bars(report: Report) -> list[tuple[str, float, float]]:
    """The features with the largest errors: name, mean error, share of the largest."""
    present = (~np.isnan(report.feature_errors)).sum(axis=0)
    means = np.nansum(report.feature_errors, axis=0) / np.maximum(present, 1)
    order = [i for i in np.argsort(-means, kind="stable") if present[i]][:N_BARS]
    largest = max((means[i] for i in order), default=0.0) or 1.0
    names = report.feature_names
    return [(str(names[i]), float(means[i]), float(means[i] / largest)) for i in order]
