"""A fit that is killed goes on where it was when the same command is run again."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="no such signal"),
]
PROGRAM = """
import sys
from keras_tied import _checkpoint_file
_checkpoint_file.SECONDS = _checkpoint_file.SHARE = 0.0
from keras_tied.fitting import schedule
schedule.PART_STEPS = 40
from keras_tied.cli import main
main()
"""


@pytest.fixture
def start(tmp_path):
    draws = np.random.default_rng(0)
    rows = draws.normal(size=(1500, 2)) @ draws.normal(size=(2, 6))
    np.save(tmp_path / "rows.npy", np.concatenate([rows, rows[:, :1] ** 2], axis=1))

    def start(output, *options):
        command = ["fit", "rows.npy", "-o", output, "--hidden", "16", *options]
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *command],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return process

    return start


def finish(process):
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def kill(process, folder):
    """Kill a fit once it has written a checkpoint."""
    checkpoint = folder / "model.safetensors.checkpoint"
    while not list(checkpoint.glob("*/*.npz")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not (folder / "model.safetensors").exists()


def test_the_same_command_ends_in_the_same_model(start, tmp_path):
    finish(start("whole.safetensors", "--epochs", "80"))
    for _ in range(2):
        kill(start("model.safetensors", "--epochs", "80"), tmp_path)
    assert "anew" not in finish(start("model.safetensors", "--epochs", "80"))
    whole, resumed = (
        load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "model")
    )
    assert whole.keys() == resumed.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(resumed[name], array)
    assert {file.name for file in tmp_path.iterdir()} == {
        "rows.npy", "whole.safetensors", "model.safetensors"
    }  # fmt: skip


def test_a_command_with_other_options_begins_anew(start, tmp_path):
    kill(start("model.safetensors", "--epochs", "80"), tmp_path)
    said = finish(start("model.safetensors", "--epochs", "20"))
    assert (
        "of a fit to other rows or with other settings, and this fit begins anew."
        in said
    )
    assert {file.name for file in tmp_path.iterdir()} == {
        "rows.npy",
        "model.safetensors",
    }


def test_a_full_disk_leaves_no_folder(tmp_path):
    program = (
        "import errno, os\ndef refuse(descriptor): raise OSError(errno.ENOSPC,"
        " os.strerror(errno.ENOSPC))\nos.fsync = refuse\n"
    )
    draws = np.random.default_rng(0)
    np.save(tmp_path / "rows.npy", draws.normal(size=(1500, 4)))
    command = ["fit", "rows.npy", "-o", "model.safetensors", "--epochs", "2"]
    done = subprocess.run(
        [sys.executable, "-c", program + PROGRAM, *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert (
        "cannot be written (No space left on device): training goes on" in done.stderr
    )
    assert (
        "cannot write 'model.safetensors': No space left"
        in done.stderr.splitlines()[-1]
    )
    assert os.listdir(tmp_path) == ["rows.npy"]
