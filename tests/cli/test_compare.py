import json

import numpy as np
import pytest

from keras_tied.comparison import compare
from keras_tied.tables import Columns, open_table


@pytest.fixture
def described(keras_tied, fruit_csv):
    options = "--id", "name", "--label", "taste", "--components", 3, "--json"
    done = keras_tied("compare", fruit_csv, *options)
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


def test_machines_get_what_the_library_measures(described, fruit_csv):
    (batch,) = open_table(fruit_csv, text=["name", "taste"]).batches()
    columns = Columns.survey(batch, id="name", label="taste")[0]
    expected = compare(columns.encode(batch), 3)
    assert [row["name"] for row in described["methods"]] == [row.name for row in expected]
    for found, row in zip(described["methods"], expected, strict=True):
        assert found["reason"] == (row.reason or None)
        assert row.reason or found["error"] == pytest.approx(row.error, rel=1e-6)
    assert (described["rows"], described["features"]) == (300, 10)


def test_a_table_is_printed_and_a_chart_is_written(keras_tied, fruit_csv, tmp_path):
    done = keras_tied("compare", fruit_csv, "--id", "name", "--rows", 60, "-o", "chart.png")
    assert (done.code, done.err) == (0, "")
    for said in ("60 of 300 rows of 12 numbers, 2 left", "tied autoencoder", "PCA", "1.00"):
        assert said in done.out
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_a_long_table_is_compared_on_some_of_its_rows(keras_tied, fruit_csv):
    done = keras_tied("compare", fruit_csv, "--columns", "weight,length,count", "--rows", 60)
    assert "60 of 300 rows of 3 numbers" in done.out


def test_several_widths_are_measured_as_by_the_library_and_drawn(keras_tied, fruit_csv, tmp_path):
    few = fruit_csv, "--columns", "weight,length,count", "--rows", 60
    done = keras_tied("compare", *few, "--components", "1..2", "--json", "-o", "c.png")
    found = json.loads(done.out)["widths"]
    assert [width["n_components"] for width in found] == [1, 2]
    for width in found:
        alone = keras_tied("compare", *few, "--components", width["n_components"], "--json")
        errors = {row["name"]: row["error"] for row in json.loads(alone.out)["methods"]}
        assert width["error"] == pytest.approx(errors["tied autoencoder"], rel=1e-6)
        assert width["pca_error"] == pytest.approx(errors["PCA"], rel=1e-6)
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    assert "components  error" in keras_tied("compare", *few, "--components", "1,2").out


def test_several_seeds_are_repetitions_with_each_and_their_spread_is_printed(
    keras_tied, fruit_csv, tmp_path
):
    few = fruit_csv, "--columns", "weight,length,count", "--rows", 60
    done = keras_tied("compare", *few, "--seeds", 2, "--json", "-o", "c.svg")
    found = json.loads(done.out)
    alone = json.loads(keras_tied("compare", *few, "--json").out)
    assert (found["seeds"], alone["seeds"]) == (2, 1)
    for several, one in zip(found["methods"], alone["methods"], strict=True):
        if one["reason"] is None:
            assert several["errors"][0] == pytest.approx(one["error"], rel=1e-6)
            assert several["error"] == pytest.approx(sum(several["errors"]) / 2)
    assert "dots: 2 seeds" in (tmp_path / "c.svg").read_text(encoding="utf-8")
    printed = keras_tied("compare", *few, "--seeds", 2).out
    assert "means of 2 seeds" in printed
    low, high = sorted(found["methods"][2]["relatives"])
    assert f"{low:.2f} to {high:.2f}" in printed


def test_several_widths_with_several_seeds_are_printed_with_their_spread(
    keras_tied, fruit_csv, tmp_path
):
    few = fruit_csv, "--columns", "weight,length,count", "--rows", 60
    several = "--components", "1,2", "--seeds", 2
    found = json.loads(keras_tied("compare", *few, *several, "--json", "-o", "c.svg").out)
    assert "mean of 2 seeds" in (tmp_path / "c.svg").read_text(encoding="utf-8")
    printed = keras_tied("compare", *few, *several).out
    for width in found["widths"]:
        ratios = [a / b for a, b in zip(width["errors"], width["pca_errors"], strict=True)]
        assert f"{min(ratios):.2f} to {max(ratios):.2f}" in printed


def test_an_error_of_rounding_is_no_measure_of_others(keras_tied, tmp_path):
    np.save(tmp_path / "same.npy", np.outer(np.arange(60.0), [1, 2, 3]))
    lines = keras_tied("compare", "same.npy", "--components", "1,2").out.splitlines()
    rows = [line.split() for line in lines if line.split()[:1] in (["1"], ["2"])]
    assert [row[3] for row in rows] == ["-", "-"]


def test_quiet_prints_nothing(keras_tied, fruit_csv, tmp_path):
    done = keras_tied("compare", fruit_csv, "--rows", 60, "-o", "c.svg", "--quiet")
    assert done == (0, "", "")
    assert (tmp_path / "c.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["DATA", "--components", 9, "--exclude", "day,name,taste"], "ask for at most 6"),
        (["DATA", "--components", "1..0"], "give one such as 2, or several"),
        (["DATA", "--components", "0..3"], "--components '0..3' is not"),
        (["DATA", "--components", "1..x"], "--components '1..x' is not"),
        (["DATA", "--components", "1..99999"], "at most 64"),
        (["DATA", "--components", "1..9", "--exclude", "day,name,taste"], "ask for at most 6"),
        (["DATA", "--seeds", 0], "--seeds"),
        (["few.csv"], "needs 10 rows, and the table has 3"),
        (["DATA", "--columns", "weight"], "two columns"),
        (["DATA", "--columns", "colour"], "no column 'colour'"),
        (["DATA", "-o", "a.html"], ".png, .svg, .pdf"),
        (["none.csv"], "none.csv"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_sentence(
    keras_tied, fruit_csv, tmp_path, arguments, said
):
    (tmp_path / "few.csv").write_text("a,b,c\n1,2,3\n4,5,7\n7,8,8\n")
    done = keras_tied("compare", *[fruit_csv if a == "DATA" else a for a in arguments])
    assert done.code == 2
    assert done.err.startswith("keras-tied: ")
    assert done.err.count("\n") == 1
    assert said in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["few.csv"]
