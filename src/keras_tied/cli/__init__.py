"""The command ``keras-tied``: arguments in, messages out.

Each command imports what it needs when it runs, so that ``--help`` starts fast. Exit codes: 0 for
success, 1 for a failure, 2 for wrong use, 130 after Ctrl-C, 143 after SIGTERM.
"""

import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any

try:
    import typer  # noqa: F401
except ImportError as error:
    raise SystemExit(
        'keras-tied: the command needs Typer and Rich; run pip install "keras-tied[cli]".'
    ) from error

from keras_tied.cli import _app

__all__ = ["app", "main", "run"]
# The module of each command, in the order in which --help lists the commands.
MODULES = {
    "demo": "_demo",
    "check": "_check",
    "fit": "_fit",
    "encode": "_apply",
    "reconstruct": "_apply",
    "decode": "_apply",
    "score": "_score",
    "plot": "_plot",
    "report": "_report",
    "compare": "_compare",
    "export": "_export",
    "inspect": "_inspect",
}


def __getattr__(name: str) -> Any:
    """Import all commands when the application is used from Python."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    load(MODULES)
    return _app.app


def load(commands: Iterable[str]) -> None:
    """Import the modules of some commands, each of which takes its time."""
    for name in commands:
        import_module(f"keras_tied.cli.{MODULES[name]}")
    order = list(MODULES)
    _app.app.registered_commands.sort(key=lambda each: order.index(each.name or ""))


def run() -> int:
    """Run the command line; returns the exit code."""
    load([sys.argv[1]] if sys.argv[1:2] and sys.argv[1] in MODULES else MODULES)
    return _app.run()


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run())
