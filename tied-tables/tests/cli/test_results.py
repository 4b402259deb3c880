"""What the commands write: beside the estimator, and in all its forms."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.marks import for_each, slow

from tied_tables import TiedAutoencoder, corrections
from tied_tables.fit import sample
from tied_tables.model import file, value

from ..estimator.networks import seeded
from .conftest import save

MODEL = "m.safetensors"


@pytest.fixture
def estimator(folder):
    return TiedAutoencoder.load(MODEL)


@pytest.fixture
def rows(folder, estimator):
    return pd.read_csv("fruit.csv")[list(estimator.feature_names_in_)]


def test_results_are_those_of_the_estimator(tied_tables, fruit, estimator, rows):
    tied_tables(f"encode {MODEL} fruit.csv -o codes.npy")
    assert_allclose(np.load("codes.npy"), estimator.transform(rows), rtol=1e-5)
    tied_tables(f"score {MODEL} fruit.csv -o scores.csv")
    table = pd.read_csv("scores.csv", dtype={"name": str})
    assert list(table) == "name score rank one_in error".split()
    assert table["name"].equals(fruit["name"])
    for name, expected in (
        ("score", -estimator.score_samples(rows)),
        ("one_in", estimator.rarity(rows)),
        ("error", estimator.reconstruction_error(rows)),
    ):
        assert_allclose(table[name], expected, rtol=1e-4)


def test_a_reconstruction_has_the_columns_of_the_model_and_is_what_codes_decode_to(
    tied_tables, fruit, estimator, rows
):
    tied_tables(f"reconstruct {MODEL} fruit.csv -o restored.csv")
    tied_tables(f"encode {MODEL} fruit.csv -o codes.parquet")
    tied_tables(f"decode {MODEL} codes.parquet -o decoded.csv")
    restored, decoded = (
        pd.read_csv(f"{name}.csv", dtype={"name": str})
        for name in ("restored", "decoded")
    )
    assert restored["name"].equals(fruit["name"])
    assert (restored["farm"] == "north").all()
    expected = estimator.reconstruct(rows)
    for name in rows:
        if rows[name].dtype == float:
            assert_allclose(restored[name], expected[name], rtol=1e-4)
        else:
            assert restored[name].equals(expected[name])
    whole = fruit["weight"] != ""  # a code does not say what was missing
    pd.testing.assert_frame_equal(decoded[whole], restored[whole], rtol=1e-4)


def test_numbers_that_are_not_called_codes_are_decoded_with_a_warning(tied_tables):
    save(pd.DataFrame({"width": [0.5, 1.0], "height": [0.1, 0.2]}))
    done = tied_tables(f"decode {MODEL} rows.csv -o decoded.csv")
    expected = (
        "'rows.csv' has no columns code0, code1; its columns width, height are read"
    )
    assert expected in done.err.replace("\n", " ")


def test_codes_are_decoded_to_large_numbers(tied_tables):
    save(pd.DataFrame({"stamp": 1_700_000_000_000 + 77 * np.arange(99)}))
    tied_tables("fit rows.csv -o m2.safetensors --components 1 -q")
    tied_tables("encode m2.safetensors rows.csv -o codes.csv")
    done = tied_tables("decode m2.safetensors codes.csv -o -")
    stamps = [int(row["stamp"]) for row in done.rows]
    assert_allclose(np.diff(stamps), 77, atol=9)


def test_standard_output_is_csv_and_nothing_else(tied_tables):
    for command in ("encode", "reconstruct", "score"):
        done = tied_tables(f"{command} {MODEL} fruit.csv -o -")
        assert done.err == ""
        assert [row["name"] for row in done.rows] == [f"{i:04}" for i in range(300)]
    other = tied_tables(f"encode {MODEL} fruit.csv -o - --id day")
    assert other.out.startswith("day,code0,code1\n2026-01-01,")


def with_commas(frame):
    return frame.apply(lambda column: column.str.replace(".", ","))


GUISES = {
    "in another order": (lambda frame: frame[frame.columns[::-1]], ",", ""),
    "without what is not used": (
        lambda frame: frame["kind weight length count ripe".split()],
        ",",
        "",
    ),
    "another case": (lambda frame: frame.replace({"plum": "PLUM"}), ",", ""),
    "another delimiter": (lambda frame: frame, "|", "delimiter is a vertical bar"),
    "a column beside": (
        lambda frame: frame.assign(price="1"),
        ",",
        "ignored the column 'price' of 'rows.csv', which the model was not fitted with.",
    ),
    "a unit": (
        lambda frame: frame.assign(length=frame["length"] + " cm"),
        ",",
        "column 'length' has another format in 'rows.csv' (numbers in cm) than in"
        " training (numbers), and is read as in the file.",
    ),
    "decimal commas": (
        with_commas,
        ";",
        "'length' has another format in 'rows.csv' (numbers with a decimal comma)",
    ),
}


@for_each(GUISES, "change", "delimiter", "said")
def test_rows_have_the_same_codes_in_any_guise(
    tied_tables, fruit, change, delimiter, said
):
    tied_tables(f"encode {MODEL} fruit.csv -o expected.npy")
    save(change(fruit), sep=delimiter)
    done = tied_tables(f"encode {MODEL} rows.csv -o codes.npy")
    assert_array_equal(np.load("codes.npy"), np.load("expected.npy"))
    assert said in done.err
    assert bool(said) == bool(done.err)


def test_what_is_written_has_the_form_of_its_file(tied_tables, fruit):
    save(with_commas(fruit), sep=";")
    done = tied_tables(f"reconstruct {MODEL} rows.csv -o -")
    assert all("," in row["weight"] for row in done.rows)


def test_a_table_is_read_as_the_model_that_is_fitted_to_it_learned(tied_tables):
    lines = [f"{7 * i % 50} min;{i * i / 8:.2f};{1 + i % 30} %\n" for i in range(40)]
    lines[9] = lines[9].replace(" %", ",5")  # the only decimal among text
    Path("rows.csv").write_text("time;weight;share\n" + "".join(lines), "utf-8")
    done = tied_tables("score rows.csv -o -")
    assert len(done.rows) == 40
    assert "another format" not in done.err


def test_the_decimal_mark_is_given_where_a_file_does_not_tell(tied_tables, fruit):
    fruit = fruit.assign(weight="1050", length=[f"3.{i:03}" for i in range(300)])
    save(fruit, "unclear.csv")
    fruit["length"] = fruit["length"].str.replace(".", "")
    save(fruit, "whole.csv")
    unclear = tied_tables(f"encode {MODEL} unclear.csv -o - --decimal ,")
    assert unclear.out == tied_tables(f"encode {MODEL} whole.csv -o -").out


def test_a_table_that_a_model_was_fitted_to_is_doubted_once(tied_tables, rng):
    towns = rng.choice(["Bergen", "Delft"], 300)
    streets = [f"street {max(0, place % 300 - 90) % 110}" for place in range(300)]
    rows = pd.DataFrame({"town": towns, "street": streets, "x": rng.normal(size=300)})
    rows.loc[5, "town"] = "Bergn"
    save(rows)
    for line in (
        "score rows.csv",
        "fill rows.csv -o new.csv",
        "plot rows.csv -o p.svg",
    ):
        done = tied_tables(
            f"{line} --categorical street --model m{line[:4]}.safetensors"
        )
        for column in ("town", "street"):
            assert done.err.count(f"column {column!r}") == 1
    save(rows, "later.csv")
    done = tied_tables("score mscor.safetensors later.csv")
    assert "may be misspelt" in done.err


DOUBTS = [
    "column 'kind' has 2 values in rare or new categories, treated as (other) or as"
    " missing: 'quince' 2 times, first in row 4",
    "column 'count' has no value in any row, and is imputed.",
    "column 'weight' has 1 value treated as missing: 'heavy' in row 6",
    "column 'farm' has 300 values that differ from training (always 'north') and are"
    " kept: 'south' 300 times",
]


def save_doubtful(fruit):
    fruit.loc[3:4, "kind"] = "quince"
    fruit.loc[5, "weight"] = "heavy"
    doubtful = fruit.assign(farm="south", count="")
    save(doubtful, "new.csv")
    save(doubtful.drop(columns="count"), "absent.csv")


@pytest.mark.parametrize(
    ("command", "n_doubts"),
    [
        ("encode m.safetensors new.csv -o codes.csv", 3),
        ("reconstruct m.safetensors new.csv -o rows.csv", 4),
        ("score m.safetensors new.csv -o scores.csv", 3),
        ("score m.safetensors new.csv --top 3", 3),
        ("encode m.safetensors absent.csv -o codes.csv --impute-absent", 3),
        ("plot m.safetensors new.csv -o rows.png", 3),
        ("report m.safetensors new.csv -o rows.html", 4),
        ("report m.safetensors fruit.csv -o rows.html --against new.csv", 3),
    ],
)
def test_what_is_doubtful_is_said(tied_tables, fruit, command, n_doubts):
    save_doubtful(fruit)
    said = tied_tables(command).err
    assert [doubt for doubt in DOUBTS if doubt in said] == DOUBTS[:n_doubts]


def test_an_absent_column_counts_as_an_empty_one(tied_tables, fruit):
    save_doubtful(fruit)
    empty = tied_tables(f"encode {MODEL} new.csv -o - --quiet")
    assert empty.err == ""
    absent = tied_tables(f"encode {MODEL} absent.csv -o - --impute-absent")
    assert absent.out == empty.out
    assert "'absent.csv': has no column 'count', which is imputed." in absent.err
    tied_tables(f"fill {MODEL} absent.csv -o filled.csv --impute-absent")
    assert pd.read_csv("filled.csv")["count"].notna().all()


def test_the_oddest_rows_are_the_same_however_they_are_asked_for(tied_tables):
    score = f"score {MODEL} fruit.csv"
    every = tied_tables(f"{score} -o - --explain").rows
    order = sorted(range(300), key=lambda row: -float(every[row]["score"]))
    assert [int(every[row]["rank"]) for row in order] == list(range(1, 301))
    table = tied_tables(f"{score} -o - --top 7").rows
    for place, found in zip(order, table, strict=False):
        expected = {**every[place], "row": str(place + 1)}
        for row in (found, expected):  # a few rows may be rounded in another way
            row |= {name: float(row[name]) for name in row if "." in row[name]}
        assert found == pytest.approx(expected)
    oddest = tied_tables(f"{score} --json").json["oddest"]
    assert [row["row"] - 1 for row in oddest] == order[:10]
    for row, expected in zip(oddest, table, strict=False):
        shares = [row[f"share{place}"] for place in (1, 2, 3)]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1 + 1e-6
        assert row["column1"] == expected["column1"]
        assert np.float32(row["score"]) == np.float32(expected["score"])
    shown = tied_tables(f"{score} --top 3").out
    assert re.findall(r"^(\d{4}) ", shown, re.MULTILINE) == [
        row["name"] for row in oddest[:3]
    ]
    assert all(row["why"] in shown for row in oddest[:3])


@pytest.mark.parametrize("top", ["", "--top 1"])
def test_all_rows_that_stand_out_are_counted(tied_tables, fruit, top):
    fruit.loc[[4, 7], "length"] = "900"
    save(fruit, "new.csv")
    said = tied_tables(f"score {MODEL} new.csv -o odd.csv {top}").out
    assert said == "scored 300 rows, 2 of which stand out, to odd.csv\n"


def test_a_table_in_which_no_row_stands_out_is_said_to_be_one(tied_tables, rng):
    said = "no row stands out: among 85 rows, some are as odd as these by chance"
    ordinary = pd.DataFrame(
        rng.normal(size=(85, 11)).clip(-2, 2), columns=[*"abcdefghijk"]
    )
    ordinary["kind"] = rng.choice([*"xyz"], 85)
    save(ordinary)
    assert said in tied_tables("score rows.csv --top 3").err
    ordinary.loc[4, "b"] = 900
    save(ordinary)
    assert said not in tied_tables("score rows.csv --top 3").err


def test_misspellings_and_times_in_the_wrong_order_are_named(tied_tables, rng):
    n = 400
    ordered = rng.integers(20_000, 20_400, n).astype("datetime64[D]")
    shipped = ordered + rng.integers(1, 9, n)
    shipped[7] = ordered[7] - np.timedelta64(30, "D")
    city = rng.choice(["Lyon", "Bergamo", "Kiel"], n).astype(object)
    city[[11, 12]] = "Loyn", "Kielo"
    amount = rng.lognormal(3, 1, n).round(2)
    orders = {
        "ordered": ordered,
        "shipped": shipped,
        "city": city,
        "amount": amount,
    }
    save(pd.DataFrame(orders), "orders.csv")
    tied_tables("fit orders.csv -o orders.safetensors")
    done = tied_tables("score orders.safetensors orders.csv --json")
    oddest = done.json["oddest"][0]
    assert oddest["row"] == 8
    assert oddest["why"].startswith(f"shipped {shipped[7]}; the other columns suggest")
    assert oddest["expected1"] > str(ordered[7])
    assert "'Loyn' in row 12, 'Kielo' in row 13" in done.err


def test_corrections_are_the_cells_and_rows_that_were_planted(tied_tables, rng):
    n = 400
    height = rng.normal(170, 9, n).round(1)
    weight = (0.9 * height - 80 + rng.normal(0, 2, n)).round(1)
    city = rng.choice(["Lyon", "Bergamo", "Kiel"], n).astype(object)
    people = {
        "person_id": range(n),
        "height": height,
        "weight": weight,
        "city": city,
    }
    rows = pd.DataFrame(people).astype(object)
    usual = rows.loc[9, "weight"]
    rows.loc[9, "weight"] = usual + 400
    rows.loc[19, "height"] = "tall"
    rows.loc[29, "city"] = "Bergmo"
    rows.loc[39, "person_id"] = 7
    rows.loc[59, "height"] *= 10
    rows.loc[n] = rows.loc[50]
    save(rows, "people.csv")
    tied_tables("corrections people.csv -o corrections.csv --model people.safetensors")
    found = pd.read_csv("corrections.csv")
    assert found["row"].tolist()[:6] == [60, 20, 40, 401, 30, 10]
    assert found["column"].tolist()[:3] == ["height", "height", "person_id"]
    assert float(found.loc[0, "suggestion"]) == height[59]
    assert found.loc[4, "suggestion"] == "Bergamo"
    assert found.loc[5, "column"] == "weight"
    assert abs(float(found.loc[5, "suggestion"]) - usual) < 10
    assert found.loc[5, "one_in"] > 300 > 20 > found.loc[5, "one_in_corrected"]
    assert len(found) < 9
    line = "corrections people.safetensors people.csv --json --id person_id"
    asked = tied_tables(line).json
    assert asked["corrections"][4]["person_id"] == "29"
    assert [each["row"] for each in asked["corrections"]] == found["row"].tolist()
    rows.loc[5, "city"] = "Oslo"
    save(rows.head(9), "new.csv")
    asked = tied_tables("corrections people.safetensors new.csv --json").json
    assert {"row": 6, "value": "Oslo"}.items() <= asked["corrections"][0].items()
    save(rows.rename(columns={"person_id": "value"}), "other.csv")
    save(rows.rename(columns={"person_id": "score"}).astype(str), "named.csv")
    assert "Bergmo" in tied_tables("corrections named.csv --id score").out
    failed = tied_tables("corrections other.csv --id value", 2)
    assert "the id column 'value' has the name of a column of the result" in failed.err


def test_rare_kinds_that_the_model_knows_are_no_mistakes(tied_tables, rng):
    rare = [2 * a + 2 * b for a in "abcdefg" for b in "hijklmn"]
    towns = ["Lyon"] * 370 + ["Bergamo"] * 370 + rare
    numbers = rng.normal(size=(2, len(towns)))
    save(pd.DataFrame({"town": towns, "x": numbers[0], "y": numbers[1]}))
    assert "unlike the other values" not in tied_tables("corrections rows.csv").out


def list_reasons(tied_tables, rows):
    """Why each row of a table is to be corrected, by its number."""
    save(rows)
    found = tied_tables("corrections rows.csv --json").json["corrections"]
    return {each["row"]: each["why"] for each in found}


def test_rows_whose_cells_are_displaced_are_said_to_be_so(tied_tables, rng):
    n = 300
    size = rng.normal(size=n)
    names = [*"abcdef"]
    numbers = {}
    for place, name in enumerate(names):
        noise = rng.normal(size=n)
        numbers[name] = (10**place * (5 + size + 0.3 * noise)).round(2)
    rows = pd.DataFrame(numbers)
    rows.iloc[20, 2:] = [None, *rows.iloc[20, 2:-1]]
    rows.iloc[40, 1:] = [*rows.iloc[40, 2:], None]
    rows.loc[60, "e"] *= 10
    said = list_reasons(tied_tables, rows)
    assert said[21] == "the cells from c on are shifted by one"
    assert said[41] == "the cells from b on are shifted by one"
    assert said[61].startswith("e ")


def test_a_displaced_row_is_one_line_where_its_cells_are_of_other_columns(
    tied_tables, rng
):
    n = 300
    kind = rng.integers(0, 3, n)
    price = (200 * (kind + 1) * rng.lognormal(0, 0.2, n)).round(2)
    table = {
        "item": np.array(["desk", "lamp", "shelf"])[kind],
        "supplier": rng.choice(["Arendal", "Bjorko", "Cordoba"], n),
        "bought": np.datetime64("2024-01-01") + rng.integers(0, 300, n),
        "price": price,
        "years": np.array([10, 5, 8])[kind],
        "yearly": (price / np.array([10, 5, 8])[kind]).round(2),
    }
    rows = pd.DataFrame(table).astype(str)
    rows.iloc[20, 1:] = [None, *rows.iloc[20, 1:-1]]
    said = list_reasons(tied_tables, rows)
    assert said == {21: "the cells from supplier on are shifted by one"}


def test_no_row_is_displaced_into_empty_columns(tied_tables, rng):
    kind = rng.integers(0, 3, 300)
    rows = pd.DataFrame({"town": np.array(["Bergen", "Cork", "Delft"])[kind]})
    rows["price"] = (50 * kind + rng.normal(200, 3, 300)).round(1)
    rows["spare 1"] = rows["spare 2"] = rows["spare 3"] = np.nan
    rows.loc[20, "price"] = 900
    assert not any("shifted" in why for why in list_reasons(tied_tables, rows).values())


def test_each_doubtful_cell_has_a_line(tied_tables, rng):
    n = 300
    kind = rng.integers(0, 3, n)
    price = (20 * kind + rng.normal(50, 3, n)).round(1)
    rows = pd.DataFrame({"client_id": [f"K-{place:04}" for place in range(n)]})
    rows["price"], rows["weight"] = price, (2 * price).astype(str)
    rows["town"] = np.array(["Bergamo", "Hamburg", "Leipzig"])[kind]
    rows.loc[20, ["price", "town"]] = 10, "Hambrug"  # and a doubtful price beside
    rows.loc[[40, 41], "weight"] = "OVER"
    rows.loc[80, "client_id"] = "K-0007"
    said = list_reasons(tied_tables, rows)
    assert said[21] == "town Hambrug may be a misspelling of Hamburg"
    for row in (41, 42):
        reason = "weight OVER is no number; with the other columns it is"
        assert said[row] == f"{reason} {2 * price[row - 1]:g}"
    assert "OVER" not in tied_tables("corrections rows.csv --na OVER").out
    assert said[81] == "row 81 has the client_id of row 8"


def test_a_threshold_has_an_exit_code_and_counts_the_rows(tied_tables):
    score = f"score {MODEL} fruit.csv"
    scores = [float(row["score"]) for row in tied_tables(f"{score} -o -").rows]
    least, some, top = min(scores), sorted(scores)[-30], max(scores)
    done = tied_tables(f"{score} -o scores.csv --threshold {2 * top}")
    assert f"none of which reaches the threshold of {2 * top}, to" in done.out
    for output in ("-o scores.csv", "-o scores.csv --top 40"):
        done = tied_tables(f"{score} {output} --threshold {some}", 3)
        assert f" 30 of which reach the threshold of {some}, to" in done.out
        assert "tied-tables: 30 rows reached the threshold" in done.err
    done = tied_tables(f"{score} --top 2 --threshold {least}", 3)
    assert "300 rows reached" in done.err
    assert "1 row reached" in tied_tables(f"{score} --threshold {top}", 3).err


def test_a_rarity_and_drift_have_exit_codes(tied_tables, fruit, estimator, rows):
    score = f"score {MODEL} fruit.csv --fail-on-drift"
    n_rare = int((estimator.rarity(rows) >= 20).sum())
    found = tied_tables(f"{score} --threshold 1/20 --json", 3).json
    assert (found["reached"], found["drifted"]) == (n_rare, False)
    tied_tables(f"{score} -o scores.csv")
    save(fruit.assign(weight=fruit["length"], length=fruit["count"]), "new.csv")
    new = score.replace("fruit.csv", "new.csv")
    done = tied_tables(f"{new} --json", 4)
    assert done.json["drifted"]
    assert "'new.csv' has drifted" in done.err
    fruit.loc[5, ["weight", "length"]] = "3e38", "-3e38"  # of an infinite score
    save(fruit, "new.csv")
    assert tied_tables(f"{new} --json").json["reached"] == 0


@slow
def test_a_table_alone_has_a_model_fitted_first(tied_tables):
    tied_tables("fit fruit.csv --id name")
    expected = tied_tables("score fruit.csv fruit.safetensors")
    line = "score fruit.csv --id name --model kept.safetensors"
    first, again = tied_tables(line), tied_tables("score kept.safetensors fruit.csv")
    assert expected.out == first.out == again.out
    assert "fitted a model to 'fruit.csv' first" in first.err
    assert "fitted" not in again.err


def test_a_model_that_another_command_replaces_meanwhile_is_not_used(
    tied_tables, monkeypatch
):
    replace = os.replace

    def replace_twice(part, target):
        replace(part, target)
        if Path(target).name == "kept.safetensors":
            shutil.copy("m.safetensors", target)

    score = "score fruit.csv --id name"
    expected = tied_tables(score).out
    monkeypatch.setattr(os, "replace", replace_twice)
    assert tied_tables(f"{score} --model kept.safetensors").out == expected
    assert tied_tables("score m.safetensors fruit.csv").out != expected


def test_a_model_fitted_first_leaves_something_of_two_numbers_over(tied_tables):
    score = "score fruit.csv --columns weight"
    assert "the code is as wide as the input (1 number)" in tied_tables(score).err
    tied_tables(f"{score},count --model narrow.safetensors")
    assert tied_tables("inspect narrow.safetensors --json").json["components"] == 1


OPTIONS = {
    "--components 3 --hidden 8,6 --solver nadam --epochs 4 --validation 0.2 --seed 7"
    " --scaler minmax": {
        "n_components": 3,
        "hidden_layer_sizes": (8, 6),
        "solver": "nadam",
        "max_iter": 4,
        "early_stopping": True,
        "validation_fraction": 0.2,
        "scaler": "minmax",
        "random_state": 7,
    },
    "--components 0.9 --epochs 3 --validation 0 --scaler none --solver lbfgs": {
        "n_components": 0.9,
        "hidden_layer_sizes": "auto",
        "solver": "lbfgs",
        "early_stopping": False,
        "scaler": None,
        "random_state": 0,
    },
}


@pytest.mark.parametrize("options", OPTIONS)
def test_options_reach_the_estimator(tied_tables, options):
    tied_tables(f"fit fruit.csv -o new.safetensors {options}")
    params = TiedAutoencoder.load("new.safetensors").get_params()
    expected = OPTIONS[options]
    assert {name: params[name] for name in expected} == expected


@pytest.mark.parametrize(
    "options",
    [
        "--columns weight,length,count",
        "--exclude name,kind --exclude ripe,day --label taste",
    ],
)
def test_columns_and_exclude_choose_what_is_used(tied_tables, options):
    fit = f"fit fruit.csv -o new.safetensors --epochs 1 --json {options}"
    assert tied_tables(fit).json["columns"] == ["weight", "length", "count"]


def test_fit_and_inspect_tell_of_rows_columns_and_errors(tied_tables, estimator):
    fit = "fit fruit.csv -o new.safetensors --epochs 9 --id name --label taste"
    said = tied_tables(f"{fit} --dates off").words
    inspected = tied_tables(f"inspect {MODEL}").words
    told = tied_tables(f"inspect {MODEL} --json").json
    notes = told["notes"]
    error, pca_error = notes["held_out"]
    for fact in (
        "columns used kind, weight, length, count, ripe: 7 numbers",
        "left out name (the id), day (a date or time",
        "components 2",
        "network 7 → 34 → 34 → 2",
        "parameters 1,677",
        f"error {error / pca_error:.2f} of PCA's on held-out rows ({error:.4g} and"
        f" {pca_error:.4g}); {notes['error']:.4g} on all rows",
        "rows 300",
        "command tied-tables fit fruit.csv -o",
    ):
        assert fact in said
        assert fact in inspected
    assert "model new.safetensors" in said
    assert "kind 0 3 3 categories: " in inspected
    assert told["features"] == 7
    assert told["components"] == 2
    assert told["iterations"] == estimator.n_iter_
    assert told["settings"]["max_iter"] == 9


def test_of_several_numbers_of_components_one_is_chosen(tied_tables, rng):
    X = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 10))
    np.save("three.npy", X + 0.1 * rng.normal(size=X.shape))
    choice = "components 3, of 1 to 5 the one that reconstructs hidden values best"
    done = tied_tables(f"fit three.npy -o {MODEL} --components 1,3,5 --epochs 2")
    assert choice in done.words
    assert choice in tied_tables(f"inspect {MODEL}").words
    told = tied_tables(f"inspect {MODEL} --json").json
    assert told["components"] == 3
    assert [width["n_components"] for width in told["notes"]["widths"]] == [1, 3, 5]


def test_columns_with_nothing_in_common_are_told_of(tied_tables):
    signs = np.meshgrid(*6 * [[-1.0, 1.0]])
    np.save("noise.npy", np.reshape(signs, (6, -1)).T)
    done = tied_tables(f"fit noise.npy -o {MODEL} --components 1..3")
    assert "not better than by their mean: the columns have little in" in done.words


def test_inspect_shows_strange_notes_and_tells_the_terminal_nothing(tied_tables):
    strange = {"rows": ["many"], "error": "small", "choice": 3}
    strange["command"] = "\x1b]0;x\x07"
    contents = file.read(MODEL)
    file.write(MODEL, contents._replace(notes=strange))
    shown = tied_tables(f"inspect {MODEL}").out
    assert "['many']" in shown
    assert "]0;x" in shown
    assert "\x1b" not in shown
    assert re.search(r"components +2 *\n", shown)


@pytest.mark.parametrize("name", ["a" * 243, os.fsdecode(b"\xff")])
def test_a_model_has_a_name_of_any_bytes_and_of_as_many_as_fit(tied_tables, name):
    path = f"{name}.safetensors"
    tied_tables(f"fit fruit.csv -o {path} --epochs 1 -q")
    assert tied_tables(f"inspect {path} --json").json["notes"]["rows"] == 300
    tied_tables(f"report {path} fruit.csv -o {name}.html -q")
    assert {path, f"{name}.html"} < set(os.listdir())


def test_json_holds_no_character_that_a_terminal_obeys(tied_tables, fruit):
    names = {"weight": "\x9b2J", "length": "\x7f\x90"}
    save(fruit.rename(columns=names))
    done = tied_tables("check rows.csv --json")
    assert not set(done.out) & set(map(chr, range(127, 160)))
    found = [column["name"] for column in done.json["columns"]]
    assert set(names.values()) < set(found)


@pytest.mark.parametrize("named", [True, False])
def test_a_model_that_was_saved_from_python_works(tied_tables, rng, named):
    X = rng.normal(size=(60, 4)).astype(np.float32)
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame.to_parquet("x.parquet")
    rows = frame if named else X
    estimator = seeded(max_iter=3).fit(rows)
    estimator.save(MODEL)
    tied_tables(f"encode {MODEL} x.parquet -o codes.npy")
    assert_allclose(np.load("codes.npy"), estimator.transform(rows), atol=1e-5)
    tied_tables(f"decode {MODEL} codes.npy -o x.csv")
    names = list(frame) if named else ["x0", "x1", "x2", "x3"]
    assert list(pd.read_csv("x.csv")) == names
    tied_tables(f"score {MODEL} x.parquet")
    inspected = tied_tables(f"inspect {MODEL}").out
    assert ("no names; the model expects 4 numbers" in inspected) != named
    assert ("columns used  a, b, c, d" in inspected) == named


def test_onnxruntime_gives_the_codes_of_encode(tied_tables, rows):
    onnxruntime = pytest.importorskip("onnxruntime")
    tied_tables(f"export {MODEL} -o m.onnx")
    session = onnxruntime.InferenceSession("m.onnx")
    features = json.loads(session.get_modelmeta().custom_metadata_map["features"])
    numbers = pd.get_dummies(rows, prefix_sep="=")[features].astype(np.float32)
    [codes] = session.run(["code"], {"X": numbers.to_numpy()})
    tied_tables(f"encode {MODEL} fruit.csv -o codes.npy")
    assert_allclose(codes, np.load("codes.npy"), atol=1e-4)


@pytest.mark.parametrize("command", ["encode", "reconstruct", "score", "score --top 3"])
def test_safe_csv_begins_no_formula(tied_tables, fruit, command):
    fruit["name"] = "=cmd|' /C calc'!A0 " + fruit["name"]
    save(fruit)
    line = f"{command} {MODEL} rows.csv -o -"
    assert "\n=cmd" in tied_tables(line).out
    safe = tied_tables(f"{line} --safe-csv").rows
    assert all(row["name"].startswith("'=cmd") for row in safe)


@pytest.mark.parametrize("most_rows", [10_000, 200])
def test_absurd_values_move_no_code_of_others(
    tied_tables, fruit, monkeypatch, most_rows
):
    for name in ("MOST_TRAINING_ROWS", "FEWEST_TRAINING_ROWS"):
        monkeypatch.setattr(sample, name, most_rows)
    shown = tied_tables("check fruit.csv").out
    assert (", of which 200 were examined" in shown) == (most_rows == 200)
    codes = []
    for weight, count in (("98", "1"), ("9999999", "-500000")):
        fruit.loc[40, "weight"], fruit.loc[295, "count"] = weight, count
        save(fruit)
        line = f"fit rows.csv -o {MODEL} --epochs 2 --hidden 8 --json"
        facts = tied_tables(line).json
        assert bool(facts["streamed"]) == (most_rows < 300)
        assert facts["rows"] == 300
        tied_tables(f"encode {MODEL} fruit.csv -o codes.npy")
        codes.append(np.abs(np.load("codes.npy")))
    difference = np.abs(codes[1] - codes[0]) / codes[0].std(axis=0)
    assert np.median(difference) < 0.1


def test_a_model_that_cannot_be_compared_with_pca_is_there(tied_tables, monkeypatch):
    def fail(*_, **__):
        raise ValueError("too many rows.")

    monkeypatch.setattr(value, "baseline_errors", fail)
    tied_tables("fit fruit.csv -o new.safetensors --epochs 2", 1)
    assert TiedAutoencoder.load("new.safetensors").n_iter_ == 2
    assert "error" not in tied_tables("inspect new.safetensors --json").json["notes"]


def test_of_a_thousand_columns_and_more_the_notes_tell_of_the_first(tied_tables, rng):
    np.save("wide.npy", rng.normal(size=(12, 1100)))
    tied_tables(f"fit wide.npy -o {MODEL} --epochs 1")
    notes = tied_tables(f"inspect {MODEL} --json").json["notes"]
    assert len(notes["table"]["columns"]) == 1000
    tied_tables(f"encode {MODEL} wide.npy -o codes.npy")
    assert np.load("codes.npy").shape == (12, 2)


def test_as_many_components_as_numbers_are_warned_of(tied_tables):
    fit = "fit fruit.csv -o new.safetensors --columns weight,count,ripe --epochs 1"
    warning = "the code is as wide as the input (3 numbers)"
    assert warning in tied_tables(f"{fit} --components 3").err
    assert tied_tables(f"{fit} --components 2").err == ""


def test_a_model_that_knows_its_rows_by_heart_is_warned_of(tied_tables, rng):
    np.save("noise.npy", rng.normal(size=(60, 50)))
    fit = f"fit noise.npy -o {MODEL} --epochs 1 --json --components"
    done = tied_tables(f"{fit} 40")
    error, [held_out, _] = done.json["error"], done.json["held_out"]
    worse = (
        f"the error on held-out rows, {held_out:.4g}, is {held_out / error:.3g} times"
    )
    assert worse in done.err
    assert "the model overfits" in done.err
    assert tied_tables(f"{fit} 2").err == ""


def add_total(fruit):
    """Fruit with a last row that adds up the others."""
    sums = fruit[["weight", "count"]].apply(pd.to_numeric, errors="coerce").sum()
    total = pd.DataFrame([{"name": "Total", **sums.map("{:.2f}".format)}])
    return pd.concat([fruit, total], ignore_index=True)


def test_a_total_is_not_trained_on(tied_tables, fruit):
    save(fruit)
    tied_tables("fit rows.csv -o plain.safetensors --epochs 3")
    save(add_total(fruit), "total.csv")
    done = tied_tables("fit total.csv -o total.safetensors --epochs 3 --json")
    assert "row 301, the last, says 'Total' in column 'name'" in done.err
    assert done.json["rows"] == 300
    codes = []
    for name in ("plain", "total"):
        tied_tables(f"encode {name}.safetensors rows.csv -o codes.npy")
        codes.append(np.load("codes.npy"))
    assert_array_equal(*codes)


def test_fill_keeps_the_gaps_of_a_total(tied_tables, fruit):
    rows = add_total(fruit)
    for name in ("rows.csv", "rows.tsv"):
        rows.to_csv(name, index=False, sep="," if name.endswith("csv") else "\t")
    for name, output in [("rows.csv", "new.csv"), ("rows.tsv", "new.parquet")]:
        done = tied_tables(f"fill {name} -o {output} --cells cells.csv")
        assert "row 301, the last, says 'Total' in column 'name'" in done.err
        new = pd.read_csv(output) if output.endswith("csv") else pd.read_parquet(output)
        assert new["weight"].notna().all()
        gaps = new.iloc[-1].replace("", None).isna()
        assert gaps.equals(rows.iloc[-1].replace("", None).isna())
        assert pd.read_csv("cells.csv")["row"].max() < 301


def test_a_total_reaches_no_threshold(tied_tables, fruit):
    save(add_total(fruit))
    tied_tables("fit fruit.csv -o fruit.safetensors -q")
    found = tied_tables("score fruit.safetensors rows.csv --json")
    most = max(each["score"] for each in found.json["oddest"] if each["row"] != 301)
    done = tied_tables(f"score fruit.safetensors rows.csv --threshold {most + 1}")
    assert "0 rows" not in done.err
    tied_tables(f"score fruit.safetensors rows.csv --threshold {most - 1}", 3)


def test_score_and_corrections_name_a_total_as_such(tied_tables, fruit):
    save(add_total(fruit))
    for model in ("", f"{MODEL} "):
        done = tied_tables(f"score {model}rows.csv --json")
        whys = {row["row"]: row["why"] for row in done.json["oddest"]}
        assert whys[301] == "a total: it says 'Total' in column 'name'"
        listed = tied_tables(f"corrections {model}rows.csv --json").json["corrections"]
        [of_total] = [entry for entry in listed if entry["row"] == 301]
        assert of_total == listed[0]
        assert of_total["why"].startswith("a total: it says 'Total' in column 'name';")


def test_python_gives_the_reasons_and_corrections_of_the_shell(tied_tables, fruit):
    fruit = fruit.drop(columns=["name", "farm"])
    fruit.loc[[11, 12], "kind"] = "plumm"
    save(fruit)
    frame = pd.read_csv("rows.csv")
    model = TiedAutoencoder(2, max_iter=9, random_state=0).fit(frame)
    model.save("python.safetensors")
    oddest = tied_tables("score python.safetensors rows.csv --top 40 --json").json
    places = [row["row"] - 1 for row in oddest["oddest"]]
    reasons = model.explain(frame.iloc[places])
    assert reasons.sentences() == [row["why"] for row in oddest["oddest"]]
    table = reasons.to_frame()
    for name in ("column1", "expected2"):
        shown = [row[name] for row in oddest["oddest"]]
        assert (
            table[name].astype(object).where(table[name].notna(), None).tolist()
            == shown
        )
    tied_tables("corrections python.safetensors rows.csv -o listed.csv")
    listed, found = pd.read_csv("listed.csv"), corrections(frame, model)
    for name in ("row", "column", "value", "why"):
        assert listed[name].astype(str).tolist() == found[name].astype(str).tolist()
    assert {12, 13} <= set(found["row"])


def test_rules_of_the_model_judge_new_rows_and_fill_gaps(tied_tables, rng):
    price = rng.uniform(2, 90, 400).round(2)
    units = rng.integers(2, 9, 400)
    rows = pd.DataFrame({"price": price, "units": units, "noise": rng.random(400)})
    rows["total"] = (price * units).round(2)
    save(rows)
    tied_tables("fit rows.csv -o rows.safetensors --epochs 2")
    new = rows.head(6).copy()
    new.loc[2, "total"] = 0.07
    save(new, "new.csv")
    asked = tied_tables("corrections rows.safetensors new.csv --json").json
    first = asked["corrections"][0]
    assert first["row"] == 3
    assert float(first["suggestion"]) == rows.loc[2, "total"]
    gaps = rows.head(6).copy()
    gaps.loc[4, "total"] = gaps.loc[5, "price"] = None
    save(gaps, "gaps.csv")
    tied_tables("fill rows.safetensors gaps.csv -o filled.csv")
    pd.testing.assert_frame_equal(pd.read_csv("filled.csv"), rows.head(6))
    rule = "total = price x units: 100 % of 400 rows, 0 exceptions"
    assert rule in tied_tables("inspect rows.safetensors").out
    assert rule in tied_tables("inspect rows.safetensors --json").json["rules"]


def test_corrections_without_a_model_are_those_of_the_shell(tied_tables):
    """The rarity of the row depends on how long the model is trained."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=1100)
    curves = {
        f"c{i}": np.sin((i + 1) * x) + x**2 * (i % 3) + rng.normal(0, 0.01, 1100)
        for i in range(8)
    }
    frame = pd.DataFrame({"x": x, **curves}).round(4)
    rows = rng.choice(1100, 6, replace=False)
    frame.loc[rows, "c1"] = frame["c1"].sample(6, random_state=2).to_numpy()
    frame["kind"] = rng.choice(["apple", "pear", "plum"], 1100)
    frame.loc[[11, 12], "kind"] = "plumm"
    save(frame)
    tied_tables("corrections rows.csv -o listed.csv")
    listed, found = pd.read_csv("listed.csv"), corrections(frame)
    assert rows[0] + 1 in list(found["row"])
    assert {12, 13} <= set(found["row"])
    for name in ("row", "column", "why"):
        assert listed[name].astype(str).tolist() == found[name].astype(str).tolist()
    assert_allclose(listed["one_in"], found["one_in"], rtol=1e-4)


def test_rows_that_speak_of_one_thing_correct_each_other(tied_tables, rng):
    hours = np.repeat(rng.integers(6, 22, 60), 5)
    frame = pd.DataFrame({"flight": np.repeat(np.arange(60), 5), "hour": hours})
    frame["delay"] = rng.integers(0, 500, 300)
    frame.loc[7, "hour"] = 23
    save(frame)
    found = tied_tables("corrections rows.csv --same flight --json").json
    [listed] = [c for c in found["corrections"] if c["column"] == "hour"]
    assert (listed["row"], listed["suggestion"]) == (8, str(hours[7]))
    wrong = tied_tables("corrections rows.csv --same flihgt", 2).err
    assert "'rows.csv' has no column 'flihgt' for --same; try 'flight'." in wrong
