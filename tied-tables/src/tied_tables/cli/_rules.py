"""``tied-tables rules``: what nearly all rows of a table satisfy, as a file."""

from __future__ import annotations

from pathlib import Path

from tied_tables._text import format_quantity
from tied_tables.cli._app import command
from tied_tables.cli._check import survey
from tied_tables.cli._messages import remark
from tied_tables.cli._options import STANDARD_OUTPUT, Data, output_option
from tied_tables.cli._output import print_result, replace_output
from tied_tables.cli._progress import show_stages
from tied_tables.cli._proposals import join
from tied_tables.cli._table import ColumnOptions, TableOptions, require_output

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
    from tied_tables.columns import NUMERIC_KINDS, Kind, Role
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
    with show_stages("counting"):
        kinds = read_kinds(table.training, table.columns, na)
        steps = find_steps(
            table.training, sample, kinds, table.columns, table.rules, na
        )
    is_schema = output.endswith(".json")
    path = table.source.name
    written = to_schema(steps) if is_schema else to_yaml(steps, path, kinds, na)
    if output == STANDARD_OUTPUT:
        print(written.decode(), end="")
    else:
        with replace_output(Path(output)) as part:
            part.write_bytes(written)
    text = f"wrote {format_quantity(len(steps), 'rule')} to {output}"
    print_result(False, {"output": output}, text)
    for column in table.columns.used:
        if column.kind in NUMERIC_KINDS and kinds[column.name] is Kind.text:
            remark(
                f"{output} has no limits and relations of {column.name!r}: not all of"
                " its values are plain numbers such as 1.5; --na TEXT treats a text"
                " as missing"
            )
    if not is_schema and output != STANDARD_OUTPUT:
        new = f"new{Path(data).suffix}"
        remark(f"next: {join(['check', new, '--rules', output])}")
