"""`keras-tied report`: all rows, an older table, and values in the form
of the table.
"""

import json
import re

import numpy as np
import pyarrow as pa
import pytest

from keras_tied.cli import _model, _report, _rows
from keras_tied.columns import Columns
from keras_tied.report import PageColumn, Report, Rows

from .conftest import table_options


@pytest.fixture
def surveyed(model, fruit_csv, monkeypatch):
    """What a report says of the table, of which it may hold a few rows only."""

    def survey(most_rows):
        monkeypatch.setattr(_rows, "MOST_ROWS", most_rows)
        monkeypatch.setattr(_rows, "SMALLEST_SAMPLE", 1)
        opened = _model.load(model)
        rows = _rows.open_rows(opened, str(fruit_csv), table_options())
        sample, whole, _ = _report.survey_rows(opened, rows)
        return opened.fitted_value, sample, whole

    return survey


@pytest.mark.parametrize("most_rows", [40, 300])
def test_scores_errors_and_oddest_rows_are_those_of_score_over_all_rows(
    surveyed, keras_tied, model, fruit_csv, most_rows
):
    _, sample, whole = surveyed(most_rows)
    scored = keras_tied("score", model, fruit_csv, "-o", "-", "--quiet")
    lines = [line.split(",") for line in scored.out.splitlines()]
    scores, errors = (
        np.array([float(line[lines[0].index(name)]) for line in lines[1:]], np.float32)
        for name in ("score", "error")
    )
    np.testing.assert_array_equal(whole.scores, scores)
    np.testing.assert_allclose(whole.errors, errors, rtol=1e-5)
    worst = np.argsort(-scores, kind="stable")[:20]
    assert set(worst) <= set(whole.places)
    assert len(sample.numbers) == len(whole.places) < (300 if most_rows == 40 else 301)
    ranks = dict(zip(whole.places.tolist(), whole.ranks.tolist(), strict=True))
    assert [ranks[place] for place in worst.tolist()] == list(range(1, 21))


def test_a_sample_changes_nothing_of_what_is_said_of_all_rows(surveyed):
    fitted, sample, whole = surveyed(300)
    _, _, streamed = surveyed(40)
    np.testing.assert_allclose(streamed.feature_errors, whole.feature_errors, rtol=1e-5)
    np.testing.assert_allclose(streamed.lost, whole.lost, rtol=1e-5)
    assert streamed.n_outstanding == whole.n_outstanding
    squares = fitted.reconstruction_error(sample.numbers, per_feature=True)
    np.testing.assert_allclose(
        whole.feature_errors, np.nanmean(squares, axis=0), rtol=1e-5
    )
    assert whole.kept == pytest.approx(fitted.score(sample.numbers, np.ones(300)))
    places, counts = streamed.planes.plane, streamed.planes.hexagons["code"].counts()[1]
    assert places is not None
    assert 290 <= sum(counts) <= 300  # but for those far out


def make_messy(rng, n=60):
    days = np.datetime64("2024-01-05") + rng.integers(0, 700, n).astype(
        "timedelta64[D]"
    )
    seconds = rng.integers(0, 86400, n)
    times = days.astype("datetime64[s]") + seconds.astype("timedelta64[s]")
    return pa.record_batch(
        {
            "price": [
                f"CHF {x:,.2f}".replace(",", "'") for x in 2000 * rng.normal(size=n)
            ],
            "share": [f"{x:.1f}%".replace(".", ",") for x in 50 * rng.random(n)],
            "paid": [("yes", "no")[x] for x in rng.integers(2, size=n)],
            "kind": [("apple", "<b>", "plum")[x] for x in rng.integers(3, size=n)],
            "due": [f"{d.astype(object):%d.%m.%Y}" for d in days],
            "day": pa.array(days.astype("datetime64[D]")),
            "seen": [f"{t.astype(object):%Y-%m-%d %H:%M}" for t in times],
            "at": pa.array(times),
            "n": rng.integers(-5000, 5000, n),
        }
    )


@pytest.mark.slow
def test_values_are_written_on_the_page_as_they_are_decoded(chromium, rng, tmp_path):
    table = make_messy(rng)
    columns = Columns.survey(table)[0]
    numbers = columns.encode(table)
    rows = np.repeat(numbers, 17, axis=0)[:1000]
    rows += 0.3 * rows.std(axis=0) * rng.normal(size=rows.shape).astype(np.float32)
    report = Report(
        None,
        Rows(rows, rows[:, :2], rows, rows * 0 + 1),
        [PageColumn.from_table(column) for column in columns.used],
        most_points=1000,
    )
    path = tmp_path / "messy.html"
    path.write_text(report.to_html(), encoding="utf-8")
    page = chromium.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("#table tbody tr")
    found = json.loads(
        page.evaluate(
            """() => JSON.stringify(Data.ids.map((_, row) =>
                Data.columns.map((column) => Format.value(column, Data.given(row)))))"""
        )
    )
    page.close()
    decoded = columns.decode(rows)
    names = {name: index for index, name in enumerate(columns.names)}
    assert len(found) == 1000
    for name in ("price", "share", "paid", "kind", "due", "seen"):
        expected = decoded.column(name).to_pylist()
        assert [row[names[name]] for row in found] == expected, name
    dates = [f"{day:%Y-%m-%d}" for day in decoded.column("day").to_pylist()]
    assert [row[names["day"]] for row in found] == dates
    whole = decoded.column("n").to_pylist()
    assert [int(row[names["n"]].replace(",", "")) for row in found] == whole


def write_new(path, shift=0.0):
    rng = np.random.default_rng(1)
    lines = ["name,kind,weight,length,count,ripe,day,taste"]
    for row, size in enumerate(rng.normal(size=300)):
        kind = ("apple", "pear", "plum")[0 if shift else rng.integers(3)]
        length, count = f"{size**2 + 0.1 * rng.normal():.3f}", round(10 * size)
        ripe, taste = ("true", "false")[int(size > 0)], ("good", "bad")[rng.integers(2)]
        weight = f"{100 + 20 * (size + shift) + rng.normal():.2f}"
        day = f"2026-01-{1 + row % 28:02}"
        lines.append(f"{row:04},{kind},{weight},{length},{count},{ripe},{day},{taste}")
    path.write_text("\n".join(lines))


def test_what_has_drifted_since_an_older_table_is_said(
    keras_tied, model, fruit_csv, tmp_path
):
    write_new(tmp_path / "new.csv", shift=1.0)
    given = model, "new.csv", "-o", "r.html", "--against", fruit_csv, "--json"
    said = json.loads(keras_tied("report", *given).out)
    assert set(said["drifted"]) >= {"kind", "weight"}
    assert said["drifted"][0] == "kind"
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert re.search(r"of \d columns have drifted since fruit.csv: kind", text)


def test_nothing_has_drifted_since_the_same_table(
    keras_tied, model, fruit_csv, tmp_path
):
    given = model, fruit_csv, "-o", "r.html", "--against", fruit_csv
    assert json.loads(keras_tied("report", *given, "--json").out)["drifted"] == []
    assert "Nothing has drifted since fruit.csv." in (tmp_path / "r.html").read_text(
        "utf-8"
    )


def test_an_older_table_without_a_column_is_refused(
    keras_tied, model, fruit_csv, tmp_path
):
    (tmp_path / "old.csv").write_text("name,kind\n1,apple\n")
    done = keras_tied(
        "report", model, fruit_csv, "-o", "r.html", "--against", "old.csv"
    )
    assert done.code == 2
    assert "--against old.csv: the table has no column" in done.err
    assert not (tmp_path / "r.html").exists()


def test_the_page_tells_what_the_columns_read_as_and_of_what_is_misread(
    keras_tied, model, fruit_csv, tmp_path
):
    lines = fruit_csv.read_text().splitlines()
    lines[3] = (
        lines[3]
        .replace("apple", "quince")
        .replace("pear", "quince")
        .replace("plum", "quince")
    )
    cells = lines[5].split(",")
    lines[5] = ",".join([*cells[:2], "heavy", *cells[3:]])
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    assert keras_tied("report", model, "rows.csv", "-o", "r.html", "--quiet").code == 0
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "holds 1 value of rare or new categories" in text
    assert "&#39;heavy&#39; in row 5" in text
    for words in ("categories", "left out: the label", "integers"):
        assert words in text


def test_what_was_misread_in_the_older_table_is_said(
    keras_tied, model, fruit_csv, tmp_path
):
    lines = fruit_csv.read_text().splitlines()
    cells = lines[5].split(",")
    lines[5] = ",".join([*cells[:2], "heavy", *cells[3:]])
    (tmp_path / "old.csv").write_text("\n".join(lines))
    done = keras_tied(
        "report", model, fruit_csv, "-o", "r.html", "--against", "old.csv"
    )
    assert done.code == 0
    assert "old.csv: column 'weight' holds" in done.err
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "old.csv: column &#39;weight&#39; holds" in text


def test_the_page_names_pca_and_draws_no_rejected_network(keras_tied, tmp_path):
    rng = np.random.default_rng(0)
    np.savetxt(
        tmp_path / "noise.csv",
        rng.normal(size=(40, 4)),
        delimiter=",",
        header="a,b,c,d",
        comments="",
    )
    assert keras_tied("fit", "noise.csv", "-o", "m.safetensors", "--quiet").code == 0
    assert keras_tied("report", "m.safetensors", "noise.csv", "-o", "r.html").code == 0
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "The model is PCA with 2 components." in text
    assert "There is no loss curve" in text


@pytest.mark.parametrize("one", ["huge", "missing"])
def test_a_row_that_is_huge_or_missing_is_no_failure(
    keras_tied, model, fruit_csv, tmp_path, one
):
    header, first, *rest = fruit_csv.read_text().splitlines()
    cells = first.split(",")
    cells[2:5] = ["3e38"] * 3 if one == "huge" else [""] * 3
    (tmp_path / "rows.csv").write_text("\n".join([header, ",".join(cells), *rest]))
    done = keras_tied(
        "report", model, "rows.csv", "-o", "r.html", "--against", "rows.csv"
    )
    assert (done.code, done.err) == (0, "")
