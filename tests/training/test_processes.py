"""Training over devices and processes: that it is the training of one, and how it ends."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.decomposition import PCA

import keras_tied

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "jax", reason="Keras distributes over devices on JAX only"
    ),
]
WORKER = Path(__file__).with_name("worker.py")
SOURCE = str(Path(keras_tied.__file__).parents[1])
LIMIT = 300
SECONDS = 30
"""In which the others end once a process is gone, on a busy machine."""


class Run:
    """The processes of a training, which write what came of it to files."""

    def __init__(self, folder: Path, options: dict[str, Any], processes: int = 0, devices: int = 1):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        flag = f"--xla_force_host_platform_device_count={devices}"
        environment = {
            **{"XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax"},
            **{"PYTHONPATH": SOURCE, "PROCESSES": str(processes), "PORT": str(port)},
        }
        self.files = [folder / f"{processes}-{devices}-{i}" for i in range(processes or 1)]
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-W", "ignore", WORKER, json.dumps(options), file],
                env={**os.environ, **environment, "PROCESS": str(process)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for process, file in enumerate(self.files)
        ]

    def wait(self) -> list[str]:
        """What the processes printed; those that go on too long are killed."""
        try:
            return [process.communicate(timeout=LIMIT)[0] for process in self.processes]
        finally:
            self.kill()

    def kill(self) -> None:
        """End what has not ended."""
        for process in self.processes:
            process.kill()
            process.communicate()

    def facts(self) -> list[dict[str, Any]]:
        """What each process wrote."""
        printed = self.wait()
        for process, text in zip(self.processes, printed, strict=True):
            assert process.returncode == 0, text
        return [json.loads(file.read_text()) for file in self.files]


def alone(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """What one process without a distribution makes of the rows of all."""
    absent = ("mesh", "callback", "equal", "late")
    (facts,) = Run(folder, {k: v for k, v in options.items() if k not in absent}).facts()
    return facts


def distance(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest difference of a weight or a loss."""
    pairs = [*zip(one["weights"], other["weights"], strict=True)]
    assert one["history"].keys() == other["history"].keys()
    pairs += [(values, other["history"][name]) for name, values in one["history"].items()]
    return max(float(np.max(np.abs(np.subtract(*pair)))) for pair in pairs)


OVER_PROCESSES = {
    "deep, one slow and late": {"network": "deep", "callback": [None, "Sleep"], "late": 3},
    "odd counts, weights": {"counts": [323, 322], "batch": 50, "weighted": True},
    "L-BFGS": {"optimizer": "lbfgs", "validation": "data"},
}


@pytest.mark.parametrize("options", OVER_PROCESSES.values(), ids=OVER_PROCESSES)
def test_two_processes_train_as_one(tmp_path, options):
    expected = alone(tmp_path, options)
    for facts in Run(tmp_path, {**options, "mesh": [2, 1]}, processes=2).facts():
        assert facts["compiled"] == 1
        assert facts["devices"] == 2
        assert distance(facts, expected) < 1e-6


def test_two_processes_of_two_devices_train_as_one(tmp_path):
    options = {"counts": [163, 162], "batch": 25, "validation": "data", "weighted": True}
    expected = alone(tmp_path, options)
    for facts in Run(tmp_path, {**options, "mesh": [4, 1]}, processes=2, devices=2).facts():
        assert facts["compiled"] == 1
        assert facts["devices"] == 4
        assert distance(facts, expected) < 1e-6


OVER_DEVICES = {
    "deep": {"network": "deep"},
    "batches that do not divide": {"counts": [643], "batch": 50, "validation": "data"},
}


@pytest.mark.parametrize("options", OVER_DEVICES.values(), ids=OVER_DEVICES)
def test_four_devices_train_as_one(tmp_path, options):
    options = {"counts": [640], **options}
    (facts,) = Run(tmp_path, {**options, "mesh": [4, 1]}, devices=4).facts()
    assert facts["compiled"] == 1
    assert facts["devices"] == 4
    assert distance(facts, alone(tmp_path, options)) < 2e-6


def test_rows_in_a_new_order_are_those_of_keras(tmp_path):
    options = {"network": "random", "mesh": [4, 1], "shuffle": True}
    ours = Run(tmp_path, options, processes=2, devices=2).facts()
    keras_ = Run(tmp_path, {**options, "loop": "keras"}, processes=2, devices=2).facts()
    for one, other in zip(ours, keras_, strict=True):
        assert (one["compiled"], other["compiled"]) == (1, 0)
        assert distance(one, other) < 2e-6


MODEL_PARALLEL = {
    "two devices, L-BFGS": ({"counts": [640], "mesh": [1, 2], "optimizer": "lbfgs"}, 0, 2),
    "two processes of two": ({"mesh": [2, 2], "weighted": True}, 2, 2),
}


@pytest.mark.parametrize("case", MODEL_PARALLEL.values(), ids=MODEL_PARALLEL)
def test_kernels_in_parts_train_as_whole_ones_and_the_decoder_follows(tmp_path, case):
    options, processes, devices = case
    expected = alone(tmp_path, options)
    for facts in Run(tmp_path, options, processes, devices).facts():
        assert facts["compiled"] == 1
        assert facts["layout"] == facts["tied"] == [None, "model"]
        assert distance(facts, expected) < 2e-6


def test_start_from_pca_takes_the_rows_of_all_processes(tmp_path):
    counts = [321, 320]
    options = {"counts": counts, "start": "pca", "optimizer": "still", "epochs": 1}
    sys.path.insert(0, str(WORKER.parent))
    try:
        from worker import make_rows
    finally:
        sys.path.remove(str(WORKER.parent))
    rows = make_rows((6,), sum(counts) + 64)[:-64]
    pca = PCA(2).fit(rows)
    expected = np.mean((pca.inverse_transform(pca.transform(rows)) - rows) ** 2)
    one, other = Run(tmp_path, {**options, "mesh": [2, 1]}, processes=2).facts()
    assert one["weights"] == other["weights"]
    assert one["history"]["loss"][0] == pytest.approx(expected, rel=2e-3)


def test_ctrl_c_in_one_process_stops_all_at_the_same_epoch(tmp_path):
    options = {"mesh": [2, 1], "epochs": 5000, "callback": [None, "Interrupt"], "optimizer": "sgd"}
    one, other = Run(tmp_path, options, processes=2).facts()
    assert 2 <= len(one["history"]["loss"]) < 5000
    assert one["history"] == other["history"]
    assert one["weights"] == other["weights"]


def test_callback_that_stops_one_process_stops_all(tmp_path):
    options = {"mesh": [2, 1], "epochs": 50, "callback": ["Stop", None], "optimizer": "lbfgs"}
    one, other = Run(tmp_path, options, processes=2).facts()
    assert len(one["history"]["loss"]) == 3
    assert one["history"] == other["history"]
    assert one["weights"] == other["weights"]


def test_callback_at_single_steps_in_one_process_leaves_all_to_keras(tmp_path):
    options = {"mesh": [2, 1], "callback": [None, "LookAtSteps"]}
    expected = alone(tmp_path, options)
    for facts in Run(tmp_path, options, processes=2).facts():
        assert facts["compiled"] == 0
        assert distance(facts, expected) < 1e-6


@pytest.mark.parametrize(
    ("callbacks", "left", "gone"), [([None, "Kill"], 0, 1), (["Raise", None], 1, 0)]
)
def test_process_that_ends_ends_the_others(tmp_path, callbacks, left, gone):
    run = Run(tmp_path, {"mesh": [2, 1], "epochs": 50, "callback": callbacks}, processes=2)
    run.processes[gone].stdout.read()
    start = time.monotonic()
    printed = run.wait()
    assert time.monotonic() - start < SECONDS
    assert run.processes[left].returncode not in (0, -9)
    sentence = f"RuntimeError: Process {left} of 2 stopped, as another one has ended"
    # The first process coordinates: JAX itself may be faster to say that it is gone.
    assert sentence in printed[left] or (gone == 0 and "another task died" in printed[left])


def test_process_that_stands_still_ends_the_others(tmp_path):
    run = Run(tmp_path, {"mesh": [2, 1], "epochs": 50, "callback": [None, "Halt"]}, processes=2)
    try:
        run.processes[0].communicate(timeout=LIMIT)
        assert run.processes[0].returncode not in (0, -9)
    finally:
        run.kill()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"equal": True}, "All processes were given the same 320 rows"),
        ({"uneven": True}, "`epochs` of fit is"),
    ],
    ids=["copies", "other arguments"],
)
def test_rows_and_arguments_that_do_not_fit_together_are_refused(tmp_path, options, sentence):
    run = Run(tmp_path, {**options, "mesh": [2, 1]}, processes=2)
    for printed in run.wait():
        assert sentence in printed
    assert [process.returncode for process in run.processes] == [1, 1]


CHECKPOINTS = {
    "orders, noise": ({"network": "random", "shuffle": True, "mesh": [2, 1]}, 1),
    "kernels in parts": ({"mesh": [2, 2], "weighted": True, "optimizer": "adam"}, 2),
}


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("case", CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_after_the_death_of_a_process_all_go_on_to_the_same_end(tmp_path, case, which):
    options, devices = {**case[0], "callback": ["Mortal"] * 2}, case[1]
    expected = Run(tmp_path, options, 2, devices).facts()
    kept = tmp_path / "kept"
    options["checkpoint"] = [str(kept)] * 2
    run = Run(tmp_path, {**options, "dies": which}, 2, devices)
    run.wait()
    assert run.processes[which].returncode == -9
    assert (kept / "checkpoint.npz").exists()
    resumed = Run(tmp_path, options, 2, devices).facts()
    for facts, undisturbed in zip(resumed, expected, strict=True):
        assert facts["history"] == undisturbed["history"]
        assert facts["weights"] == undisturbed["weights"]
    assert list(kept.iterdir()) == []


def test_processes_that_find_other_checkpoints_are_refused(tmp_path):
    options = {"mesh": [2, 1], "callback": ["Mortal"] * 2}
    options["checkpoint"] = [str(tmp_path / "0"), str(tmp_path / "1")]
    Run(tmp_path, {**options, "dies": 1}, processes=2).wait()
    for printed in Run(tmp_path, options, processes=2).wait():
        assert "name a folder that they share" in printed
