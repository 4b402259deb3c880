"""The reference has a page for each public name."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2].glob("docs/reference/*.md")
LISTED = {
    name.rpartition(".")[2]
    for page in PAGES
    for block in re.findall(r"autosummary::\n(.*?)```", page.read_text(), re.DOTALL)
    for name in re.findall(r"^   ([\w.]+)$", block, re.MULTILINE)
}
KERAS = "article autoencoder layers losses regularizers training".split()
TABLES = "comparison datasets estimator io plotting report".split()
MODULES = [f"keras_tied.{name}" for name in KERAS]
MODULES += [f"tied_tables.{name}" for name in TABLES]


@pytest.mark.parametrize("module", MODULES)
def test_each_public_name_has_a_page(module):
    package = importlib.import_module(module)
    public = {
        name
        for name, value in inspect.getmembers(package)
        if inspect.isclass(value) or inspect.isfunction(value)
        if name[0] != "_" and value.__module__.startswith(package.__name__)
    }
    assert public <= LISTED
