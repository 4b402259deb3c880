"""Cases from end to end, on few rows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.__main__ import main
from benchmarks._case import list_cases, load_case
from benchmarks._page import ORDER

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", list_cases())
def test_a_case_has_what_a_case_has(name):
    case = load_case(name)
    assert case.TITLE
    assert case.TEXT.strip()
    assert case.CHOSEN_ON.strip()
    assert next(iter(case.SYSTEMS.values())).ours
    assert set(case.PICTURE) <= set(case.MEASURES)
    assert all(
        s.beside is None or case.SYSTEMS[s.beside].ours for s in case.SYSTEMS.values()
    )


def test_the_page_has_a_place_for_each_case():
    assert sorted(ORDER) == list_cases()


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
    }
    command = [sys.executable, "-m", "benchmarks", *arguments, "--results", str(folder)]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=ROOT
    )


@pytest.mark.slow
def test_a_case_runs_from_end_to_end(tmp_path):
    systems = ["keras_tied.training.fit", "NumPy, keras_tied.reference"]
    options = [part for system in systems for part in ("--system", system)]
    process = run(tmp_path, "article", "--quick", *options)
    assert process.returncode == 0, process.stderr
    result = json.loads((tmp_path / "article.json").read_text())
    assert list(result["systems"]) == systems
    for system in result["systems"].values():
        (turn,) = system["runs"]
        assert turn["tasks"]["donuts"]["apart"] < 1e-3  # from NumPy in double precision


def test_an_unknown_case_is_named_with_those_there_are(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "articles"])
    with pytest.raises(SystemExit):
        main()
    assert (
        "no such case: articles; one of anomalies, article" in capsys.readouterr().err
    )
