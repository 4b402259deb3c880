import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from tests.marks import for_each, slow
from tests.processes import run_python

from tied_tables.columns import Column, Kind, Times
from tied_tables.report import Report
from tied_tables.report._colours import colour_by_label
from tied_tables.report._columns import correlate
from tied_tables.report._histograms import draw_histograms

from ..estimator.networks import seeded
from .conftest import Elements, make_report, parse

ODD = np.full((80, 2), 0.5)
ODD[6] = [1.0, 7.0]

# Facts of a report on 80 rows, and what the page says, or does not.
SENTENCES = {
    "size": ({}, ["80 rows \N{MULTIPLICATION SIGN} 2 columns; none of"]),
    "no variance": ({}, ["2 numbers stand for 2 columns; column"]),
    "sample": ({"most_points": 50}, ["are 50 of the 80 rows: the 20 oddest"]),
    "PCA": ({"errors": np.ones((80, 2)), "pca_error": 2.0}, ["relative to PCA 0.50"]),
    "notes": ({"notes": ["'name' is too long."]}, ["'name' is too long."]),
    "the oddest": (
        {"errors": ODD, "feature_names": ["width", "height"]},
        ["; height is hardest to reconstruct."],
    ),
}  # fmt: skip
NOT_SAID = {"sample": "All 80"}


@pytest.mark.parametrize("what", SENTENCES)
def test_the_page_says(arrays, what):
    facts, sentences = SENTENCES[what]
    text = parse(make_report(**arrays | facts)).text
    assert [said for said in sentences if said not in text] == []
    assert NOT_SAID.get(what, "never said") not in text


@pytest.mark.parametrize(
    ("lost", "said"),
    [([0.1, 0.1], "2 numbers keep 90 % of 2 columns"), ([1.01, 0.5], "101 %")],
)
def test_the_page_says_how_much_is_kept_and_lost(arrays, lost, said):
    report = make_report(**arrays)
    report.all_rows.sums[:2] = [lost, [1, 1]]
    page = parse(report)
    assert said in page.text
    is_worse = "More than 100 %: its mean would be closer." in page.text
    assert is_worse == (lost[0] > 1)
    _, bars = report.to_html().split('<table class="bars">')
    widths = re.findall(r"width:([\d.]+)%", bars)[:2]
    assert_allclose(
        [*map(float, widths)],
        100 * np.divide(lost, max(lost)),
        atol=0.1,
    )


def test_the_drawn_rows_are_the_worst_and_the_same_sample_each_time(rng):
    X = rng.normal(size=(3000, 3))
    first, second = (parse(make_report(X, most_points=100)).rows for _ in range(2))
    worst = np.argsort(-(X**2).mean(axis=1))[:20]
    assert [first["places"][i] for i in first["worst"]] == [i + 1 for i in worst]
    assert len(first["places"]) == 100
    assert first["places"] == second["places"]


def test_scores_and_errors_ignore_what_is_missing_and_rank_the_rows(arrays, rng):
    holed = arrays["errors"].copy()
    holed[0, 1] = holed[1] = np.nan
    scores = rng.permutation(80).astype(float)
    report = make_report(**arrays | {"errors": holed}, outlier_scores=scores)
    expected = [holed[0, 0], np.nan, *holed[2:].mean(axis=1)]
    assert_allclose(report.rows.errors, expected)
    assert_array_equal(report.all_rows.ranks, 80 - scores)
    assert report.all_rows.n_outstanding == 0
    report.all_rows.add(report.rows.X)
    assert report.all_rows.n_rows == 160


def list_texts(field):
    return [field["texts"][cell] for cell in field["cells"]]


def test_numbers_as_labels_are_in_their_order():
    groups = colour_by_label(np.array([-10.0, 1.0, 0.0, -1.0] * 4))["groups"]
    assert [group["name"] for group in groups] == ["-10", "-1", "0", "1"]


def test_labels_may_be_missing(arrays):
    labels = ["x", None, np.nan, *["y"] * 77]
    rows = parse(make_report(**arrays, labels=labels)).rows
    assert list_texts(rows["label"])[:4] == ["x", "missing", "missing", "y"]
    days = [np.nan, *range(20260101, 20260180)]
    rows = parse(make_report(**arrays, labels=days)).rows
    assert list_texts(rows["label"])[:2] == ["missing", "20260101"]
    assert rows["label"]["numbers"][:2] == [None, 20260101]


def test_the_columns_with_the_largest_errors_are_shown_in_order(rng):
    X = rng.normal(size=(40, 30))
    errors = np.tile(np.arange(30.0), (40, 1))
    _, _, bars = parse(make_report(X, errors=errors)).text.partition("Mean error")
    found = re.findall(r"column \d+", bars)
    assert found[:30] == [f"column {i}" for i in range(30, 0, -1)]


def test_a_name_that_is_no_unicode_can_be_written(arrays):
    make_report(**arrays, title="\udcff.csv").to_html().encode()


@pytest.mark.parametrize(
    ("offset", "spread"), [(1e8, 1e-6), (1e15, 3), (0, 1e-320), (0, 1e300)]
)
def test_units_of_any_range_have_a_density(rng, offset, spread):
    X = rng.normal(size=(1000, 3))
    code = X * [1, spread, 1] + [0, offset, 0]
    page = make_report(X, code, most_points=200).to_html()
    assert '"name":"density 2 1"' in page


@slow
def test_the_page_of_many_rows_and_columns_stays_small(rng):
    X = rng.normal(size=(20_000, 100))
    names = [f"a name of a column that is rather long, number {i}" for i in range(100)]
    report = make_report(X, feature_names=names, labels=["label"] * len(X))
    assert len(report.to_html()) < 10_000_000


@pytest.fixture
def frame(rng):
    size = rng.normal(size=80)
    frame = pd.DataFrame(
        {
            "weight": (60 + 10 * size).round(1),
            "plan": np.where(size > 0.5, "large", "small"),
            "day": pd.date_range("2026-01-01", periods=80),
        }
    )
    frame.loc[7, "plan"] = None
    frame.loc[9] = frame.loc[8]
    return frame


def test_a_report_of_an_estimator_has_its_numbers(frame, monkeypatch):
    estimator = seeded(max_iter=5).fit(frame)
    report = Report.from_estimator(estimator, frame, title="noise")
    kinds = {column.name: column.kind for column in report.columns}
    assert kinds == {"weight": Kind.number, "plan": Kind.text, "day": Kind.time}
    assert_array_equal(report.rows.code, estimator.transform(frame))
    assert_array_equal(report.rows.scores, -estimator.score_samples(frame))
    assert report.all_rows.kept == pytest.approx(estimator.score(frame))
    assert_array_equal(report.missing, [0, 1 / 80, 0])
    page = parse(report)
    assert "noise 80 rows" in page.text
    assert "0.4 % of the values are missing." in page.text
    assert "sliders stand for" in page.text
    notebook = Elements(report._repr_html_())
    attributes = dict(notebook.attributes)
    assert notebook.names == ["iframe"]
    assert Elements(attributes["srcdoc"]).text == page.text
    assert "allow-same-origin" not in attributes["sandbox"]
    monkeypatch.setattr("tied_tables.report._data.MOST_WEIGHTS", 3)
    text = parse(report).text
    assert "There are no sliders, because the decoder is not dense" in text
    assert "sliders stand for" not in text


def test_a_row_that_stands_out_is_counted(odd_report):
    page = parse(odd_report)
    assert "1 of 300 rows stands out." in page.text
    assert odd_report.all_rows.mean_error < 1  # without that row
    histograms = draw_histograms(odd_report)
    assert [sum(histogram.counts) for histogram in histograms] == [300] * 3
    first, last = histograms[2].ends
    assert last.endswith(" or more")
    assert not first.endswith(" or less")


def test_units_follow_the_columns_that_they_correlate_with(rng):
    X = rng.normal(size=(300, 4))
    X[::7, 0] = np.nan
    rate, size, *_ = np.nan_to_num(X.T)
    code = np.column_stack([2 * size + 0.7 * rate, size - rate, rng.random(300)])
    found = correlate(X, code)
    expected = [pd.DataFrame(X).corrwith(pd.Series(unit)) for unit in code.T]
    assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"feature_names": ["a"]}, "columns have 1 features in all"),
        ({"ids": ["a"]}, "ids has the shape"),
        ({"labels": ["a"]}, "labels has the shape"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(arrays, wrong, message):
    with pytest.raises(ValueError, match=message):
        make_report(**arrays | wrong)


WITHOUT_BOKEH = """
import sys
import tied_tables.report
print({"bokeh", "keras", "sklearn", "matplotlib"} & set(sys.modules))
sys.modules["bokeh"] = None
tied_tables.report.require_libraries()
"""


def test_the_libraries_are_imported_late_and_named_where_they_are_not_there():
    done = run_python("-c", WITHOUT_BOKEH, code=1)
    assert done.stdout == "set()\n"
    assert 'pip install "tied-tables[report]"' in done.stderr


LEVELS = ("plum", "pear", "fig")


def list_histograms(X, *columns):
    return draw_histograms(make_report(X, X, columns=columns))


def test_histograms_count_the_values_of_each_column(rng):
    ages, kinds, ripe = rng.integers(0, 3, (3, 200))
    X = np.column_stack(
        [
            rng.normal(size=200),
            ages + 18,
            np.eye(3)[kinds],
            ripe > 1,
        ]
    )
    X[::10, 0] = np.nan
    numbers, whole, *classes = list_histograms(
        X,
        Column("size", Kind.number),
        Column("age", Kind.integer),
        Column("kind", Kind.text, LEVELS),
        Column("ripe", Kind.boolean),
    )
    sizes, edges = np.histogram(X[np.isfinite(X[:, 0]), 0], 30)
    assert numbers.counts == sizes.tolist()
    firsts = [float(name.split(" to ")[0]) for name in numbers.names]
    assert_allclose(firsts, edges[:-1], rtol=0.006)
    assert whole.counts == np.bincount(ages).tolist()
    assert whole.names == ["18", "19", "20"]
    texts = np.array(LEVELS)[kinds], np.where(ripe > 1, "true", "false")
    for found, values in zip(classes, texts, strict=True):
        frequent = Counter(values.tolist()).most_common()
        assert list(zip(found.names, found.counts, strict=True)) == frequent


@pytest.mark.parametrize(
    "values",
    [
        [1.0] * 9,
        [np.nan] * 9,
        [3e38, -3e38, 0] * 3,
        [1e15, 1e15 + 1, 0] * 3,
    ],
)
@pytest.mark.parametrize("kind", [Kind.number, Kind.integer, Kind.boolean])
def test_any_values_have_a_histogram_of_all_of_them(values, kind):
    [found] = list_histograms(np.array(values)[:, None], Column("a", kind))
    assert sum(found.counts) == np.isfinite(values).sum()


ANGLES = 2 * np.pi * (np.arange(48) / 48 + 0.25)
ENDS = {
    "many categories": (
        Column("town", Kind.text, tuple("abcdefghijklmn")),
        np.eye(14)[np.r_[np.arange(14), 0, 0]],
        ["a (19 %)", "12 of 14 categories"],
    ),
    "times of day": (
        Column("at", Kind.time, form=Times("%H:%M"), origin=0.25, cycles=("hour",)),
        np.column_stack([np.arange(48) / 48, np.sin(ANGLES), np.cos(ANGLES)]),
        ["06:00", "05:30"],
    ),
}


@for_each(ENDS, "column", "X", "ends")
def test_the_ends_of_a_histogram_name_what_is_there(column, X, ends):
    [found] = list_histograms(X, column)
    assert list(found.ends) == ends


DRIFTING = [
    *(Column(f"number {i}", Kind.number) for i in range(8)),
    Column("kind", Kind.text, LEVELS),
    Column("holed", Kind.number),
    Column("empty", Kind.number),
]


def make_table(rng, n=1000, shift=0.0, shares=(0.5, 0.3, 0.2), holes=0.1):
    X = rng.normal(size=(n, 13))
    X[:, 2] += shift
    X[:, 8:11] = np.eye(3)[rng.choice(3, n, p=shares)]
    X[rng.random(n) < holes, 11] = np.nan
    X[:, 12] = np.nan
    return X, rng.chisquare(5, n)


def compare(old, new, columns=DRIFTING):
    X, scores = new
    return make_report(
        X,
        outlier_scores=scores,
        columns=columns,
        old=("old.csv", *old),
    )


def test_three_columns_that_are_shifted_come_first(rng):
    old = make_table(rng)
    new = make_table(rng, 1000, 0.5, (0.3, 0.3, 0.4), 0.3)
    drifts, score = compare(old, new).find_drift()
    assert {drift.name for drift in drifts[:3]} == {"number 2", "kind", "holed"}
    assert [drift.has_drifted for drift in drifts] == [True] * 3 + [False] * 8
    assert [drift.by_missing for drift in drifts if drift.name == "holed"] == [True]
    assert not score.has_drifted


def test_the_probabilities_are_those_of_scipy_times_the_number_of_tests(rng):
    old, new = make_table(rng, 300), make_table(rng, 200, 0.5)
    first = compare(old, new).find_drift()[0][0]
    expected = stats.ks_2samp(old[0][:, 2], new[0][:, 2], method="asymp")
    assert first.name == "number 2"
    assert first.moved == pytest.approx(expected.statistic)
    n_tests = 2 * len(DRIFTING) + 1  # two a column, and the score
    assert first.p == pytest.approx(n_tests * expected.pvalue)


def test_scores_alone_may_have_drifted(rng):
    X, scores = make_table(rng)
    page = parse(compare((X, scores), (X, 2 * scores)))
    said = "No column alone has drifted since old.csv, but the outlier scores have."
    assert said in page.text


def test_a_category_that_is_rare_does_not_drift(rng):
    columns = [Column("kind", Kind.text, LEVELS)]
    old, new = np.eye(3)[[0] * 49 + [1]], np.eye(3)[[2] + [0] * 48 + [1]]
    scores = np.ones(50)
    [drift], _ = compare((old, scores), (new, scores), columns).find_drift()
    assert drift.moved == pytest.approx(0.02)
    assert not drift.has_drifted


@slow
def test_nothing_is_said_to_have_drifted_in_100_halves_of_the_same_table(rng):
    X, scores = make_table(rng)
    alarms = 0
    for _ in range(100):
        old, new = np.split(rng.permutation(1000), 2)
        report = compare((X[old], scores[old]), (X[new], scores[new]))
        drifts, score = report.find_drift()
        alarms += any(drift.has_drifted for drift in [*drifts, score])
    assert alarms <= 5


def test_rows_like_those_of_training_have_not_drifted(rng):
    mixing = rng.normal(size=(3, 50))
    old, new = rng.normal(size=(2, 300, 3)) @ mixing + rng.normal(size=(2, 300, 50))
    model = seeded(3, max_iter=2).fit(old)
    _, score = Report.from_estimator(model, new, old=("old.csv", old)).find_drift()
    assert not score.has_drifted
