"""``keras-tied plot``: draw a model and a table as four panels."""

from pathlib import Path

from keras_tied.cli._app import command
from keras_tied.cli._lazy import drawing, plotting
from keras_tied.cli._messages import report_wrong_use, say
from keras_tied.cli._model import load
from keras_tied.cli._options import FIGURE, Data, ModelFile, output_option
from keras_tied.cli._output import Printing, check_output, save_figure
from keras_tied.cli._progress import show_stages
from keras_tied.cli._rows import Label, RowOptions, open_with_label, take
from keras_tied.cli._table import describe_doubtful


@command("keras-tied plot model.safetensors rows.csv -o rows.png --label kind")
def plot(
    model: ModelFile,
    data: Data,
    output: Path = output_option(FIGURE, None),
    label: Label = None,
    *,
    options: RowOptions,
    printing: Printing,
) -> None:
    """Draw rows, their codes, their reconstructions, and the cost of training."""
    with report_wrong_use():
        check_output(output, plotting.FORMATS)
        figure = plotting.new_figure()
    from keras_tied.fitted.value import baseline_errors

    quiet = printing.quiet
    fitted_model = load(model)
    rows = open_with_label(fitted_model, data, options, None, label, quiet)
    sample, doubts = take(rows, quiet)
    say(*describe_doubtful(rows, doubts), quiet=quiet)
    with show_stages("drawing", quiet):
        fitted = fitted_model.fitted_value
        error, pca_error = baseline_errors(fitted, sample.numbers)
        plotting.AutoencoderDisplay.from_estimator(
            fitted,
            sample.numbers,
            history=drawing.collect_history(fitted_model.contents.settings),
            figure=figure,
            y=sample.labels,
            label_name=rows.label or "label",
            feature_names=rows.columns.features,
            pca_error=pca_error,
        )
        save_figure(figure, output, quiet)
    n = len(sample.numbers)
    facts = {
        "rows": rows.source.n_rows,
        "drawn": n,
        "error": error,
        "pca_error": pca_error,
    }
    printing.print_result(
        {"output": str(output)} | facts,
        f"drew {n:,} of {rows.source.n_rows:,} rows to {output}",
    )
