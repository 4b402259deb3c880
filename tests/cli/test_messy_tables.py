"""Tables as people have them, through all of the commands."""

import csv
import datetime
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_tied.columns import Columns
from keras_tied.fitted.file import read as read_model
from keras_tied.tables import open_table


def load_script(name):
    path = Path(__file__).parents[1] / "columns" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


messy = load_script("messy")


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return {case.name: case for case in messy.make(tmp_path_factory.mktemp("messy"))}


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "keras_tied", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def assert_in_form(text, column, locale):
    """The text is one that a person of the country could have written
    in this column.
    """
    match column.kind:
        case "number":
            shape = set(text) - set("-()0123456789")
            assert shape <= set("".join(column.texts)), text
        case "time":
            datetime.datetime.strptime(text, column.form)
        case _:
            assert text in set(column.texts)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["de accounts", "us answers"])
def test_a_messy_table_goes_through_all_commands_and_comes_back_in_its_form(
    cases, name, tmp_path
):
    case, model = cases[name], tmp_path / "model.safetensors"
    checked = json.loads(run("check", case.path, "--json"))
    found = json.loads(run("fit", case.path, "-o", model, "--epochs", 20, "--json"))
    assert found["table"]["columns"] == checked["columns"]
    for command in ("encode", "score", "reconstruct"):
        run(command, model, case.path, "-o", tmp_path / f"{command}.csv")
    run("decode", model, tmp_path / "encode.csv", "-o", tmp_path / "decode.csv")
    assert len(read(tmp_path / "score.csv")) == messy.N
    restored = read(tmp_path / "reconstruct.csv")
    decoded = read(tmp_path / "decode.csv")
    locale, columns = messy.build()[name]
    for rows in (restored, decoded):
        assert len(rows) == messy.N
        for column, texts in columns.items():
            if texts.kind != "left out":
                for row in rows:
                    assert_in_form(row[column], texts, locale)
    source = open_table(case.path)
    columns = Columns.survey(source.sample(200_000, seed=0), decimal=source.decimal)[0]
    assert columns == Columns.from_json(
        read_model(model, lambda: None).fitted.columns_json
    )


@pytest.mark.slow
def test_check_imports_no_keras(cases):
    code = (
        "import sys; from keras_tied import cli; sys.argv[1:] = ['check',"
        " sys.argv[1]]\ntry: cli.main()\nexcept SystemExit: pass\nassert not {'keras',"
        " 'jax', 'sklearn', 'scipy', 'pandas'} & set(sys.modules)"
    )
    path = cases["us money"].path
    subprocess.run(
        [sys.executable, "-c", code, str(path)], check=True, capture_output=True
    )


def test_check_shows_warnings_before_columns(keras_tied, cases):
    done = keras_tied("check", cases["us typing errors"].path)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    said = [line for line in lines if line.startswith("warning: ")]
    assert lines[: len(said)] == said
    assert (
        said[0]
        == "warning: column 'x' holds 2 values that count as missing: '12.x' in row 1, "
        f"'none yet' in row {messy.N}"
    )
    assert "reads as" in done.out


def test_of_many_columns_check_shows_some_or_all(keras_tied, tmp_path):
    names = [f"c{place}" for place in range(503)]
    rows = "\n".join(
        ",".join(str(row * place % 7) for place in range(503)) for row in range(4)
    )
    (tmp_path / "rows.csv").write_text(",".join(names) + "\n" + rows)
    done = keras_tied("check", "rows.csv")
    assert done.out.endswith("and 3 more columns; check --all and --json show all\n")
    assert ("c499 " in done.out, "c500 " in done.out) == (True, False)
    done = keras_tied("check", "rows.csv", "--all")
    assert "c502 " in done.out
    assert "more columns" not in done.out


def test_a_dry_run_of_fit_is_check_and_writes_nothing(keras_tied, cases, tmp_path):
    path = cases["de gaps"].path
    checked = keras_tied("check", path, "--json")
    dry = keras_tied("fit", path, "-o", "model.safetensors", "--dry-run", "--json")
    assert json.loads(dry.out) == json.loads(checked.out)
    assert not any(tmp_path.iterdir())


def test_fit_says_which_values_count_as_missing_and_inspect_shows_it(keras_tied, cases):
    done = keras_tied(
        "fit", cases["us typing errors"].path, "-o", "m.safetensors", "--epochs", 2
    )
    assert done.code == 0
    assert (
        "column 'day' holds 1 value that counts as missing: 'soon' in row 240"
        in done.err
    )
    shown = " ".join(keras_tied("inspect", "m.safetensors").out.split())
    assert "x numbers" in shown
    assert "misread" in shown


def test_encode_says_which_values_count_as_missing(keras_tied, cases, tmp_path):
    path = cases["us typing errors"].path
    keras_tied("fit", path, "-o", "m.safetensors", "--epochs", 2)
    done = keras_tied("encode", "m.safetensors", path, "-o", "codes.csv")
    assert done.code == 0
    assert "'12.x' in row 1" in done.err


def test_columns_that_are_nearly_numbers_are_refused_with_what_to_do(
    keras_tied, tmp_path
):
    rows = "".join(f"{i * 7},{i}\n" for i in range(80)) + "".join(
        f"about {i},{i}\n" for i in range(20)
    )
    (tmp_path / "rows.csv").write_text("x,y\n" + rows)
    done = keras_tied("fit", "rows.csv", "-o", "m.safetensors")
    assert done.code == 2
    for said in (
        "column 'x'",
        "80%",
        "20 others",
        "--na",
        "--categorical",
        "--exclude",
    ):
        assert said in done.err
    checked = json.loads(keras_tied("check", "rows.csv", "--json").out)
    assert checked["columns"][0]["refused"]
    assert (
        keras_tied(
            "fit",
            "rows.csv",
            "-o",
            "m.safetensors",
            "--exclude",
            "x",
            "--components",
            1,
        ).code
        == 0
    )


def test_too_few_columns_are_told_with_those_left_out(keras_tied, tmp_path):
    rows = "".join(f"{i * 7 % 13},town {i},same\n" for i in range(80))
    (tmp_path / "rows.csv").write_text("x,y,z\n" + rows)
    done = keras_tied("fit", "rows.csv", "-o", "m.safetensors", "--components", 2)
    assert done.code == 2
    for said in (
        "numbers in a row, 1",
        "y (text of which nearly every value",
        "z (always 'same')",
    ):
        assert said in done.err


def test_options_say_what_columns_are(keras_tied, tmp_path):
    rng = np.random.default_rng(0)
    lines = [
        f"{rng.integers(3)},{rng.integers(1, 13)}/{rng.integers(1, 13)}/2025,{x}"
        for x in [-999, *range(80)]
    ]
    (tmp_path / "rows.csv").write_text("zip,day,x\n" + "\n".join(lines) + "\n")
    options = "--categorical", "zip", "--dates", "dmy", "--na", "-999"
    found = json.loads(keras_tied("check", "rows.csv", "--json", *options).out)
    zip_code, day, x = found["columns"]
    assert (zip_code["reads_as"], zip_code["becomes"]) == (
        "names",
        "3 numbers: 0, 1, 2",
    )
    assert day["reads_as"].startswith("dates")
    assert x["missing"] == 1
    unclear = json.loads(keras_tied("check", "rows.csv", "--json").out)
    assert any(
        "day and month are not clear" in warning for warning in unclear["warnings"]
    )


def test_what_is_left_out_and_constant_comes_back(keras_tied, cases):
    path = cases["us idle"].path
    keras_tied("fit", path, "-o", "m.safetensors", "--epochs", 2)
    done = keras_tied("reconstruct", "m.safetensors", path, "-o", "-")
    rows = list(csv.DictReader(done.out.splitlines()))
    assert list(rows[0]) == ["x", "again", "country", "zero", "empty", "y"]
    assert all(row["again"] == row["x"] for row in rows)
    assert {(row["country"], row["zero"], row["empty"]) for row in rows} == {
        ("X", "0", "")
    }


@pytest.mark.slow
def test_rows_come_from_a_pipe(cases, tmp_path):
    content = cases["us money"].path.read_bytes()
    for arguments in (
        ["check", "-"],
        ["fit", "-", "-o", "m.safetensors", "--epochs", "2", "-q"],
    ):
        subprocess.run(
            [sys.executable, "-m", "keras_tied", *arguments],
            input=content,
            check=True,
            capture_output=True,
            cwd=tmp_path,
        )
