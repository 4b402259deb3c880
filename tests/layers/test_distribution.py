"""Tied models on eight devices, by `keras.distribution`, which is there on JAX only."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import pytest

import keras_tied

from .cases import select

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras.backend.backend() != "jax", reason="Keras distributes over devices on JAX only"
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
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
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
