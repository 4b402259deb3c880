"""What tables of strangers have shown: each fault with a table of its own."""

import json

import numpy as np
import pandas as pd
import pytest

from keras_tied.cli import _messages, _progress

ROWS = 60


@pytest.fixture
def clients(rng=None):
    """Numbers that depend on one another, and a category."""
    rng = np.random.default_rng(3)
    size = rng.normal(size=ROWS)
    return pd.DataFrame(
        {
            "region": rng.choice(["north", "south", "east"], ROWS),
            "spend": np.round(100 + 20 * size + rng.normal(size=ROWS), 1),
            "visits": np.round(10 + 3 * size).astype(int),
        }
    )


def write(frame, path, **settings):
    frame.to_csv(path, index=False, **settings)
    return path


def columns_of(keras_tied, path, *options):
    facts = json.loads(keras_tied("check", path, "--json", *options).out)["columns"]
    return {fact["name"]: fact["becomes"] for fact in facts}


def test_row_numbers_are_left_out_said_and_offered_as_ids(
    keras_tied, clients, tmp_path
):
    clients.insert(0, "rownames", range(1, ROWS + 1))
    path = write(clients, tmp_path / "clients.csv")
    assert columns_of(keras_tied, path)["rownames"] == "left out: row numbers, for --id"
    assert (
        "rownames (row numbers, for --id)"
        in keras_tied("fit", path, "-o", "m.safetensors").out
    )
    oddest = json.loads(
        keras_tied("score", "m.safetensors", path, "--top", "1", "--json").out
    )
    assert "rownames" not in oddest["oddest"][0].values()
    assert (
        columns_of(keras_tied, path, "--numeric", "rownames")["rownames"] == "1 number"
    )


def test_the_unnamed_index_of_pandas_is_row_numbers(keras_tied, clients, tmp_path):
    clients.to_csv(tmp_path / "clients.csv")
    found = columns_of(keras_tied, tmp_path / "clients.csv")
    assert next(iter(found.values())) == "left out: row numbers, for --id"


def test_few_kinds_of_text_with_digits_are_categories(keras_tied, clients, tmp_path):
    clients["class"] = [*(["1st", "2nd", "3rd"] * ROWS)[: ROWS - 1], "*"]
    clients["marital"] = (
        ["1. Never", "2. Married", "3. Widowed", "4. Divorced"] * ROWS
    )[:ROWS]
    clients["age"] = (["0-17", "18-64", "65+", "unknown"] * ROWS)[:ROWS]
    found = columns_of(keras_tied, write(clients, tmp_path / "clients.csv"))
    assert found["class"].startswith("4 numbers: *, 1st")
    assert found["marital"].startswith("4 numbers: 1. Never")
    assert found["age"].startswith("4 numbers: 0-17")


def test_what_is_left_out_for_its_digits_names_the_option(
    keras_tied, clients, tmp_path
):
    clients["code"] = [
        f"{i % 45}.{i % 7}-{i % 3}" if i % 2 else f"{i} km" for i in range(ROWS)
    ]
    said = keras_tied("check", write(clients, tmp_path / "clients.csv")).out
    assert "say --categorical for the column" in said or "code  " in said


def test_another_case_is_the_same_category_and_new_values_are_named(
    keras_tied, clients, tmp_path
):
    path = write(clients, tmp_path / "january.csv")
    assert keras_tied("fit", path, "-o", "m.safetensors").code == 0
    before = keras_tied("encode", "m.safetensors", path, "-o", "before.npy")
    clients["region"] = clients["region"].str.upper()
    after = keras_tied(
        "encode", "m.safetensors", write(clients, tmp_path / "b.csv"), "-o", "b.npy"
    )
    assert "categories" not in before.err + after.err
    np.testing.assert_array_equal(np.load("before.npy"), np.load("b.npy"))
    clients.loc[3:5, "region"] = ["west", "west", "centre"]
    done = keras_tied(
        "encode", "m.safetensors", write(clients, tmp_path / "c.csv"), "-o", "c.npy"
    )
    assert "3 values of rare or new categories" in done.err
    assert "'west' 2 times, first in row 4, 'centre' in row 6" in done.err


def test_the_share_of_other_categories_is_said(keras_tied, clients, tmp_path):
    clients = pd.concat([clients] * 10, ignore_index=True)
    clients["city"] = [
        "Paris" if i % 3 == 0 else f"town {i % 300}" for i in range(len(clients))
    ]
    path = write(clients, tmp_path / "clients.csv")
    assert columns_of(keras_tied, path)["city"].endswith(
        "(other) holds 67% of the values"
    )
    for done in (
        keras_tied("check", path),
        keras_tied("fit", path, "-o", "m.safetensors"),
    ):
        assert "the others, 67% of the values, count as one" in done.out + done.err
    assert "(other) holds 67%" in keras_tied("inspect", "m.safetensors").out


@pytest.mark.parametrize(
    ("name", "says"), [("Total", "says 'Total'"), ("west", "holds the sums")]
)
def test_a_last_row_of_totals_is_warned_of(keras_tied, clients, tmp_path, name, says):
    path = write(clients, tmp_path / "clients.csv")
    assert "the last" not in keras_tied("check", path).out
    clients.loc[ROWS] = [name, clients["spend"].sum().round(1), clients["visits"].sum()]
    path = write(clients, tmp_path / "totals.csv")
    for done in (
        keras_tied("check", path),
        keras_tied("fit", path, "-o", "m.safetensors"),
    ):
        assert f"row 61, the last, {says}" in done.out + done.err
    few = pd.DataFrame({"a": [0, 1, 0, 0, 1], "b": [1, 0, 0, 0, 1], "c": range(5)})
    assert "the last" not in keras_tied("check", write(few, tmp_path / "few.csv")).out
    clients.insert(0, "Total", "Total")  # a constant, and no row of totals
    path = write(clients[:ROWS], tmp_path / "constant.csv")
    assert "the last" not in keras_tied("check", path).out


def test_check_is_strict_on_request(keras_tied, clients, tmp_path):
    path = write(clients, tmp_path / "clients.csv")
    assert keras_tied("check", path, "--strict").code == 0
    clients["odd"] = ["1", "2", "3", "four", "5", "6"] * 10  # refused by fit
    clients.loc[::7, "odd"] = [f"n{i}" for i in range(0, ROWS, 7)]
    clients["odd"] = [f"{i}.5" if i % 5 else f"n{i}" for i in range(ROWS)]
    path = write(clients, tmp_path / "odd.csv")
    assert keras_tied("fit", path, "-o", "m.safetensors").code == 2
    assert keras_tied("check", path).code == 0
    assert keras_tied("check", path, "--strict").code == 2
    clients.loc[3, "spend"] = 1e9
    path = write(clients.drop(columns="odd"), tmp_path / "far.csv")
    done = keras_tied("check", path, "--strict")
    assert done.code == 1
    assert "has 1 warning" in done.err


def test_as_many_components_as_numbers_are_warned_of(keras_tied, clients, tmp_path):
    path = write(clients, tmp_path / "clients.csv")
    done = keras_tied("fit", path, "-o", "m.safetensors", "--components", "5")
    assert "the 5 components hold all 5 numbers of a row" in done.err


def test_a_model_that_knows_its_rows_by_heart_is_warned_of(keras_tied, tmp_path):
    rng = np.random.default_rng(0)
    noise = pd.DataFrame(rng.standard_t(2, size=(ROWS, 12)).round(3))
    path = write(noise.add_prefix("x"), tmp_path / "noise.csv")
    fit = "fit", path, "-o", "m.safetensors", "--components", "3", "--epochs", "2000"
    done = keras_tied(*fit, "--validation", "0", "--hidden", "64", "--json")
    notes = json.loads(done.out)
    if notes["held_out"] and notes["held_out"][0] > 3 * notes["error"]:
        assert "by heart" in done.err
    else:
        assert "by heart" not in done.err


def test_a_threshold_has_an_exit_code(keras_tied, clients, tmp_path):
    path = write(clients, tmp_path / "clients.csv")
    assert keras_tied("fit", path, "-o", "m.safetensors").code == 0
    score = "score", "m.safetensors", path, "-o", "scores.csv"
    assert keras_tied(*score).code == 0
    scores = pd.read_csv("scores.csv")["score"]
    top = float(scores.max())
    assert keras_tied(*score, "--threshold", 2 * top).code == 0
    some = float(scores.quantile(0.9))
    done = keras_tied(*score, "--threshold", some)
    assert done.code == 3
    assert f"{(scores >= some).sum()} rows reached the threshold" in done.err
    assert keras_tied("score", "m.safetensors", path, "--threshold", some).code == 3
    pd.testing.assert_series_equal(pd.read_csv("scores.csv")["score"], scores)
    few = keras_tied("score", "m.safetensors", path, "--threshold", -1, "--top", 2)
    assert (few.code, "at least 2 rows reached" in few.err) == (3, True)
    assert keras_tied("score", "m.safetensors", path, "--threshold", "nan").code == 2


def test_a_pipe_gets_a_row_in_a_line(keras_tied, clients, tmp_path):
    clients = clients.rename(
        columns={"spend": "a long name of a column that is not cut " * 3}
    )
    out = keras_tied("check", write(clients, tmp_path / "clients.csv")).out
    assert "a long name of a column that is not cut " * 3 in out
    assert sum(bool(line.strip()) for line in out.splitlines()) == 3 + 3


def test_work_is_said_to_go_on_however_long_a_step_takes(monkeypatch, capfd):
    monkeypatch.setattr(_progress, "SECONDS_BETWEEN_LINES", 0.01)
    monkeypatch.setattr(_progress, "SHORTEST_STAGE", 0.001)
    with _progress.show_stages("reading") as on_stage:
        said = ""
        while said.count("reading") < 2:
            said += capfd.readouterr().err
        on_stage("starting")
        while "starting" not in said:
            said += capfd.readouterr().err
    capfd.readouterr()
    monkeypatch.setattr(_messages, "_is_quiet", True)
    with _progress.show_stages("reading"):
        assert not capfd.readouterr().err


def test_fill_writes_the_table_with_only_its_gaps_filled(keras_tied, clients, tmp_path):
    clients.insert(0, "who", [f"client {i}, Ltd." for i in range(ROWS)])
    clients["month"], clients["paid"] = (
        "Jan",
        np.where(clients["visits"] > 10, "yes", "no"),
    )
    clients["since"] = [f"{i % 28 + 1:02}.01.26" for i in range(ROWS)]
    path = write(clients, tmp_path / "clients.csv")
    assert keras_tied("fit", path, "-o", "m.safetensors").code == 0
    gaps = clients.astype(str).replace({"month": "Feb"})
    rng = np.random.default_rng(1)
    for name in ("who", "region", "spend", "visits", "paid", "since"):
        gaps.loc[rng.choice(ROWS, 9, replace=False), name] = rng.choice(["", "NA"])
    gaps.loc[0, ["spend", "visits"]] = "0097.50", " 12 "
    path = write(gaps, tmp_path / "gaps.csv")
    done = keras_tied("fill", "m.safetensors", path, "-o", "filled.csv")
    assert (done.code, done.out[:14]) == (0, "filled 60 rows")
    filled = pd.read_csv("filled.csv", dtype=str, keep_default_na=False)
    assert list(filled) == list(gaps)
    is_gap = gaps.isin(["", "NA"])
    assert (filled.where(~is_gap, "") == gaps.where(~is_gap, "")).all(axis=None)
    assert filled["who"].equals(gaps["who"])  # nobody knows
    used = filled.drop(columns="who")
    assert not used.isin(["", "NA"]).any(axis=None)
    assert set(used["region"]) <= {"north", "south", "east"}
    assert set(used["paid"]) == {"yes", "no"}
    assert used["visits"].str.strip().str.fullmatch(r"\d+").all()
    assert used["spend"].str.fullmatch(r"\d+\.\d\d?").all()
    pd.to_datetime(used["since"], format="%d.%m.%y")
    error = (filled["spend"].astype(float) - clients["spend"])[is_gap["spend"]]
    assert error.std() < clients["spend"].std()


def test_fill_keeps_the_types_of_a_file_that_has_some(keras_tied, clients, tmp_path):
    path = write(clients, tmp_path / "clients.csv")
    assert keras_tied("fit", path, "-o", "m.safetensors").code == 0
    gaps = clients.astype({"visits": "Int64"})
    gaps.loc[[1, 5], "visits"], gaps.loc[2, "spend"], gaps.loc[3, "region"] = (
        None,
        None,
        None,
    )
    gaps.to_parquet(tmp_path / "gaps.parquet")
    keras_tied("fill", "m.safetensors", "gaps.parquet", "-o", "filled.parquet")
    filled = pd.read_parquet("filled.parquet")
    assert filled["visits"].dtype == np.int64
    assert not filled.isna().any(axis=None)
    rest = [i for i in range(ROWS) if i not in (1, 2, 3, 5)]
    pd.testing.assert_frame_equal(
        filled.loc[rest], clients.loc[rest], check_dtype=False
    )


def test_a_constant_that_has_changed_is_drift(keras_tied, clients, tmp_path):
    pytest.importorskip("bokeh")
    january = write(clients.assign(month="Jan"), tmp_path / "january.csv")
    march = write(clients.assign(month="Mar"), tmp_path / "march.csv")
    assert keras_tied("fit", january, "-o", "m.safetensors").code == 0
    report = (
        "report",
        "m.safetensors",
        march,
        "-o",
        "r.html",
        "--against",
        january,
        "--json",
    )
    assert json.loads(keras_tied(*report).out)["drifted"] == ["month"]
    page = (tmp_path / "r.html").read_text()
    assert "1 of 4 columns has drifted since january.csv: month" in page
    same = keras_tied(
        "report", "m.safetensors", january, "-o", "s.html", "--against", january
    )
    assert "Nothing has drifted since" in (tmp_path / "s.html").read_text()
    assert "month" not in same.err


def test_what_may_be_something_else_is_said(keras_tied, clients, tmp_path):
    clients["wave"] = np.arange(ROWS) % 3 + 1
    clients["postcode"] = [f"{10_000 + 7 * i}-{1000 + i}" for i in range(ROWS)]
    clients["staff"] = (["1-10", "11-100", "101-1000"] * ROWS)[:ROWS]
    clients["balance"] = np.where(np.arange(ROWS) % 9, np.arange(ROWS) % 7, -999)
    path = write(clients, tmp_path / "clients.csv")
    said, becomes = keras_tied("check", path).out, columns_of(keras_tied, path)
    assert "say --na -999" in said
    assert becomes["wave"] == "1 number; if 1 to 3 name kinds, say --categorical"
    assert becomes["postcode"].startswith(
        "left out: text of which nearly every value differs"
    )
    assert becomes["staff"] == "3 numbers: 1-10, 101-1000, 11-100"


def test_fill_keeps_the_delimiter_and_says_what_is_no_gap(
    keras_tied, clients, tmp_path
):
    gaps = clients.astype(str)
    gaps.loc[3, "spend"], gaps.loc[4, "visits"] = "n/a", "ten"
    write(gaps, tmp_path / "gaps.csv", sep=";")
    keras_tied("fit", write(clients, tmp_path / "clients.csv"), "-o", "m.safetensors")
    done = keras_tied("fill", "m.safetensors", "gaps.csv", "-o", "filled.csv")
    assert (
        "'visits' holds 1 value that counts as missing, and not as a gap to fill: 'ten'"
        in (done.err)
    )
    before = (tmp_path / "gaps.csv").read_text().splitlines()
    after = (tmp_path / "filled.csv").read_text().splitlines()
    changed = [
        row
        for row, pair in enumerate(zip(before, after, strict=True))
        if len({*pair}) > 1
    ]
    assert changed == [4]  # the line of names is the first
    kept = before[4].split(";")
    assert after[4].split(";")[::2] == kept[::2]


@pytest.mark.parametrize(("ending", "mark"), [("csv", ","), ("tsv", "\t")])
def test_fill_of_a_table_with_tabs_has_the_delimiter_of_its_ending(
    keras_tied, clients, tmp_path, ending, mark
):
    keras_tied("fit", write(clients, tmp_path / "clients.csv"), "-o", "m.safetensors")
    write(clients, tmp_path / "clients.tsv", sep="\t")
    keras_tied("fill", "m.safetensors", "clients.tsv", "-o", f"filled.{ending}")
    names = (tmp_path / f"filled.{ending}").read_text().splitlines()[0]
    assert names == mark.join(clients)


@pytest.mark.parametrize("command", ["fill", "encode", "reconstruct", "score"])
@pytest.mark.parametrize("output", ["clients.csv", "./clients.csv", "link.csv"])
def test_no_command_writes_over_the_table_that_it_reads(
    keras_tied, clients, tmp_path, command, output
):
    path = write(clients, tmp_path / "clients.csv")
    (tmp_path / "link.csv").symlink_to(path)
    before = path.read_bytes()
    keras_tied("fit", path, "-o", "m.safetensors", "--epochs", "1")
    done = keras_tied(command, "m.safetensors", "clients.csv", "-o", output)
    assert done.code == 2
    assert f"{output!r} is a table that is read; name another file with -o." in done.err
    assert path.read_bytes() == before


def test_a_title_as_excel_writes_it_is_refused_unless_it_is_passed_over(
    keras_tied, clients, tmp_path
):
    text = clients.to_csv(index=False, sep=";")
    (tmp_path / "clients.csv").write_text("Clients of 2026;;\n" + text)
    done = keras_tied("check", "clients.csv")
    assert done.code == 2
    assert (
        "has 3 columns, of which its first line names one, as a title does" in done.err
    )
    assert columns_of(keras_tied, "clients.csv", "--skip", "1").keys() == {*clients}


def test_a_title_above_the_names_of_a_sheet_is_refused_as_well(
    keras_tied, clients, tmp_path
):
    openpyxl = pytest.importorskip("openpyxl")
    clients.to_excel(tmp_path / "clients.xlsx", index=False, startrow=1)
    book = openpyxl.load_workbook(tmp_path / "clients.xlsx")
    book.active["A1"] = "Clients of 2026"
    book.save(tmp_path / "clients.xlsx")
    done = keras_tied("check", "clients.xlsx")
    assert done.code == 2
    assert "its first line names one, as a title does" in done.err
    assert columns_of(keras_tied, "clients.xlsx", "--skip", "1").keys() == {*clients}


@pytest.mark.parametrize("data", ["parts", "parts/*.csv"])
def test_no_command_writes_over_a_part_of_what_it_reads(
    keras_tied, clients, tmp_path, data
):
    (tmp_path / "parts").mkdir()
    for name in ("a", "b"):
        path = write(clients, tmp_path / "parts" / f"{name}.csv")
    before = path.read_bytes()
    keras_tied("fit", path, "-o", "m.safetensors", "--epochs", "1")
    done = keras_tied("encode", "m.safetensors", data, "-o", "parts/b.csv")
    assert done.code == 2
    assert "'parts/b.csv' is a table that is read" in done.err
    assert path.read_bytes() == before
    assert keras_tied("encode", "m.safetensors", data, "-o", "codes.csv").code == 0
