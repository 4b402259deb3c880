"""What a command does beside its work: wrong order, odd names, progress, and one way of
quoting.
"""

import csv
import io
import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from keras_tied.cli import _progress
from keras_tied.columns import Columns
from keras_tied.rows import Scan
from keras_tied.tables import open_table


@pytest.fixture
def model(keras_tied, fruit_csv):
    assert (
        keras_tied("fit", fruit_csv, "-o", "model.safetensors", "--epochs", 2).code == 0
    )
    return "model.safetensors"


def test_swapped_arguments_are_recognised(keras_tied, model, fruit_csv):
    done = keras_tied("encode", fruit_csv, model, "-o", "codes.csv")
    assert done.code == 2
    swapped = f"write 'model.safetensors' {str(fruit_csv)!r}"
    assert f"'model.safetensors' is a model, which comes first; {swapped}" in done.err


def test_a_file_whose_name_begins_with_a_dash_is_recognised(
    keras_tied, model, tmp_path, monkeypatch
):
    (tmp_path / "-rows.csv").write_text("a\n1\n")
    monkeypatch.setattr(
        "sys.argv", ["keras-tied", "encode", model, "-rows.csv", "-o", "c.csv"]
    )
    done = keras_tied("encode", model, "-rows.csv", "-o", "c.csv")
    assert done.code == 2
    assert "for the file, write './-rows.csv'" in done.err


@pytest.mark.parametrize("command", ["encode", "reconstruct", "score", "fit"])
def test_no_clobber_leaves_what_is_there(
    command, keras_tied, model, fruit_csv, tmp_path
):
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "there.safetensors").write_text("mine")
    output = "there.safetensors" if command == "fit" else "there.csv"
    arguments = [fruit_csv] if command == "fit" else [model, fruit_csv]
    done = keras_tied(command, *arguments, "-o", output, "--no-clobber")
    assert done.code == 2
    assert f"{output!r} is there already" in done.err
    assert (tmp_path / output).read_text() == "mine"


def test_the_oddest_rows_are_those_of_all_scores(
    keras_tied, model, fruit_csv, tmp_path
):
    keras_tied("score", model, fruit_csv, "-o", "all.csv", "--explain")
    done = keras_tied("score", model, fruit_csv, "--top", 7, "--json")
    worst = json.loads(done.out)["oddest"]
    table = list(csv.DictReader((tmp_path / "all.csv").read_text().splitlines()))
    ranked = sorted(range(len(table)), key=lambda row: int(table[row]["rank"]))[:7]
    assert [row["row"] - 1 for row in worst] == ranked
    assert [row["rank"] for row in worst] == list(range(1, 8))
    for row, place in zip(worst, ranked, strict=True):
        assert (row["column1"] or "") == table[place]["column1"]
        assert np.float32(row["score"]) == np.float32(table[place]["score"])
        np.testing.assert_allclose(
            row["error"], float(table[place]["error"]), rtol=1e-6
        )


def test_cells_are_quoted_where_they_need_it_in_every_batch(
    keras_tied, tmp_path, monkeypatch
):
    from keras_tied.tables import _source

    monkeypatch.setattr(_source, "LARGEST_BATCH", 128)
    monkeypatch.setattr(_source, "BATCH_CELLS", 256)
    names = [f"n{index}" for index in range(1000)]
    names[500] = 'a "b", c'
    numbers = np.random.default_rng(0).normal(size=1000)
    table = pa.table({"who": names, "x": numbers, "y": numbers**2})
    parquet.write_table(table, tmp_path / "rows.parquet")
    keras_tied(
        "fit", "rows.parquet", "-o", "m.safetensors", "--id", "who", "--epochs", 1
    )
    lines = keras_tied(
        "encode", "m.safetensors", "rows.parquet", "-o", "-"
    ).out.splitlines()
    assert [line for line in lines if '"' in line] == [lines[501]]
    assert [row[0] for row in csv.reader(io.StringIO("\n".join(lines)))][1:] == names


def test_progress_in_a_pipe_is_a_line_now_and_then(
    keras_tied, model, fruit_csv, monkeypatch, capfd
):
    for name in ("SECONDS_BETWEEN_LINES", "SHORTEST_STAGE"):
        monkeypatch.setattr(_progress, name, 0.001)
    source = open_table(fruit_csv)
    with _progress.show_rows("encoded", Scan(source, Columns(()))) as rows:
        rows.advance(7)
        said = ""
        while "keras-tied: encoded: 7 of 300 rows\n" not in said:
            said += capfd.readouterr().err
    assert (
        keras_tied("encode", model, fruit_csv, "-o", "codes.csv", "--quiet").err == ""
    )
