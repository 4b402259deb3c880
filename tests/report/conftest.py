from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from keras_tied.report import About, PageColumn, Report, Rows, Training


def make_report(
    X: Any,
    code: Any,
    reconstruction: Any,
    feature_errors: Any,
    *,
    feature_names: Any = None,
    columns: Any = None,
    **facts: Any,
) -> Report:
    """A report on arrays, of no model of ours; `facts` are those of each part of it."""

    def take(kind: Any) -> dict[str, Any]:
        names = [each.name for each in fields(kind)]
        return {name: facts.pop(name) for name in names if name in facts}

    arrays = X, code, reconstruction, feature_errors
    rows = Rows(*arrays, **take(Rows))
    if columns is None:
        names = feature_names or [f"column {i + 1}" for i in range(rows.X.shape[1])]
        columns = [PageColumn(name) for name in names]
    parts = {"training": Training(**take(Training)), "about": About(**take(About))}
    return Report(None, rows, columns, **parts, **facts)


@pytest.fixture
def arrays(rng) -> dict[str, Any]:
    """80 rows, the even ones on the left of the input and at the top of the code."""
    n = 80
    side = np.where(np.arange(n) % 2, 1.0, -1.0)
    X = np.column_stack([side + rng.uniform(-0.5, 0.5, n), rng.uniform(-1, 1, n)])
    code = np.column_stack([rng.uniform(-1, 1, n), -side + rng.uniform(-0.5, 0.5, n)])
    errors = rng.uniform(0.01, 1, size=(n, 2))
    return {"X": X, "code": code, "reconstruction": X + 0.05, "feature_errors": errors}


SETTLE = (
    "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
)
"""Bokeh lays figures out, and the page is filled, by the next frame but one."""


class Opened:
    """A report in the browser, and what it said, asked for or opened since."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked_for: list[str] = []
        page.on(
            "console", lambda m: self.said.append(m.text) if m.type != "log" else None
        )
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(dialog.message))
        page.on("request", lambda request: self.asked_for.append(request.url))

    def marked(self) -> list[int]:
        """The rows that Bokeh has selected, in order."""
        found = "Bokeh.documents[0].get_model_by_name('rows').selected.indices"
        return sorted(self.page.evaluate(found))

    def ticked(self) -> set[int]:
        """The rows that are ticked in the table."""
        boxes = self.page.locator("#table tbody tr:has(input:checked)")
        return {
            int(row)
            for row in boxes.evaluate_all("all => all.map(row => row.dataset.row)")
        }

    def column(self, kind: str) -> list[str]:
        """A column of the table, from top to bottom."""
        return self.page.locator(f"#table tbody td.{kind}").all_inner_texts()

    def place(self, figure: str, x: float, y: float) -> tuple[float, float]:
        """Where on the screen a share of a figure's width and height is, inside its
        axes.
        """
        self.page.locator(f"#{figure}").scroll_into_view_if_needed()
        self.page.evaluate(SETTLE)
        return self.page.evaluate(
            """([name, x, y]) => {
                const plot = Bokeh.documents[0].roots().find((root) => root.name === name);
                const { left, top, width, height } = Bokeh.index.get_by_id(plot.id).frame.bbox;
                const box = document.getElementById(name).getBoundingClientRect();
                return [box.x + left + x * width, box.y + top + y * height];
            }""",
            [figure, x, y],
        )

    def drag(
        self, figure: str, start: tuple[float, float], end: tuple[float, float]
    ) -> None:
        """Drag across a figure, between two places given as shares of its width and
        height.
        """
        first, last = self.place(figure, *start), self.place(figure, *end)
        self.page.mouse.move(*first)
        self.page.mouse.down()  # for a short time: a longer one is no drag for Bokeh
        self.page.mouse.move(*last, steps=5)
        self.page.mouse.up()


@pytest.fixture
def opened(chromium, tmp_path) -> Iterator[Callable[..., Opened]]:
    contexts = []

    def open_report(
        report: Report, width: int = 1440, scheme: str = "light", **kwargs: Any
    ):
        path = tmp_path / "report.html"
        path.write_text(report.to_html(), encoding="utf-8")
        viewport = {"width": width, "height": 900}
        context = chromium.new_context(viewport=viewport, color_scheme=scheme, **kwargs)
        contexts.append(context)
        context.set_offline(True)
        result = Opened(context.new_page())
        result.page.goto(path.as_uri())
        result.page.wait_for_selector("#table tbody tr")
        return result

    yield open_report
    for context in contexts:
        context.close()
