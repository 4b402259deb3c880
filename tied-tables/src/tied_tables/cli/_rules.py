"""``tied-tables rules``: what nearly all rows of a table satisfy, as a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tied_tables._text import format_quantity
from tied_tables.cli._app import command
from tied_tables.cli._check import survey
from tied_tables.cli._messages import remark
from tied_tables.cli._options import STANDARD_OUTPUT, Data, output_option
from tied_tables.cli._output import print_result, replace_output
from tied_tables.cli._progress import show_stages
from tied_tables.cli._proposals import join
from tied_tables.cli._table import ColumnOptions, TableOptions, require_output

if TYPE_CHECKING:
    from tied_tables.columns import Columns, Kind

ENDINGS = ["yml", "yaml", "json"]


@command("tied-tables rules rows.csv -o rules.yml")
def rules(
    data: Data,
    output: str = output_option(
        "The file to write: .yml for Pointblank and check --rules, .json for JSON"
        " Schema, - for YAML.",
        default="*-rules.yml",
    ),
    *,
    columns: ColumnOptions,
    options: TableOptions,
) -> None:
    """Write what nearly all rows of a table satisfy, to check others."""
    from tied_tables.columns import Role
    from tied_tables.expectations import (
        find_steps,
        read_kinds,
        to_schema,
        to_yaml,
        write_marks,
    )

    require_output(output, False, data, ENDINGS)
    table = survey(data, options, columns, seed=0)
    na = write_marks(columns.na or ())
    names = [fact.name for fact in table.facts if fact.role is not Role.excluded]
    sample = table.sample.select(names)
    rows, used = table.training, table.columns
    with show_stages("counting"):
        kinds = read_kinds(rows, used, na)
        steps = find_steps(rows, sample, kinds, used, table.rules, na)
    if output.endswith(".json"):
        _write(output, to_schema(steps), len(steps))
    else:
        _write(output, to_yaml(steps, table.source.name, kinds, na), len(steps))
    _remark_text(output, used, kinds)
    if not output.endswith(".json") and output != STANDARD_OUTPUT:
        new = f"new{Path(data).suffix}"
        remark(f"next: {join(['check', new, '--rules', output])}")


def _write(output: str, written: bytes, n_rules: int) -> None:
    """Write rules to a file, and report how many, or print them."""
    if output == STANDARD_OUTPUT:
        print(written.decode(), end="")
        return
    with replace_output(Path(output)) as part:
        part.write_bytes(written)
    text = f"wrote {format_quantity(n_rules, 'rule')} to {output}"
    print_result(False, {"output": output}, text)


def _remark_text(output: str, columns: Columns, kinds: Mapping[str, Kind]) -> None:
    """Report columns of numbers that are text in the file."""
    from tied_tables.columns import NUMERIC_KINDS, Kind

    for column in columns.used:
        if column.kind in NUMERIC_KINDS and kinds[column.name] is Kind.text:
            remark(
                f"{output} has no limits and relations of {column.name!r}: not all of"
                " its values are plain numbers such as 1.5; --na TEXT treats a text"
                " as missing"
            )
