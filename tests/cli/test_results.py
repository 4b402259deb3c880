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
from tests.estimator.networks import seeded
from tests.marks import for_each, slow

from keras_tied import TiedAutoencoder
from keras_tied.fitted import file, value
from keras_tied.fitting import sample

from .conftest import save

MODEL = "m.safetensors"


@pytest.fixture
def estimator(folder):
    return TiedAutoencoder.load(MODEL)


@pytest.fixture
def rows(folder, estimator):
    return pd.read_csv("fruit.csv")[list(estimator.feature_names_in_)]


def test_results_are_those_of_the_estimator(keras_tied, fruit, estimator, rows):
    keras_tied(f"encode {MODEL} fruit.csv -o codes.npy")
    assert_allclose(np.load("codes.npy"), estimator.transform(rows), rtol=1e-5)
    keras_tied(f"score {MODEL} fruit.csv -o scores.csv")
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
    keras_tied, fruit, estimator, rows
):
    keras_tied(f"reconstruct {MODEL} fruit.csv -o restored.csv")
    keras_tied(f"encode {MODEL} fruit.csv -o codes.parquet")
    keras_tied(f"decode {MODEL} codes.parquet -o decoded.csv")
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


def test_codes_are_decoded_to_large_numbers(keras_tied):
    save(pd.DataFrame({"stamp": 1_700_000_000_000 + 77 * np.arange(99)}))
    keras_tied("fit rows.csv -o m2.safetensors --components 1 -q")
    keras_tied("encode m2.safetensors rows.csv -o codes.csv")
    done = keras_tied("decode m2.safetensors codes.csv -o -")
    stamps = [int(row["stamp"]) for row in done.rows]
    assert_allclose(np.diff(stamps), 77, atol=9)


def test_standard_output_is_csv_and_nothing_else(keras_tied):
    for command in ("encode", "reconstruct", "score"):
        done = keras_tied(f"{command} {MODEL} fruit.csv -o -")
        assert done.err == ""
        assert [row["name"] for row in done.rows] == [f"{i:04}" for i in range(300)]
    other = keras_tied(f"encode {MODEL} fruit.csv -o - --id day")
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
        "ignored the column 'price' of 'rows.csv', which the model has never seen.",
    ),
    "a unit": (
        lambda frame: frame.assign(length=frame["length"] + " cm"),
        ",",
        "column 'length' holds numbers in cm in 'rows.csv', beside numbers in training,"
        " and is read in the form of the file.",
    ),
    "decimal commas": (
        with_commas,
        ";",
        "'length' holds numbers with a decimal comma in 'rows.csv'",
    ),
}


@for_each(GUISES, "change", "delimiter", "said")
def test_rows_have_the_same_codes_in_any_guise(
    keras_tied, fruit, change, delimiter, said
):
    keras_tied(f"encode {MODEL} fruit.csv -o expected.npy")
    save(change(fruit), sep=delimiter)
    done = keras_tied(f"encode {MODEL} rows.csv -o codes.npy")
    assert_array_equal(np.load("codes.npy"), np.load("expected.npy"))
    assert said in done.err
    assert bool(said) == bool(done.err)


def test_what_is_written_has_the_form_of_its_file(keras_tied, fruit):
    save(with_commas(fruit), sep=";")
    done = keras_tied(f"reconstruct {MODEL} rows.csv -o -")
    assert all("," in row["weight"] for row in done.rows)


def test_the_decimal_mark_is_given_where_a_file_does_not_tell(keras_tied, fruit):
    fruit = fruit.assign(weight="1050", length=[f"3.{i:03}" for i in range(300)])
    save(fruit, "unclear.csv")
    fruit["length"] = fruit["length"].str.replace(".", "")
    save(fruit, "whole.csv")
    unclear = keras_tied(f"encode {MODEL} unclear.csv -o - --decimal ,")
    assert unclear.out == keras_tied(f"encode {MODEL} whole.csv -o -").out


DOUBTS = [
    "column 'kind' holds 2 values of rare or new categories, which count as one or as"
    " missing: 'quince' 2 times, first in row 4",
    "column 'count' has no value in any row, and is imputed.",
    "column 'weight' holds 1 value that counts as missing: 'heavy' in row 6",
    "column 'farm' holds 300 values beside what it was in training, always 'north',"
    " which are kept: 'south' 300 times",
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
def test_what_is_doubtful_is_said(keras_tied, fruit, command, n_doubts):
    save_doubtful(fruit)
    said = keras_tied(command).err
    assert [doubt for doubt in DOUBTS if doubt in said] == DOUBTS[:n_doubts]


def test_an_absent_column_counts_as_an_empty_one(keras_tied, fruit):
    save_doubtful(fruit)
    empty = keras_tied(f"encode {MODEL} new.csv -o - --quiet")
    assert empty.err == ""
    absent = keras_tied(f"encode {MODEL} absent.csv -o - --impute-absent")
    assert absent.out == empty.out
    assert "'absent.csv': has no column 'count', which is imputed." in absent.err
    keras_tied(f"fill {MODEL} absent.csv -o filled.csv --impute-absent")
    assert pd.read_csv("filled.csv")["count"].notna().all()


def test_the_oddest_rows_are_the_same_however_they_are_asked_for(keras_tied):
    score = f"score {MODEL} fruit.csv"
    every = keras_tied(f"{score} -o - --explain").rows
    order = sorted(range(300), key=lambda row: -float(every[row]["score"]))
    assert [int(every[row]["rank"]) for row in order] == list(range(1, 301))
    table = keras_tied(f"{score} -o - --top 7").rows
    for place, found in zip(order, table, strict=False):
        expected = {**every[place], "row": str(place + 1)}
        for row in (found, expected):  # a few rows may be rounded in another way
            row |= {name: float(row[name]) for name in row if "." in row[name]}
        assert found == pytest.approx(expected)
    oddest = keras_tied(f"{score} --json").json["oddest"]
    assert [row["row"] - 1 for row in oddest] == order[:10]
    for row, expected in zip(oddest, table, strict=False):
        shares = [row[f"share{place}"] for place in (1, 2, 3)]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1 + 1e-6
        assert row["column1"] == expected["column1"]
        assert np.float32(row["score"]) == np.float32(expected["score"])
    shown = keras_tied(f"{score} --top 3").out
    assert re.findall(r"^ (\d{4}) ", shown, re.MULTILINE) == [
        row["name"] for row in oddest[:3]
    ]
    assert all(row["why"] in shown for row in oddest[:3])


@pytest.mark.parametrize("top", ["", "--top 1"])
def test_all_rows_that_stand_out_are_counted(keras_tied, fruit, top):
    fruit.loc[[4, 7], "length"] = "900"
    save(fruit, "new.csv")
    said = keras_tied(f"score {MODEL} new.csv -o odd.csv {top}").out
    assert said == "scored 300 rows, of which 2 stand out, to odd.csv\n"


def test_misspellings_and_times_in_the_wrong_order_come_first(keras_tied, rng):
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
    keras_tied("fit orders.csv -o orders.safetensors")
    oddest = keras_tied("score orders.safetensors orders.csv --json").json["oddest"]
    reasons = {row["row"]: row["why"] for row in oddest[:3]}
    assert reasons[12] == "city Loyn is maybe Lyon, misspelt"
    assert reasons[13] == "city Kielo is maybe Kiel, misspelt"
    assert reasons[8].startswith(f"shipped {shipped[7]}; the other columns suggest")


def test_corrections_are_the_cells_and_rows_that_were_planted(keras_tied, rng):
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
    rows.loc[9, "weight"] = 10 * usual
    rows.loc[19, "height"] = "tall"
    rows.loc[29, "city"] = "Bergmo"
    rows.loc[39, "person_id"] = 7
    rows.loc[n] = rows.loc[50]
    save(rows, "people.csv")
    keras_tied("corrections people.csv -o corrections.csv --model people.safetensors")
    found = pd.read_csv("corrections.csv")
    assert found["row"].tolist()[:5] == [20, 40, 401, 30, 10]
    assert found["column"].tolist()[:2] == ["height", "person_id"]
    assert found.loc[3, "suggestion"] == "Bergamo"
    assert found.loc[4, "column"] == "weight"
    assert abs(float(found.loc[4, "suggestion"]) - usual) < 10
    assert found.loc[4, "one_in"] > 300 > 20 > found.loc[4, "one_in_corrected"]
    assert len(found) < 9
    line = "corrections people.safetensors people.csv --json --id person_id"
    asked = keras_tied(line).json
    assert asked["corrections"][3]["person_id"] == "29"
    assert [each["row"] for each in asked["corrections"]] == found["row"].tolist()
    rows.loc[5, "city"] = "Oslo"
    save(rows.head(9), "new.csv")
    asked = keras_tied("corrections people.safetensors new.csv --json").json
    assert {"row": 6, "value": "Oslo"}.items() <= asked["corrections"][0].items()
    save(rows.rename(columns={"person_id": "value"}), "other.csv")
    save(rows.rename(columns={"person_id": "score"}).astype(str), "named.csv")
    assert "Bergmo" in keras_tied("corrections named.csv --id score").out
    failed = keras_tied("corrections other.csv --id value", 2)
    assert "the id 'value' is a column of the list, too" in failed.err


def test_rare_kinds_that_the_model_knows_are_no_mistakes(keras_tied, rng):
    rare = [2 * a + 2 * b for a in "abcdefg" for b in "hijklmn"]
    towns = ["Lyon"] * 370 + ["Bergamo"] * 370 + rare
    numbers = rng.normal(size=(2, len(towns)))
    save(pd.DataFrame({"town": towns, "x": numbers[0], "y": numbers[1]}))
    assert "like its other values" not in keras_tied("corrections rows.csv").out


def list_reasons(keras_tied, rows):
    """Why each row of a table is to be corrected, by its number."""
    save(rows)
    found = keras_tied("corrections rows.csv --json").json["corrections"]
    return {each["row"]: each["why"] for each in found}


def test_rows_whose_cells_are_displaced_are_said_to_be_so(keras_tied, rng):
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
    said = list_reasons(keras_tied, rows)
    assert said[21] == "the cells from c on are displaced by one"
    assert said[41] == "the cells from b on are displaced by one"
    assert said[61].startswith("e ")


def test_each_doubtful_cell_has_a_line(keras_tied, rng):
    n = 300
    kind = rng.integers(0, 3, n)
    price = (20 * kind + rng.normal(50, 3, n)).round(1)
    rows = pd.DataFrame({"client_id": [f"K-{place:04}" for place in range(n)]})
    rows["price"], rows["weight"] = price, (2 * price).astype(str)
    rows["town"] = np.array(["Bergamo", "Hamburg", "Leipzig"])[kind]
    rows.loc[20, ["price", "town"]] = 10, "Hambrug"  # and a doubtful price beside
    rows.loc[[40, 41], "weight"] = "OVER"
    rows.loc[80, "client_id"] = "K-0007"
    said = list_reasons(keras_tied, rows)
    assert said[21] == "town Hambrug is maybe Hamburg, misspelt"
    assert said[41] == said[42] == "weight OVER is not like its other values, 2 times"
    assert said[81] == "row 81 has the client_id of row 8"


def test_a_threshold_has_an_exit_code(keras_tied):
    score = f"score {MODEL} fruit.csv"
    scores = [float(row["score"]) for row in keras_tied(f"{score} -o -").rows]
    least, some, top = min(scores), sorted(scores)[-30], max(scores)
    keras_tied(f"{score} -o scores.csv --threshold {2 * top}")
    for output in ("-o scores.csv", "-o scores.csv --top 40"):
        done = keras_tied(f"{score} {output} --threshold {some}", 3)
        assert "keras-tied: 30 rows reached the threshold" in done.err
    done = keras_tied(f"{score} --top 2 --threshold {least}", 3)
    assert "300 rows reached" in done.err
    assert "1 row reached" in keras_tied(f"{score} --threshold {top}", 3).err


def test_a_rarity_and_drift_have_exit_codes(keras_tied, fruit, estimator, rows):
    score = f"score {MODEL} fruit.csv --fail-on-drift"
    n_rare = int((estimator.rarity(rows) >= 20).sum())
    found = keras_tied(f"{score} --threshold 1/20 --json", 3).json
    assert (found["reached"], found["drifted"]) == (n_rare, False)
    keras_tied(f"{score} -o scores.csv")
    save(fruit.assign(weight=fruit["length"], length=fruit["count"]), "new.csv")
    new = score.replace("fruit.csv", "new.csv")
    done = keras_tied(f"{new} --json", 4)
    assert done.json["drifted"]
    assert "'new.csv' has drifted" in done.err
    fruit.loc[5, ["weight", "length"]] = "3e38", "-3e38"  # of an infinite score
    save(fruit, "new.csv")
    assert keras_tied(f"{new} --json").json["reached"] == 0


@slow
def test_a_table_alone_has_a_model_fitted_first(keras_tied):
    keras_tied("fit fruit.csv --id name")
    expected = keras_tied("score fruit.csv fruit.safetensors")
    line = "score fruit.csv --id name --model kept.safetensors"
    first, again = keras_tied(line), keras_tied("score kept.safetensors fruit.csv")
    assert expected.out == first.out == again.out
    assert "fitted a model to 'fruit.csv' first" in first.err
    assert "fitted" not in again.err


def test_a_model_that_another_command_replaces_meanwhile_is_not_used(
    keras_tied, monkeypatch
):
    replace = os.replace

    def replace_twice(part, target):
        replace(part, target)
        if Path(target).name == "kept.safetensors":
            shutil.copy("m.safetensors", target)

    score = "score fruit.csv --id name"
    expected = keras_tied(score).out
    monkeypatch.setattr(os, "replace", replace_twice)
    assert keras_tied(f"{score} --model kept.safetensors").out == expected
    assert keras_tied("score m.safetensors fruit.csv").out != expected


def test_a_model_fitted_first_leaves_something_of_two_numbers_over(keras_tied):
    score = "score fruit.csv --columns weight"
    assert "the code holds all of a row, 1 number" in keras_tied(score).err
    keras_tied(f"{score},count --model narrow.safetensors")
    assert keras_tied("inspect narrow.safetensors --json").json["components"] == 1


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
def test_options_reach_the_estimator(keras_tied, options):
    keras_tied(f"fit fruit.csv -o new.safetensors {options}")
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
def test_columns_and_exclude_choose_what_is_used(keras_tied, options):
    fit = f"fit fruit.csv -o new.safetensors --epochs 1 --json {options}"
    assert keras_tied(fit).json["columns"] == ["weight", "length", "count"]


def test_fit_and_inspect_tell_of_rows_columns_and_errors(keras_tied, estimator):
    fit = "fit fruit.csv -o new.safetensors --epochs 9 --id name --label taste"
    said = keras_tied(f"{fit} --dates off").words
    inspected = keras_tied(f"inspect {MODEL}").words
    told = keras_tied(f"inspect {MODEL} --json").json
    notes = told["notes"]
    error, pca_error = notes["held_out"]
    for fact in (
        "columns used kind, weight, length, count, ripe: 7 numbers",
        "left out name (the id), day (a date or time",
        "components 2",
        "network 7 → 34 → 34 → 2",
        "parameters 1,677",
        f"error {error:.4g}, mean deviance of columns",
        f"on rows held out; {notes['error']:.4g} on all rows",
        f"PCA's error {pca_error:.4g}; the model's is {error / pca_error:.2f} times",
        "rows 300",
        "command keras-tied fit fruit.csv -o",
    ):
        assert fact in said
        assert fact in inspected
    assert "model new.safetensors" in said
    assert "kind categories 0 3" in inspected
    assert told["features"] == 7
    assert told["components"] == 2
    assert told["iterations"] == estimator.n_iter_
    assert told["settings"]["max_iter"] == 9


def test_of_several_numbers_of_components_one_is_chosen(keras_tied, rng):
    X = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 10))
    np.save("three.npy", X + 0.1 * rng.normal(size=X.shape))
    choice = "components 3, of 1 to 5 the one that reconstructs hidden values best"
    done = keras_tied(f"fit three.npy -o {MODEL} --components 1,3,5 --epochs 2")
    assert choice in done.words
    assert choice in keras_tied(f"inspect {MODEL}").words
    told = keras_tied(f"inspect {MODEL} --json").json
    assert told["components"] == 3
    assert [width["n_components"] for width in told["notes"]["widths"]] == [1, 3, 5]


def test_columns_with_nothing_in_common_are_told_of(keras_tied):
    signs = np.meshgrid(*6 * [[-1.0, 1.0]])
    np.save("noise.npy", np.reshape(signs, (6, -1)).T)
    done = keras_tied(f"fit noise.npy -o {MODEL} --components 1..3")
    assert "not better than by their mean: the columns have little in" in done.words


def test_inspect_shows_strange_notes_and_tells_the_terminal_nothing(keras_tied):
    strange = {"rows": ["many"], "error": "small", "choice": 3}
    strange["command"] = "\x1b]0;x\x07"
    contents = file.read(MODEL)
    file.write(MODEL, contents._replace(notes=strange))
    shown = keras_tied(f"inspect {MODEL}").out
    assert "['many']" in shown
    assert "]0;x" in shown
    assert "\x1b" not in shown
    assert re.search(r"components +2 *\n", shown)


@pytest.mark.parametrize("name", ["a" * 243, os.fsdecode(b"\xff")])
def test_a_model_has_a_name_of_any_bytes_and_of_as_many_as_fit(keras_tied, name):
    path = f"{name}.safetensors"
    keras_tied(f"fit fruit.csv -o {path} --epochs 1 -q")
    assert keras_tied(f"inspect {path} --json").json["notes"]["rows"] == 300
    keras_tied(f"report {path} fruit.csv -o {name}.html -q")
    assert {path, f"{name}.html"} < set(os.listdir())


def test_json_holds_no_character_that_a_terminal_obeys(keras_tied, fruit):
    names = {"weight": "\x9b2J", "length": "\x7f\x90"}
    save(fruit.rename(columns=names))
    done = keras_tied("check rows.csv --json")
    assert not set(done.out) & set(map(chr, range(127, 160)))
    found = [column["name"] for column in done.json["columns"]]
    assert set(names.values()) < set(found)


@pytest.mark.parametrize("named", [True, False])
def test_a_model_that_was_saved_from_python_works(keras_tied, rng, named):
    X = rng.normal(size=(60, 4)).astype(np.float32)
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame.to_parquet("x.parquet")
    rows = frame if named else X
    estimator = seeded(max_iter=3).fit(rows)
    estimator.save(MODEL)
    keras_tied(f"encode {MODEL} x.parquet -o codes.npy")
    assert_allclose(np.load("codes.npy"), estimator.transform(rows), atol=1e-5)
    keras_tied(f"decode {MODEL} codes.npy -o x.csv")
    names = list(frame) if named else ["x0", "x1", "x2", "x3"]
    assert list(pd.read_csv("x.csv")) == names
    keras_tied(f"score {MODEL} x.parquet")
    inspected = keras_tied(f"inspect {MODEL}").out
    assert ("not noted; it takes 4 numbers" in inspected) != named
    assert ("columns used  a, b, c, d" in inspected) == named


def test_onnxruntime_gives_the_codes_of_encode(keras_tied, rows):
    onnxruntime = pytest.importorskip("onnxruntime")
    keras_tied(f"export {MODEL} -o m.onnx")
    session = onnxruntime.InferenceSession("m.onnx")
    features = json.loads(session.get_modelmeta().custom_metadata_map["features"])
    numbers = pd.get_dummies(rows, prefix_sep="=")[features].astype(np.float32)
    [codes] = session.run(["code"], {"X": numbers.to_numpy()})
    keras_tied(f"encode {MODEL} fruit.csv -o codes.npy")
    assert_allclose(codes, np.load("codes.npy"), atol=1e-4)


@pytest.mark.parametrize("command", ["encode", "reconstruct", "score", "score --top 3"])
def test_safe_csv_begins_no_formula(keras_tied, fruit, command):
    fruit["name"] = "=cmd|' /C calc'!A0 " + fruit["name"]
    save(fruit)
    line = f"{command} {MODEL} rows.csv -o -"
    assert "\n=cmd" in keras_tied(line).out
    safe = keras_tied(f"{line} --safe-csv").rows
    assert all(row["name"].startswith("'=cmd") for row in safe)


@pytest.mark.parametrize("most_rows", [10_000, 200])
def test_absurd_values_move_no_code_of_others(
    keras_tied, fruit, monkeypatch, most_rows
):
    for name in ("MOST_ROWS", "SMALLEST_SAMPLE"):
        monkeypatch.setattr(sample, name, most_rows)
    shown = keras_tied("check fruit.csv").out
    assert (", of which 200 were looked at" in shown) == (most_rows == 200)
    codes = []
    for weight, count in (("98", "1"), ("9999999", "-500000")):
        fruit.loc[40, "weight"], fruit.loc[295, "count"] = weight, count
        save(fruit)
        line = f"fit rows.csv -o {MODEL} --epochs 2 --hidden 8 --json"
        facts = keras_tied(line).json
        assert bool(facts["streamed"]) == (most_rows < 300)
        assert facts["rows"] == 300
        keras_tied(f"encode {MODEL} fruit.csv -o codes.npy")
        codes.append(np.abs(np.load("codes.npy")))
    difference = np.abs(codes[1] - codes[0]) / codes[0].std(axis=0)
    assert np.median(difference) < 0.1


def test_a_model_that_cannot_be_compared_with_pca_is_there(keras_tied, monkeypatch):
    def fail(*_, **__):
        raise ValueError("too many rows.")

    monkeypatch.setattr(value, "baseline_errors", fail)
    keras_tied("fit fruit.csv -o new.safetensors --epochs 2", 1)
    assert TiedAutoencoder.load("new.safetensors").n_iter_ == 2
    assert "error" not in keras_tied("inspect new.safetensors --json").json["notes"]


def test_of_a_thousand_columns_and_more_the_notes_tell_of_the_first(keras_tied, rng):
    np.save("wide.npy", rng.normal(size=(12, 1100)))
    keras_tied(f"fit wide.npy -o {MODEL} --epochs 1")
    notes = keras_tied(f"inspect {MODEL} --json").json["notes"]
    assert len(notes["table"]["columns"]) == 1000
    keras_tied(f"encode {MODEL} wide.npy -o codes.npy")
    assert np.load("codes.npy").shape == (12, 2)


def test_as_many_components_as_numbers_are_warned_of(keras_tied):
    fit = "fit fruit.csv -o new.safetensors --columns weight,count,ripe --epochs 1"
    warning = "the code holds all of a row, 3 numbers"
    assert warning in keras_tied(f"{fit} --components 3").err
    assert keras_tied(f"{fit} --components 2").err == ""


def test_a_model_that_knows_its_rows_by_heart_is_warned_of(keras_tied, rng):
    np.save("noise.npy", rng.normal(size=(60, 50)))
    fit = f"fit noise.npy -o {MODEL} --epochs 1 --json --components"
    done = keras_tied(f"{fit} 40")
    error, [held_out, _] = done.json["error"], done.json["held_out"]
    worse = (
        f"the error of rows held out, {held_out:.4g}, is {held_out / error:.3g} times"
    )
    assert worse in done.err
    assert "the model knows these by heart" in done.err
    assert keras_tied(f"{fit} 2").err == ""


def add_total(fruit):
    """Fruit with a last row that adds up the others."""
    sums = fruit[["weight", "count"]].apply(pd.to_numeric, errors="coerce").sum()
    total = pd.DataFrame([{"name": "Total", **sums.map("{:.2f}".format)}])
    return pd.concat([fruit, total], ignore_index=True)


def test_a_total_is_not_trained_on(keras_tied, fruit):
    save(fruit)
    keras_tied("fit rows.csv -o plain.safetensors --epochs 3")
    save(add_total(fruit), "total.csv")
    done = keras_tied("fit total.csv -o total.safetensors --epochs 3 --json")
    assert "row 301, the last, says 'Total' in column 'name'" in done.err
    assert done.json["rows"] == 300
    codes = []
    for name in ("plain", "total"):
        keras_tied(f"encode {name}.safetensors rows.csv -o codes.npy")
        codes.append(np.load("codes.npy"))
    assert_array_equal(*codes)


def test_score_and_corrections_name_a_total_as_such(keras_tied, fruit):
    save(add_total(fruit))
    for model in ("", f"{MODEL} "):
        done = keras_tied(f"score {model}rows.csv --json")
        whys = {row["row"]: row["why"] for row in done.json["oddest"]}
        assert whys[301] == "a total: it says 'Total' in column 'name'"
        listed = keras_tied(f"corrections {model}rows.csv --json").json["corrections"]
        [of_total] = [entry for entry in listed if entry["row"] == 301]
        assert of_total == listed[0]
        assert of_total["why"].startswith("a total: it says 'Total' in column 'name';")
