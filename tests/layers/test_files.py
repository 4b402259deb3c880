"""What files hold of a tied model, and what comes back from them."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from .cases import (
    CASES,
    Case,
    find,
    kernel_variable,
    outputs,
    parameters,
    select,
    steps,
    weights,
)

TOPOLOGIES = (
    "functional",
    "nested",
    "made_of_models",
    "made_in_init",
    "siamese_never_met",
)


@pytest.fixture(params=parameters(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def model(case: Case) -> keras.Model:
    return case.build()


def datasets(path: Path) -> Iterator[np.ndarray]:
    """Every array in the weights of a file."""
    content = path.read_bytes()
    if zipfile.is_zipfile(path):
        content = zipfile.ZipFile(path).read("model.weights.h5")
    found: list[np.ndarray] = []
    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(
            lambda _, item: found.append(item[()]) if hasattr(item, "shape") else None
        )
    return iter(found)


def times_held(kernel: Any, path: Path) -> int:
    value = kernel.numpy()
    return sum(
        array.shape == value.shape and np.array_equal(array, value)
        for array in datasets(path)
    )


def kernels(model: keras.Model, case: Case) -> list[Any]:
    ties = dict(case.topology.ties)
    return [
        kernel_variable(find(model, name))
        for name in sorted(set(ties.values()) - set(ties))
    ]


def test_model_file_holds_each_kernel_once(case, model, tmp_path):
    model.save(tmp_path / "model.keras")
    assert all(
        times_held(kernel, tmp_path / "model.keras") == 1
        for kernel in kernels(model, case)
    )


def test_weights_file_holds_each_kernel_once(case, model, tmp_path):
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    assert all(times_held(kernel, path) == 1 for kernel in kernels(model, case))


def test_weights_load_into_a_freshly_built_model(case, model, tmp_path):
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    fresh = case.build(seed=5)
    fresh.load_weights(path)
    same_outputs(fresh, model, case)


def test_weights_load_into_a_rebuilt_model(case, model, tmp_path):
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    rebuilt = keras.models.model_from_json(model.to_json())
    if not rebuilt.built:
        rebuilt(case.inputs())
    rebuilt.load_weights(path)
    same_outputs(rebuilt, model, case)


@pytest.mark.parametrize("case", parameters(select(*TOPOLOGIES)))
def test_weights_of_a_model_file_load_into_a_rebuilt_model(case, model, tmp_path):
    model.save(tmp_path / "model.keras")
    rebuilt = keras.models.clone_model(model)
    rebuilt.load_weights(tmp_path / "model.keras")
    same_outputs(rebuilt, model, case)


@pytest.mark.parametrize("case", parameters(select(*TOPOLOGIES)))
def test_weights_in_several_files_load_into_a_freshly_built_model(
    case, model, tmp_path
):
    path = tmp_path / "model.weights.json"
    model.save_weights(path, max_shard_size=1)
    fresh = case.build(seed=5)
    fresh.load_weights(path)
    same_outputs(fresh, model, case)


@pytest.mark.parametrize("case", parameters(select(*TOPOLOGIES)))
def test_model_in_a_folder_loads(case, model, tmp_path):
    model.save(tmp_path / "folder", zipped=False)
    same_outputs(keras.saving.load_model(tmp_path / "folder"), model, case)


@pytest.mark.parametrize("case", parameters(select("functional", "nested", "deep")))
def test_model_in_the_old_format_loads(case, model, tmp_path):
    model.save(tmp_path / "model.h5")
    loaded = keras.saving.load_model(tmp_path / "model.h5")
    same_outputs(loaded, model, case)
    for tied, partner in case.topology.ties:
        assert find(loaded, tied).tied_to is find(loaded, partner)


def same_outputs(one: keras.Model, other: keras.Model, case: Case) -> None:
    found, expected = outputs(one, case.inputs()), outputs(other, case.inputs())
    for pair in zip(found, expected, strict=True):
        np.testing.assert_allclose(*pair, atol=1e-6)


OPTIMIZERS = {
    "momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(0.05),
    "moving average": lambda: keras.optimizers.Adam(
        0.05, use_ema=True, ema_momentum=0.9
    ),
    "accumulating": lambda: keras.optimizers.SGD(0.05, gradient_accumulation_steps=2),
}
QUICK = select("functional", "made_of_models", "made_in_init", family="Dense")
STOPS = [(case, "momentum", case in QUICK) for case in select(*TOPOLOGIES)]
STOPS += [
    (case, name, name == "adam")
    for case in select("nested", family="Dense")
    for name in OPTIMIZERS
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "optimizer"),
    [
        pytest.param(
            case, name, id=f"{case}-{name}", marks=() if is_quick else pytest.mark.night
        )
        for case, name, is_quick in STOPS
    ],
)
def test_training_goes_on_after_loading_as_if_it_had_not_stopped(
    case, model, optimizer, tmp_path
):
    data = case.inputs(), case.targets()
    model.compile(OPTIMIZERS[optimizer](), "mse", run_eagerly=True)
    steps(model, data)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one in (model, loaded):
        steps(one, data)
    for pair in zip(weights(loaded), weights(model), strict=True):
        np.testing.assert_allclose(*pair, atol=1e-6)
