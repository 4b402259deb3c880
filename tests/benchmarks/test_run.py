"""Cases from end to end, on few rows."""

import json
import sys

import pytest
from benchmarks.__main__ import main
from tests.marks import slow


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
    systems = ["keras_tied.training.fit", "NumPy, keras_tied.article"]
    options = [part for system in systems for part in ("--system", system)]
    folder = run("article", "--quick", *options)
    result = json.loads((folder / "article.json").read_text())
    assert list(result["systems"]) == systems
    for system in result["systems"].values():
        (turn,) = system["runs"]
        assert turn["tasks"]["donuts"]["apart"] < 1e-3  # from NumPy in double precision
