"""Options that several commands have."""

from functools import partial
from typing import Annotated, Any

import typer


def option(help: str, *names: str, default: Any = None, **settings: Any) -> Any:
    """Return an option of a command, or of a dataclass of options; `...` is needed."""
    if default is False:
        settings["metavar"] = ""  # a switch takes no value
    return typer.Option(default, *names, help=help, **settings)


column_option = partial(option, rich_help_panel="Columns")
"""Returns an option of which columns to use."""
read_option = partial(option, rich_help_panel="How the table is read")
"""Returns an option of how a table is read."""


def output_option(help: str, metavar: str | None = "OUT", default: Any = ...) -> Any:
    """Return the option of the file to write, needed unless it has a default."""
    return option(help, "--output", "-o", metavar=metavar, default=default)


STANDARD_INPUT = STANDARD_OUTPUT = "-"
STAR = "* in its name stands for the name of DATA."
FIGURE = "The figure to write: .png, .svg or .pdf."
ModelFile = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A file written by tied-tables fit."),
]
DATA = (
    "CSV, TSV, JSON, Parquet, Feather, Arrow, ORC, NPY, NPZ, a workbook or a database,"
    " by extension; a folder of such files, a pattern in quotes, s3://... or"
    " https://..., or - for the standard input."
)
Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA)]
ID = "Column that identifies the rows; kept, never trained on."
SafeCsv = Annotated[
    bool,
    typer.Option(
        "--safe-csv",
        help="In CSV, put a ' before text that a spreadsheet would run.",
        metavar="",
    ),
]
Seed = Annotated[
    int,
    typer.Option(min=0, max=2**31 - 1, metavar="N", help="Random seed."),
]
Categories = Annotated[
    bool,
    typer.Option(
        "--categories",
        help="List the categories of each column, or the parts of its times.",
        metavar="",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON.", metavar="")
]
DRIFT_CODE = 4  # the exit code where rows have drifted
FailOnDrift = Annotated[
    bool,
    typer.Option(
        "--fail-on-drift",
        help=f"Exit with code {DRIFT_CODE} if the rows have drifted.",
        metavar="",
    ),
]
