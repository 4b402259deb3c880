"""Print results as tables or JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_tied._text import replace_controls
from keras_tied.cli._options import Json, Quiet


@dataclass(frozen=True)
class Printing:
    """The options of what is printed."""

    json: Json = False
    quiet: Quiet = False

    def print_result(self, facts: Mapping[str, Any], text: str) -> None:
        """Print the result as JSON, or as text if there is one."""
        if self.json:
            print_json(facts)
        elif text and not self.quiet:
            print(text)


def print_json(facts: Mapping[str, Any]) -> None:
    """Print facts as one JSON object."""
    print(json.dumps(facts, indent=2, ensure_ascii=False, default=str))


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and texts side by side."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for name, text in facts.items():
        grid.add_row(Text(replace_controls(name)), Text(replace_controls(text), overflow="fold"))
    Console(highlight=False).print(grid)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in header:
        table.add_column(Text(replace_controls(name)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(replace_controls(cell)) for cell in row))
    Console(highlight=False).print(table)
