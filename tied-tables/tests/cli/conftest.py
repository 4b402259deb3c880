import csv
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from numpy.random import default_rng

from tied_tables import cli
from tied_tables.cli import _progress

COMMAND = "import runpy; runpy.run_module('tied_tables', run_name='__main__')"
"""The program that is `python -m tied_tables`."""


class Done(NamedTuple):
    """The exit code of a command, and what it has printed."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def rows(self):
        return list(csv.DictReader(io.StringIO(self.out, newline="")))

    @property
    def words(self):
        """All that was said, whatever its layout."""
        return " ".join(f"{self.out} {self.err}".split())


def make_fruit(n=300):
    """A table with an id of digits, text, gaps, whole numbers, truth values, dates and
    a constant.
    """
    rng = default_rng(0)
    size, row = rng.normal(size=n), np.arange(n)
    weights = 100 + 20 * size + rng.normal(size=n)
    return pd.DataFrame(
        {
            "name": [f"{place:04}" for place in row],
            "kind": rng.choice(["apple", "pear", "plum"], n),
            "weight": np.where(row % 20 == 7, "", weights.round(2).astype(str)),
            "length": (size**2 + 0.1 * rng.normal(size=n)).round(3).astype(str),
            "count": (10 * size).round().astype(int).astype(str),
            "ripe": np.where(size > 0, "true", "false"),
            "day": [f"2026-01-{1 + place % 28:02}" for place in row],
            "farm": "north",
            "taste": rng.choice(["good", "bad"], n),
        }
    )


def save(frame, name="rows.csv", **settings):
    frame.to_csv(name, index=False, **settings)


@pytest.fixture
def fruit():
    return make_fruit()


@pytest.fixture(scope="session")
def fruit_folder(tmp_path_factory):
    """A folder with the table, and a model of it that the command has written."""
    folder = tmp_path_factory.mktemp("fruit")
    line = "fit fruit.csv -o m.safetensors --id name --label taste --dates off -q"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        save(make_fruit(), "fruit.csv")
        patch.setattr(sys, "argv", ["tied-tables", *line.split(), "--epochs", "9"])
        assert cli.run() == 0
    return folder


@pytest.fixture
def folder(folder, fruit_folder):
    """The folder in which the test is: with a copy of the table and its model."""
    shutil.copytree(fruit_folder, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture
def tied_tables(folder, monkeypatch, capfd):
    """Runs a command line in this process, which ends with an exit code."""
    # What is said of work that takes long depends on the machine.
    monkeypatch.setattr(_progress, "SECONDS_BETWEEN_LINES", 1e6)
    monkeypatch.setenv("COLUMNS", "1000")  # a row in a line

    def run(line, code=0):
        monkeypatch.setattr(sys, "argv", ["tied-tables", *shlex.split(line)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        done = Done(ended.value.code or 0, *capfd.readouterr())
        assert done.code == code, done.err
        return done

    return run


def read_folder(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.fixture
def refused(tied_tables, folder):
    """Runs a command that says in one sentence what is wrong, and changes no file."""

    def run(line, code=2):
        before = read_folder(folder)
        done = tied_tables(line, code)
        assert done.out == ""
        assert done.err.startswith("tied-tables: ")
        assert done.err.endswith(".\n")
        assert done.err.count("\n") == 1
        assert read_folder(folder) == before
        return done.err

    return run


def run_to_end(command, **options):
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, **options
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def process(folder):
    """Runs a command line as a process of its own, with nobody at a terminal."""

    def run(line, program=COMMAND, **environment):
        return run_to_end(
            [sys.executable, "-c", program, *shlex.split(line)],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
        )

    return run


@pytest.fixture
def shell(folder):
    """Runs a command line with redirections of a shell, below another command."""

    def run(line, below=""):
        program = f"{below} {sys.executable} -m tied_tables {line}"
        return run_to_end(program, shell=True)

    return run


@pytest.fixture
def interrupted(folder, default_sigint):
    """Runs a command on a terminal, and presses Ctrl-C when it has shown something."""
    pty = pytest.importorskip("pty")

    def run(line, after):
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "tied_tables", *line.split()]
        with subprocess.Popen(command, stderr=theirs) as process:
            os.close(theirs)
            try:
                shown = b""
                while after not in shown:
                    shown += os.read(ours, 1024)
                process.send_signal(signal.SIGINT)
                said = b""
                while b"interrupted" not in said:
                    said += os.read(ours, 1024)
                process.wait(60)
            finally:
                process.kill()
        os.close(ours)
        return Done(process.returncode, "", said.decode())

    return run
