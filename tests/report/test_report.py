import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_tied import TiedAutoencoder
from keras_tied._text import format_number
from keras_tied.comparison import compare_widths
from keras_tied.report import PageColumn, Report, Tally
from keras_tied.report._columns import (
    Driver,
    correlate,
    format_features,
    format_pair,
    name_axis,
)
from keras_tied.report._histograms import draw_histograms

from .conftest import make_report


class Elements(HTMLParser):
    """The elements of a page, their attributes, and the texts that are not scripts."""

    def __init__(self, page):
        super().__init__()
        self.names, self.attributes, self.text, self.json = [], [], "", {}
        self._inside = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs
        self._inside = (
            dict(attrs).get("id", tag) if tag in ("script", "style") else None
        )

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside is None:
            self.text += f" {data}"
        else:
            self.json[self._inside] = self.json.get(self._inside, "") + data

    def rows(self):
        return json.loads(self.json["rows-data"])


@pytest.fixture
def many(rng):
    n = 3000
    X = rng.normal(size=(n, 3))
    return {
        "X": X,
        "code": X[:, :2],
        "reconstruction": X,
        "feature_errors": rng.uniform(size=X.shape),
    }


def test_of_many_rows_a_sample_is_drawn_and_the_page_says_so(many):
    page = Elements(make_report(**many, most_points=1000).to_html())
    assert len(page.rows()["ids"]) == 1000
    assert "1,000 of the 3,000 rows" in " ".join(page.text.split())


def test_the_worst_rows_are_always_drawn(many):
    rows = Elements(make_report(**many, most_points=100, n_worst=20).to_html()).rows()
    worst = np.argsort(-many["feature_errors"].mean(axis=1))[:20]
    assert [rows["ids"][i] for i in rows["worst"]] == [f"{i + 1:,}" for i in worst]


def test_the_sample_is_the_same_each_time(many):
    ids = [
        Elements(make_report(**many, most_points=100).to_html()).rows()["ids"]
        for _ in range(2)
    ]
    assert ids[0] == ids[1]


def test_the_error_of_a_row_is_the_mean_over_what_is_not_missing(arrays):
    holed = arrays["feature_errors"].copy()
    holed[0, 1] = np.nan
    holed[1] = np.nan
    errors = make_report(**(arrays | {"feature_errors": holed})).rows.errors
    assert errors[0] == holed[0, 0]
    assert np.isnan(errors[1])
    np.testing.assert_allclose(errors[2:], holed[2:].mean(axis=1))


def test_the_columns_with_the_largest_errors_are_shown_in_order(rng):
    X = rng.normal(size=(40, 30))
    errors = np.tile(np.arange(30.0), (40, 1))
    text = Elements(make_report(X, X[:, :2], X, errors).to_html()).text
    bars = text[text.index("Error by column") : text.index("The columns")]
    assert re.findall(r"column \d+", bars) == [f"column {i}" for i in range(30, 0, -1)]


def test_the_error_is_compared_with_that_of_pca(arrays):
    mean = arrays["feature_errors"].mean()
    text = Elements(make_report(**arrays, pca_error=2 * mean).to_html()).text
    assert re.search(r"Error relative to PCA\s*0\.50", text)


def test_the_page_names_what_made_it_and_what_was_left_out(arrays):
    text = Elements(
        make_report(
            **arrays,
            command="keras-tied report m.safetensors rows.csv",
            versions={"Keras": "3.15.1"},
            notes=["'name' has too many categories."],
        ).to_html()
    ).text
    for part in (
        "keras-tied report m.safetensors rows.csv",
        "3.15.1",
        "'name' has too many categories.",
    ):
        assert part in text


@pytest.mark.slow
@given(text=st.text(min_size=1, max_size=40))
def test_no_text_makes_an_element_or_an_attribute(text):
    X = np.arange(8.0).reshape(4, 2)

    def made_with(name):
        texts = {"feature_names": [name] * 2, "ids": [name] * 4, "labels": [name] * 4}
        rest = {
            "title": name,
            "command": name,
            "versions": {name: name},
            "notes": [name],
        }
        return Elements(
            make_report(X, X, X, X, label_name=name, **texts, **rest).to_html()
        )

    page, plain = made_with(text), made_with("plain")
    assert page.names == plain.names
    assert [name for name, _ in page.attributes] == [
        name for name, _ in plain.attributes
    ]


def test_a_name_that_is_no_unicode_can_be_written(arrays, tmp_path):
    (tmp_path / "page.html").write_text(
        make_report(**arrays, title="\udcff.csv").to_html(), "utf-8"
    )


@pytest.mark.parametrize(
    ("offset", "spread"), [(1e8, 1e-6), (1e15, 3), (0, 1e-320), (0, 1e300)]
)
def test_units_of_any_range_have_a_density(rng, offset, spread):
    code = rng.normal(size=(2000, 3))
    code[:, 1] = offset + spread * code[:, 1]
    X = rng.normal(size=(2000, 4))
    report = make_report(X, code, X, X**2, most_points=200)
    assert '"name":"density 2 1"' in report.to_html()


@pytest.mark.slow
def test_the_page_of_many_rows_and_columns_stays_small(rng):
    X = rng.normal(size=(20_000, 100))
    names = [f"a name of a column that is rather long, number {i}" for i in range(100)]
    page = make_report(
        X, X[:, :2], X, X**2, feature_names=names, labels=["label"] * len(X)
    ).to_html()
    assert len(page.encode()) < 10_000_000


def test_an_estimator_gives_its_codes_errors_losses_and_names(rng):
    X = rng.normal(size=(60, 4))
    estimator = TiedAutoencoder(random_state=0, max_iter=5).fit(X)
    report = Report.from_estimator(estimator, X, title="noise")
    np.testing.assert_array_equal(report.rows.code, estimator.transform(X))
    np.testing.assert_allclose(report.rows.errors, estimator.reconstruction_error(X))
    loss = [] if estimator.is_pca_ else list(estimator.loss_curve_)
    assert report.training.history.get("loss", []) == loss
    assert report.whole.kept == pytest.approx(estimator.score(X))
    assert report.about.title == "noise"


def test_a_frame_of_numbers_is_reported_as_its_array(rng):
    X = rng.normal(size=(60, 4))
    X[7] = X[3]
    X[5, 1] = np.nan
    frame = pd.DataFrame(X, columns=list("abcd"))
    report = Report.from_estimator(
        TiedAutoencoder(random_state=0, max_iter=5).fit(frame), frame
    )
    assert report.whole.tally.n_duplicates == 1
    np.testing.assert_array_equal(report.missing, [0, 1 / 60, 0, 0])


def test_a_frame_of_any_columns_is_reported_with_its_values(rng):
    size = rng.normal(size=80)
    frame = pd.DataFrame(
        {
            "weight": (60 + 10 * size).round(1),
            "plan": np.where(size > 0.5, "large", "small"),
            "day": (
                pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(80), unit="D")
            ),
        }
    )
    frame.loc[7, "plan"] = None
    autoencoder = TiedAutoencoder(random_state=0, max_iter=5).fit(frame)
    report = Report.from_estimator(autoencoder, frame)
    assert [(c.name, c.kind) for c in report.columns] == [
        ("weight", "number"),
        ("plan", "category"),
        ("day", "time"),
    ]
    np.testing.assert_array_equal(report.missing, [0, 1 / 80, 0])
    np.testing.assert_array_equal(report.rows.scores, -autoencoder.score_samples(frame))
    np.testing.assert_array_equal(report.rows.code, autoencoder.transform(frame))
    text = Elements(report.to_html()).text
    assert "plan" in text


def test_the_errors_by_number_of_components_are_drawn_and_listed(rng):
    X = rng.normal(size=(20, 4))
    widths = [(1, 0.5, 0.6, 0.8), (2, 0.3, 0.4, 0.7), (3, 0.1, 0.2, 0.9)]
    page = Elements(make_report(X, X[:, :2], X, X**2, widths=widths).to_html())
    text = " ".join(page.text.split())
    assert "Why 2" in text
    assert "here with 2 components" in text
    assert "have little in common" not in text
    assert "1 0.5 0.6 0.8 2 0.3 0.4 0.7 3 0.1 0.2 0.9" in text
    far = Elements(
        make_report(X, X[:, :2], X, X**2, widths=[(1, 0.5, 0.6, 1.2)]).to_html()
    )
    assert "have little in common" in " ".join(far.text.split())
    assert (
        "number of components"
        not in Elements(make_report(X, X[:, :2], X, X**2).to_html()).text
    )


def test_errors_by_number_of_components_that_are_incomplete_are_refused(rng):
    X = rng.normal(size=(20, 4))
    with pytest.raises(ValueError, match="widths has an entry of fewer than 4 numbers"):
        make_report(X, X[:, :2], X, X**2, widths=[(1, 0.5, 0.6, 0.8), (2, 0.3)])


def test_without_a_decoder_the_page_has_no_sliders_and_says_why(rng, monkeypatch):
    X = rng.normal(size=(20, 4))
    estimator = TiedAutoencoder(random_state=0).fit(X)
    assert (
        "sliders stand for"
        in Elements(Report.from_estimator(estimator, X).to_html()).text
    )
    assert "slider" not in Elements(make_report(X, X[:, :2], X, X**2).to_html()).text
    monkeypatch.setattr("keras_tied.report._page.MOST_WEIGHTS", 3)
    large = Elements(Report.from_estimator(estimator, X).to_html())
    assert "There are no sliders, because the decoder is not dense" in large.text
    assert "sliders stand for" not in large.text


def test_widths_that_the_comparison_returns_are_reported(rng):
    levels = np.eye(4)[rng.integers(0, 4, 60)]
    for column_of, said in (
        (range(4), ", here with"),
        ([0] * 4, "the columns have in common."),
    ):
        curve = compare_widths(levels, [1, 2], column_of=column_of)
        page = Elements(
            make_report(levels, levels, levels, levels, widths=curve).to_html()
        )
        assert said in " ".join(page.text.split())


def test_a_notebook_shows_the_page_in_a_frame_that_is_cut_off(rng):
    X = rng.normal(size=(60, 4))
    report = Report.from_estimator(
        TiedAutoencoder(random_state=0, max_iter=5).fit(X), X
    )
    frame = Elements(report._repr_html_())
    attributes = dict(frame.attributes)
    assert frame.names == ["iframe"]
    assert Elements(attributes["srcdoc"]).text == Elements(report.to_html()).text
    assert "allow-same-origin" not in attributes["sandbox"]


def test_the_oddest_row_comes_first_with_its_reason(rng):
    X = rng.normal(size=(300, 1)) * [1.0, 2.0, 3.0] + rng.normal(size=(300, 3))
    X[7, 2] = 900.0
    with pytest.warns(UserWarning, match="1 absurd value"):
        estimator = TiedAutoencoder(1, max_iter=2, random_state=0).fit(X)
    report = Report.from_estimator(estimator, X, feature_names=["a", "b", "c"])
    page = Elements(report.to_html())
    assert "The oddest row is 8: c 900; the other columns suggest " in page.text
    scores = -estimator.score_samples(X)
    times = format_number(scores[7] / np.median(scores))
    said = (
        f"Its score is {times} times the median; fewer than one row in 300 are as odd."
    )
    assert said in page.text
    assert "1 of 300 rows stands out." in page.text
    rows = page.rows()
    assert rows["ranks"][7] == 1
    assert rows["ids"][rows["worst"][0]] == "8"
    assert report.whole.mean_error < 1  # without that row


def test_scores_rank_the_rows(arrays, rng):
    scores = rng.permutation(80).astype(float)
    report = make_report(**arrays, outlier_scores=scores)
    np.testing.assert_array_equal(report.whole.ranks, 80 - scores)
    assert report.whole.n_outstanding == 0


def test_a_unit_follows_the_columns_that_it_correlates_with(rng):
    X = rng.normal(size=(300, 3))
    X[::7, 1] = np.nan
    code = np.column_stack([X[:, 0] - 0.1 * X[:, 2], rng.normal(size=300)])
    expected = [
        [
            np.corrcoef(X[~np.isnan(x), j], unit[~np.isnan(x)])[0, 1]
            for j, x in enumerate(X.T)
        ]
        for unit in code.T
    ]
    np.testing.assert_allclose(correlate(X, code), expected, atol=1e-12)
    rows = Elements(
        make_report(
            X, code, X, np.ones((300, 3)), feature_names=["a", "b", "c"]
        ).to_html()
    )
    assert rows.rows()["axes"] == [
        "Unit 1 rises with a",
        "Unit 2 follows no column closely",
    ]


@pytest.mark.parametrize(
    ("kept", "sentence"),
    [
        (0.9, "2 numbers keep 90 % of 2 columns"),
        (None, "2 numbers stand for 2 columns"),
        (0.9996, "2 numbers keep 99.9 % of 2 columns"),
    ],
)
def test_the_first_sentence_says_what_is_kept_and_what_is_hardest(
    arrays, kept, sentence
):
    errors = np.tile([1.0, 3.0], (80, 1))
    report = make_report(
        **(arrays | {"feature_errors": errors}), feature_names=["width", "height"]
    )
    if kept is not None:
        report.whole.tally.sums[:2] = [[1 - kept] * 2, [1, 1]]
    said = f"{sentence}; height is hardest to reconstruct."
    assert said in Elements(report.to_html()).text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"X": np.ones(80)}, "X has the shape"),
        ({"X": np.full((80, 2), "a")}, "X holds values of type"),
        ({"X": np.full((80, 2), np.inf)}, "X has infinite values"),
        ({"code": np.ones((79, 2))}, "code has the shape"),
        ({"feature_errors": np.ones((80, 3))}, "feature_errors has the shape"),
        ({"feature_names": ["a"]}, "columns have 1 features in all"),
        ({"ids": ["a"]}, "ids has the shape"),
        ({"labels": ["a"]}, "labels has the shape"),
        ({"columns": [PageColumn("a")]}, "columns have 1 features in all"),
        (
            {"old": ("old", np.ones((3, 5)), np.ones(3))},
            "the rows of old has the shape",
        ),
    ],
)
def test_what_does_not_fit_is_refused(arrays, wrong, message):
    with pytest.raises(ValueError, match=message):
        make_report(**(arrays | wrong))


def test_without_bokeh_the_error_says_how_to_install_it():
    program = (
        "import sys; sys.modules['bokeh'] = None; import numpy as np;from"
        " keras_tied.report import PageColumn, Report, Rows; x = np.ones((2, 1));"
        "Report(None, Rows(x, x, x, x), [PageColumn('x')]).to_html()"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert 'pip install "keras-tied[report]"' in run.stderr


def test_importing_the_report_imports_neither_bokeh_nor_keras():
    program = (
        "import sys; import keras_tied.report;"
        "assert not {'bokeh', 'keras', 'sklearn', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_features_are_shown_as_the_value_that_they_stand_for():
    assert (
        format_features(PageColumn("income", "whole"), np.array([12345.4])) == "12,345"
    )
    price = PageColumn(
        "price", "number", 1, {"separator": "'", "decimal": ",", "places": 2}
    )
    assert format_features(price, np.array([12345.678])) == "12'345,68"
    fruit = PageColumn("fruit", "category", 2, {"levels": ["apple", "plum"]})
    assert format_features(fruit, np.array([0.2, 0.7])) == "plum"


def test_a_day_that_is_expected_is_rounded_as_on_the_page():
    day = PageColumn("day", "time", 1, {"origin": 18262.0})
    assert format_features(day, np.array([0.6])) == "2020-01-02"
    seen = PageColumn("seen", "time", 3, {"origin": 18262.0, "hour": 1})
    assert format_features(seen, np.array([0.6, 0.0, -1.0])) == "2020-01-01"


@pytest.mark.parametrize("kind", ["whole", "number"])
def test_a_year_has_no_comma(kind):
    assert format_features(PageColumn("year", kind), np.array([2003.0])) == "2003"
    assert format_features(PageColumn("year", kind), np.array([-2003.0])) == "-2003"


def test_what_is_expected_has_decimals_where_it_rounds_to_the_value():
    count = PageColumn("count", "whole")
    assert format_pair(count, np.array([1.0]), np.array([0.737])) == ("1", "0.737")
    assert format_pair(count, np.array([1.0]), np.array([3.7])) == ("1", "4")


def test_an_axis_says_what_rises_and_what_falls_with_it():
    columns = [
        PageColumn("rate"),
        PageColumn("grade", "category", 2, {"levels": ["D1", "D2"]}),
    ]
    drivers: list[Driver] = [
        (1, "D2", -0.9),
        (0, "", 0.5),
    ]
    assert (
        name_axis(0, columns, drivers)
        == "Unit 1 falls where grade is D2 and rises with rate"
    )
    drivers[1] = (0, "", -0.5)
    assert (
        name_axis(0, columns, drivers) == "Unit 1 falls where grade is D2 and with rate"
    )


def test_of_a_table_without_an_odd_row_it_is_said_that_even_the_oddest_is_usual(rng):
    X = rng.uniform(size=(300, 3))
    estimator = TiedAutoencoder(1, max_iter=2, random_state=0).fit(X)
    report = Report.from_estimator(estimator, X, ids=[f"row {i}" for i in range(300)])
    assert report.whole.n_outstanding == 0
    oddest = int(estimator.score_samples(X).argmin())
    text = Elements(report.to_html()).text
    name = f"{oddest + 1} (id row {oddest})"
    assert f"Even the oddest row, {name}, is within what is usual in 300 rows: " in text
    assert "Its score is " in text
    assert "stand out" not in text


def test_without_an_estimator_the_oddest_row_has_the_largest_error(arrays):
    squares = np.full((80, 2), 0.5)
    squares[6] = [1.0, 7.0]
    names = ["width", "height"]
    report = make_report(**(arrays | {"feature_errors": squares}), feature_names=names)
    said = (
        "The oddest row is 7: 88 % of its error is in height. Its score is 8 times the"
        " median."
    )
    assert said in Elements(report.to_html()).text


def test_rows_columns_what_is_missing_and_what_repeats_are_on_top(rng):
    X = rng.normal(size=(40, 5))
    X[:, 1:3] = np.eye(2)[rng.integers(2, size=40)]
    X[:10, 1:3] = np.nan
    X[20:22] = X[5]
    X[3, 0], X[30] = 0.0, X[3]
    X[30, 0] = -0.0
    columns = [
        PageColumn("a"),
        PageColumn("b", "category", 2),
        PageColumn("c"),
        PageColumn("d"),
    ]
    report = make_report(X, X[:, :2] * 0, X, X * 0 + 1, columns=columns)
    n_missing = 10 + 2 + 1
    text = " ".join(Elements(report.to_html()).text.split())
    size = "40 rows \N{MULTIPLICATION SIGN} 4 columns"
    share = f"{100 * n_missing / 160:.1f} %"
    assert f"{size}; {share} of the values are missing; 3 rows repeat another." in text
    np.testing.assert_allclose(report.missing, [0, n_missing / 40, 0, 0])


@given(
    rows=st.lists(
        st.tuples(*[st.sampled_from([0.0, 1.0, None])] * 2), min_size=1, max_size=30
    )
)
def test_rows_that_repeat_are_counted_however_they_come_in_batches(rows):
    X = np.array(rows, dtype=np.float32)
    tally = Tally()
    for batch in np.array_split(X, [len(X) // 3, len(X) // 2]):
        tally.add(batch)
    assert tally.n_duplicates == len(rows) - len(set(rows))
    expected = [sum(row[i] is None for row in rows) for i in range(2)]
    np.testing.assert_array_equal(tally.missing, expected)


def test_histograms_count_the_values_of_each_column(rng):
    n = 200
    ages, kinds = rng.integers(18, 25, n), rng.integers(3, size=n)
    X = np.column_stack(
        [rng.normal(size=n), ages, np.eye(3)[kinds], rng.random(n) < 0.3]
    )
    X[::10, 0] = np.nan
    columns = [
        PageColumn("size"),
        PageColumn("age", "whole"),
        PageColumn("kind", "category", 3, {"levels": ["plum", "pear", "fig"]}),
        PageColumn("ripe", "truth"),
    ]
    (
        (_, of_size, _, missing),
        (_, of_age, ends, _),
        (_, of_kind, last, _),
        (_, of_ripe, _, _),
    ) = draw_histograms(make_report(X, X[:, :2] * 0, X, X * 0, columns=columns))
    assert missing == pytest.approx(0.1)
    counts = np.histogram(X[~np.isnan(X[:, 0]), 0], 30)[0]
    np.testing.assert_allclose([height for _, height in of_size], counts / counts.max())
    by_age = {age: int((ages == age).sum()) for age in range(18, 25)}
    assert [what for what, _ in of_age] == [
        f"{age}: {k} rows" for age, k in by_age.items()
    ]
    assert ends == ("18", "24")
    by_kind = sorted(np.bincount(kinds).tolist(), reverse=True)
    assert [what.split(": ")[1] for what, _ in of_kind] == [
        f"{k} rows" for k in by_kind
    ]
    assert last[1] == "3 categories"
    assert {what.split(":")[0] for what, _ in of_ripe} == {"true", "false"}


@pytest.mark.parametrize(
    "values", [[1.0] * 9, [np.nan] * 9, [3e38, -3e38, 0] * 3, [1e15, 1e15 + 1, 0] * 3]
)
@pytest.mark.parametrize("kind", ["number", "whole", "truth"])
def test_any_values_have_a_histogram_of_all_of_them(values, kind):
    X = np.array(values)[:, None]
    [(_, bars, _, _)] = draw_histograms(
        make_report(X, X * 0 + 1, X, X * 0 + 1, columns=[PageColumn("a", kind)])
    )
    counted = [int(what.split(": ")[1].split()[0]) for what, _ in bars]
    assert sum(counted) == np.isfinite(values).sum()


def test_a_share_of_more_than_all_is_shown_and_explained(arrays):
    report = make_report(**arrays)
    for lost, is_said in ([1.01, 0.5], True), ([0.99, 0.5], False):
        report.whole.tally.sums[:2] = [lost, [1, 1]]
        text = Elements(report.to_html()).text
        assert ("101 %" in text) == is_said
        assert ("More than 100 %: its mean would be closer." in text) == is_said
