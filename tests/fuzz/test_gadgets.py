"""No symbol of Keras that a model file names does harm."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_no_class_or_function_that_a_file_names_touches_anything():
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("gadgets.py"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    [line] = done.stdout.splitlines()
    assert line.startswith("done")
    assert int(line.split()[1]) > 1000
