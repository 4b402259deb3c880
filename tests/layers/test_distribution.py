"""Tied models on eight devices, and on two processes, by
`keras.distribution` on JAX.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import keras_tied

from .cases import select

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "jax",
        reason="Keras distributes over devices on JAX only",
    ),
]
CASES = [
    *select("functional", "nested", "in_a_row", family="Dense"),
    *select("functional", family="Embedding"),
]
BY_DATA = [f"{case} by data" for case in CASES]
BY_MODEL = [f"{case} by model" for case in CASES if case.family.name == "Dense"]


@pytest.fixture(scope="module")
def facts() -> dict[str, dict[str, Any]]:
    """What a process with eight devices found."""
    script = Path(__file__).with_name("distributed.py")
    flags = {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
    }
    source = {"PYTHONPATH": str(Path(keras_tied.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script, *map(str, CASES)],
        env={**os.environ, **flags, **source, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", BY_DATA + BY_MODEL)
def test_distributed_training_gives_the_same_weights_as_on_one_device(facts, name):
    assert facts[name]["difference"] < 1e-5


@pytest.mark.parametrize("name", BY_DATA + BY_MODEL)
def test_distributed_model_is_tied_and_lies_on_all_devices(facts, name):
    assert facts[name]["one layer"]
    assert facts[name]["devices"] == 8


@pytest.mark.parametrize("name", BY_MODEL)
def test_decoder_follows_the_layout_of_the_encoder(facts, name):
    assert facts[name]["layout"] == ["model", None]
    assert facts[name]["layout in the decoder"] == facts[name]["layout"]


def start(processes: int, process: int, port: int) -> subprocess.Popen[str]:
    script = Path(__file__).with_name("process.py")
    source = {"PYTHONPATH": str(Path(keras_tied.__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", script, *map(str, (processes, process, port))],
        env={**os.environ, **source, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_train_one_tied_model_as_one_process_does():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    processes = [start(2, process, port) for process in (0, 1)] + [start(1, 0, 0)]
    printed = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], printed
    results = [json.loads(out[out.index("[[") :]) for out, _ in printed]
    losses, weights = results[2]
    for of_process in results[:2]:
        np.testing.assert_allclose(of_process[0], losses, rtol=1e-5)
        for one, other in zip(of_process[1], weights, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
