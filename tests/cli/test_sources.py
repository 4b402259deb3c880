"""The commands give the same wherever the rows come from."""

import contextlib
import csv
import importlib.util
import io
import json
import sys
import types
from pathlib import Path

import pyarrow.parquet as pq
import pytest


def load_script(name):
    path = Path(__file__).parents[1] / "tables" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


where_from = load_script("test_where_from")
rows = where_from.rows
SAVERS = where_from.SAVERS | {"parts": where_from.save_partitions}


def read(text):
    return sorted(csv.reader(io.StringIO(text)))


@pytest.fixture
def outputs(keras_tied):
    """What the commands say of a table: the errors of a fit, codes and scores."""

    def run(data, *, repeat=contextlib.nullcontext):
        results = []
        for arguments in (
            ("fit", data, "-o", "model.safetensors", "--epochs", 3, "--json"),
            ("encode", "model.safetensors", data, "-o", "-"),
            ("score", "model.safetensors", data, "-o", "-"),
        ):
            with repeat():
                done = keras_tied(*arguments)
            assert done.code == 0, done.err
            if arguments[0] == "fit":
                found = json.loads(done.out)
                results.append((found["error"], found["pca_error"], found["rows"]))
            else:
                results.append(done.out)
        return results

    return run


@pytest.fixture
def expected(outputs, rows):
    pq.write_table(rows, "expected.parquet")
    return outputs("expected.parquet")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SAVERS if name != "parts"])
def test_a_fit_codes_and_scores_are_those_of_parquet(outputs, expected, rows, name):
    SAVERS[name](rows, name)
    assert outputs(name) == expected


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "arrow"])
def test_a_pipe_gives_what_parquet_gives(outputs, expected, rows, tmp_path, form):
    SAVERS[f"rows.{form}"](rows, f"rows.{form}")
    content = (tmp_path / f"rows.{form}").read_bytes()

    @contextlib.contextmanager
    def pipe():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(content))
            )
            yield

    assert outputs("-", repeat=pipe) == expected


@pytest.mark.slow
def test_partitions_give_the_codes_that_parquet_gives(
    keras_tied, outputs, expected, rows
):
    SAVERS["parts"](rows, "parts")
    found = keras_tied("encode", "model.safetensors", "parts", "-o", "-")
    assert read(found.out) == read(expected[1])


@pytest.mark.slow
def test_s3_gives_what_parquet_gives(outputs, expected, rows, s3):
    pq.write_table(rows, "bucket/rows.parquet", filesystem=s3)
    assert outputs("s3://bucket/rows.parquet") == expected


def test_lines_that_are_no_rows_are_passed_over(keras_tied, tmp_path):
    lines = [
        "Report; of 2026",
        "# by hand",
        "x;y",
        *(f"{i};{i * i}" for i in range(30)),
        "# end",
    ]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    done = keras_tied("check", "rows.csv", "--skip", 1, "--comment", "#", "--json")
    found = json.loads(done.out)
    assert found["rows"] == 30
    assert [fact["name"] for fact in found["columns"]] == ["x", "y"]


def test_the_sheet_that_is_read_is_named(keras_tied, rows):
    where_from.save_excel(rows, "rows.xlsx")
    done = keras_tied("check", "rows.xlsx")
    assert "note: reads the sheet 'Sheet'; --sheet names another: 'other'" in done.out
