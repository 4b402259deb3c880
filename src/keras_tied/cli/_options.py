"""Options that several commands have."""

from typing import Annotated

import typer

from keras_tied.cli._keras import Backend

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of errors.")]
OnBackend = Annotated[
    Backend | None,
    typer.Option(
        "--backend", help="What Keras runs on, instead of KERAS_BACKEND or what is installed."
    ),
]
