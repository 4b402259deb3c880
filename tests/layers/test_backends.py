"""A model saved here loads in another process, under every backend
that is installed.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_tied

from .cases import CASES, find, outputs

pytestmark = pytest.mark.slow
BACKENDS = ("jax", "tensorflow", "torch")
SAVED = [case for case in CASES if case.gain]
NAMES, PARAMETERS = [], []
for case in SAVED:
    names = [str(case)]
    if case.topology.halves and case.topology.name != "made_of_layers":
        names.append(f"{case}-decoder")
    NAMES += names
    marks = () if case.quick else pytest.mark.night
    PARAMETERS += [pytest.param(name, marks=marks) for name in names]


@pytest.fixture(scope="module")
def saved(request, tmp_path_factory) -> tuple[Path, dict[str, list[np.ndarray]]]:
    """A folder of the models that tests ask for, their inputs, and what they compute
    here.
    """
    params = [
        item.callspec.params
        for item in request.session.items
        if hasattr(item, "callspec")
    ]
    wanted = {each.get("name") for each in params}
    folder, expected, ties = tmp_path_factory.mktemp("models"), {}, {}

    def save(name: str, model: Any, inputs: Any) -> None:
        expected[name] = outputs(model, inputs)
        model.save(folder / f"{name}.keras")
        np.savez(
            folder / f"{name}.npz", *(inputs if isinstance(inputs, list) else [inputs])
        )
        ties[name] = case.topology.ties

    for case in SAVED:
        if not {str(case), f"{case}-decoder"} & wanted:
            continue
        model = case.build()
        save(str(case), model, case.inputs())
        if f"{case}-decoder" in NAMES:
            decoder = find(model, "decoder")
            shape = (5, *decoder.input_shape[1:])
            codes = np.random.default_rng(0).normal(size=shape).astype("float32")
            save(f"{case}-decoder", decoder, codes)
    (folder / "ties.json").write_text(json.dumps(ties))
    return folder, expected


@pytest.fixture(scope="module")
def processes(saved) -> dict[str, subprocess.Popen[str]]:
    """One process under each backend that is installed, all at work at once, and now
    done.
    """
    source = str(Path(keras_tied.__file__).parents[1])
    started = {
        backend: subprocess.Popen(
            [
                sys.executable,
                "-W",
                "ignore",
                Path(__file__).with_name("load_elsewhere.py"),
                saved[0],
            ],
            env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": source},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for backend in BACKENDS
        if find_spec(backend)
    }
    for backend, process in started.items():
        printed, _ = process.communicate()
        assert process.returncode == 0, f"{backend}: {printed}"
    return started


@pytest.fixture(params=BACKENDS)
def loaded(request, processes, saved) -> Any:
    """What a model computes in the process under one backend."""
    backend = request.param
    if backend not in processes:
        pytest.skip(f"{backend} is not installed")

    def load(name: str) -> dict[str, np.ndarray]:
        with np.load(saved[0] / f"{name}.{backend}.npz") as stored:
            return dict(stored)

    return load


@pytest.mark.parametrize("name", PARAMETERS)
def test_model_computes_the_same_under_another_backend(loaded, saved, name):
    found = loaded(name)
    for index, expected in enumerate(saved[1][name]):
        np.testing.assert_allclose(found[f"arr_{index}"], expected, atol=1e-5)


@pytest.mark.parametrize("name", PARAMETERS)
def test_model_is_tied_under_another_backend(loaded, name):
    assert loaded(name)["tied"]
