"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from keras_tied.cli._keras import Backend

ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A .keras file that keras-tied fit has written.")
]
Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="CSV, TSV, Parquet, Feather, Arrow, NPY or NPZ, by ending; a folder of such files, or "
        "a pattern in quotes.",
    ),
]
Output = Annotated[
    str,
    typer.Option(
        "--output", "-o", metavar="OUT", help="The file to write, its format by ending; - for CSV."
    ),
]
Id = Annotated[
    str | None,
    typer.Option(
        "--id", metavar="COLUMN", help="The column that names the rows; kept, never trained on."
    ),
]
Delimiter = Annotated[
    str | None, typer.Option(metavar="CHAR", help="Between the cells of CSV, instead of a comma.")
]
Encoding = Annotated[str, typer.Option(help="Of CSV.")]
ArrayName = Annotated[
    str | None, typer.Option(metavar="NAME", help="Which array of an .npz file to read.")
]
SafeCsv = Annotated[
    bool,
    typer.Option("--safe-csv", help="Put a ' before text that a spreadsheet would run, in CSV."),
]
UsedColumns = Annotated[
    str | None, typer.Option(metavar="A,B", help="The columns to use, instead of all.")
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="A,B", help="Columns not to use; can be given several times."),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="A scheduler of Dask whose workers do the work, such as tcp://10.0.0.1:8786, or local "
        "for processes of this machine. Tables are then written as a folder of Parquet files.",
    ),
]
NumWorkers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="The processes of --cluster local; one a processor."),
]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Fixes all that is random.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")]
OnBackend = Annotated[
    Backend | None,
    typer.Option(
        "--backend", help="What Keras runs on, instead of KERAS_BACKEND or what is installed."
    ),
]
