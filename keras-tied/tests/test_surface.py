"""What users' code and files name stays; `surface.toml` lists it."""

import importlib
import inspect
import tomllib
from pathlib import Path
from pkgutil import resolve_name

import keras
import pytest

SURFACE = tomllib.loads(Path(__file__).with_name("surface.toml").read_text())


@pytest.mark.parametrize("name", SURFACE["registered"])
def test_a_class_is_registered_with_keras_under_its_name(name):
    cls = resolve_name(SURFACE["registered"][name])
    assert keras.saving.get_registered_name(cls) == name
    assert keras.saving.get_registered_object(name) is cls


@pytest.mark.parametrize("name", SURFACE["listed"])
def test_a_module_has_and_lists_these_names(name):
    module = importlib.import_module(name)
    names = SURFACE["listed"][name].split()
    listed = getattr(module, "__all__", names)
    assert set(names) <= set(listed)
    assert [each for each in names if not hasattr(module, each)] == []


@pytest.mark.parametrize("path", SURFACE["arguments"])
def test_arguments_keep_their_names_and_order(path):
    expected = SURFACE["arguments"][path].split()
    names = inspect.signature(resolve_name(path)).parameters
    assert [name for name in names if name in expected] == expected
