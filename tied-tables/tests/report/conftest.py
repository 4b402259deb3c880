import json
from contextlib import ExitStack
from dataclasses import fields
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from tied_tables.columns import Column, Kind
from tied_tables.report import About, Report, Rows, Whole

from ..estimator.networks import seeded


class Arrays:
    """A fitted value that has made known arrays of some rows.

    A share of the error of a row is one of its oddness, and one row in two is as odd.
    """

    network = link = columns = None
    largest_rarity = 999_999

    def __init__(self, rows, columns):
        self.rows = rows
        sizes = [len(column.features) for column in columns]
        self._starts = np.cumsum(sizes) - sizes
        self.n_features = rows.X.shape[1]
        self._places = {row.tobytes(): place for place, row in enumerate(rows.X)}

    def find_far_values(self, X):
        return np.zeros(X.shape, bool)

    def sums_of_squares(self, X, weights):
        errors = self.rows.feature_errors
        unknown = np.zeros(self.n_features)
        n_present = np.isfinite(errors).sum(axis=0)
        squares = np.nansum(errors, axis=0)
        return [
            unknown,
            unknown,
            n_present,
            squares,
        ]

    def score_samples(self, X):
        return -self.rows.scores

    def find_rarity(self, scores):
        return np.full(scores.shape, 2.0)

    def stand_out(self, scores, n_rows):
        return np.zeros(len(scores), bool)

    def has_drifted(self, scores):
        return False

    def explain(self, X):
        places = [self._places[row.tobytes()] for row in X]
        errors = np.nan_to_num(self.rows.feature_errors[places])
        errors = np.add.reduceat(errors, self._starts, axis=1)
        total = errors.sum(axis=1, keepdims=True)
        shares = errors / np.where(total > 0, total, 1.0)
        expected = self.rows.reconstruction[places]
        return SimpleNamespace(shares=shares, expected=expected, scores=shares)


def make_report(X, code=None, made=None, errors=None, **facts):
    """A report on arrays, of no model of ours; `facts` are those of each part of it.

    By default a code is the first two columns, reconstructions are the rows, and errors
    their squares.
    """

    def take(kind):
        names = [each.name for each in fields(kind)]
        return {name: facts.pop(name) for name in names if name in facts}

    code = X[:, :2] if code is None else code
    made = X if made is None else made
    rows = Rows(
        X,
        code,
        made,
        X**2 if errors is None else errors,
        **take(Rows),
    )
    names = [f"column {i + 1}" for i in range(rows.X.shape[1])]
    names = facts.pop("feature_names", names)
    columns = [Column(name, Kind.number) for name in names]
    columns = facts.pop("columns", columns)
    about = About(**take(About))
    arrays = Arrays(rows, columns)
    whole = Whole(arrays)
    whole.add(rows.X)
    return Report(arrays, rows, columns, whole, about=about, **facts)


@pytest.fixture
def arrays(rng):
    """80 rows, the even ones on the left of the input and at the top of the code."""
    n = 80
    side = np.where(np.arange(n) % 2, 1.0, -1.0)
    X = np.column_stack([side + rng.uniform(-0.5, 0.5, n), rng.uniform(-1, 1, n)])
    code = np.column_stack([rng.uniform(-1, 1, n), -side + rng.uniform(-0.5, 0.5, n)])
    errors = rng.uniform(0.01, 1, size=(n, 2))
    return {
        "X": X,
        "code": code,
        "made": X + 0.05,
        "errors": errors,
    }


@pytest.fixture
def odd_report(rng):
    """A report on an estimator, in which row 8 is odd by its last column."""
    X = rng.normal(size=(300, 1)) * [1.0, 2.0, 3.0] + rng.normal(size=(300, 3))
    X[7, 2] = 900.0
    with pytest.warns(UserWarning, match="1 absurd value"):
        estimator = seeded(1, max_iter=2).fit(X)
    return Report.from_estimator(estimator, X, feature_names=["a", "b", "c"])


class Elements(HTMLParser):
    """The elements of a page, their attributes, its data, and its other texts."""

    def __init__(self, page):
        super().__init__()
        self.names = []
        self.attributes = []
        self._tag, texts = "", []
        self._texts = texts
        self.feed(page)
        self.text = " ".join(" ".join(texts).split())

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs
        self._tag = dict(attrs).get("id", tag)

    def handle_endtag(self, tag):
        self._tag = ""

    def handle_data(self, data):
        if self._tag == "rows-data":
            self.rows = json.loads(data)
        elif self._tag not in ("script", "style", "figures-data", "view-data"):
            self._texts.append(data)


def parse(report):
    return Elements(report.to_html())


SETTLE = (
    "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
)
"""Bokeh lays figures out, and the page is filled, by the next frame but one."""
PLACE = """([name, x, y]) => {
    const plot = Bokeh.documents[0].roots().find((root) => root.name === name);
    const { left, top, width, height } = Bokeh.index.get_by_id(plot.id).frame.bbox;
    const box = document.getElementById(name).getBoundingClientRect();
    return [box.x + left + x * width, box.y + top + y * height];
}"""


class Opened:
    """A report in the browser, and what it said, asked for or opened since."""

    def __init__(self, page):
        self.page = page
        self.said = []
        self.asked_for = []
        page.on("console", self.note)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(dialog.message))
        page.on("request", lambda request: self.asked_for.append(request.url))

    def note(self, message):
        if message.type != "log":
            self.said.append(message.text)

    def press(self, selector, *keys):
        """Press keys on an element."""
        self.page.locator(selector).first.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def find(self, name):
        self.page.fill("#find", name)
        self.press("#find", "Enter")

    def texts(self, selector):
        return self.page.locator(selector).all_inner_texts()

    def each(self, selector, script):
        """What a script tells of each element `e`."""
        return self.page.locator(selector).evaluate_all(f"a => a.map(e => {script})")

    def listed(self):
        """The rows of the table, from top to bottom."""
        return self.each("#table tbody tr", "+e.dataset.row")

    def marked(self):
        """The rows that Bokeh has selected, in order."""
        found = "Bokeh.documents[0].get_model_by_name('rows').selected.indices"
        return sorted(self.page.evaluate(found))

    def place(self, figure, x, y):
        """Where on the screen a share of a figure's width and height is, inside its
        axes.
        """
        self.page.locator(f"#{figure}").scroll_into_view_if_needed()
        self.page.evaluate(SETTLE)
        return self.page.evaluate(PLACE, [figure, x, y])

    def drag(self, figure, start, end):
        """Drag across a figure, between two places given as shares of its width and
        height.
        """
        first, last = self.place(figure, *start), self.place(figure, *end)
        self.page.mouse.move(*first)
        self.page.mouse.down()  # for a short time: a longer one is no drag for Bokeh
        self.page.mouse.move(*last, steps=5)
        self.page.mouse.up()


@pytest.fixture
def opened(chromium, tmp_path):
    with ExitStack() as stack:

        def open_report(report, width=1440, scheme="light", **kwargs):
            path = tmp_path / "report.html"
            path.write_text(report.to_html(), encoding="utf-8")
            viewport = {"width": width, "height": 900}
            context = chromium.new_context(
                viewport=viewport, color_scheme=scheme, **kwargs
            )
            stack.enter_context(context)
            context.set_offline(True)
            result = Opened(context.new_page())
            result.page.goto(path.as_uri())
            result.page.wait_for_selector("#table tbody tr")
            return result

        yield open_report
