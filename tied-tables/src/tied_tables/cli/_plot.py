"""``tied-tables plot``: draw a model and a table as four panels."""

from pathlib import Path

from tied_tables._files import check_writable
from tied_tables.cli._app import command
from tied_tables.cli._inputs import Inputs
from tied_tables.cli._options import FIGURE, STAR, Json, output_option
from tied_tables.cli._output import print_result, save_figure
from tied_tables.cli._progress import show_stages
from tied_tables.cli._rows import take
from tied_tables.cli._table import remark_doubtful


@command("tied-tables plot model.safetensors rows.csv -o rows.png")
def plot(
    inputs: Inputs,
    output: Path = output_option(f"{FIGURE} {STAR}", default=Path("*-plot.png")),
    *,
    json: Json = False,
) -> None:
    """Draw rows, their codes, their reconstructions, and the loss during training."""
    from tied_tables.model.value import baseline_errors
    from tied_tables.plotting import FORMATS, AutoencoderDisplay, new_figure

    check_writable(output, FORMATS)
    figure = new_figure()
    fitted_model, rows = inputs.open()
    sample, doubts = take(rows)
    remark_doubtful(rows, doubts)
    with show_stages("drawing"):
        fitted = fitted_model.fitted_value
        training = fitted.training
        history = {"loss": training.loss_curve, "val_loss": training.validation_curve}
        error, pca_error = baseline_errors(fitted, sample.numbers)
        AutoencoderDisplay.from_estimator(
            fitted,
            sample.numbers,
            history={} if training.is_pca else history,
            figure=figure,
            y=sample.labels,
            label_name=rows.label or "label",
            feature_names=rows.columns.features,
            pca_error=pca_error,
        )
        save_figure(figure, output)
    n_drawn, n_rows = len(sample.numbers), rows.source.n_rows
    facts = {
        "output": output,
        "rows": n_rows,
        "drawn": n_drawn,
        "error": error,
        "pca_error": pca_error,
    }
    print_result(json, facts, f"drew {n_drawn:,} of {n_rows:,} rows to {output}")
