"""The page of a report: the template with its parts, which runs no script but ours.

The user's texts reach the page in two ways: through the template, which escapes them, or as JSON,
which the page's script turns into text nodes. The Content-Security-Policy of the page allows its
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

from keras_tied._plane import fit_principal_plane
from keras_tied._text import format_number, format_quantity, format_value
from keras_tied.report._colours import Colours, choose_colours
from keras_tied.report._drawn import DrawnRows, choose_rows, find_contributions
from keras_tied.report._figures import Figures, Panel

if TYPE_CHECKING:
    from keras_tied.report._report import Report

N_BARS = 20
"""Features whose errors are shown; of many, those with the largest."""


def render_html(report: Report) -> str:
    """Return the whole page."""
    errors = report.errors
    drawn = choose_rows(errors, report.most_points, report.n_worst, report.random_state)
    colours = choose_colours(report, errors, drawn)
    curves = _select_curves(report)
    figures = Figures()
    panels = _make_panels(report, errors)
    figures.add_panels(
        [Panel(p.name, p.points[drawn.rows], p.axes, p.log_y) for p in panels], colours.values
    )
    marks = {"mean": float(np.nanmean(errors))} if np.isfinite(errors).any() else {}
    pca = {} if report.pca_error is None else {"pca": float(report.pca_error)}
    figures.add_errors("errors", errors, marks | pca)
    if curves:
        figures.add_losses("losses", curves, pca)
    scripts = [
        *Resources(mode="inline", components=["bokeh"], log_level="warn").js_raw,
        _read_script(),
    ]
    environment = Environment(
        loader=PackageLoader("keras_tied.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        text=format_value, number=format_number, count="{:,}".format, quantity=format_quantity
    )
    return environment.get_template("page.html").render(
        report=report,
        policy=_make_policy(scripts),
        style=Markup(resources.files(__package__).joinpath("page/page.css").read_text("utf-8")),
        scripts=[Markup(script) for script in scripts],
        figures=_embed_json(figures.to_json()),
        rows=_embed_json(json.dumps(_describe_rows(report, errors, drawn, colours))),
        colours=colours,
        panels=panels,
        n_drawn=len(drawn.rows),
        n_worst=len(drawn.worst),
        mean_error=marks.get("mean"),
        median_error=float(np.nanmedian(errors)) if marks else None,
        curves=curves,
        bars=_rank_features(report),
    )


def _read_script() -> str:
    return resources.files(__package__).joinpath("page/page.js").read_text("utf-8")


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


def _make_panels(report: Report, errors: Any) -> list[Panel]:
    names = [format_value(name) for name in report.feature_names]
    plane = fit_principal_plane(report.X, names)
    n_components = report.code.shape[1]
    if n_components > 1:
        code = Panel("code", report.code[:, :2], ("unit 1", "unit 2"))
    else:
        against = np.column_stack([report.code[:, 0], errors])
        code = Panel("code", against, ("unit 1", "error"), bool((errors > 0).all()))
    return [
        Panel("input", plane.project(report.X), plane.names),
        code,
        Panel("reconstruction", plane.project(report.reconstruction), plane.names),
    ]


def _select_curves(report: Report) -> dict[str, list[float]]:
    names = {"training": "loss", "validation": "val_loss"}
    curves = {name: report.history.get(key, []) for name, key in names.items()}
    return {
        name: [float(loss) for loss in losses]
        for name, losses in curves.items()
        if np.isfinite(losses).any()
    }


def _describe_rows(
    report: Report, errors: Any, drawn: DrawnRows, colours: Colours
) -> dict[str, Any]:
    """Return the data of the drawn rows for the page's script."""
    rows = drawn.rows
    features, shares = find_contributions(report.feature_errors[rows])
    columns, feature = np.unique(features, return_inverse=True)
    at = (rows[:, None], features)
    return {
        "ids": [f"{row + 1:,}" for row in rows]
        if report.ids is None
        else [format_value(name) for name in report.ids[rows].tolist()],
        "labels": None
        if report.labels is None
        else [_format_label(label) for label in report.labels[rows].tolist()],
        "errors": [None if np.isnan(error) else float(f"{error:.4g}") for error in errors[rows]],
        "error_texts": [format_number(error) for error in errors[rows]],
        "mean": format_number(float(np.nanmean(errors))) if np.isfinite(errors).any() else None,
        "features": feature.reshape(features.shape).tolist(),
        "shares": np.round(shares, 3).tolist(),
        "inputs": [[format_number(value) for value in row] for row in report.X[at].tolist()],
        "reconstructions": [
            [format_number(value) for value in row] for row in report.reconstruction[at].tolist()
        ],
        "names": [format_value(name, 60) for name in report.feature_names[columns]],
        "worst": drawn.worst.tolist(),
        "groups": None if colours.groups is None else colours.values.astype(int).tolist(),
        "colours": {
            "low": colours.low,
            "high": colours.high,
            "light": colours.light,
            "dark": colours.dark,
        },
    }


def _format_label(label: Any) -> str:
    return "" if label is None or label != label else format_value(label)


def _rank_features(report: Report) -> list[tuple[str, float, float]]:
    """Return the features with the largest errors: name, mean error, share of the largest."""
    present = (~np.isnan(report.feature_errors)).sum(axis=0)
    means = np.nansum(report.feature_errors, axis=0) / np.maximum(present, 1)
    order = [i for i in np.argsort(-means, kind="stable") if present[i]][:N_BARS]
    largest = max((means[i] for i in order), default=0.0) or 1.0
    names = report.feature_names
    return [(str(names[i]), float(means[i]), float(means[i] / largest)) for i in order]
