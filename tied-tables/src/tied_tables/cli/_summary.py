"""What a model is and how it was trained, for `fit` and `inspect`."""

from tied_tables._text import format_quantity, list_some
from tied_tables.cli._model import Model


def summarize(model: Model) -> dict[str, str]:
    """Describe a model; the notes of its training, in its file, may be of any type."""
    value, notes = model.fitted_value, model.notes
    training = value.training
    network = " → ".join(map(str, value.network.layer_sizes))
    what = "variance"
    if value.link is not None:
        what += ", and of the deviance of categories,"
    facts = {
        "model": str(model.path),
        **_describe_columns(model),
        "components": f"{value.n_components}{model.find_note('', 'choice')}",
        "network": network + (", PCA" if training.is_pca else ""),
        "parameters": f"{value.network.n_parameters:,}",
        "kept": f"{training.reconstruction_r2:.2%} of the {what} of the training rows",
        **_describe_errors(model),
    }
    if trimmed := model.find_note(0, "trimmed"):
        absurd = format_quantity(trimmed, "absurd value")
        facts["not trained on"] = f"{absurd}, replaced by the medians of the columns"
    if streamed := model.find_note("", "streamed"):
        facts["sample"] = streamed
    for name in ("rows", "trained", "seconds", "command"):
        if name in notes:
            note = notes[name]
            facts[name] = f"{note:,}" if type(note) is int else str(note)
    return facts


def _describe_columns(model: Model) -> dict[str, str]:
    columns, n_features = model.columns, model.fitted_value.n_features
    if columns is None:
        return {"columns": f"no names; the model expects {n_features} numbers"}
    usage = list_some(columns.names)
    if n_features > len(columns.names):
        usage += f": {n_features} numbers, one for each category or part of a time"
    from tied_tables.cli._column_words import explain_left_out

    left_out = list_some(explain_left_out(columns))
    return {"columns used": usage} | ({"left out": left_out} if left_out else {})


def _describe_errors(model: Model) -> dict[str, str]:
    match model.notes:
        case {
            "error": float() as error,
            "pca_error": float() as pca_error,
            "measured_on": str() as where,
            "held_out": None | [float(), float()] as held_out,
        }:
            pass
        case _:
            return {}
    also = ""
    if held_out is not None:
        also = f"; {error:.4g} on {where}"
        where = "held-out rows"
        error, pca_error = held_out
    if model.fitted_value.training.is_pca:
        relative = "the model is PCA, as no network was better"
        return {"error": f"{error:.4g} on {where}{also}; {relative}"}
    ratio = error / pca_error if pca_error else 1.0
    reason = ""
    if ratio > 1:  # where a tenth of the values is missing
        reason = ", as the network has learned to fill in gaps"
    numbers = f"{error:.4g} and {pca_error:.4g}"
    return {"error": f"{ratio:.2f} of PCA's on {where} ({numbers}){also}{reason}"}
