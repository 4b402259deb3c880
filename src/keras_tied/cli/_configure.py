"""``keras-tied configure``: name the backend of Keras once, for all programs."""

from typing import Annotated

import typer

from keras_tied._configure import configure as write_setting
from keras_tied.cli._app import command
from keras_tied.cli._keras import Backend
from keras_tied.cli._messages import report_wrong_use, say


@command("keras-tied configure jax")
def configure(
    backend: Annotated[
        Backend | None, typer.Argument(help="The backend; else one that is installed.")
    ] = None,
) -> None:
    """Write the backend that Keras runs on into keras.json, for all programs."""
    with report_wrong_use():
        say(write_setting(backend))
