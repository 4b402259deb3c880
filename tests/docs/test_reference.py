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
MODULES = (
    "autoencoder comparison datasets estimator experiment layers losses"
    " plotting reference regularizers report tables training"
).split()


@pytest.mark.parametrize("module", MODULES)
def test_each_public_name_has_a_page(module):
    package = importlib.import_module(f"keras_tied.{module}")
    names = getattr(
        package, "__all__", [name for name in vars(package) if name[0] != "_"]
    )
    values = {name: getattr(package, name) for name in names}
    public = {
        name
        for name, value in values.items()
        if inspect.isclass(value) or inspect.isfunction(value)
        if value.__module__.startswith(package.__name__)
    }
    assert public <= LISTED
