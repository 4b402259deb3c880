"""Cases from end to end, on few rows."""

import json
import sys

import pytest
from benchmarks.__main__ import main
from benchmarks._case import CASES, load_case
from benchmarks._run import ROOT
from tests.marks import slow


def test_each_case_has_a_place_on_the_page():
    files = (ROOT / "benchmarks" / "cases").glob("[!_]*.py")
    assert sorted(CASES) == sorted(file.stem for file in files)


@pytest.mark.parametrize("name", CASES)
def test_a_case_has_what_a_case_has(name):
    case = load_case(name)
    assert case.TITLE
    assert case.TEXT.strip()
    assert case.CHOSEN_ON.strip()
    assert {*case.PICTURE} <= {*case.MEASURES}
    first, *_ = case.SYSTEMS
    bases = {system.beside or first for system in case.SYSTEMS.values()}
    assert all(case.SYSTEMS[base].ours for base in bases)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs the command; returns the folder of its results."""

    def run_command(*arguments):
        command = ["benchmarks", *arguments, "--results", str(tmp_path)]
        monkeypatch.setattr(sys, "argv", command)
        main()
        return tmp_path

    return run_command


@slow
def test_a_case_runs_from_end_to_end(run):
    systems = ["keras_tied.training.fit", "NumPy, keras_tied.reference"]
    options = [part for system in systems for part in ("--system", system)]
    folder = run("article", "--quick", *options)
    result = json.loads((folder / "article.json").read_text())
    assert list(result["systems"]) == systems
    for system in result["systems"].values():
        (turn,) = system["runs"]
        assert turn["tasks"]["donuts"]["apart"] < 1e-3  # from NumPy in double precision


def test_an_unknown_case_is_refused_with_those_there_are(run, capsys):
    with pytest.raises(SystemExit):
        run("articles")
    assert "no such case; the cases are article, mnist" in capsys.readouterr().err
