"""``tied-tables sample``: write a table to try the other commands on."""

from typing import Annotated

import typer

from tied_tables.cli._app import command
from tied_tables.cli._messages import remark
from tied_tables.cli._options import Seed
from tied_tables.cli._proposals import join


@command("tied-tables sample clients.csv")
def sample(
    output: Annotated[
        str,
        typer.Argument(
            metavar="OUT", help=("The file to write, in the format of its extension.")
        ),
    ],
    seed: Seed = 0,
) -> None:
    """Write a sample table of 300 invented clients, two of them outliers."""
    from tied_tables import datasets
    from tied_tables.io import check_output, write_table

    check_output(output)
    import pyarrow as pa  # which is installed where tables are

    rows = pa.record_batch(datasets.make_clients(random_state=seed))
    write_table(output, [rows])
    done = f"wrote {rows.num_rows} rows to {output}"
    remark(f"{done}.", f"next: {join(['check', output])}")
