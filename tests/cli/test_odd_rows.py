"""Absurd values through the real command: they are listed, move nothing, and come
first.
"""

import csv
import json

import numpy as np
import pytest

N = 600


def write_clients(path, planted=(), seed=5):
    """Clients, with other values in some cells: their row, column and text."""
    rng = np.random.default_rng(seed)
    age = rng.normal(45, 14, N).clip(18, 90).round().astype(int)
    income = np.exp(rng.normal(10.2, 0.4, N) + 0.01 * (age - 45)).round().astype(int)
    table = {
        "client": [f"c{row:03}" for row in range(N)],
        "age": age.tolist(),
        "income": income.tolist(),
        "spend": np.round(income * rng.beta(3, 6, N) / 12, 2).tolist(),
        "owner": (
            np.where(income + rng.normal(0, 4000, N) > 30_000, "yes", "no").tolist()
        ),
        "since": (
            (np.datetime64("2020-01-01") + rng.integers(0, 1500, N))
            .astype(str)
            .tolist()
        ),
    }
    for row, column, text in planted:
        table[column][row] = text
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))


PLANTED = {
    "an income": (400, "income", "9999999"),
    "an age": (17, "age", "999"),
    "a debt": (599, "spend", "-500000"),
    "a date": (0, "since", "1900-01-01"),
}
FIT = "--id", "client", "--epochs", 3, "--hidden", 8


@pytest.mark.parametrize(
    "name",
    [
        "an income",
        pytest.param("an age", marks=pytest.mark.slow),
        pytest.param("a debt", marks=pytest.mark.slow),
        "a date",
    ],
)
def test_an_absurd_value_is_listed_and_comes_first_with_why(name, keras_tied, tmp_path):
    row, column, text = PLANTED[name]
    write_clients(tmp_path / "rows.csv", [PLANTED[name]])
    said = (
        f"column {column!r} holds {text!r} in row {row + 1}, far outside its other"
        " values"
    )
    assert said in keras_tied("check", "rows.csv").out
    fitted = keras_tied("fit", "rows.csv", "-o", "m.safetensors", *FIT)
    assert said in " ".join(fitted.err.split())
    assert "1 absurd value; model and PCA" in " ".join(fitted.out.split())
    [odd] = json.loads(
        keras_tied("score", "m.safetensors", "rows.csv", "--top", 1, "--json").out
    )["oddest"]
    assert (odd["row"], odd["column1"], odd["one_in"]) == (row + 1, column, N)
    assert odd["share1"] > 0.9
    assert odd["why"].startswith(f"{column} ")
    assert odd["why"].endswith("with that the row would be ordinary")
    report = keras_tied("report", "m.safetensors", "rows.csv", "-o", "r.html")
    assert report.code == 0, report.err
    page = (tmp_path / "r.html").read_text()
    assert f"The oddest row is {row + 1:,} (id c{row:03}): {column} " in page
    assert f" times the median; fewer than one row in {N} are as odd." in page


def test_the_codes_of_others_are_those_without_it(keras_tied, tmp_path):
    write_clients(tmp_path / "clean.csv")
    write_clients(tmp_path / "rows.csv", PLANTED.values())
    codes = []
    for name in ("clean", "rows"):
        keras_tied("fit", f"{name}.csv", "-o", "m.safetensors", *FIT)
        keras_tied("encode", "m.safetensors", "clean.csv", "-o", f"{name}.npy")
        codes.append(np.load(tmp_path / f"{name}.npy"))
    spread = codes[0].std(axis=0)
    difference = np.abs(np.abs(codes[1]) - np.abs(codes[0])) / spread
    assert np.median(difference) < 0.1  # four other rows of 600 are not there


def test_score_report_and_workers_have_one_order(keras_tied, tmp_path):
    pytest.importorskip("distributed")
    write_clients(tmp_path / "rows.csv", [PLANTED["an income"]])
    keras_tied("fit", "rows.csv", "-o", "m.safetensors", *FIT)
    keras_tied("score", "m.safetensors", "rows.csv", "-o", "all.csv")
    table = list(csv.DictReader((tmp_path / "all.csv").read_text().splitlines()))
    assert list(table[0]) == ["client", "score", "rank", "one_in", "error"]
    by_rank = sorted(table, key=lambda row: int(row["rank"]))
    top = json.loads(
        keras_tied("score", "m.safetensors", "rows.csv", "--top", 20, "--json").out
    )
    assert [row["client"] for row in top["oddest"]] == [
        row["client"] for row in by_rank[:20]
    ]
    assert [float(row["score"]) for row in by_rank] == sorted(
        (float(row["score"]) for row in table), reverse=True
    )
    keras_tied("report", "m.safetensors", "rows.csv", "-o", "r.html")
    page = (tmp_path / "r.html").read_text()
    data = json.loads(page.split('id="rows-data">')[1].split("</script>")[0])
    ids = [data["ids"][place] for place in data["worst"]]
    assert ids == [row["client"] for row in by_rank[:20]]


@pytest.mark.parametrize(
    ("column", "text", "times"),
    [("age", "-999", 30), ("spend", "9999999", 4), ("since", "1900-01-01", 25)],
)
def test_a_value_that_stands_for_a_missing_one_is_proposed(
    column, text, times, keras_tied, tmp_path
):
    planted = [(row, column, text) for row in range(0, 13 * times, 13)]
    write_clients(tmp_path / "rows.csv", planted)
    said = " ".join(keras_tied("check", "rows.csv").out.split())
    assert f"holds {text!r} in {times} of 600 rows, far from its other values" in said
    assert f"say --na {text}" in said
    mended = keras_tied("check", "rows.csv", "--na", text).out
    assert "far from its other values" not in mended


@pytest.mark.parametrize("values", ["0 1 1 0 9 5 3 9", "10 99 50 99 98 1", "99 99 99"])
def test_ordinary_nines_are_proposed_for_nothing(values, keras_tied, tmp_path):
    lines = [f"{a},{index % 7}" for index, a in enumerate(values.split() * 20)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b", *lines]))
    assert "--na" not in keras_tied("check", "rows.csv").out


def test_absurd_rows_of_a_table_that_is_sampled_move_no_scale(
    keras_tied, tmp_path, monkeypatch
):
    from keras_tied.estimator import TiedAutoencoder
    from keras_tied.fitting import sample

    monkeypatch.setattr(sample, "MOST_ROWS", 300)
    write_clients(tmp_path / "clean.csv")
    scales = []
    for planted in ((), [(3, "income", "9999999"), (595, "spend", "4e9")]):
        write_clients(tmp_path / "rows.csv", planted)
        assert keras_tied("fit", "rows.csv", "-o", "m.safetensors", *FIT).code == 0
        estimator = TiedAutoencoder.load(tmp_path / "m.safetensors")
        scales.append(estimator._fitted.preprocessing.scaling.scale)
    np.testing.assert_allclose(scales[1], scales[0], rtol=0.02)


def test_what_is_named_with_na_is_no_far_value(keras_tied, tmp_path):
    planted = [(5, "age", "999"), (9, "age", "700")]
    write_clients(tmp_path / "rows.csv", planted)
    said = keras_tied("check", "rows.csv", "--na", "999").out
    assert "holds '700' in row 10, far outside" in said
    assert "'999'" not in said
