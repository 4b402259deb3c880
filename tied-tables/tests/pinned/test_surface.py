"""What users' code, files and scripts name stays; `surface.toml` lists it."""

import importlib
import inspect
import tomllib
from pathlib import Path
from pkgutil import resolve_name

import pytest
import typer

from tied_tables import cli

SURFACE = tomllib.loads(Path(__file__).with_name("surface.toml").read_text())
MODULES = SURFACE["listed"] | SURFACE["unlisted"]
WITH_NEEDED_OUTPUT = "encode reconstruct decode".split()
"""The commands that refuse to run without --output; no other option is needed anywhere.
"""


def list_parameters(command, kind):
    """The options of a command, or its arguments."""
    group = typer.main.get_command(cli.app)
    found = group.commands[command] if command else group
    return [each for each in found.params if each.param_type_name == kind]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_and_lists_these_names(name):
    module = importlib.import_module(name)
    names = MODULES[name].split()
    listed = module.__all__ if name in SURFACE["listed"] else names
    assert set(names) <= set(listed)
    assert [each for each in names if not hasattr(module, each)] == []


@pytest.mark.parametrize("path", SURFACE["arguments"])
def test_arguments_keep_their_names_and_order(path):
    expected = SURFACE["arguments"][path].split()
    names = inspect.signature(resolve_name(path)).parameters
    assert [name for name in names if name in expected] == expected


@pytest.mark.parametrize("command", SURFACE["options"])
def test_a_command_has_these_arguments_and_options(command):
    arguments = [each.name for each in list_parameters(command, "argument")]
    assert arguments == SURFACE["positional"][command].split()
    options = list_parameters(command, "option")
    names = {name for each in options for name in each.opts}
    assert set(SURFACE["options"][command].split()) <= names
    needed = [each.name for each in options if each.required]
    assert needed == (["output"] if command in WITH_NEEDED_OUTPUT else [])
