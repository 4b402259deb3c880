"""The program that runs Keras's own tests with our `fit` and tied layers."""

import subprocess
import sys
from pathlib import Path

import keras
import pytest

PROGRAM = Path(__file__).parents[1] / "tools" / "keras_tests.py"


@pytest.mark.slow
def test_a_file_of_keras_trains_by_our_fit_and_passes():
    options = [
        "--backend",
        keras.backend.backend(),
        "callbacks/learning_rate_scheduler_test.py",
    ]
    command = [sys.executable, str(PROGRAM), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fit: all" in done.stdout
