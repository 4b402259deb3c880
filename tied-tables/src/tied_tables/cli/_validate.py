"""``tied-tables check --rules``: which rules of a file a table breaks."""

from __future__ import annotations

from dataclasses import replace

import typer

from tied_tables._text import format_quantity
from tied_tables.cli._messages import UsageError, remark, report_wrong_use
from tied_tables.cli._output import print_json, print_table
from tied_tables.cli._progress import show_stages
from tied_tables.cli._table import ColumnOptions, TableOptions
from tied_tables.cli._text_layout import print_line

MOST_LISTED = 10  # rows of each rule


def validate_table(
    data: str, rules: str, columns: ColumnOptions, options: TableOptions, json: bool
) -> None:
    """Print which rules a table breaks, and exit with code 1 if there are any."""
    from tied_tables.expectations import list_failing, read_yaml, write_marks
    from tied_tables.io import find_total

    if unused := replace(columns, na=None).find_choices():
        raise UsageError(
            f"{', '.join(unused)} cannot be used with --rules, which name their"
            " columns; drop it, or delete rules from the file."
        )
    na = write_marks(columns.na or ())

    with report_wrong_use():
        steps = read_yaml(rules)
    results = []
    broken = []
    with show_stages("comparing"):
        source = options.open(data, text=None)
        total = find_total(source)
        for step in steps:
            rows = list_failing(step, source, na)
            if total is not None:
                rows = [row for row in rows if row != total.row]
            first = rows[:MOST_LISTED]
            results.append({"rule": step.brief, "rows": len(rows), "first": first})
            if rows:
                numbers = ", ".join(map(str, first))
                broken.append([f"{len(rows):,}", numbers, step.brief])
    if total is not None:
        remark(str(total))
    if json:
        print_json({"data": source.name, "rows": source.n_rows, "rules": results})
    else:
        n_rows = format_quantity(source.n_rows, "row")
        n_rules = format_quantity(len(steps), "rule")
        print_line(f"{source.name}: {n_rows}, {n_rules}, {len(broken):,} broken")
    if broken and not json:
        print()
        print_table(["rows", "first rows", "rule"], broken)
    if broken:
        raise typer.Exit(1)
