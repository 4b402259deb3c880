"""What a new user does first, with the real command, one process after the other."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.slow


def keras_tied(*arguments, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "keras_tied", *arguments],
        cwd=cwd,
        env=os.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fruit_csv):
    """Where the walk has been through."""
    folder = tmp_path_factory.mktemp("walk")
    (folder / "fruit.csv").write_bytes(fruit_csv.read_bytes())
    said = keras_tied(
        *(
            "fit",
            "fruit.csv",
            "-o",
            "model.safetensors",
            "--id",
            "name",
            "--label",
            "taste",
        ),
        *("--dates", "off"),
        cwd=folder,
    )
    (folder / "said.txt").write_text(said)
    keras_tied(
        "score", "model.safetensors", "fruit.csv", "-o", "scores.csv", cwd=folder
    )
    keras_tied(
        "encode", "model.safetensors", "fruit.csv", "-o", "codes.csv", cwd=folder
    )
    keras_tied("plot", "model.safetensors", "fruit.csv", "-o", "fruit.png", cwd=folder)
    keras_tied(
        "report", "model.safetensors", "fruit.csv", "-o", "fruit.html", cwd=folder
    )
    keras_tied("export", "model.safetensors", "-o", "model.onnx", cwd=folder)
    return folder


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_fit_tells_of_rows_columns_errors_and_seconds(folder):
    said = " ".join((folder / "said.txt").read_text().split())
    for fact in (
        "rows 300",
        "columns used kind, weight, length, count, ripe: 7 numbers",
        "left out name (the id), day (a date or time",
        "taste (the label)",
        "components 2",
        "PCA's error",
        "seconds",
        "model model.safetensors",
    ):
        assert fact in said


def test_ids_and_the_order_of_rows_are_kept(folder):
    ids = [row["name"] for row in read(folder / "fruit.csv")]
    assert [row["name"] for row in read(folder / "codes.csv")] == ids
    assert [row["name"] for row in read(folder / "scores.csv")] == ids


def test_a_figure_and_a_page_are_written(folder):
    assert (folder / "fruit.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "fruit.html").read_text(encoding="utf-8")
    assert (
        "keras-tied fit fruit.csv -o model.safetensors --id name --label taste"
        " --dates off" in page
    )


def test_onnxruntime_gives_the_codes_of_encode(folder):
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx")
    features = json.loads(session.get_modelmeta().custom_metadata_map["features"])
    numbers = [
        [number(row, name) for name in features] for row in read(folder / "fruit.csv")
    ]
    (codes,) = session.run(["code"], {"X": np.array(numbers, np.float32)})
    found = [
        [float(row["code0"]), float(row["code1"])] for row in read(folder / "codes.csv")
    ]
    np.testing.assert_allclose(codes, found, atol=1e-4)


def number(row, feature):
    """What the exported model is to be given for a feature, by its name."""
    column, _, category = feature.partition("=")
    if category:
        return float(row[column] == category)
    known = {"true": 1.0, "false": 0.0, "": np.nan}
    return known[row[column]] if row[column] in known else float(row[column])


def test_the_model_loads_in_python_with_the_names_of_its_columns(folder):
    from keras_tied import TiedAutoencoder

    names = TiedAutoencoder.load(
        folder / "model.safetensors"
    ).feature_names_in_.tolist()
    assert names == "kind weight length count ripe".split()
