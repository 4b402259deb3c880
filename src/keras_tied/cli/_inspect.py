"""``keras-tied inspect``: show what a model file holds."""

from typing import Any

from keras_tied._text import list_some
from keras_tied.cli._app import command
from keras_tied.cli._check import print_columns
from keras_tied.cli._model import Model, load
from keras_tied.cli._options import Json, ModelFile
from keras_tied.cli._output import print_facts, print_json, print_table
from keras_tied.cli._table import explain_left_out


@command("keras-tied inspect model.safetensors")
def inspect(model: ModelFile, json: Json = False) -> None:
    """Show what a model file holds: its columns, its network, and its training."""
    opened_model = load(model)
    if json:
        print_json(_describe(opened_model))
        return
    print_facts(_summarize(opened_model))
    if facts := opened_model.find_facts():
        print_columns(facts)
    elif opened_model.columns is not None:
        rows = [
            (column.name, column.kind, list_some(column.categories))
            for column in opened_model.columns.used
        ]
        print_table(("column", "holds", "categories"), rows)


def _describe(model: Model) -> dict[str, Any]:
    value, settings = model.fitted_value, model.contents.settings
    return {
        "model": model.path,
        "features": value.n_features,
        "components": value.n_components,
        "layers": value.network.layer_sizes,
        "parameters": value.network.n_parameters,
        "is_pca": settings.is_pca_,
        "iterations": settings.n_iter_,
        "reconstruction_r2": settings.reconstruction_r2_,
        "settings": settings.params,
        "notes": model.notes,
    }


def _summarize(model: Model) -> dict[str, str]:
    value, settings, notes = model.fitted_value, model.contents.settings, model.notes
    widths = " → ".join(map(str, value.network.layer_sizes))
    what = "variance" if value.link is None else "deviance of the columns"
    facts = {
        "model": str(model.path),
        "network": widths + (", PCA" if settings.is_pca_ else ""),
        "parameters": f"{value.network.n_parameters:,}",
        "kept": f"{settings.reconstruction_r2_:.2%} of the {what} of the training rows",
    }
    match notes:  # the file may hold notes of any type
        case {
            "error": int() | float() as error,
            "pca_error": int() | float() as pca_error,
        }:
            facts["error"] = f"{error:.4g}, and PCA's {pca_error:.4g}"
    if choice := model.find_note("", "choice"):
        facts["components"] = f"{value.n_components}{choice}"
    for name in ("trained", "rows", "seconds", "command"):
        if name in notes:
            note = notes[name]
            facts[name] = f"{note:,}" if type(note) is int else str(note)
    versions: dict[str, Any] = model.find_note({}, "versions")
    if versions:
        facts["made by"] = ", ".join(
            f"{name} {what}" for name, what in versions.items()
        )
    if model.columns is None:
        facts["columns"] = f"not noted; it takes {value.n_features} numbers"
    elif model.columns.left_out:
        facts["left out"] = list_some(explain_left_out(model.columns))
    return facts
