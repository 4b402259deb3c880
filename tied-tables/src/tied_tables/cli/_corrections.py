"""``tied-tables corrections``: a list of what to correct in a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from tied_tables._text import format_quantity
from tied_tables.cli._app import command
from tied_tables.cli._inputs import Inputs
from tied_tables.cli._messages import UsageError
from tied_tables.cli._options import Json, SafeCsv, output_option
from tied_tables.cli._output import print_json, print_result, print_rows
from tied_tables.cli._progress import fold_rows
from tied_tables.cli._rows import to_text
from tied_tables.cli._table import require_output

if TYPE_CHECKING:
    from tied_tables.rows import Batch

MOST_SHOWN = 20


@command("tied-tables corrections model.safetensors rows.csv -o corrections.csv")
def corrections(
    inputs: Inputs,
    output: str | None = output_option(
        "The file to write, its format by ending; - for CSV. Without it, the first"
        f" {MOST_SHOWN} are printed.",
        default=None,
    ),
    *,
    safe_csv: SafeCsv = False,
    json: Json = False,
) -> None:
    """List what to correct: doubtful values, and rows that are there twice."""
    import pyarrow as pa

    from tied_tables.columns import list_values
    from tied_tables.io import find_total, write_table
    from tied_tables.rows import (
        BatchTransform,
        Correction,
        RuleFinder,
        drop_repeated,
        find_corrections,
        list_misread,
    )

    if output is not None:
        require_output(output, json, inputs.data)
    model, rows = inputs.open()
    if rows.id in Correction._fields:
        raise UsageError(f"the id {rows.id!r} is a column of the list, too; rename it.")
    rows = replace(rows, reads="all")
    transform = BatchTransform(model.fitted_value, rows.columns, "scores")
    ids: list[str] = []
    finder = RuleFinder()

    def watch(batch: Batch) -> Batch:
        finder.add(batch.rows)
        if rows.id is not None:
            ids.extend(map(to_text, list_values(batch.rows[rows.id])))
        return batch

    def find(batches: Iterator[Batch]) -> list[Correction]:
        return find_corrections(map(watch, batches), transform, rows.ids)

    entries, doubts = fold_rows("comparing", rows, find)
    for column in rows.columns.used:
        if column.other:  # which the rare ones in training are, too
            doubts.unseen.texts.pop(column.name, None)
    strange = list_misread(doubts.misread) + list_misread(doubts.unseen)
    entries = drop_repeated(finder.find() + strange + entries)
    if total := find_total(rows.source):
        others = [entry for entry in entries if entry.row != total.row]
        why = f"a total: it {total.reason}; take it out of the table"
        entries = [Correction(total.row, why=why), *others]
    records = []
    for entry in entries:
        own_id = {rows.id: ids[entry.row - 1]} if rows.id else {}
        records.append({"row": entry.row, **own_id} | entry._asdict())
    text = format_quantity(len(records), "correction")
    if output is not None:
        names = list(records[0] if records else Correction._fields)
        columns = {name: [record[name] for record in records] for name in names}
        write_table(output, [pa.record_batch(columns)], safe_csv=safe_csv)
        facts = {"corrections": len(records), "output": output}
        print_result(json, facts, f"listed {text} in {output}")
    elif json:
        print_json({"corrections": records})
    elif not records:
        print("nothing to correct was found")
    else:
        names = list(filter(None, ["row", rows.id, "one_in", "why"]))
        print_rows(names, records[:MOST_SHOWN], model.fitted_value.largest_rarity)
        if len(records) > MOST_SHOWN:
            print(f"the first {MOST_SHOWN} of {text}; -o FILE writes all")
