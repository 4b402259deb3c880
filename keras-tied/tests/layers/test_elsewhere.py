"""Tied models in other processes: on another backend, on several devices, in two."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import keras
import pytest
from tests.marks import slow
from tests.processes import find_port, run_python

import keras_tied

from .cases import CASES, HALVES, assert_close, outputs, select

pytestmark = slow
on_jax = pytest.mark.skipif(
    keras.backend.backend() != "jax",
    reason="Keras distributes over devices on JAX only",
)


def run(*arguments, backend="jax"):
    """What `elsewhere.py` prints."""
    program = Path(__file__).with_name("elsewhere.py")
    settings = {
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(Path(keras_tied.__file__).parents[1]),
        "JAX_PLATFORMS": "cpu",
    }
    done = run_python("-W", "ignore", program, *arguments, environment=settings)
    *_, last = done.stdout.splitlines()
    return json.loads(last)


OWN_CLASSES = ("Projection", "block", "made_of_layers", "made_in_init")


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_model_file_loads_under_every_backend_with_the_same_outputs(backend, tmp_path):
    if not find_spec(backend):
        pytest.skip(f"{backend} is not installed")
    saved = []
    for case in CASES + HALVES:
        if case.family in OWN_CLASSES or case.topology in OWN_CLASSES:
            continue
        model = case.build()
        model.save(tmp_path / f"{case}.keras")
        inputs = case.inputs()
        expected = outputs(model, inputs)
        path = tmp_path / f"{case}.pickle"
        path.write_bytes(pickle.dumps((inputs, expected)))
        saved.append(str(case))
    loaded = run("load", tmp_path, backend=backend)
    assert sorted(loaded) == sorted(saved)


@on_jax
def test_training_on_eight_devices_gives_the_weights_of_one():
    cases = select("functional", "nested", family="Dense")
    cases += select("functional", family="Embedding")
    layouts = run("devices", *cases)
    assert len(layouts) == 2 * len(cases)
    assert layouts["Dense-nested-model"] == ["model", None]


@on_jax
def test_two_processes_train_a_model_as_one_does():
    port = find_port()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(run, "process", 2, 0, port)
        second = pool.submit(run, "process", 2, 1, port)
        alone = pool.submit(run, "process", 1, 0, port)
    for found in (first.result(), second.result()):
        assert_close(found, alone.result(), 1e-5)
