import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from keras_tied import cli
from keras_tied.cli import _progress


class Done(NamedTuple):
    code: int
    out: str
    err: str


FOLDER = Path(__file__).parent / "files"
"""What `make.py` has written."""


@pytest.fixture(scope="session")
def table() -> Path:
    """CSV."""
    return FOLDER / "text.csv"


@pytest.fixture(scope="session")
def model() -> Path:
    """A model file that the command has written, of that table."""
    return FOLDER / "text.safetensors"


@pytest.fixture
def keras_tied(tmp_path, monkeypatch, capfd):
    """The command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_progress, "SECONDS_BETWEEN_LINES", 1e6)

    def run(*arguments) -> Done:
        monkeypatch.setattr(sys, "argv", ["keras-tied", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Done(ended.value.code or 0, *capfd.readouterr())

    return run
