import os
import signal
import subprocess
import sys
from dataclasses import fields
from typing import NamedTuple

import numpy as np
import pytest

from keras_tied import cli
from keras_tied.cli import _messages, _progress
from keras_tied.cli._table import TableOptions


class Done(NamedTuple):
    code: int
    out: str
    err: str


def table_options():
    """How a table is read if no option is given."""
    return TableOptions(
        **{each.name: each.default.default for each in fields(TableOptions)}
    )


def run(monkeypatch, capfd, *arguments):
    monkeypatch.setattr(sys, "argv", ["keras-tied", *map(str, arguments)])
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return Done(ended.value.code or 0, *capfd.readouterr())


@pytest.fixture
def interrupted(tmp_path, default_sigint):
    """The command on a terminal, stopped by Ctrl-C when it has shown something."""
    pty = pytest.importorskip("pty")

    def run(*arguments, after):
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-m", "keras_tied", *map(str, arguments)],
            cwd=tmp_path,
            stderr=theirs,
        ) as process:
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


@pytest.fixture(autouse=True)
def no_progress(monkeypatch):
    """What is said of work that takes long depends on the machine."""
    monkeypatch.setattr(_messages, "_is_quiet", False)
    monkeypatch.setattr(_progress, "SECONDS_BETWEEN_LINES", 1e6)


@pytest.fixture
def keras_tied(tmp_path, monkeypatch, capfd):
    """The command in this process, for what needs no process of its own, in an empty
    folder.
    """
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run(monkeypatch, capfd, *arguments)


def fruit(n=300):
    """CSV with an id of digits, text, missing values, whole numbers, truth values and
    dates.
    """
    rng = np.random.default_rng(0)
    lines = ["name,kind,weight,length,count,ripe,day,taste"]
    for row, size in enumerate(rng.normal(size=n)):
        kind = ("apple", "pear", "plum")[rng.integers(3)]
        weight = "" if row % 20 == 7 else f"{100 + 20 * size + rng.normal():.2f}"
        length, count = f"{size**2 + 0.1 * rng.normal():.3f}", round(10 * size)
        ripe, taste = ("true", "false")[int(size > 0)], ("good", "bad")[rng.integers(2)]
        day = f"2026-01-{1 + row % 28:02}"
        lines.append(f"{row:04},{kind},{weight},{length},{count},{ripe},{day},{taste}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def fruit_csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "fruit.csv"
    path.write_text(fruit())
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory, fruit_csv):
    """A model file that the command has written."""
    path = tmp_path_factory.mktemp("model") / "fruit.safetensors"
    arguments = [
        "fit",
        fruit_csv,
        "-o",
        path,
        "--id",
        "name",
        "--label",
        "taste",
        "--epochs",
        "9",
    ]
    arguments += ["--dates", "off"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["keras-tied", *map(str, arguments), "--quiet"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert not ended.value.code
    return path
