"""The command ``tied-tables``, which imports what it needs when it runs."""

import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any

try:
    import typer  # noqa: F401
except ImportError as error:
    raise SystemExit(
        "tied-tables: the command needs Typer and Rich; run pip install"
        ' "tied-tables[cli]".'
    ) from error

from tied_tables.cli import _app

__all__ = ["app", "main", "run"]
# In the order of --help.
COMMANDS = (
    "sample check rules fit encode reconstruct decode fill score corrections plot"
    " report export inspect"
).split()


def __getattr__(name: str) -> Any:
    """Import all commands when the application is used from Python."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    load(COMMANDS)
    return _app.app


def load(commands: Iterable[str]) -> None:
    """Import the modules of some commands, each of which takes its time."""
    for name in commands:
        module = (
            "apply" if name in ("encode", "reconstruct", "decode", "fill") else name
        )
        import_module(f"tied_tables.cli._{module}")
    _app.app.registered_commands.sort(key=lambda each: COMMANDS.index(each.name or ""))


def run() -> int:
    """Run the command line; returns the exit code."""
    load([name for name in COMMANDS if [name] == sys.argv[1:2]] or COMMANDS)
    return _app.run(COMMANDS)


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run())
