"""``keras-tied sample``: write a table to try the other commands on."""

from typing import Annotated

import typer

from keras_tied.cli._app import command
from keras_tied.cli._messages import remark
from keras_tied.cli._options import Seed
from keras_tied.cli._proposals import join


@command("keras-tied sample clients.csv")
def sample(
    output: Annotated[
        str,
        typer.Argument(metavar="OUT", help="The file to write, its format by ending."),
    ],
    seed: Seed = 0,
) -> None:
    """Write a table of 300 made-up clients, two of them odd, to try commands on."""
    from keras_tied import datasets
    from keras_tied.tables import check_output, write_table

    check_output(output)
    import pyarrow as pa  # which is installed where tables are

    rows = pa.record_batch(datasets.make_clients(random_state=seed))
    write_table(output, [rows])
    done = f"wrote {rows.num_rows} rows to {output}"
    remark(f"{done}; next, {join(['check', output])}.")
