import csv
import io
import itertools
import json
import os
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from keras_tied import TiedAutoencoder
from keras_tied.fitted import file


def rows(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_encode_to_standard_output_is_csv_and_nothing_else(
    keras_tied, model, fruit_csv
):
    done = keras_tied("encode", model, fruit_csv, "-o", "-")
    assert (done.code, done.err) == (0, "")
    assert len(rows(done.out)) == 300
    assert done.out.startswith("name,code0,code1\n0000,")


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "feather"])
def test_every_format_holds_the_same_codes(
    keras_tied, model, fruit_csv, tmp_path, ending
):
    keras_tied("encode", model, fruit_csv, "-o", f"codes.{ending}")
    keras_tied("encode", model, fruit_csv, "-o", "codes.npy")
    from keras_tied.tables import open_table

    (batch,) = open_table(tmp_path / f"codes.{ending}", text=["name"]).batches()
    assert batch.schema.names == ["name", "code0", "code1"]
    codes = np.column_stack([batch.column(1).to_numpy(), batch.column(2).to_numpy()])
    np.testing.assert_allclose(codes, np.load(tmp_path / "codes.npy"), rtol=1e-6)


def test_decode_of_codes_is_reconstruct(keras_tied, model, fruit_csv):
    keras_tied("encode", model, fruit_csv, "-o", "codes.parquet")
    decoded = keras_tied("decode", model, "codes.parquet", "-o", "-")
    reconstruction = keras_tied("reconstruct", model, fruit_csv, "-o", "-")
    assert decoded.code == reconstruction.code == 0
    pairs = list(zip(rows(decoded.out), rows(reconstruction.out), strict=True))
    assert [a["name"] for a, _ in pairs] == [b["name"] for _, b in pairs]
    for name in ("kind", "ripe"):
        assert [a[name] for a, _ in pairs] == [b[name] for _, b in pairs]
    given = [row["weight"] != "" for row in rows(fruit_csv.read_text())]
    weights = np.array([[float(row["weight"]) for row in pair] for pair in pairs])
    assert (
        0 < sum(given) < len(given)
    )  # what is missing is imputed, and a code does not say so
    assert np.ptp(weights[given], axis=1).max() < 1e-2


def test_reconstruct_has_the_columns_that_are_used_and_the_id(
    keras_tied, model, fruit_csv
):
    done = keras_tied("reconstruct", model, fruit_csv, "-o", "-")
    assert done.out.splitlines()[0] == "name,kind,weight,length,count,ripe"


def test_score_ranks_rows_by_their_score_and_names_columns_by_their_shares(
    keras_tied, model, fruit_csv
):
    found = rows(keras_tied("score", model, fruit_csv, "-o", "-", "--explain").out)
    scores = [float(row["score"]) for row in found]
    by_rank = sorted(found, key=lambda row: int(row["rank"]))
    assert [float(row["score"]) for row in by_rank] == sorted(scores, reverse=True)
    assert [float(row["one_in"]) for row in by_rank] == sorted(
        (float(row["one_in"]) for row in found), reverse=True
    )
    used = {"kind", "weight", "length", "count", "ripe"}
    for row in found:
        shares = [float(row[f"share{place}"]) for place in (1, 2, 3)]
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1 + 1e-6
        assert {row[f"column{place}"] for place in (1, 2, 3)} <= used | {""}


def test_top_gives_the_worst_rows_first(keras_tied, model, fruit_csv):
    every = rows(keras_tied("score", model, fruit_csv, "-o", "-").out)
    worst = rows(keras_tied("score", model, fruit_csv, "-o", "-", "--top", 5).out)
    assert [int(row["rank"]) for row in worst] == [1, 2, 3, 4, 5]
    best = sorted(every, key=lambda row: int(row["rank"]))[:5]
    assert [row["name"] for row in worst] == [row["name"] for row in best]
    assert [int(row["row"]) for row in worst] == [int(row["name"]) + 1 for row in worst]


def test_a_row_that_does_not_fit_is_the_worst_and_its_column_is_named(
    keras_tied, model, fruit_csv, tmp_path
):
    (tmp_path / "odd.csv").write_text(
        fruit_csv.read_text() + "9999,plum,100.5,0.1,4000,true,2026-01-01,good\n"
    )
    (odd,) = json.loads(
        keras_tied("score", model, "odd.csv", "--top", 1, "--json").out
    )["oddest"]
    assert (odd["name"], odd["row"], odd["column1"]) == ("9999", 301, "count")
    assert odd["why"].startswith("count 4000; the other columns suggest ")


def test_columns_are_matched_by_name(keras_tied, model, fruit_csv, tmp_path):
    table = arrow_csv.read_csv(fruit_csv)
    arrow_csv.write_csv(table.select(table.schema.names[::-1]), tmp_path / "turned.csv")
    straight = keras_tied("encode", model, fruit_csv, "-o", "a.npy")
    turned = keras_tied("encode", model, "turned.csv", "-o", "b.npy")
    assert straight.code == turned.code == 0
    np.testing.assert_array_equal(
        np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy")
    )


def test_an_extra_column_is_ignored_and_told_of(keras_tied, model, fruit_csv, tmp_path):
    table = arrow_csv.read_csv(fruit_csv)
    parquet.write_table(
        table.append_column("price", pa.array([1.0] * len(table))),
        tmp_path / "more.parquet",
    )
    done = keras_tied("encode", model, "more.parquet", "-o", "codes.csv")
    assert done.code == 0
    assert "ignored the column 'price'" in done.err


def test_a_category_never_seen_is_told_of(keras_tied, model, fruit_csv, tmp_path):
    (tmp_path / "new.csv").write_text(fruit_csv.read_text().replace("plum", "quince"))
    done = keras_tied("encode", model, "new.csv", "-o", "codes.csv")
    assert done.code == 0
    assert "column 'kind' holds" in done.err
    assert "rare or new categories" in done.err


def test_another_id_is_kept_where_it_is_asked_for(keras_tied, model, fruit_csv):
    done = keras_tied("encode", model, fruit_csv, "-o", "-", "--id", "day")
    assert done.out.startswith("day,code0,code1\n2026-01-01,")


def test_columns_and_exclude_choose_what_is_used(keras_tied, fruit_csv):
    fit = "fit", fruit_csv, "--epochs", 2, "--json"
    chosen = keras_tied(*fit, "-o", "a.safetensors", "--columns", "weight,length,count")
    left = keras_tied(
        *fit,
        "-o",
        "b.safetensors",
        "--exclude",
        "name,kind",
        "--exclude",
        "ripe,day",
        "--label",
        "taste",
    )
    for done in (chosen, left):
        used = json.loads(done.out)["columns"]
        assert used == ["weight", "length", "count"]


def test_options_reach_the_estimator(keras_tied, fruit_csv, tmp_path):
    done = keras_tied(
        *(
            "fit",
            fruit_csv,
            "-o",
            "m.safetensors",
            "--components",
            "3",
            "--hidden",
            "8,6",
            "--solver",
        ),
        *(
            "nadam",
            "--epochs",
            "4",
            "--validation",
            "0.2",
            "--scaler",
            "minmax",
            "--seed",
            "7",
        ),
    )
    assert done.code == 0, done.err
    params = TiedAutoencoder.load(tmp_path / "m.safetensors").get_params()
    expected = {
        "n_components": 3,
        "hidden_layer_sizes": (8, 6),
        "solver": "nadam",
        "max_iter": 4,
        "validation_fraction": 0.2,
        "scaler": "minmax",
        "random_state": 7,
    }
    assert {name: params[name] for name in expected} == expected


@pytest.mark.slow
def test_a_share_of_variance_chooses_the_width(keras_tied, fruit_csv):
    done = keras_tied(
        "fit", fruit_csv, "-o", "m.safetensors", "--components", "0.9", "--json"
    )
    assert json.loads(done.out)["components"] > 2


def write_three(path, n=60):
    """A table of three components and some noise, and a category that has no part in
    them.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 10)) + 0.1 * rng.normal(
        size=(n, 10)
    )
    columns = {f"x{index}": x for index, x in enumerate(X.T)}
    parquet.write_table(pa.table(columns | {"kind": rng.choice(["a", "b"], n)}), path)


@pytest.mark.slow
def test_of_several_numbers_of_components_one_is_chosen(keras_tied, tmp_path):
    write_three(tmp_path / "three.parquet")
    several = "three.parquet", "--exclude", "kind", "--components", "1..5,8"
    done = keras_tied("fit", *several, "-o", "m.safetensors")
    assert "3, of 1 to 8 the one that reconstructs hidden values best" in " ".join(
        done.out.split()
    )
    assert "3, of 1 to 8 the one" in " ".join(
        keras_tied("inspect", "m.safetensors").out.split()
    )
    told = json.loads(keras_tied("inspect", "m.safetensors", "--json").out)
    assert told["components"] == 3
    widths = told["notes"]["widths"]
    assert [width["n_components"] for width in widths] == [1, 2, 3, 4, 5, 8]
    assert min(widths, key=lambda width: width["hidden_error"])["n_components"] == 3
    assert (
        keras_tied("report", "m.safetensors", "three.parquet", "-o", "r.html").code == 0
    )
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Why 3" in page
    assert all(
        f'<td class="value">{width["error"]:.3g}</td>' in page for width in widths
    )


def test_columns_with_nothing_in_common_are_told_of(keras_tied, tmp_path):
    np.save(
        tmp_path / "noise.npy", np.array(list(itertools.product([-1.0, 1.0], repeat=6)))
    )
    said = "not better than by their mean: the columns have little in common"
    command = "fit", "noise.npy", "-o", "m.safetensors", "--components", "1..3"
    assert said in " ".join(keras_tied(*command).out.split())


def test_of_one_column_no_number_of_components_is_chosen(keras_tied, tmp_path):
    (tmp_path / "kind.csv").write_text("kind\n" + "pear\nplum\nfig\nlime\n" * 10)
    several = "kind.csv", "--components", "1..2"
    done = keras_tied("fit", *several, "-o", "m.safetensors")
    assert (done.code, done.out) == (2, "")
    assert "no value could be hidden: there is one column" in done.err
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize(
    ("components", "said"),
    [
        (
            "1..11",
            "--components 11 is too many for 60 rows of 10 numbers; ask for at most 9",
        ),
        (
            "3..1",
            "--components '3..1' is neither a whole number from 1 on, nor several",
        ),
        ("2,6..4", "--components '2,6..4' is neither"),
        ("1..", "nor several such as 1..16"),
        ("1..100", "at most 64"),
        ("0.5,2", "nor a share between 0 and 1"),
        ("99999999999", "neither a whole number"),
    ],
)
def test_numbers_of_components_that_do_not_fit_are_refused(
    keras_tied, tmp_path, components, said
):
    write_three(tmp_path / "three.parquet")
    given = "three.parquet", "--exclude", "kind", "--components", components
    done = keras_tied("fit", *given, "-o", "m.safetensors")
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert not (tmp_path / "m.safetensors").exists()


def test_inspect_tells_of_columns_and_training(keras_tied, model):
    done = keras_tied("inspect", model)
    said = " ".join(done.out.split())
    for fact in (
        "kind categories 0 3",
        "3 numbers:",
        "count integers",
        "rows 300",
        "keras-tied fit",
    ):
        assert fact in said


def test_inspect_shows_what_strange_notes_hold_and_tells_the_terminal_nothing(
    keras_tied, model, tmp_path
):
    path = tmp_path / "strange.safetensors"
    strange = {
        "rows": ["many"],
        "error": "small",
        "pca_error": None,
        "command": "\x1b]0;x\x07",
    }
    file.write(path, file.read(model)._replace(notes=strange))
    done = keras_tied("inspect", path)
    assert done.code == 0
    assert "['many']" in done.out
    assert "]0;x" in done.out
    assert "\x1b" not in done.out


@pytest.mark.parametrize(
    "widths",
    [[3], {"n_components": 1}, [{"error": 1e308}], [{"error": "<b>"}], [{"error": -1}]],
)
def test_strange_notes_on_numbers_of_components_are_not_reported(
    keras_tied, model, fruit_csv, tmp_path, widths
):
    whole = {"n_components": 1, "error": 0.5, "pca_error": 0.6, "hidden_error": 0.7}
    if isinstance(widths, list):
        widths = [
            whole,
            *(whole | width if isinstance(width, dict) else width for width in widths),
        ]
    path = tmp_path / "strange.safetensors"
    notes = file.read(model).notes | {"widths": widths}
    file.write(path, file.read(model)._replace(notes=notes))
    assert keras_tied("report", path, fruit_csv, "-o", "r.html").code == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Choosing the number of components" not in page


def test_inspect_gives_machines_the_same(keras_tied, model):
    told = json.loads(keras_tied("inspect", model, "--json").out)
    assert told["features"] == 7
    assert told["notes"]["rows"] == 300
    assert told["settings"]["max_iter"] == 9


@pytest.mark.parametrize("named", [True, False])
def test_a_model_that_was_saved_from_python_works(keras_tied, tmp_path, named):
    import pandas

    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    frame = pandas.DataFrame(X, columns=list("abcd"))
    TiedAutoencoder(random_state=0, max_iter=3).fit(frame if named else X).save(
        tmp_path / "m.safetensors"
    )
    frame[list("dcba") if named else list("abcd")].to_parquet(tmp_path / "x.parquet")
    done = keras_tied("encode", "m.safetensors", "x.parquet", "-o", "codes.npy")
    assert done.code == 0, done.err
    expected = TiedAutoencoder.load(tmp_path / "m.safetensors").transform(
        frame if named else X
    )
    np.testing.assert_allclose(np.load(tmp_path / "codes.npy"), expected, atol=1e-5)
    assert keras_tied("decode", "m.safetensors", "codes.npy", "-o", "x.csv").code == 0
    assert keras_tied("score", "m.safetensors", "x.parquet").code == 0
    assert keras_tied("inspect", "m.safetensors").code == 0


def test_a_model_without_names_refuses_a_table_of_another_width(keras_tied, tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    TiedAutoencoder(random_state=0, max_iter=3).fit(X).save(tmp_path / "m.safetensors")
    np.save(tmp_path / "x.npy", X[:, :3])
    done = keras_tied("encode", "m.safetensors", "x.npy", "-o", "codes.npy")
    assert done.code == 2
    assert "3 columns of numbers" in done.err


def test_a_formula_cannot_start_a_cell_where_csv_is_to_be_safe(keras_tied, tmp_path):
    formula = "=cmd|' /C calc'!A0"
    X = np.random.default_rng(0).normal(size=(60, 3))
    columns = {
        "who": [f"{formula} {i}" for i in range(60)],
        "@a": X[:, 0],
        "b": X[:, 1],
    }
    parquet.write_table(pa.table(columns), tmp_path / "x.parquet")
    assert (
        keras_tied(
            "fit", "x.parquet", "-o", "m.safetensors", "--id", "who", "--epochs", 2
        ).code
        == 0
    )
    for arguments in (("encode",), ("reconstruct",), ("score", "--top", "3")):
        command, *more = arguments
        done = keras_tied(
            command, "m.safetensors", "x.parquet", "-o", "-", "--safe-csv", *more
        )
        assert done.code == 0, done.err
        for cell in (
            cell for line in csv.reader(io.StringIO(done.out)) for cell in line
        ):
            try:
                float(cell or 0)
            except ValueError:
                assert cell[0] not in "=+-@\t\r\n", cell
    assert (
        f"{formula} 0"
        in keras_tied("encode", "m.safetensors", "x.parquet", "-o", "-").out
    )


@pytest.mark.slow
def test_a_model_of_a_sample_of_many_rows_has_the_scale_of_all(
    keras_tied, tmp_path, monkeypatch
):
    from keras_tied.fitting import sample

    monkeypatch.setattr(sample, "MOST_ROWS", 2_000)
    rng = np.random.default_rng(0)
    z = rng.normal(size=(9_000, 2))
    X = np.column_stack([z, z**2, z.prod(axis=1)]) + 0.1 * rng.normal(size=(9_000, 5))
    X = X.astype(np.float32)
    table = pa.table({f"c{i}": x for i, x in enumerate(X.T)})
    parquet.write_table(table, tmp_path / "x.parquet", row_group_size=1_000)
    done = keras_tied(
        "fit", "x.parquet", "-o", "m.safetensors", "--epochs", 20, "--json"
    )
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert "1,800 of them" in facts["streamed"]
    assert facts["rows"] == 9_000
    assert facts["error"] < facts["pca_error"]
    scaling = TiedAutoencoder.load(
        tmp_path / "m.safetensors"
    )._fitted.preprocessing.scaling
    np.testing.assert_allclose(scaling.shift, X.mean(axis=0, dtype=float), rtol=1e-12)
    np.testing.assert_allclose(scaling.scale, X.std(axis=0, dtype=float), rtol=1e-12)
    assert keras_tied("encode", "m.safetensors", "x.parquet", "-o", "c.npy").code == 0
    assert np.load(tmp_path / "c.npy").shape == (9_000, 2)


def test_completion_is_there_for_a_shell(keras_tied, monkeypatch):
    monkeypatch.setenv("_KERAS_TIED_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "keras-tied enc")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert keras_tied().out.split() == ["encode"]


@pytest.mark.parametrize(
    "command",
    "demo fit encode decode reconstruct score plot report export inspect".split(),
)
def test_the_help_of_each_command_has_an_example(keras_tied, command):
    done = keras_tied(command, "--help")
    assert done.code == 0
    assert f"keras-tied {command} " in done.out.split("Example:")[1]


@pytest.mark.parametrize(
    ("command", "headings", "of_id"),
    [
        ("fit", ["Options", "Columns", "How the table is read"], "Columns"),
        ("encode", ["Options", "How the table is read"], "Options"),
    ],
)
def test_the_help_lists_options_of_columns_and_of_reading_apart(
    keras_tied, command, headings, of_id
):
    said = keras_tied(command, "--help").out
    parts = dict(re.findall(r"╭─ (.+?) ─+╮(.*?)╰", said, re.DOTALL))
    assert list(parts) == ["Arguments", *headings]
    for option, heading in (
        ("--output", "Options"),
        ("--delimiter", headings[-1]),
        ("--id", of_id),
    ):
        assert [name for name in headings if option in parts[name]] == [heading]


def test_encode_imports_nothing_that_it_does_not_need(model, fruit_csv, tmp_path):
    unneeded = {"tensorflow", "torch", "onnx", "bokeh"}
    arguments = ["encode", str(model), str(fruit_csv), "-o", "codes.csv", "--quiet"]
    program = (
        f"import sys, keras_tied.cli as cli; sys.argv[1:] = {arguments}\n"
        "try: cli.main()\n"
        f"finally: print({unneeded} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "set()\n"


@pytest.mark.slow
def test_ctrl_c_in_training_leaves_the_best_model_so_far(interrupted, tmp_path):
    rows = np.random.default_rng(0).normal(size=(5_000, 8))
    np.save(tmp_path / "rows.npy", rows)
    options = ["-o", "model.safetensors", "--epochs", 100_000]
    done = interrupted("fit", "rows.npy", *options, after=b"epoch 2")
    assert done.code == 130
    assert "interrupted; 'model.safetensors' is the best model so far." in done.err
    assert "Traceback" not in done.err
    assert "Warning" not in done.err
    assert {path.name for path in tmp_path.iterdir()} == {
        "rows.npy",
        "model.safetensors",
    }
    model = TiedAutoencoder.load(tmp_path / "model.safetensors")
    assert 2 <= model.n_iter_ < 100_000


@pytest.mark.slow
def test_ctrl_c_while_all_rows_are_measured_leaves_nothing(interrupted, tmp_path):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(3_000_000, 4)))
    done = interrupted("fit", "rows.npy", "-o", "model.safetensors", after=b"measuring")
    assert done.code == 130
    assert [path.name for path in tmp_path.iterdir()] == ["rows.npy"]


def test_a_constant_that_has_changed_is_kept_and_said(keras_tied, tmp_path):
    lines = [f"Jan,{'ab'[i % 2]},{i % 7 + i % 2}" for i in range(80)]
    (tmp_path / "jan.csv").write_text("\n".join(["month,kind,size", *lines]))
    (tmp_path / "mar.csv").write_text(
        "\n".join(["month,kind,size", *lines]).replace("Jan", "Mar")
    )
    (tmp_path / "none.csv").write_text(
        "\n".join(["kind,size", *(of[4:] for of in lines)])
    )
    keras_tied(
        "fit", tmp_path / "jan.csv", "-o", tmp_path / "m.safetensors", "--epochs", "2"
    )
    for name, month, times in (
        ("jan", "Jan", 0),
        ("mar", "Mar", 80),
        ("none", "Jan", 0),
    ):
        done = keras_tied(
            "reconstruct",
            tmp_path / "m.safetensors",
            tmp_path / f"{name}.csv",
            "-o",
            "-",
        )
        rows = done.out.splitlines()
        assert rows[0] == "month,kind,size"
        assert all(row.startswith(f"{month},") for row in rows[1:])
        said = (
            f"column 'month' holds {times} values beside what it was in training,"
            " always 'Jan'"
        )
        assert (said in done.err) == (times > 0)
