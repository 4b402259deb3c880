"""``keras-tied corrections``: a list of what to correct in a table."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from keras_tied._text import format_quantity, format_rarity
from keras_tied.cli._app import command
from keras_tied.cli._inputs import Inputs
from keras_tied.cli._options import Json, SafeCsv, output_option
from keras_tied.cli._output import print_json, print_result, print_table
from keras_tied.cli._progress import fold_rows
from keras_tied.cli._table import STANDARD_OUTPUT, require_output

if TYPE_CHECKING:
    from keras_tied.rows import Correction

MOST_SHOWN = 20


@command("keras-tied corrections rows.csv -o corrections.csv")
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
    rows = replace(rows, reads="all")
    find = partial(
        find_corrections,
        transform=BatchTransform(model.fitted_value, rows.columns, "scores"),
        ids=rows.columns.ids,
        n_rows=rows.source.n_rows,
    )
    entries, doubts = fold_rows("looking", rows, find)
    entries = list_misread(doubts.misread) + entries
    text = format_quantity(len(entries), "correction")
    if output is not None:
        names = Correction._fields
        columns = zip(*entries, strict=True) if entries else [[] for _ in names]
        table = pa.record_batch(dict(zip(names, map(pa.array, columns), strict=True)))
        write_table(output, iter([table]), safe_csv=safe_csv)
        facts = {"corrections": len(entries), "output": output}
        is_file = output != STANDARD_OUTPUT
        print_result(json, facts, f"listed {text} in {output}" if is_file else "")
    elif json:
        print_json({"corrections": [each._asdict() for each in entries]})
    else:
        _print_corrections(entries[:MOST_SHOWN], model.fitted_value.largest_rarity)
        if len(entries) > MOST_SHOWN:
            print(f"the first {MOST_SHOWN} of {text}; -o FILE writes all")


def _print_corrections(some: list[Correction], most: float) -> None:
    if not some:
        print("nothing to correct was found")
        return
    cells = []
    for each in some:
        rarity = ""
        if each.one_in is not None:
            rarity = format_rarity(each.one_in, most)
        cells.append([f"{each.row:,}", rarity, each.why])
    print_table(("row", "one in", "why"), cells)
