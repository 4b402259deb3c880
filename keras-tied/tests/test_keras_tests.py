"""The program that runs Keras's own tests with our `fit` and tied layers."""

from pathlib import Path

import keras
from tests.marks import slow
from tests.processes import run_python

PROGRAM = Path(__file__).parents[2] / "tools" / "keras_tests.py"


@slow
def test_a_file_of_keras_trains_by_our_fit_and_passes():
    file = "callbacks/learning_rate_scheduler_test.py"
    done = run_python(PROGRAM, "--backend", keras.backend.backend(), file, timeout=None)
    assert "fit: all" in done.stdout
