"""The page as a reader meets it, in a real browser that has no network."""

import base64
import csv
import io

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image
from tests.marks import slow

from tied_tables._column_words import FactText
from tied_tables.columns import Column, Kind, NumberText, Times, TruthText
from tied_tables.report import Report

from ..estimator.networks import seeded
from .conftest import SETTLE, make_report, parse

HOSTILE = [
    '<img src=x onerror="window.ran=1">',
    "</script><script>window.ran=1</script>",
    "$$\\frac{1}{2}$$",
    "{{ 7 * 7 }}@id{safe}",
    "=cmd|' /C calc'!A0",
    '\'" onmouseover="window.ran=1',
    "<!-- &lt;b&gt;",
]
LEFT = list(range(0, 80, 2))  # the rows of `arrays` on the left of the input
LEFT_HALF = (0.01, 0.01), (0.5, 0.99)

pytestmark = slow


def hostile(n):
    return [HOSTILE[i % len(HOSTILE)] + f" {i}" for i in range(n)]


@pytest.fixture
def everything(rng):
    """A report with each of its parts, and nothing but hostile texts."""
    n, names = 200, hostile(9)
    X = rng.normal(size=(n, 12))
    X[::9, 4] = np.nan
    X[:, 5:9] = np.eye(4)[rng.integers(4, size=n)]
    first, second, *_ = HOSTILE
    columns = [
        *(Column(name, Kind.number) for name in names[5:]),
        Column(names[0], Kind.number, form=NumberText(".", "", first, second, 2)),
        Column(names[1], Kind.text, tuple(hostile(4))),
        Column(names[2], Kind.time, form=Times(f"%Y{first}%d", zone=second)),
        Column(names[3], Kind.boolean, form=TruthText(first, second)),
        Column(names[4], Kind.integer),
    ]
    return make_report(
        X,
        X[:, :3] * 2,
        np.nan_to_num(X) * 0.9,
        np.square(rng.normal(size=X.shape)) + 0 * X,
        columns=columns,
        ids=hostile(n),
        labels=np.resize(hostile(14), n),
        label_name=first,
        pca_error=1.3,
        model=first,
        old=(first, X + 1, np.ones(n)),
        facts=[
            FactText(text, text, text, 3, text, 3, 1, 7, (text, text))
            for text in HOSTILE
        ],
        warnings=hostile(3),
        title=second,
        command=f"tied-tables report {first}",
        versions={"Keras": "3", first: second},
        notes=hostile(3),
        safe_csv=True,
    )


@pytest.fixture
def odd(arrays):
    """A report in which row p07 is reconstructed worst, by its second column."""
    arrays["errors"][6] = [0.5, 7.5]
    ids = [f"p{i + 1:02d}" for i in range(80)]
    return make_report(**arrays, ids=ids, feature_names=["width", "height"])


def read_image(content):
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    return np.asarray(picture, dtype=float)


def pixels(locator):
    return read_image(locator.screenshot())


def count_coloured(part):
    """How many pixels have a strong colour, as points have and axes have not."""
    return int((np.ptp(part, axis=2) > 90).sum())


def test_hostile_texts_are_shown_as_texts_and_never_run(everything, opened):
    report = opened(everything)
    page = report.page
    page.click("#mark-worst")
    report.drag("input", (0.1, 0.1), (0.9, 0.9))
    for index in range(page.locator("#colour-by option").count()):
        page.select_option("#colour-by", str(index))
    report.find(HOSTILE[0])
    assert HOSTILE[0] in page.inner_text("#found")
    page.click("#oddest")
    text = page.inner_text("body")
    assert [name for name in HOSTILE if name not in text] == []
    assert page.title() == HOSTILE[1]
    assert page.locator("main img").count() == 0
    image = '<img src=x onerror="window.ran=1">'
    assert report.said == []
    assert [address.partition(":")[0] for address in report.asked_for] == ["file"]
    attributes = {name for name, _ in parse(everything).attributes}
    assert not attributes & {"onerror", "onmouseover"}
    page.evaluate("text => document.body.insertAdjacentHTML('beforeend', text)", image)
    page.wait_for_timeout(100)
    assert page.evaluate("window.ran") is None


def test_rows_that_are_selected_in_one_panel_are_marked_in_all_and_in_the_table(
    arrays, opened
):
    report = opened(make_report(**arrays, labels=["one"] * 80, n_worst=5))
    code = report.page.locator("#code")
    before = np.array_split(pixels(code), 2)
    worst = report.listed()
    assert len(worst) == 5
    report.drag("input", *LEFT_HALF)
    report.page.wait_for_selector("#table input:checked")
    report.page.mouse.move(0, 0)
    after = np.array_split(pixels(code), 2)
    # The even rows are at the top of the code, the odd ones at its bottom.
    assert count_coloured(after[0]) > 0.8 * count_coloured(before[0]) > 0
    assert count_coloured(after[1]) < 0.1 * count_coloured(before[1])
    assert report.marked() == LEFT
    assert set(report.listed()) == {*LEFT, *worst}
    ticked = report.each("#table tbody tr:has(input:checked)", "+e.dataset.row")
    assert sorted(ticked) == LEFT
    assert "40 of 80 rows" in report.page.inner_text("#status")


WAYS = {
    "button": lambda report: report.press("#mark-worst", "Enter"),
    "box": lambda report: report.press("#table tbody input", "Space"),
    "legend": lambda report: report.page.locator(".group", has_text="b").click(),
    "arrows": lambda report: report.press("#code", *["ArrowRight"] * 3, "Space"),
}


@pytest.mark.parametrize("way", WAYS)
def test_rows_are_marked(arrays, opened, way):
    made = make_report(**arrays, labels=["a", "b"] * 40, n_worst=7)
    report = opened(made)
    WAYS[way](report)
    order = np.argsort(-made.rows.errors).tolist()
    by_code = np.argsort(arrays["code"][:, 0]).tolist()
    expected = {
        "button": sorted(order[:7]),
        "box": order[:1],
        "legend": list(range(1, 80, 2)),
        "arrows": [by_code[2]],
    }
    assert report.marked() == expected[way]
    report.page.wait_for_selector("#clear:enabled")
    if way == "box":  # it stays where it is, so that the next one can be marked
        box = report.page.locator("#table tbody input").first
        assert box.evaluate("box => box === document.activeElement && box.checked")
    report.press("#clear", "Enter")
    assert report.marked() == []


def test_a_row_under_the_pointer_is_told_and_a_click_explains_it(opened):
    X = np.array([[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]])
    texts = {"ids": ["a", "<b>", "c"], "labels": ["x", "y", "z"], "label_name": "kind"}
    report = opened(make_report(X, errors=X + 0.1, **texts))
    page = report.page
    page.mouse.move(*report.place("code", 0.5, 0.5))
    page.wait_for_selector("#hover:not([hidden])")
    assert page.inner_text("#hover") == "Row <b>\nkind y\none row in 2 is as odd"
    page.mouse.click(*report.place("code", 0.5, 0.5))
    page.wait_for_selector("#row:not([hidden])")
    assert page.inner_text("#row-heading") == "Row <b>, kind y"
    assert report.marked() == [1]
    page.keyboard.press("Escape")
    assert page.is_hidden("#row")
    page.keyboard.press("Escape")
    assert report.marked() == []


def test_the_oddest_row_is_explained_with_its_nearest_rows_and_others_are_found(
    arrays, odd, opened
):
    report = opened(odd)
    page = report.page
    page.click("#oddest")
    given, made = (f"{arrays[name][6, 1]:.3g}" for name in ("X", "made"))
    reason = f"height {given}; the other columns suggest {made}, and with that "
    assert page.inner_text("#row-heading") == "Row p07"
    assert page.inner_text("#row-reason").startswith(reason)
    assert (
        "Outlier score 4: one row in 2 is as odd, number 1 of 80. Error 4."
        in page.inner_text("#row")
    )
    assert report.texts("#row-columns th[scope=row]") == ["height", "width"]
    code = arrays["code"] / arrays["code"].std(axis=0)
    nearest = np.argsort(np.linalg.norm(code - code[6], axis=1))[1:6]
    assert report.texts("#row-nearest button") == [f"p{i + 1:02d}" for i in nearest]
    report.find("p42")
    assert page.inner_text("#row-heading") == "Row p42"
    report.find("p99")
    assert page.inner_text("#found") == "No row on this page is named p99."


def test_the_oddest_row_comes_first_with_its_reason(odd_report, opened):
    said = opened(odd_report).page.inner_text("#oddest-row")
    reason = "c 900; the other columns suggest "
    assert said.startswith(f"The oddest row is 8: {reason}")
    assert said.endswith(" times the median; fewer than one row in 300 are as odd.")


def test_of_a_table_without_an_odd_row_it_is_said_that_even_the_oddest_is_usual(
    rng, opened
):
    X = rng.uniform(size=(300, 3))
    estimator = seeded(1, max_iter=2).fit(X)
    report = Report.from_estimator(estimator, X, ids=[f"row {i}" for i in range(300)])
    oddest = int(estimator.score_samples(X).argmin())
    name = f"{oddest + 1} (id row {oddest})"
    said = opened(report).page.inner_text("#oddest-row")
    start = f"Even the oddest row, {name}, is within what is usual in 300 rows: "
    assert said.startswith(start)


def test_all_is_reached_by_the_keyboard(everything, opened):
    report = opened(everything)
    report.page.click("#oddest")
    # Of radio buttons, arrow keys reach all but the chosen one.
    reached = (
        "button, input:not([type=radio]), input:checked, select, a, [tabindex='0']"
    )
    seen = report.each(reached, "e.checkVisibility() && !e.disabled")
    report.page.evaluate("document.activeElement.blur()")
    number = "[...document.querySelectorAll('*')].indexOf(document.activeElement)"
    focused = set()
    for _ in range(2 * sum(seen)):
        report.page.keyboard.press("Tab")
        focused.add(report.page.evaluate(number))
    assert len(focused) >= sum(seen)


def test_a_link_restores_what_is_marked_and_explained(odd, opened):
    report = opened(odd)
    report.drag("input", *LEFT_HALF)
    report.page.wait_for_selector("#table input:checked")
    report.page.click("#oddest")
    address = report.page.url
    report.page.goto("about:blank")
    report.page.goto(address)
    report.page.wait_for_selector("#row:not([hidden])")
    assert report.marked() == LEFT
    assert report.page.inner_text("#row-heading") == "Row p07"


@pytest.mark.parametrize(
    "part",
    ["marked=x-y.9999", "row=", "marked", "=&=&&row=7-9", "row=<b>", "marked=1e9-0"],
)
def test_a_broken_link_is_no_error(odd, opened, part):
    report = opened(odd)
    report.page.goto(f"{report.page.url}#{part}")
    report.page.wait_for_timeout(100)
    assert report.said == []


def download(report):
    report.page.click("#mark-worst")
    with report.page.expect_download() as waiting:
        report.page.click("#download")
    text = waiting.value.path().read_text(encoding="utf-8")
    lines = csv.reader(io.StringIO(text, newline=""))
    return waiting.value.suggested_filename, list(lines)


def test_what_is_marked_is_downloaded_with_its_numbers(arrays, odd, opened):
    name, (head, *lines) = download(opened(odd))
    assert name == "Autoencoder-marked.csv"
    assert head == "row score rank error width height code0 code1".split()
    worst = np.sort(np.argsort(-odd.rows.errors)[:20])
    assert [line[0] for line in lines] == [f"p{row + 1:02d}" for row in worst]
    found = np.array([line[4:] for line in lines], dtype=float)
    assert_allclose(found, np.hstack([arrays["X"], arrays["code"]])[worst], rtol=1e-6)


def test_nothing_that_is_downloaded_would_be_run_by_a_spreadsheet(everything, opened):
    _, lines = download(opened(everything))
    texts = [line[0] for line in lines] + lines[0]
    assert any(text.startswith("'=cmd") for text in texts)
    assert not any(text.startswith(tuple("=+-@\t\r\n")) for text in texts)


VIEW = """(() => {
    const plot = Bokeh.documents[0].roots().find((root) => root.name === "code");
    const shown = plot.renderers.filter(({ name, visible }) => visible && name.startsWith("density"));
    const [{ data_source: { data }, glyph: { x, y, dw, dh } }] = shown;
    const { x_range, y_range } = plot;
    return {
        counts: [...data.image[0]].map((logarithm) => Number.isNaN(logarithm) ? 0 : Math.expm1(logarithm)),
        ends: [x.value, x.value + dw.value, y.value, y.value + dh.value],
        view: [x_range.start, x_range.end, y_range.start, y_range.end],
    };
})()"""
ROWS = "Bokeh.documents[0].get_model_by_name('rows').data"


@pytest.mark.parametrize(
    ("across", "upwards"),
    [(0, 1), (1, 0), (0, 2), (2, 1)],
)
@pytest.mark.parametrize(
    "scales",
    [[1, 20, 0.3], [1, 1e-20, 1e20]],
)
def test_grey_shows_how_many_rows_have_which_of_two_units(
    rng, opened, across, upwards, scales
):
    code = rng.normal(size=(3000, 3)) * scales
    X = rng.normal(size=(3000, 4))
    page = opened(make_report(X, code, most_points=200)).page
    page.select_option("#across", str(across))
    page.select_option("#upwards", str(upwards))
    page.select_option("#colour-by", label="column 2")
    page.evaluate(SETTLE)
    rows = page.evaluate(f"[[...{ROWS}.code_x], [...{ROWS}.colour]]")
    assert set(np.float32(rows[0])) <= set(np.float32(code[:, across]))
    assert set(np.float32(rows[1])) <= set(np.float32(X[:, 1]))
    view = page.evaluate(VIEW)
    ends = np.array(view["ends"], float)
    assert_allclose(ends, np.array(view["view"], float))
    places = np.float32(code[:, [upwards, across]]).astype(float)
    expected, _, _ = np.histogram2d(*places.T, 40, [ends[2:], ends[:2]])
    counts = np.reshape(view["counts"], (40, 40))
    assert_allclose(counts, expected, atol=0.01)
    assert counts.sum() > 2900


@pytest.fixture
def kinds(rng):
    """A report on a number with a gap, years, categories and days, with labels.

    Each category is reconstructed as the other.
    """
    row = np.arange(60)
    X = np.column_stack([rng.normal(size=60), 1990 + row, np.eye(2)[row % 2], row])
    X[7:9, 0] = np.nan, 9.7
    errors = row[:, None] * 7 % 60 + 0 * X
    columns = [
        Column("size_in_metres", Kind.number),
        Column("year", Kind.integer),
        Column("kind", Kind.text, ("plum", "pear")),
        Column("day", Kind.time, form=Times(dtype="date"), origin=18262.0),
    ]
    return make_report(
        *(X, X[:, 1:3], np.nan_to_num(X)[:, [0, 1, 3, 2, 4]], 0.1 + errors),
        columns=columns,
        labels=["low", "high"] * 30,
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
        ("day", "<= 2.1.2020", [1, 0]),
        ("size_in_metres", "missing", [7]),
        ("size_in_metres", "= 9.7", [8]),
        ("level", "= HIGH", range(1, 60, 2)),
        ("kind", "no such kind", []),
    ],
)
def test_all_rows_are_filtered_by_any_column(kinds, opened, column, wanted, expected):
    report = opened(kinds)
    report.page.select_option("#by", label=column)
    report.page.fill("#wanted", wanted)
    rows = report.listed()
    assert (sorted(rows) if column == "level" else rows) == list(expected)
    n_wanted = len(rows) if wanted else 60
    assert f"{n_wanted} of the 60 rows" in report.page.inner_text("#more")
    report.page.click("#mark-listed")
    assert len(report.marked()) == n_wanted
    assert "2,0" not in report.page.inner_text("main")  # a year


def test_rows_are_sorted_both_ways_with_what_is_missing_last(kinds, opened):
    report = opened(kinds)
    by_score = np.argsort(-kinds.rows.scores).tolist()
    assert report.listed() == by_score[:20]
    report.press("th.score button", "Enter")
    assert report.listed() == by_score[19::-1]
    report.page.click("th.id button")
    assert report.listed() == sorted(report.listed())
    report.page.select_option("#by", label="size_in_metres")
    assert report.texts("th.chosen") == ["size_in_metres"]
    for direction, sign in (("descending", -1), ("ascending", 1)):
        order = np.argsort(sign * kinds.rows.X[:, 0], kind="stable")
        assert report.listed() == order[:50].tolist()
        sorts = report.each("#table th[aria-sort]", "e.ariaSort")
        assert sorted(sorts, key="none".__eq__)[0] == direction
        report.press("th.chosen button", "Enter")
    report.page.select_option("#by", label="the oddest rows")
    assert len(report.listed()) == 20


def test_histograms_are_drawn_without_a_script(kinds, chromium, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(kinds.to_html(), encoding="utf-8")
    page = chromium.new_page(java_script_enabled=False)
    page.goto(path.as_uri())
    charts = page.locator(".columns svg").all()
    assert len(charts) == 4
    for chart in charts:
        is_coloured = np.ptp(pixels(chart), axis=2) > 40
        assert 0.02 < is_coloured.mean() < 1
    assert "1.7 % missing" in page.locator(".columns li").first.inner_text()
    page.close()


def test_bars_are_named_by_the_values_that_they_count(kinds, opened):
    report = opened(kinds)
    assert report.texts(".columns .ends") == [
        f"{np.nanmin(kinds.rows.X[:, 0]):.3g}\n9.7",
        "1990\n2049",
        "plum (50 %)\npear (50 %)",
        "2020-01-01\n2020-02-29",
    ]
    titles = report.each(".columns title", "e.textContent")
    assert titles[30] == "1990 to 1991: 2 rows"
    assert titles[60] == "plum: 30 rows"


def test_a_category_is_one_column_with_its_levels(kinds, opened):
    report = opened(kinds)
    report.find("1")
    first = report.texts("#row-columns tbody tr")[0]
    assert first.split()[:3] == ["kind", "plum", "pear"]
    report.page.select_option("#colour-by", label="kind")
    assert report.texts(".group") == ["pear\n30", "plum\n30"]


FIRST_AND_SECOND = {"categories": ("first", "second")}
DAY = {"form": Times(dtype="date")}
CLOCK = {"form": Times("%H:%M:%S")}
SHARES = {
    "same whole": (Kind.integer, [1.0], [1.4], {}),
    "same number": (Kind.number, [1.009], [1.014], {}),
    "same category": (Kind.text, [0.0, 1.0], [0.3, 0.7], FIRST_AND_SECOND),
    "same day": (Kind.time, [3.0], [3.2], DAY),
    "another number": (Kind.number, [301.0], [302.0], {}),
    "another truth": (Kind.boolean, [1.0], [0.4], {}),
    "another time": (Kind.time, [0.0], [40 / 86400], CLOCK),
}


def test_a_value_that_stands_there_already_has_no_share(opened):
    columns, given, expected = [], [], []
    for name, (kind, before, after, form) in SHARES.items():
        columns.append(Column(name, kind, **form))
        given += before
        expected += after
    X, made = np.array([given]), np.array([expected])
    report = opened(make_report(X, X[:, :2], made, np.ones(X.shape), columns=columns))
    report.page.click("#oddest")
    names = report.texts("#row-columns th[scope=row]")
    shares = report.texts("#row-columns td.share")
    found = {name for name, share in zip(names, shares, strict=True) if share != "0 %"}
    assert found == set(list(SHARES)[4:])


LONG = ["x" * 300, "totalHighCreditLimit" * 9, "mean.of_fractal dimension"]
BROKEN = """[...e.childNodes].filter((node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return node.nodeType === Node.TEXT_NODE && range.getClientRects().length > 1;
}).map((node) => node.textContent)"""


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_nothing_is_wider_than_the_screen(rng, opened, width):
    X = rng.normal(size=(50, 3))
    lists = dict.fromkeys(["ids", "labels"], np.resize(LONG, 50))
    texts = dict.fromkeys(["label_name", "title", "command"], LONG[0])
    texts |= {"feature_names": LONG, "notes": LONG, "versions": {LONG[0]: LONG[1]}}
    page = opened(make_report(X, **lists, **texts), width=width).page
    page.click("#oddest")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    inside = page.locator("#row-content").evaluate("e => e.scrollWidth - e.clientWidth")
    assert inside <= 0


def test_names_and_what_units_follow_are_in_full_on_a_telephone(rng, opened):
    X = rng.normal(size=(50, 3))
    names = ["verification_status_of_loan", "totalHighCreditLimit", "mean.of.fractal"]
    report = opened(
        make_report(X, X * [1, -1, 1], feature_names=names),
        width=390,
    )
    assert not any(report.each(".bars th bdi, .columns bdi", BROKEN))
    across, upwards = report.texts("#axes div")
    start = f"\N{RIGHTWARDS ARROW} Unit 1 follows {names[0]} (1.00), "
    assert across.startswith(start)
    start = f"\N{UPWARDS ARROW} Unit 2 follows {names[1]} (-1.00), "
    assert upwards.startswith(start)
    report.page.select_option("#across", "2")
    assert f"Unit 3 follows {names[2]} (1.00), " in report.texts("#axes div")[0]


CELLS = """[...e.cells].map((cell) => [
    cell.className, cell.getBoundingClientRect().top,
    cell.textContent || cell.children.length,
])"""


@pytest.mark.parametrize("by", ["the oddest rows", "year"])
def test_no_row_of_the_table_has_an_empty_line_on_a_telephone(kinds, opened, by):
    report = opened(kinds, width=390)
    report.page.select_option("#by", label=by)
    for row in report.each("#table tbody tr", CELLS):
        tops = {kind: top for kind, top, _ in row}
        assert len({tops[kind] for kind in ("mark", "id", "score", "error")}) == 1
        assert all(content for _, _, content in row)


@pytest.mark.parametrize("part", ["#input", ".bars"])
def test_a_page_that_is_open_follows_the_choice_of_dark(everything, opened, part):
    page = opened(everything).page
    assert np.median(pixels(page.locator(part))) > 240
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    assert np.median(pixels(page.locator(part))) < 50


def test_figures_are_printed_as_pictures_in_the_colours_of_a_light_page(
    everything, opened
):
    pictures = []
    for scheme in ("light", "dark"):
        report = opened(everything, scheme=scheme)
        report.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        sources = report.each(".printed", "e.src.split(',')[1]")
        pictures.append([read_image(base64.b64decode(each)) for each in sources])
        report.page.emulate_media(media="print")
        assert np.median(pixels(report.page.locator("#input .printed"))) > 240
        for part in (".bar", ".group .swatch"):
            colours = report.each(part, "getComputedStyle(e).backgroundColor")
            assert colours[0] not in ("rgba(0, 0, 0, 0)", "rgb(255, 255, 255)")
        report.page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert report.page.locator(".printed").count() == 0
    assert len(pictures[0]) == 3
    for light, dark in zip(*pictures, strict=True):
        assert (np.abs(light - dark).max(axis=2) > 60).mean() < 1e-3


def test_twenty_labels_differ_in_colour_or_in_shape(arrays, opened):
    labels = [f"label {i:02d}" for i in range(20)] * 4
    report = opened(make_report(**arrays, labels=labels))
    style = "[getComputedStyle(e).backgroundColor, getComputedStyle(e).borderRadius]"
    assert len(set(map(tuple, report.each(".swatch", style)))) == 20
    shapes = ["circle"] * 10 + ["square"] * 10
    assert report.page.evaluate(f"{ROWS}.shape") == shapes * 4


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_nothing_moves_for_who_wants_less_motion(odd, opened, motion):
    report = opened(odd, reduced_motion=motion)
    report.page.click("#oddest")
    [name] = report.each("#row", "getComputedStyle(e).animationName")
    assert (name == "none") == (motion == "reduce")


@pytest.mark.parametrize(
    ("scheme", "width"),
    [("light", 1440), ("dark", 390)],
)
def test_axe_finds_nothing_that_keeps_people_out(everything, opened, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(everything, width=width, scheme=scheme).page
    page.click("#oddest")
    violations = axe.run(page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in violations] == []


def test_a_finger_that_scrolls_over_a_panel_selects_nothing(arrays, opened):
    page = opened(make_report(**arrays), width=375, has_touch=True, is_mobile=True).page
    tools = "Bokeh.documents[0].roots().map(plot => plot.toolbar.active_drag)"
    assert set(page.evaluate(tools)) == {None}


ONE = np.ones((1, 1))
ZEROS, HUGE, NO_VALUES = (np.full((80, 2), each) for each in (0, 3e38, np.nan))
STRANGE = {
    "one row": {"X": ONE, "code": ONE, "made": ONE, "errors": ONE},
    "one unit": {"code": np.ones((80, 1))},
    "constant": {"X": ZEROS, "made": ZEROS},
    "no error": {"errors": ZEROS},
    "no errors": {"errors": NO_VALUES},
    "no values": {"X": NO_VALUES},
    "huge": {"X": HUGE, "errors": HUGE**2},
    "an infinite score": {"outlier_scores": np.array([np.inf, *[1.0] * 79])},
    "an infinite error": {"errors": np.vstack([[np.inf, 0], ZEROS[1:]])},
    "numbers as labels": {"labels": np.linspace(0, 1, 80)},
    "no labels": {"labels": [None] * 80},
}


@pytest.mark.parametrize("what", STRANGE)
def test_any_table_makes_a_page_without_errors(arrays, opened, what):
    report = opened(make_report(**arrays | STRANGE[what]))
    assert report.said == []
    if what == "no error":
        assert set(report.texts("#table td.contributing")) == {"no single column"}
