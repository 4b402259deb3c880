"""``keras-tied inspect``: what is in a model file."""

from __future__ import annotations

from typing import Any

from keras_tied.cli._app import app
from keras_tied.cli._messages import reported
from keras_tied.cli._model import Model, load
from keras_tied.cli._options import Debug, Json, ModelFile
from keras_tied.cli._show import print_facts, print_json, print_table
from keras_tied.cli._table import table_errors

MOST_NAMED = 8


@app.command(epilog="Example:  keras-tied inspect model.keras")
def inspect(model: ModelFile, json: Json = False, debug: Debug = False) -> None:
    """Show what a model file holds: its columns, its network, and how it was trained."""
    with reported(debug), table_errors():
        loaded = load(model)
        if json:
            print_json(_described(loaded))
            return
        print_facts(_facts(loaded))
        if loaded.columns is not None:
            rows = [
                (column.name, column.kind.value, _some(column.categories, column.other))
                for column in loaded.columns.used
            ]
            print_table(("column", "holds", "categories"), rows)


def _described(model: Model) -> dict[str, Any]:
    estimator = model.estimator
    return {
        "model": str(model.path),
        "features": estimator.n_features_in_,
        "components": estimator.n_components_,
        "layers": _layers(model),
        "parameters": estimator.model_.count_params(),
        "is_pca": estimator.is_pca_,
        "iterations": estimator.n_iter_,
        "reconstruction_r2": estimator.reconstruction_r2_,
        "settings": {
            name: value if isinstance(value, int | float | str | list | None) else repr(value)
            for name, value in estimator.get_params(deep=False).items()
        },
        "notes": model.notes,
    }


def _facts(model: Model) -> dict[str, str]:
    estimator, notes = model.estimator, model.notes
    facts = {
        "model": str(model.path),
        "network": " → ".join(map(str, _layers(model))) + (", PCA" if estimator.is_pca_ else ""),
        "parameters": f"{estimator.model_.count_params():,}",
        "variance kept": f"{estimator.reconstruction_r2_:.2%} of that of the training rows",
    }
    if "error" in notes and "pca_error" in notes:
        facts["error"] = f"{notes['error']:.4g}, and PCA's {notes['pca_error']:.4g}"
    for name in ("trained", "rows", "seconds", "command"):
        if name in notes:
            facts[name] = f"{notes[name]:,}" if name == "rows" else str(notes[name])
    if isinstance(notes.get("versions"), dict):
        facts["made by"] = ", ".join(f"{name} {what}" for name, what in notes["versions"].items())
    if model.columns is None:
        facts["columns"] = f"not noted; it takes {estimator.n_features_in_} numbers"
    elif model.columns.left_out:
        reasons = [f"{name} ({why})" for name, why in model.columns.left_out.items()]
        facts["left out"] = _some(reasons, False)
    return facts


def _layers(model: Model) -> list[int]:
    """The widths of the encoder, from the row to the code."""
    encoder = model.estimator.encoder_
    widths = [model.estimator.n_features_in_]
    for layer in encoder.layers:
        shape: Any = layer.output.shape
        if layer.count_params() and len(shape) == 2:
            widths.append(shape[1])
    return widths


def _some(names: Any, other: bool) -> str:
    shown = [*names[:MOST_NAMED]]
    more = len(names) - len(shown)
    return ", ".join(shown) + f" and {more:,} more" * (more > 0) + ", others together" * other
