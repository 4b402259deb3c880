"""The page of a report: the template escapes texts; as JSON, they become text nodes."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING

from bokeh.resources import Resources
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tied_tables._text import (
    format_number,
    format_quantity,
    format_share,
    format_value,
)
from tied_tables.report._colours import PALETTES
from tied_tables.report._columns import LONGEST_NAME
from tied_tables.report._data import MOST_WEIGHTS, choose_rows, describe_rows
from tied_tables.report._fields import describe_slides
from tied_tables.report._figures import draw_panels
from tied_tables.report._histograms import draw_histograms
from tied_tables.report._summary import (
    describe_oddest,
    describe_shift,
    rank_columns,
    summarize,
)
from tied_tables.report._units import MOST_LISTED_UNITS, describe_units
from tied_tables.report._whole import Planes

if TYPE_CHECKING:
    from tied_tables.report._report import Report

MOST_LISTED_BROKEN, MOST_LISTED_RULES = 200, 40
FOLDER = resources.files(__package__) / "page"
# In the order that they are loaded.
SCRIPTS = (
    "data text marks decoder units colours plots toolbar row table download link page"
).split()


def render(report: Report) -> str:
    """Return the whole page."""
    places, worst = choose_rows(report)
    ordinary = report.rows.take(~report.is_far)
    planes = Planes(ordinary, report.columns)
    drawn = report.rows.take(places)
    is_dense = report.all_rows.n_rows > len(places)
    counted = report.rows if is_dense else None
    outstanding = worst[: report.all_rows.n_outstanding].tolist()
    bars = rank_columns(report)
    rows = describe_rows(report, places, worst)
    rows["units"] = describe_units(ordinary, report.columns)
    bokeh = Resources(mode="inline", components=["bokeh"], log_level="warn").js_raw
    ours = [(FOLDER / f"{name}.js").read_text("utf-8") for name in SCRIPTS]
    scripts = [*bokeh, *ours]
    template = _make_environment().get_template("page.html")
    return template.render(
        report=report,
        policy=_make_policy(scripts),
        style=Markup((FOLDER / "page.css").read_text("utf-8")),
        scripts=[Markup(script) for script in scripts],
        figures=draw_panels(planes, drawn, counted, outstanding),
        rows=rows,
        view={
            "ranges": {f"{x} {y}": view for (x, y), view in planes.pairs.items()},
            "slides": describe_slides(report.columns, ordinary.X),
            "palettes": PALETTES,
            "safe_csv": report.about.safe_csv,
            "file": format_value(report.about.title, LONGEST_NAME),
        },
        n_outside=planes.count_outside(drawn),
        oddest=describe_oddest(report, rows),
        sentences=summarize(report, bars),
        histograms=draw_histograms(report),
        shift=describe_shift(report),
        bars=bars,
        most_weights=MOST_WEIGHTS,
        most_units=MOST_LISTED_UNITS,
        most_broken=MOST_LISTED_BROKEN,
        most_rules=MOST_LISTED_RULES,
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
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
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
