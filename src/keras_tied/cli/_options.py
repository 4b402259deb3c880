"""Options that several commands have."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from keras_tied.cli._keras import Backend


class DateOrder(StrEnum):
    """How dates are read."""

    auto = "auto"
    dmy = "dmy"
    mdy = "mdy"
    off = "off"


ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A file that keras-tied fit has written.")
]
Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="CSV, TSV, JSON lines, Parquet, Feather, Arrow, ORC, NPY, NPZ, a workbook or a "
        "database, by ending; a folder of such files, a pattern in quotes, s3://... or "
        "https://..., or - for the standard input.",
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
    str | None,
    typer.Option(metavar="CHAR", help="Between the cells of CSV, where it is not clear."),
]
Encoding = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of CSV, instead of UTF-8 or what is clear.")
]
Decimal = Annotated[
    str | None,
    typer.Option(metavar="CHAR", help="The decimal mark of text, . or a comma, where not clear."),
]
NoHeader = Annotated[
    bool, typer.Option("--no-header", help="The first line of CSV or a sheet is a row.")
]
Format = Annotated[
    str | None, typer.Option(metavar="NAME", help="What DATA is, such as csv, whatever its ending.")
]
Sheet = Annotated[
    str | None, typer.Option(metavar="NAME", help="The sheet of a workbook, instead of the first.")
]
Query = Annotated[str | None, typer.Option(metavar="SQL", help="The rows of a database to read.")]
Categorical = Annotated[
    list[str] | None,
    typer.Option(metavar="A,B", help="Columns whose numbers are names, such as zip codes."),
]
Dates = Annotated[
    DateOrder,
    typer.Option(help="The order of 1/2/2026 where it is not clear; off leaves dates out."),
]
Na = Annotated[
    list[str] | None,
    typer.Option(metavar="TEXT", help="A missing value too; can be given several times."),
]
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
LabelColumn = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="A column of labels, for colour; never trained on."),
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
NoClobber = Annotated[
    bool, typer.Option("--no-clobber", help="Fail if the output is there already.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")]
OnBackend = Annotated[
    Backend | None,
    typer.Option(
        "--backend", help="What Keras runs on, instead of KERAS_BACKEND or what is installed."
    ),
]
