"""``keras-tied corrections``: a list of what to correct in a table."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from keras_tied._text import format_quantity, format_rarity
from keras_tied.cli._app import command
from keras_tied.cli._inputs import Inputs
from keras_tied.cli._messages import UsageError
from keras_tied.cli._options import Json, SafeCsv, output_option
from keras_tied.cli._output import print_json, print_result, print_table
from keras_tied.cli._progress import fold_rows
from keras_tied.cli._rows import take
from keras_tied.cli._table import require_output

if TYPE_CHECKING:
    from keras_tied.rows import Correction, Scan

MOST_SHOWN = 20


@command("keras-tied corrections model.safetensors rows.csv -o corrections.csv")
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

    from keras_tied.rows import (
        BatchTransform,
        Correction,
        find_corrections,
        list_misread,
    )
    from keras_tied.tables import write_table

    if output is not None:
        require_output(output, json, inputs.data)
    model, rows = inputs.open()
    if rows.id in Correction._fields:
        raise UsageError(f"the id {rows.id!r} is a column of the list, too; rename it.")
    rows = replace(rows, reads="all")
    find = partial(
        find_corrections,
        transform=BatchTransform(model.fitted_value, rows.columns, "scores"),
        ids=rows.ids,
    )
    entries, doubts = fold_rows("comparing", rows, find)
    for column in rows.columns.used:
        if column.other:  # which the rare ones in training are, too
            doubts.unseen.texts.pop(column.name, None)
    strange = list_misread(doubts.misread) + list_misread(doubts.unseen)
    entries = strange + entries
    text = format_quantity(len(entries), "correction")
    records = _add_ids(entries, rows)
    if output is not None:
        names = list(records[0] if records else Correction._fields)
        columns = {name: [record[name] for record in records] for name in names}
        table = pa.record_batch(columns)
        write_table(output, [table], safe_csv=safe_csv)
        facts = {"corrections": len(entries), "output": output}
        print_result(json, facts, f"listed {text} in {output}")
    elif json:
        print_json({"corrections": records})
    else:
        _print_corrections(entries[:MOST_SHOWN], model.fitted_value.largest_rarity)
        if len(entries) > MOST_SHOWN:
            print(f"the first {MOST_SHOWN} of {text}; -o FILE writes all")


def _add_ids(entries: list[Correction], rows: Scan) -> list[dict[str, Any]]:
    """The corrections by name, with the id of the row of each."""
    import numpy as np

    records = [each._asdict() for each in entries]
    if rows.id is None or not records:
        return records
    numbers = sorted({each.row for each in entries})
    sample, _ = take(rows, np.array(numbers) - 1)
    assert sample.ids is not None
    ids = dict(zip(numbers, sample.ids, strict=True))
    return [{"row": each["row"], rows.id: ids[each["row"]]} | each for each in records]


def _print_corrections(some: list[Correction], most: float) -> None:
    if not some:
        print("nothing to correct was found")
        return
    cells = []
    for each in some:
        rarity = format_rarity(each.one_in, most) if each.one_in else ""
        cells.append([f"{each.row:,}", rarity, each.why])
    print_table(("row", "one in", "why"), cells)
