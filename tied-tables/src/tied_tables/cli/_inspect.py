"""``tied-tables inspect``: show what a model file holds."""

from typing import Any

from tied_tables.cli._app import command
from tied_tables.cli._check import print_columns, print_rules
from tied_tables.cli._model import Model, load
from tied_tables.cli._options import Categories, Json, ModelFile
from tied_tables.cli._output import print_facts, print_json
from tied_tables.cli._summary import summarize


@command("tied-tables inspect model.safetensors")
def inspect(
    model: ModelFile, categories: Categories = False, json: Json = False
) -> None:
    """Show what a model file contains: its columns, its network, and its training."""
    opened_model = load(model)
    if json:
        print_json(_describe(opened_model))
        return
    print_facts(summarize(opened_model))
    if facts := opened_model.find_facts():
        print()
        print_columns(facts, opened_model.columns if categories else None)
    print_rules(opened_model.list_rules(), "inspect")


def _describe(model: Model) -> dict[str, Any]:
    value, training = model.fitted_value, model.fitted_value.training
    return {
        "model": model.path,
        "features": value.n_features,
        "components": value.n_components,
        "layers": value.network.layer_sizes,
        "parameters": value.network.n_parameters,
        "is_pca": training.is_pca,
        "iterations": training.n_iter,
        "reconstruction_r2": training.reconstruction_r2,
        "settings": model.contents.params,
        "rules": model.list_rules(),
        "notes": model.notes,
    }
