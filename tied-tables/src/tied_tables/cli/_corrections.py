"""``tied-tables corrections``: a list of what to correct in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tied_tables._text import format_quantity
from tied_tables.cli._app import command
from tied_tables.cli._inputs import Inputs
from tied_tables.cli._messages import UsageError
from tied_tables.cli._options import Json, SafeCsv, option, output_option
from tied_tables.cli._output import print_json, print_result, print_rows
from tied_tables.cli._progress import show_rows
from tied_tables.cli._rows import to_text
from tied_tables.cli._table import require_column, require_output

if TYPE_CHECKING:
    from tied_tables.checks import Doubt
    from tied_tables.rows import Scan

MOST_SHOWN_CORRECTIONS = 20


@command("tied-tables corrections model.safetensors rows.csv -o corrections.csv")
def corrections(
    inputs: Inputs,
    output: str | None = output_option(
        "The file to write, in the format of its extension; - for CSV. Without it, the"
        f" first {MOST_SHOWN_CORRECTIONS} are printed.",
        default=None,
    ),
    *,
    same: str | None = option(
        "A column of things that several rows describe, such as flights: values that"
        " differ from most of their rows are listed.",
        "--same",
        metavar="COLUMN",
    ),
    safe_csv: SafeCsv = False,
    json: Json = False,
) -> None:
    """List what to correct: doubtful values, and duplicate rows."""
    from tied_tables.checks import CORRECTIONS_EFFORT, FIELDS, find_corrections
    from tied_tables.rows import BatchTransform

    if output is not None:
        require_output(output, json, inputs.data)
    model, rows = inputs.open(effort=CORRECTIONS_EFFORT)
    if rows.id in FIELDS:
        raise UsageError(
            f"the id column {rows.id!r} has the name of a column of the result; rename"
            " it."
        )
    require_column(rows.source, same, "--same")
    transform = BatchTransform(model.fitted_value, rows.columns, "scores")
    with show_rows("comparing", replace(rows, reads="all")) as shown_rows:
        doubts = find_corrections(shown_rows, transform, same)
    records = _list_records(rows, doubts)
    if output is not None:
        _write(output, records, safe_csv, json)
    elif json:
        print_json({"corrections": records})
    else:
        _print(records, rows.id, model.fitted_value.largest_rarity)


def _list_records(rows: Scan, doubts: Sequence[Doubt]) -> list[dict[str, Any]]:
    """Return what is listed of each doubt, with the id of its row."""
    from tied_tables.checks import FIELDS
    from tied_tables.columns import list_values

    ids: list[Any] = []
    if rows.id is not None and doubts:
        for batch in rows.source.batches(names=[rows.id]):
            ids += list_values(batch[rows.id])
    records = []
    for doubt in doubts:
        named = {rows.id: to_text(ids[doubt.row - 1])} if rows.id else {}
        fields = dict(zip(FIELDS, doubt, strict=True))
        records.append({"row": doubt.row, **named} | fields)
    return records


def _write(
    output: str, records: Sequence[dict[str, Any]], safe_csv: bool, json: bool
) -> None:
    """Write the list to a file, and report how long it is."""
    import pyarrow as pa

    from tied_tables.checks import FIELDS
    from tied_tables.io import write_table

    names = list(records[0] if records else FIELDS)
    columns = {name: [record[name] for record in records] for name in names}
    write_table(output, [pa.record_batch(columns)], safe_csv=safe_csv)
    facts = {"corrections": len(records), "output": output}
    text = format_quantity(len(records), "correction")
    print_result(json, facts, f"listed {text} in {output}")


def _print(
    records: Sequence[dict[str, Any]], id: str | None, largest_rarity: float
) -> None:
    if not records:
        print("found nothing to correct")
        return
    names = list(filter(None, ["row", id, "one_in", "why"]))
    print_rows(names, records[:MOST_SHOWN_CORRECTIONS], largest_rarity)
    if len(records) > MOST_SHOWN_CORRECTIONS:
        text = format_quantity(len(records), "correction")
        print(f"the first {MOST_SHOWN_CORRECTIONS} of {text}; -o FILE writes all")
