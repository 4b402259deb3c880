"""Tables that come later, and are not written as the one that a model was fitted to."""

import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

N = 200
RNG = np.random.default_rng(3)
SIZE = RNG.normal(size=N)
WEIGHTS = [round(3000 + 900 * x) + 0.25 for x in SIZE]
LENGTHS = [
    round(50 + 9 * x + e, 2) for x, e in zip(SIZE, RNG.normal(size=N), strict=True)
]
KINDS = [("apple", "pear")[int(x > 0.3)] for x in SIZE]


def write(path, *columns, names=("weight", "length", "kind"), delimiter=","):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([names, *zip(*columns, strict=True)])


def german(values, form="{:,.2f}"):
    return [form.format(v).translate(str.maketrans(",.", ".,")) for v in values]


@pytest.fixture
def codes(keras_tied, tmp_path):
    """What `encode` writes of a table, and says, for a model of a plain one."""
    write("rows.csv", WEIGHTS, LENGTHS, KINDS)
    done = keras_tied("fit", "rows.csv", "-o", "model.safetensors", "--epochs", 2)
    assert done.code == 0, done.err
    return lambda *arguments: keras_tied(
        "encode", "model.safetensors", *arguments, "-o", "-"
    )


def test_each_file_is_read_in_its_own_form(codes, keras_tied):
    plain = codes("rows.csv")
    assert plain.err.count("column") == 0
    write("grams.csv", [f"{w:,.2f} g" for w in WEIGHTS], LENGTHS, KINDS)
    done = codes("grams.csv")
    assert (done.code, done.out) == (0, plain.out)
    assert (
        "column 'weight' holds numbers in g in 'grams.csv', beside numbers in training,"
        " and is read in the form of the file." in done.err
    )
    write("german.csv", german(WEIGHTS), german(LENGTHS), KINDS, delimiter=";")
    done = codes("german.csv")
    assert (done.code, done.out) == (0, plain.out)
    assert "numbers with a decimal comma in 'german.csv'" in done.err
    assert "column" not in codes("german.csv", "--json").out
    restored = keras_tied(
        "reconstruct", "model.safetensors", "german.csv", "-o", "-"
    ).out
    assert all("," in row["weight"] for row in csv.DictReader(restored.splitlines()))


def test_the_decimal_mark_is_given_where_a_file_does_not_tell(codes):
    write("whole.csv", WEIGHTS[:9], [1050.0 + i for i in range(9)], KINDS[:9])
    write(
        "unclear.csv",
        german(WEIGHTS[:9], "{:.2f}"),
        [f"1.05{i}" for i in range(9)],
        KINDS[:9],
    )
    assert codes("unclear.csv").out == codes("whole.csv").out
    write(
        "whole.csv",
        [3000.0 + i for i in range(9)],
        [1050.0 + i for i in range(9)],
        KINDS[:9],
    )
    write(
        "unclear.csv",
        [f"3.00{i}" for i in range(9)],
        [f"1.05{i}" for i in range(9)],
        KINDS[:9],
    )
    assert codes("unclear.csv", "--decimal", ",").out == codes("whole.csv").out


def test_another_unit_is_refused(keras_tied, tmp_path):
    write("kg.csv", [f"{w} kg" for w in WEIGHTS], LENGTHS, KINDS)
    keras_tied("fit", "kg.csv", "-o", "model.safetensors", "--epochs", 2)
    write("g.csv", [f"{w} g" for w in WEIGHTS], LENGTHS, KINDS)
    done = keras_tied("encode", "model.safetensors", "g.csv", "-o", "-")
    assert (done.code, done.out) == (2, "")
    assert (
        "'weight' holds numbers in g, where the model learned numbers in kg" in done.err
    )


def test_an_absent_column_is_imputed_on_request_as_an_empty_one_is(codes, keras_tied):
    write("empty.csv", [""] * N, LENGTHS, KINDS)
    empty = codes("empty.csv")
    loud = "column 'weight' has no value in any row, and is imputed."
    assert loud in empty.err
    write("absent.csv", LENGTHS, KINDS, names=("length", "kind"))
    refused = codes("absent.csv")
    assert (refused.code, refused.out) == (2, "")
    assert (
        "no column 'weight', which the model uses; add it, or have it imputed"
        in refused.err
    )
    done = codes("absent.csv", "--impute-absent")
    assert (done.code, done.out) == (0, empty.out)
    assert "'absent.csv': has no column 'weight', which is imputed." in done.err
    assert loud in done.err
    assert loud not in codes("rows.csv", "--impute-absent").err
    for command in ("score", "plot", "report"):
        output = "page.html" if command == "report" else f"{command}.svg"
        arguments = (
            ["--explain", "-o", "scores.csv"] if command == "score" else ["-o", output]
        )
        done = keras_tied(
            command, "model.safetensors", "absent.csv", "--impute-absent", *arguments
        )
        assert done.code == 0, done.err
        assert loud in done.err


def test_values_of_new_categories_alone_are_not_none(codes):
    write("new.csv", WEIGHTS, LENGTHS, ["plum"] * N)
    said = codes("new.csv").err
    assert "rare or new" in said
    assert "no value in any row" not in said
    pq.write_table(
        pa.table({"weight": WEIGHTS, "length": LENGTHS, "kind": [None] * N}),
        "n.parquet",
    )
    assert "column 'kind' has no value in any row" in codes("n.parquet").err
