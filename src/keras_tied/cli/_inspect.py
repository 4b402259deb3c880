"""``keras-tied inspect``: what is in a model file."""

from __future__ import annotations

from typing import Any

from keras_tied.cli._app import command
from keras_tied.cli._model import Model, load
from keras_tied.cli._options import Json, ModelFile
from keras_tied.cli._show import print_facts, print_json, print_table

MOST_NAMED = 8


@command("keras-tied inspect model.keras")
def inspect(model: ModelFile, json: Json = False) -> None:
    """Show what a model file holds: its columns, its network, and how it was trained."""
    loaded = load(model)
    if json:
        print_json(_describe(loaded))
        return
    print_facts(_facts(loaded))
    if loaded.columns is not None:
        rows = [
            (column.name, column.kind.value, _some(column.categories, column.other))
            for column in loaded.columns.used
        ]
        print_table(("column", "holds", "categories"), rows)


def _describe(model: Model) -> dict[str, Any]:
    fitted, learned = model.fitted, model.contents.learned
    return {
        "model": str(model.path),
        "features": fitted.n_features,
        "components": fitted.n_components,
        "layers": fitted.network.layer_sizes,
        "parameters": fitted.network.n_parameters,
        "is_pca": learned["is_pca_"],
        "iterations": learned["n_iter_"],
        "reconstruction_r2": learned["reconstruction_r2_"],
        "settings": {
            name: value if isinstance(value, int | float | str | list | None) else repr(value)
            for name, value in model.contents.params.items()
        },
        "notes": model.notes,
    }


def _facts(model: Model) -> dict[str, str]:
    fitted, learned, notes = model.fitted, model.contents.learned, model.notes
    widths = " → ".join(map(str, fitted.network.layer_sizes))
    facts = {
        "model": str(model.path),
        "network": widths + (", PCA" if learned["is_pca_"] else ""),
        "parameters": f"{fitted.network.n_parameters:,}",
        "variance kept": f"{learned['reconstruction_r2_']:.2%} of that of the training rows",
    }
    match notes:  # which a file can hold anything as
        case {"error": int() | float() as error, "pca_error": int() | float() as pca_error}:
            facts["error"] = f"{error:.4g}, and PCA's {pca_error:.4g}"
    for name in ("trained", "rows", "seconds", "command"):
        if name in notes:
            noted = notes[name]
            facts[name] = f"{noted:,}" if type(noted) is int else str(noted)
    if isinstance(notes.get("versions"), dict):
        facts["made by"] = ", ".join(f"{name} {what}" for name, what in notes["versions"].items())
    if model.columns is None:
        facts["columns"] = f"not noted; it takes {fitted.n_features} numbers"
    elif model.columns.left_out:
        reasons = [f"{name} ({why})" for name, why in model.columns.left_out.items()]
        facts["left out"] = _some(reasons, False)
    return facts


def _some(names: Any, other: bool) -> str:
    shown = [*names[:MOST_NAMED]]
    more = len(names) - len(shown)
    return ", ".join(shown) + f" and {more:,} more" * (more > 0) + ", others together" * other
