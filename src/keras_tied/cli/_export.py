"""``keras-tied export``: write a model as ONNX, which runs without Keras."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from keras_tied._files import check_writable
from keras_tied.cli._app import command
from keras_tied.cli._messages import report_wrong_use
from keras_tied.cli._model import load
from keras_tied.cli._options import Json, ModelFile, Quiet
from keras_tied.cli._output import report_write_errors
from keras_tied.cli._show import print_json


class Part(StrEnum):
    """The parts of a model that can be exported."""

    encoder = "encoder"
    decoder = "decoder"
    reconstruction = "reconstruction"


@command("keras-tied export model.safetensors -o model.onnx")
def export(
    model: ModelFile,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="The .onnx file to write.")
    ],
    part: Annotated[
        Part, typer.Option(help="Computes codes, rows from codes, or reconstructed rows.")
    ] = Part.encoder,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a model as ONNX, with the names of the numbers that it takes."""
    with report_wrong_use():
        target = check_writable(output, ["onnx"], "--output")
    opened_model = load(model)
    value = opened_model.fitted_value
    if opened_model.columns is not None:
        value = replace(value, feature_names=tuple(opened_model.columns.features))
    with report_wrong_use(), report_write_errors(output):
        from keras_tied.estimator.internal import write_onnx

        write_onnx(value, target, part.value)
    if json:
        print_json({"output": str(output), "part": part.value})
    elif not quiet:
        print(f"exported the {part.value} to {output}")
