"""`plot` and `report`: what figures and pages show of tables and models."""

import json
import os
from pathlib import Path

import bokeh
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from tests.marks import for_each, slow

from tied_tables._text import format_value
from tied_tables.cli import _rows

from ..estimator.networks import seeded
from ..estimator.pca import pca_error
from .conftest import save

MODEL = "m.safetensors"
REPORT = f"report {MODEL} fruit.csv -o r.html"
SIGNATURES = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


def read_page():
    return Path("r.html").read_text("utf-8")


def read_data(page):
    """What the page knows of its rows."""
    return json.loads(page.split('id="rows-data">')[1].split("</script>")[0])


def list_texts(field):
    """What the page shows of each row in a column."""
    return [field["texts"][cell] for cell in field["cells"]]


def read_errors(page):
    """The table of errors by column."""
    return page.split("Error by column")[1].split("</table>")[0]


@pytest.fixture
def most_rows(monkeypatch):
    """Lets samples of tables have a number of rows."""

    def let(n):
        monkeypatch.setattr(_rows, "DISPLAY_SAMPLE_ROWS", n)
        monkeypatch.setattr(_rows, "FEWEST_DISPLAYED_ROWS", 1)

    return let


def test_a_page_of_a_sample_tells_of_all_rows(tied_tables, fruit, most_rows):
    whole = tied_tables(f"{REPORT} --json").json
    errors = read_errors(read_page())
    scored = tied_tables(f"score {MODEL} fruit.csv -o -").rows
    most_rows(40)
    os.mkdir("parts")
    save(fruit[:150], "parts/a.csv")
    save(fruit[150:], "parts/b.csv")
    facts = tied_tables(f"report {MODEL} parts -o r.html --json").json
    page = read_page()
    data = read_data(page)
    assert 40 <= facts["shown"] < 61
    assert whole["shown"] == facts["rows"] == 300
    assert facts["pca_error"] is None
    for name in ("error", "kept", "standing_out"):
        assert facts[name] == pytest.approx(whole[name], rel=1e-5)
    assert read_errors(page) == errors
    places = np.array(data["places"]) - 1
    assert list_texts(data["id"]) == fruit["name"][places].tolist()
    assert list_texts(data["label"]) == fruit["taste"][places].tolist()
    assert data["ranks"] == [int(scored[place]["rank"]) for place in places]
    for name, rel in (("score", 1e-6), ("error", 1e-4)):
        expected = [float(scored[place][name]) for place in places]
        assert data[name]["numbers"] == pytest.approx(expected, rel=rel)
    assert [data["ranks"][row] for row in data["worst"]] == list(range(1, 21))
    (counts,) = [each for each in data["columns"] if each["name"] == "count"]
    assert_array_equal(counts["numbers"], fruit["count"][places].astype(float))


def test_a_page_names_columns_commands_versions_and_what_was_left_out(tied_tables):
    tied_tables(f"{REPORT} --quiet")
    page = read_page()
    for said in (
        f"tied-tables fit fruit.csv -o {MODEL} --id name --label taste --dates off",
        f"tied-tables {REPORT}",
        "left out: the id",
        "left out: a date or time",
        "left out: the label",
        f"<dt>bokeh</dt><dd>{bokeh.__version__}</dd>",
        "The model is a network of 7 → 34 → 34 → 2 units",
    ):
        assert said in page


@slow
def test_a_page_warns_once(tied_tables, fruit):
    fruit.loc[4, "weight"] = "heavy"
    save(fruit)
    tied_tables("fit rows.csv --epochs 1 --quiet")
    fruit.loc[300] = fruit.loc[9]
    save(fruit)
    tied_tables("report rows.safetensors rows.csv -o r.html")
    page = read_page()
    assert page.count("row 301 repeats row 10") == 1
    assert page.count("&#39;heavy&#39; in row 5") == 1


@pytest.mark.parametrize("label", ["weight", "ripe", "name"])
def test_any_column_tells_rows_apart(tied_tables, fruit, most_rows, label):
    most_rows(20)
    tied_tables(f"{REPORT} --label {label}")
    data = read_data(read_page())
    places = np.array(data["places"]) - 1
    values = fruit[label][places].tolist()
    texts = ["missing" if value == "" else format_value(value) for value in values]
    assert list_texts(data["label"]) == texts
    assert data["label"]["name"] == label


def test_truth_values_with_gaps_are_no_numbers():
    assert _rows._to_labels([True, None]).tolist() == ["true", ""]


CHANGES = {
    "nothing": (lambda fruit: fruit, [], "Nothing has drifted since fruit.csv."),
    "a constant": (
        lambda fruit: fruit.assign(farm="south"),
        ["farm"],
        "1 of 6 columns has drifted since fruit.csv: farm",
    ),
    "two columns": (
        lambda fruit: fruit.assign(kind="plum", weight="200"),
        ["weight", "kind", "outlier score"],
        "2 of 5 columns have drifted since fruit.csv: ",
    ),
}


@for_each(CHANGES, "change", "drifted", "said")
def test_what_has_drifted_since_an_older_table_is_said(
    tied_tables, fruit, change, drifted, said
):
    save(change(fruit), "new.csv")
    options = "-o r.html --against fruit.csv --json"
    facts = tied_tables(f"report {MODEL} new.csv {options}").json
    assert set(facts["drifted"]) == set(drifted)
    tied_tables(f"report {MODEL} new.csv {options} --fail-on-drift", 4 * bool(drifted))
    assert said in read_page()


@pytest.mark.parametrize("value", ["3e38", ""])
def test_a_row_that_is_huge_or_missing_is_no_failure(tied_tables, fruit, value):
    fruit.loc[0, ["weight", "length", "count"]] = value
    save(fruit)
    done = tied_tables(f"report {MODEL} rows.csv -o r.html --against rows.csv")
    assert done.err == ""


def test_no_network_is_shown_where_pca_is_as_good(tied_tables, rng):
    np.save("noise.npy", rng.normal(size=(60, 4)))
    said = "the model is PCA, as no network was better"
    assert said in tied_tables(f"fit noise.npy -o {MODEL}").words
    assert ", PCA" in tied_tables(f"inspect {MODEL}").out
    tied_tables(f"report {MODEL} noise.npy -o r.html")
    assert "The model is PCA with 2 components." in read_page()
    tied_tables(f"plot {MODEL} noise.npy -o a.svg")
    assert "not trained" in Path("a.svg").read_text("utf-8")


def test_a_plot_tells_the_errors_of_its_rows_and_of_their_pca(
    tied_tables, rng, most_rows
):
    X = rng.normal(size=(80, 4)).astype(np.float32)
    np.save("rows.npy", X)
    estimator = seeded(2, max_iter=5, trim=False).fit(X)
    estimator.save(MODEL)
    line = f"plot {MODEL} rows.npy -o rows.pdf --json"
    found = tied_tables(line).json
    errors = estimator.reconstruction_error(X)
    assert found["pca_error"] == pytest.approx(pca_error(X, X, 2), rel=1e-4)
    assert found["error"] == pytest.approx(errors.mean(), rel=1e-4)
    assert found["output"] == "rows.pdf"
    most_rows(50)
    found = tied_tables(line).json
    assert (found["rows"], found["drawn"]) == (80, 50)


def test_characters_that_no_font_has_are_told_of_once(tied_tables, fruit):
    signs = [chr(0x12000 + place) for place in range(9)]
    save(fruit.assign(taste=np.resize(signs, 300)))
    line = f"plot {MODEL} rows.csv -o a.png"
    said = "some characters are drawn as boxes, as no installed font has them; install"
    assert tied_tables(line).err.count(said) == 1
    assert tied_tables(f"{line} --quiet")[1:] == ("", "")


FORMS = {
    "price": [f"CHF {place * 371.5:,.2f}".replace(",", "'") for place in range(60)],
    "share": [f"{place / 7:.1f}%".replace(".", ",") for place in range(60)],
    "paid": ["yes", "no", "no", "yes", "no"] * 12,
    "kind": ["apple", "<b>", "plum"] * 20,
    "stamp": [f"{1_700_000_000_000 + 77 * place:,}" for place in range(60)],
    "due": [f"{place % 28 + 1:02}.03.2024" for place in range(60)],
    "seen": [f"2024-01-{place % 30 + 1:02} {place % 24:02}:30" for place in range(60)],
}


def test_a_page_shows_values_as_the_table_has_them(tied_tables):
    save(pd.DataFrame(FORMS))
    tied_tables(f"fit rows.csv -o {MODEL} --epochs 2")
    tied_tables(f"report {MODEL} rows.csv -o r.html")
    columns = read_data(read_page())["columns"]
    assert {column["name"]: list_texts(column) for column in columns} == FORMS
