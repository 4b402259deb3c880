"""``tied-tables export``: write a model as ONNX, which runs without Keras."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from tied_tables._files import check_writable, report_write_errors
from tied_tables.cli._app import command
from tied_tables.cli._messages import report_wrong_use
from tied_tables.cli._model import load
from tied_tables.cli._options import Json, ModelFile, option, output_option
from tied_tables.cli._output import print_result

Part = StrEnum("Part", ["encoder", "decoder", "reconstruction"])


@command("tied-tables export model.safetensors -o model.onnx")
def export(
    model: ModelFile,
    output: Path = output_option(
        "The .onnx file to write. * in its name stands for the name of MODEL.",
        default=Path("*.onnx"),
    ),
    part: Part = option(
        "encoder for codes, decoder for rows from codes, or reconstruction.",
        metavar="NAME",
        default=Part.encoder,
    ),
    *,
    json: Json = False,
) -> None:
    """Write a model as ONNX, with the names of its input numbers."""
    check_writable(output, ["onnx"])
    fitted_model = load(model)
    value = fitted_model.fitted_value
    if fitted_model.columns is not None:
        value = replace(value, feature_names=tuple(fitted_model.columns.features))
    with report_wrong_use(), report_write_errors(str(output)):
        from tied_tables.model.onnx import write_onnx

        write_onnx(value, output, part)
    facts = {"output": output, "part": part}
    print_result(json, facts, f"exported the {part} to {output}")
