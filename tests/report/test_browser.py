"""The page as a reader meets it, in a real browser that has no network."""

import base64
import csv
import io
from typing import NamedTuple

import numpy as np
import pytest
from bokeh.util.hex import axial_to_cartesian
from PIL import Image
from scipy.spatial import cKDTree

from keras_tied.report import PageColumn

from .conftest import make_report

HOSTILE = [
    '<img src=x onerror="window.ran=1">',
    "</script><script>window.ran=1</script>",
    "$$\\frac{1}{2}$$",
    "{{ 7 * 7 }}@id{safe}",
    "=cmd|' /C calc'!A0",
    '\'" onmouseover="window.ran=1',
    "<!-- &lt;b&gt;",
]

pytestmark = pytest.mark.slow


def hostile(n, start=0):
    return [HOSTILE[(start + i) % len(HOSTILE)] + f" {i}" for i in range(n)]


class Fact(NamedTuple):
    """What was found in a column, as `keras_tied.tables.Fact` has it."""

    name: str
    reads_as: str
    becomes: str
    examples: tuple[str, ...]
    missing: int = 3
    misread: int = 1
    distinct: int = 7


@pytest.fixture
def everything(rng):
    """A report with each of its parts, and nothing but hostile texts."""
    n, names = 200, hostile(12)
    X = rng.normal(size=(n, 12))
    X[::9, 3] = np.nan
    X[:, 4:8] = np.eye(4)[rng.integers(4, size=n)]
    errors = np.square(rng.normal(size=X.shape)) * np.where(np.isnan(X), np.nan, 1)
    hostile_form = {"prefix": HOSTILE[0], "suffix": HOSTILE[1], "places": 2}
    columns = [
        *(PageColumn(name) for name in names[:3]),
        PageColumn(names[3], "number", 1, hostile_form),
        PageColumn(names[4], "category", 4, {"levels": hostile(4)}),
        PageColumn(
            names[8], "time", 1, {"format": f"%Y{HOSTILE[0]}%d", "zone": HOSTILE[1]}
        ),
        PageColumn(names[9], "truth", 1, {"true": HOSTILE[0], "false": HOSTILE[1]}),
        PageColumn(names[10], "whole"),
        PageColumn(names[11]),
    ]
    return make_report(
        X,
        X[:, :3] * 2,
        np.nan_to_num(X) * 0.9,
        errors,
        feature_names=names,
        columns=columns,
        ids=hostile(n, 1),
        labels=(hostile(14, 2) * n)[:n],
        label_name=HOSTILE[0],
        history={"loss": [1.0, 0.5, 0.4], "val_loss": [1.1, 0.7, 0.6]},
        pca_error=1.3,
        widths=[(1, 0.9, 1.0, 1.1), (2, 0.8, 0.9, 1.05), (3, 0.7, 0.8, 1.2)],
        model=HOSTILE[2],
        old=(HOSTILE[0], X + 1, np.nanmean(errors, axis=1)),
        facts=[Fact(text, text, text, (text, text)) for text in HOSTILE],
        warnings=hostile(3),
        title=HOSTILE[1],
        command=f"keras-tied report {HOSTILE[0]} {HOSTILE[1]}",
        versions={"Keras": "3", HOSTILE[0]: HOSTILE[1]},
        notes=hostile(3),
        safe_csv=True,
    )


def pixels(locator):
    picture = Image.open(io.BytesIO(locator.screenshot())).convert("RGB")
    return np.asarray(picture, dtype=float)


def n_strong(part):
    """How many pixels have a strong colour, as points have and axes have not."""
    return int((part.max(axis=2) - part.min(axis=2) > 90).sum())


def test_the_page_says_nothing_in_the_console_and_asks_for_nothing(everything, opened):
    report = opened(everything)
    report.page.wait_for_timeout(300)
    assert report.said == []
    assert len(report.asked_for) == 1
    assert report.asked_for[0].startswith("file:")


def test_hostile_texts_are_shown_as_texts_and_never_run(everything, opened):
    report = opened(everything)
    report.page.locator("#mark-worst").click()
    report.drag("input", (0.1, 0.1), (0.9, 0.9))
    report.page.mouse.wheel(0, 5)
    for index in range(report.page.locator("#colour-by option").count()):
        report.page.select_option("#colour-by", str(index))
    report.page.fill("#find", HOSTILE[0])
    report.page.keyboard.press("Enter")
    assert HOSTILE[0] in report.page.inner_text("#found")
    report.page.locator("#oddest").click()
    text = report.page.inner_text("body")
    assert all(name in text for name in HOSTILE)
    assert report.page.title() == HOSTILE[1]
    assert report.page.evaluate("window.ran") is None
    assert report.page.locator("main img").count() == 0
    assert report.said == []
    assert len(report.asked_for) == 1


def test_what_is_injected_into_the_page_cannot_run(everything, opened):
    page = opened(everything).page
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x"
        ' onerror="window.ran=1">\')'
    )
    page.wait_for_timeout(100)
    assert page.evaluate("window.ran") is None


def test_rows_that_are_selected_in_one_panel_are_marked_in_all_and_in_the_table(
    arrays, opened
):
    report = opened(make_report(**arrays, labels=["one"] * 80, n_worst=80))
    code = report.page.locator("#code")
    before = pixels(code)
    report.drag("input", (0.01, 0.01), (0.5, 0.99))
    report.page.wait_for_selector("#table input:checked")
    assert report.marked() == list(range(0, 80, 2))
    assert report.ticked() == set(range(0, 80, 2))
    report.page.mouse.move(0, 0)
    after = pixels(code)
    # The even rows are at the top of the code, the odd ones at its bottom.
    middle = len(after) // 2
    assert n_strong(after[:middle]) > 0.8 * n_strong(before[:middle]) > 0
    assert n_strong(after[middle:]) < 0.1 * n_strong(before[middle:])
    assert "40 of 80 rows" in report.page.inner_text("#status")


def test_marked_rows_that_are_not_among_the_worst_join_the_table(arrays, opened):
    report = opened(make_report(**arrays, n_worst=5))
    assert len(report.column("id")) == 5
    report.drag("input", (0.01, 0.01), (0.5, 0.99))
    report.page.wait_for_selector("#table input:checked")
    assert report.ticked() == set(range(0, 80, 2))
    assert len(report.column("id")) == len(set(range(0, 80, 2)) | set(worst(arrays, 5)))


def worst(arrays, n):
    return np.argsort(-arrays["feature_errors"].mean(axis=1))[:n].tolist()


def test_the_worst_rows_are_marked_and_cleared_from_the_keyboard(arrays, opened):
    report = opened(make_report(**arrays, n_worst=7))
    report.page.locator("#mark-worst").focus()
    report.page.keyboard.press("Enter")
    assert report.marked() == sorted(worst(arrays, 7))
    report.page.wait_for_selector("#clear:enabled")
    for _ in range(3):
        report.page.keyboard.press("Tab")
    report.page.keyboard.press("Enter")
    assert report.marked() == []


def test_a_row_is_marked_from_its_box_in_the_table(arrays, opened):
    report = opened(make_report(**arrays))
    box = report.page.locator("#table tbody input").nth(2)
    box.focus()
    report.page.keyboard.press("Space")
    assert report.marked() == [worst(arrays, 3)[2]]
    # The row stays where it is, so that the next one can be marked.
    assert box.evaluate("box => box === document.activeElement && box.checked")


def test_an_entry_of_the_legend_marks_its_rows(arrays, opened):
    report = opened(make_report(**arrays, labels=np.repeat(["a", "b"], 40)))
    entry = report.page.locator(".group", has_text="b")
    entry.click()
    assert report.marked() == list(range(40, 80))
    report.page.locator(".group[aria-pressed=true]", has_text="b").wait_for()


def test_a_stretch_of_the_histogram_marks_the_rows_with_such_errors(arrays, opened):
    report = opened(make_report(**arrays, n_worst=80))
    report.drag("errors", (0.7, 0.3), (0.99, 0.6))
    errors = arrays["feature_errors"].mean(axis=1)
    marked = report.marked()
    assert 0 < len(marked) < 80
    assert sorted(np.argsort(-errors)[: len(marked)].tolist()) == marked


def test_the_table_is_sorted_by_a_click(arrays, opened):
    report = opened(make_report(**arrays, ids=[f"r{i}" for i in range(80)]))
    report.page.locator("th.id button").click()
    ids = report.column("id")
    assert ids == sorted(ids, key=lambda name: int(name[1:]))
    assert report.page.locator("th.id").get_attribute("aria-sort") == "ascending"
    assert report.page.locator("th.error").get_attribute("aria-sort") == "none"


def test_the_table_is_sorted_from_the_keyboard(arrays, opened):
    report = opened(make_report(**arrays))
    scores = [float(score) for score in report.column("score")]
    assert scores == sorted(scores, reverse=True)
    report.page.locator("th.score button").focus()
    report.page.keyboard.press("Enter")
    scores = [float(score) for score in report.column("score")]
    assert scores == sorted(scores)
    assert report.page.locator("th.score").get_attribute("aria-sort") == "ascending"
    assert report.page.locator("th.error").get_attribute("aria-sort") == "none"


def test_a_row_under_the_pointer_is_told_with_its_label_and_score(opened):
    X = np.array([[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]])
    errors = np.array([[0.1, 0.1], [0.25, 0.25], [0.3, 0.3]])
    report = opened(
        make_report(
            X,
            X,
            X,
            errors,
            ids=["a", "<b>", "c"],
            labels=["x", "y", "z"],
            label_name="kind",
        )
    )
    report.page.mouse.move(*report.place("input", 0.5, 0.5))
    report.page.wait_for_selector("#hover:not([hidden])")
    assert report.page.inner_text("#hover") == "Row <b>\nkind y\nscore 0.25"


def oddest(arrays):
    """A report in which row p07 is reconstructed worst, by its second column."""
    squares = arrays["feature_errors"].copy()
    squares[6] = [0.5, 7.5]
    ids = [f"p{i + 1:02d}" for i in range(80)]
    names = ["width", "height"]
    return make_report(
        **(arrays | {"feature_errors": squares}), ids=ids, feature_names=names
    )


def test_the_oddest_row_is_found_and_explained_with_one_click(arrays, opened):
    page = opened(oddest(arrays)).page
    page.locator("#oddest").click()
    assert page.inner_text("#row-heading") == "Row p07"
    given, made = (f"{arrays[name][6, 1]:.3g}" for name in ("X", "reconstruction"))
    reason = f"94 % of its error is height: {given} is given, {made} is reconstructed."
    assert page.inner_text("#row-reason") == reason
    assert "Outlier score 4: number 1 of 80. Error 4." in page.inner_text("#row")
    assert page.locator("#row-columns th[scope=row]").all_inner_texts() == [
        "height",
        "width",
    ]


def test_a_row_is_found_by_its_name_with_two_actions(arrays, opened):
    page = opened(oddest(arrays)).page
    page.fill("#find", "p42")
    page.keyboard.press("Enter")
    assert page.inner_text("#row-heading") == "Row p42"
    page.fill("#find", "p99")
    page.keyboard.press("Enter")
    assert page.inner_text("#found") == "No row is named p99."


def test_the_nearest_rows_are_those_with_the_nearest_codes(arrays, opened):
    page = opened(oddest(arrays)).page
    page.locator("#oddest").click()
    code = arrays["code"] / arrays["code"].std(axis=0)
    far = np.linalg.norm(code - code[6], axis=1)
    expected = [f"p{row + 1:02d}" for row in np.argsort(far)[1:6]]
    assert page.locator("#row-nearest button").all_inner_texts() == expected


def test_a_click_on_a_point_explains_its_row_and_escape_closes_it(opened):
    X = np.array([[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]])
    report = opened(make_report(X, X, X, X**2 + 0.1, ids=["a", "b", "c"]))
    report.page.mouse.click(*report.place("code", 0.5, 0.5))
    report.page.wait_for_selector("#row:not([hidden])")
    assert report.page.inner_text("#row-heading") == "Row b"
    assert report.marked() == [1]
    report.page.keyboard.press("Escape")
    assert report.page.locator("#row").is_hidden()
    report.page.keyboard.press("Escape")
    assert report.marked() == []


def test_arrow_keys_go_through_the_rows_of_a_panel_and_space_marks_one(arrays, opened):
    report = opened(oddest(arrays))
    report.page.locator("#code").focus()
    order = np.argsort(arrays["code"][:, 0])
    for row in order[:3]:
        report.page.keyboard.press("ArrowRight")
        assert report.page.inner_text("#row-heading") == f"Row p{row + 1:02d}"
    report.page.keyboard.press("Space")
    assert report.marked() == [order[2]]


def test_arrow_keys_mark_the_rows_of_a_bar_of_the_histogram(arrays, opened):
    report = opened(oddest(arrays))
    report.page.locator("#errors").focus()
    report.page.keyboard.press("ArrowRight")
    errors = oddest(arrays).rows.errors
    n = len(report.marked())
    assert report.marked() == sorted(np.argsort(errors)[:n].tolist())
    assert n > 0


def test_all_is_reached_by_the_keyboard(everything, opened):
    page = opened(everything).page
    page.locator("#oddest").click()
    all_of_them = page.evaluate(
        """() => [...document.querySelectorAll(
                "button, input, select, a, [tabindex='0']"
            )].filter((e) => e.checkVisibility() && !e.disabled).length"""
    )
    page.evaluate("document.activeElement.blur()")
    seen = set()
    for _ in range(2 * all_of_them):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                "[...document.querySelectorAll('*')].indexOf(document.activeElement)"
            )
        )
    body = page.evaluate("[...document.querySelectorAll('*')].indexOf(document.body)")
    assert len(seen - {body}) >= all_of_them


def test_a_link_restores_what_is_marked_and_explained(arrays, opened):
    report = opened(oddest(arrays))
    report.drag("input", (0.01, 0.01), (0.5, 0.99))
    report.page.wait_for_selector("#table input:checked")
    report.page.locator("#oddest").click()
    marked, address = report.marked(), report.page.url
    assert marked == list(range(0, 80, 2))
    report.page.goto("about:blank")
    report.page.goto(address)
    report.page.wait_for_selector("#row:not([hidden])")
    assert report.marked() == marked
    assert report.page.inner_text("#row-heading") == "Row p07"


@pytest.mark.parametrize(
    "part",
    ["marked=x-y.9999", "row=", "marked", "=&=&&row=7-9", "row=<b>", "marked=1e9-0"],
)
def test_a_broken_link_is_no_error(arrays, opened, part):
    report = opened(oddest(arrays))
    report.page.goto(f"{report.page.url}#{part}")
    report.page.wait_for_timeout(100)
    assert report.said == []


def download(page):
    with page.expect_download() as waiting:
        page.locator("#download").click()
    text = waiting.value.path().read_text(encoding="utf-8")
    return waiting.value.suggested_filename, list(
        csv.reader(io.StringIO(text, newline=""))
    )


def test_what_is_marked_is_downloaded_with_its_numbers(arrays, opened):
    report = opened(oddest(arrays))
    report.page.locator("#mark-worst").click()
    name, (head, *lines) = download(report.page)
    assert name == "Autoencoder-marked.csv"
    assert head == [
        "row",
        "score",
        "rank",
        "error",
        "width",
        "height",
        "code0",
        "code1",
    ]
    errors = oddest(arrays).rows.errors
    expected = sorted(np.argsort(-errors)[:20].tolist())
    assert [line[0] for line in lines] == [f"p{row + 1:02d}" for row in expected]
    found = np.array([line[4:] for line in lines], dtype=float)
    np.testing.assert_allclose(
        found, np.column_stack([arrays["X"], arrays["code"]])[expected], rtol=1e-6
    )


def test_nothing_that_is_downloaded_would_be_run_by_a_spreadsheet(everything, opened):
    report = opened(everything)
    report.page.locator("#mark-worst").click()
    _, lines = download(report.page)
    cells = [cell for line in lines for cell in line]
    assert any(cell.startswith("'=cmd") for cell in cells)
    assert not [
        cell
        for cell in cells
        if cell.startswith(tuple("=+-@\t\r\n")) and not is_number(cell)
    ]


def is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_other_units_and_other_colours_are_chosen(rng, opened):
    X = rng.normal(size=(50, 3))
    report = opened(make_report(X, X, X, X**2))
    report.page.select_option("#across", "2")
    drawn = "[...Bokeh.documents[0].get_model_by_name('rows').data.code_x]"
    np.testing.assert_allclose(report.page.evaluate(drawn), X[:, 2], rtol=1e-6)
    report.page.select_option("#colour-by", label="column 2")
    colour = "[...Bokeh.documents[0].get_model_by_name('rows').data.colour]"
    np.testing.assert_allclose(report.page.evaluate(colour), X[:, 1], rtol=1e-6)


@pytest.mark.parametrize(("across", "upwards"), [(0, 1), (1, 0), (0, 2), (2, 1)])
def test_grey_shows_how_many_rows_have_which_of_two_units(rng, opened, across, upwards):
    """The rows are counted here by the nearest hexagon, on a plane where these are
    regular.
    """
    code = rng.normal(size=(3000, 3)) * [1, 20, 0.3] + [5, 0, -1]
    X = rng.normal(size=(3000, 4))
    page = opened(make_report(X, code, X, X**2, most_points=200)).page
    page.select_option("#across", str(across))
    page.select_option("#upwards", str(upwards))
    (shown,) = page.evaluate(
        """Bokeh.documents[0].roots().find((root) => root.name === "code").renderers
            .filter(({ name, visible }) => visible && name.startsWith("density"))
            .map(({ glyph, data_source: { data } }) => ({
                q: [...data.q], r: [...data.r], density: [...data.density],
                size: glyph.size, orientation: glyph.orientation, aspect_scale: glyph.aspect_scale,
            }))"""
    )
    density = np.array(shown.pop("density"))
    q, r, scale = (np.array(shown.pop(name)) for name in ("q", "r", "aspect_scale"))
    stretch = [scale, 1] if shown["orientation"] == "pointytop" else [1, 1 / scale]
    centres = np.column_stack(axial_to_cartesian(q, r, **shown))
    distances, nearest = cKDTree(centres).query(code[:, [across, upwards]] * stretch)
    inside = distances < shown["size"]
    counts = np.bincount(nearest[inside], minlength=len(q))
    assert inside.mean() > 0.99
    np.testing.assert_allclose(np.expm1(density), counts, atol=1)  # some are on an edge
    assert (np.abs(np.expm1(density) - counts) < 0.5).mean() > 0.98


@pytest.mark.parametrize(("across", "upwards"), [(0, 1), (1, 0), (0, 2), (2, 1)])
def test_hexagons_are_seen_whatever_the_ranges_of_two_units(
    rng, opened, across, upwards
):
    code = rng.normal(size=(3000, 3)) * [1, 1e-20, 1e20]
    X = rng.normal(size=(3000, 4))
    page = opened(make_report(X, code, X, X**2, most_points=200)).page
    page.select_option("#across", str(across))
    page.select_option("#upwards", str(upwards))
    page.evaluate(
        "new Promise((done) => requestAnimationFrame(() =>"
        " requestAnimationFrame(done)))"
    )
    (corners,) = page.evaluate("""(() => {
            const plot = Bokeh.documents[0].roots().find((root) => root.name === "code");
            return [...Bokeh.index.get_by_id(plot.id).renderer_views.values()]
                .filter(({ model: { name, visible } }) => visible && name?.startsWith("density"))
                .map(({ glyph: { svx, svy } }) => [[...svx], [...svy]]);
        })()""")
    assert np.ptp(corners, axis=1).min() > 3  # pixels


def of_kinds(rng):
    """A report on a number with a gap, years, categories and days, with labels."""
    n = 60
    days, kinds = np.arange(n) + 0.0, rng.integers(2, size=n)
    X = np.column_stack(
        [rng.normal(size=n), 1990 + np.arange(n), np.eye(2)[kinds], days]
    )
    X[7, 0] = np.nan
    columns = [
        PageColumn("size_in_metres"),
        PageColumn("year", "whole"),
        PageColumn("kind", "category", 2, {"levels": ["plum", "pear"]}),
        PageColumn("day", "time", 1, {"origin": 18262.0}),
    ]
    errors = np.where(np.isnan(X), np.nan, np.square(rng.normal(size=X.shape)))
    names = [f"feature {i}" for i in range(5)]
    labels = np.array(["low", "high"])[np.arange(n) % 2]
    return make_report(
        *(X, X[:, 1:3], np.nan_to_num(X), errors),
        columns=columns,
        feature_names=names,
        labels=labels,
        label_name="level",
    )


@pytest.mark.parametrize(
    ("column", "wanted", "expected"),
    [
        ("year", "", range(59, 9, -1)),
        ("year", ">= 2040", range(59, 49, -1)),
        ("year", "= 2003", [13]),
        ("year", "<1,992", [1, 0]),
        ("year", "204", range(59, 49, -1)),
        ("day", "> 2020-02-27", [59, 58]),
        ("day", "2020-01-0", range(8, -1, -1)),
        ("size_in_metres", "missing", [7]),
        ("level", "= HIGH", range(1, 60, 2)),
        ("kind", "no such kind", []),
    ],
)
def test_all_rows_are_sorted_and_filtered_by_any_column(
    rng, opened, column, wanted, expected
):
    report = opened(of_kinds(rng))
    report.page.select_option("#by", label=column)
    report.page.fill("#wanted", wanted)
    rows = report.page.locator("#table tbody tr").evaluate_all(
        "a => a.map(r => +r.dataset.row)"
    )
    if column == "level":
        assert sorted(rows) == list(expected)
    else:
        assert rows == list(expected)
    assert len(report.column("chosen")) == len(rows)
    n_wanted = 60 if wanted == "" else len(expected)
    assert f"{n_wanted} of the 60 rows" in report.page.inner_text("#more")
    report.page.locator("#mark-listed").click()
    assert len(report.marked()) == n_wanted


def test_numbers_are_sorted_both_ways_with_what_is_missing_last(rng, opened):
    made = of_kinds(rng)
    report = opened(made)
    report.page.select_option("#by", label="size_in_metres")
    report.page.fill("#wanted", "")
    for direction in ("descending", "ascending"):
        shown = "a => a.map(r => +r.dataset.row)"
        rows = report.page.locator("#table tbody tr").evaluate_all(shown)
        sizes = made.rows.X[:, 0] * (-1 if direction == "descending" else 1)
        assert rows == np.argsort(sizes, kind="stable")[:50].tolist()
        assert report.page.locator("th.chosen").get_attribute("aria-sort") == direction
        report.page.locator("th.chosen button").click()
    report.page.fill("#wanted", "s")  # a part of "missing" alone
    assert report.column("chosen") == ["missing"]
    report.page.select_option("#by", label="the oddest rows")
    assert len(report.column("id")) == 20
    assert report.page.locator("th.chosen").is_hidden()


def test_a_year_is_shown_without_a_comma(rng, opened):
    page = opened(of_kinds(rng)).page
    page.select_option("#by", label="year")
    assert page.locator("#table td.chosen").first.inner_text() == "2049"
    assert "2,0" not in page.inner_text("main")


def test_what_the_drawn_units_follow_is_said_in_full(rng, opened):
    X = rng.normal(size=(50, 3))
    names = [f"{'a long name of a column, number ' * 1}{i}" for i in range(3)]
    report = opened(
        make_report(X, X * [1, -1, 1], X, X**2, feature_names=names), width=390
    )
    said = report.page.locator("#axes div")
    assert (
        said.all_inner_texts()[0]
        == f"\N{RIGHTWARDS ARROW} Unit 1 rises with {names[0]}"
    )
    assert (
        said.all_inner_texts()[1] == f"\N{UPWARDS ARROW} Unit 2 falls with {names[1]}"
    )
    report.page.select_option("#across", "2")
    assert (
        said.all_inner_texts()[0]
        == f"\N{RIGHTWARDS ARROW} Unit 3 rises with {names[2]}"
    )


def test_names_break_between_words_only(rng, opened):
    X = rng.normal(size=(50, 3))
    names = [
        "verification_status_of_loan",
        "totalHighCreditLimit",
        "mean.of.fractal.dimension",
    ]
    page = opened(make_report(X, X, X, X**2, feature_names=names), width=390).page
    broken = page.locator(".bars th bdi, .columns bdi").evaluate_all(
        """all => all.flatMap((name) => [...name.childNodes].filter((node) => {
            const range = document.createRange();
            range.selectNodeContents(node);
            return node.nodeType === Node.TEXT_NODE && range.getClientRects().length > 1;
        }).map((node) => node.textContent))"""
    )
    assert broken == []


@pytest.mark.parametrize("by", ["", "year"])
def test_no_row_of_the_table_has_an_empty_line_on_a_telephone(rng, opened, by):
    page = opened(of_kinds(rng), width=390).page
    if by:
        page.select_option("#by", label=by)
    tops = page.locator("#table tbody tr").evaluate_all(
        """all => all.map((row) => [...row.cells].map((cell) => [
            cell.className, cell.getBoundingClientRect().top,
            cell.textContent || cell.children.length,
        ]))"""
    )
    for row in tops:
        top = {kind: at for kind, at, _ in row}
        assert top["mark"] == top["id"] == top["score"] == top["error"]
        assert all(what for _, _, what in row)


def test_a_row_that_no_column_makes_odd_says_so(opened):
    X, zeros = np.arange(8.0).reshape(4, 2), np.zeros((4, 2))
    report = opened(make_report(X, X, X, zeros))
    assert report.column("contributing") == ["no column alone"] * 4


def test_histograms_are_drawn_without_a_script(rng, chromium, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(of_kinds(rng).to_html(), encoding="utf-8")
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    charts = page.locator(".columns svg")
    assert charts.count() == 4
    for index in range(4):
        picture = pixels(charts.nth(index))
        assert 0.02 < (picture.max(axis=2) - picture.min(axis=2) > 40).mean() < 1
    assert "1.7 % missing" in page.locator(".columns li").first.inner_text()
    context.close()


def test_a_category_is_one_column_with_its_levels(opened, rng):
    X = np.column_stack([rng.normal(size=30), np.eye(2)[np.arange(30) % 2]])
    made = np.column_stack([X[:, 0], np.tile([0.2, 0.8], (30, 1))])
    columns = [
        PageColumn("size"),
        PageColumn("kind", "category", 2, {"levels": ["plum", "pear"]}),
    ]
    page = opened(make_report(X, X[:, :2], made, (X - made) ** 2, columns=columns)).page
    page.fill("#find", "1")
    page.keyboard.press("Enter")
    lines = page.locator("#row-columns tbody tr").all_inner_texts()
    assert lines[0].split()[:3] == ["kind", "plum", "pear"]
    page.select_option("#colour-by", label="kind")
    assert page.locator(".group").all_inner_texts() == ["pear\n15", "plum\n15"]


@pytest.mark.parametrize("part", ["#input", "#losses", ".bars"])
def test_a_page_that_is_open_follows_the_choice_of_dark(everything, opened, part):
    page = opened(everything).page
    light = pixels(page.locator(part))
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    dark = pixels(page.locator(part))
    assert np.median(light) > 240
    assert np.median(dark) < 50


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_are_printed_as_pictures_on_white(everything, opened, scheme):
    page = opened(everything, scheme=scheme).page
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator(".printed").count() == 6
    for name in ("input", "code", "errors"):
        picture = page.locator(f"#{name} .printed")
        assert (
            picture.evaluate("image => image.decode().then(() => image.naturalWidth)")
            > 100
        )
        assert np.median(pixels(picture)) > 240
    for part in (".bar", ".group .swatch"):
        colour = page.locator(part).first.evaluate(
            "e => getComputedStyle(e).backgroundColor"
        )
        assert colour not in ("rgba(0, 0, 0, 0)", "rgb(255, 255, 255)")
    assert (
        page.locator("#table thead").evaluate("e => getComputedStyle(e).display")
        == "table-header-group"
    )
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".printed").count() == 0


def test_a_dark_page_is_printed_in_the_colours_of_a_light_one(everything, opened):
    pictures = []
    for scheme in ("light", "dark"):
        page = opened(everything, scheme=scheme).page
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        sources = page.locator(".printed").evaluate_all(
            "all => all.map((image) => image.src)"
        )
        contents = [base64.b64decode(source.partition(",")[2]) for source in sources]
        pictures.append(
            [np.asarray(Image.open(io.BytesIO(c)).convert("RGB")) for c in contents]
        )
    assert len(pictures[0]) == 6
    for light, dark in zip(*pictures, strict=True):
        assert (np.abs(light.astype(int) - dark).max(axis=2) > 60).mean() < 1e-3


def test_twenty_labels_differ_in_colour_or_in_shape(arrays, opened):
    labels = [f"label {i:02d}" for i in range(20)] * 4
    page = opened(make_report(**arrays, labels=labels)).page
    looks = page.locator(".swatch").evaluate_all(
        """all => all.map((e) => [getComputedStyle(e).backgroundColor,
                                  getComputedStyle(e).borderRadius].join())"""
    )
    assert len(set(looks)) == 20
    shapes = page.evaluate("Bokeh.documents[0].get_model_by_name('rows').data.shape")
    assert shapes == (["circle"] * 10 + ["square"] * 10) * 4


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_nothing_moves_for_who_wants_less_motion(arrays, opened, motion):
    page = opened(oddest(arrays), reduced_motion=motion).page
    page.locator("#oddest").click()
    name = page.locator("#row").evaluate("e => getComputedStyle(e).animationName")
    assert (name == "none") == (motion == "reduce")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "element", ["body", ".sentence", "dt", "#status", ".change", ".value"]
)
def test_texts_stand_out_as_wcag_asks(everything, opened, scheme, element):
    page = opened(everything, scheme=scheme).page
    ink, paper = (
        luminance(page.locator(at).first.evaluate(f"e => getComputedStyle(e).{what}"))
        for at, what in ((element, "color"), ("body", "backgroundColor"))
    )
    lighter, darker = max(ink, paper), min(ink, paper)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def luminance(colour):
    """The relative luminance of WCAG 2, of a colour such as rgb(1, 2, 3)."""
    channels = np.array([float(c) for c in colour[4:-1].split(",")]) / 255
    linear = np.where(
        channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
    )
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_nothing_is_wider_than_the_screen(rng, opened, width):
    X = rng.normal(size=(50, 3))
    long = ["x" * 300, "y" * 300, "z" * 300]
    report = make_report(
        *(X, X[:, :2], X, X**2),
        feature_names=long,
        ids=[name + str(i) for i in range(25) for name in long[:2]],
        labels=(long * 20)[:50],
        label_name=long[0],
        title=long[0],
        command=long[1],
        notes=long,
        versions={long[0]: long[1]},
    )
    page = opened(report, width=width).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#oddest").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    inside = "(e) => e.scrollWidth - e.clientWidth"
    assert page.locator("#row-content").evaluate(inside) <= 0


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_axe_finds_nothing_that_keeps_people_out(everything, opened, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(everything, width=width, scheme=scheme).page
    page.locator("#oddest").click()
    found = axe.run(page).response["violations"]
    assert [
        (rule["id"], node["html"]) for rule in found for node in rule["nodes"]
    ] == []


def test_a_finger_that_scrolls_over_a_panel_selects_nothing(arrays, opened):
    page = opened(make_report(**arrays), width=375, has_touch=True, is_mobile=True).page
    active = page.evaluate(
        "Bokeh.documents[0].roots().map(plot => plot.toolbar.active_drag)"
    )
    assert set(active) == {None}


@pytest.mark.parametrize(
    "change",
    [
        {"code": np.ones((80, 1))},
        {"X": np.ones((80, 2)), "reconstruction": np.ones((80, 2))},
        {"feature_errors": np.zeros((80, 2))},
        {"feature_errors": np.full((80, 2), np.nan)},
        {"X": np.full((80, 2), np.nan)},
        {"X": np.full((80, 2), 3e38), "feature_errors": np.full((80, 2), 1e77)},
        {"labels": np.linspace(0, 1, 80)},
        {"labels": [None] * 80},
        {"history": {"loss": [0.3]}},
        {"history": {"loss": [0.3, -0.1, float("nan")]}},
    ],
    ids=(
        "one-unit constant zeros no-errors no-values huge numbers no-labels epoch"
        " negative".split()
    ),
)
def test_any_table_makes_a_page_without_errors(arrays, opened, change):
    assert opened(make_report(**(arrays | change))).said == []


def test_one_row_of_one_column_makes_a_page_without_errors(opened):
    one = np.ones((1, 1))
    assert opened(make_report(one, one, one, one)).said == []
