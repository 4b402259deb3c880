"""``keras-tied plot``: draw a model and a table as four panels."""

from pathlib import Path

from keras_tied._files import check_writable
from keras_tied.cli._app import command
from keras_tied.cli._inputs import Inputs
from keras_tied.cli._messages import remark
from keras_tied.cli._options import FIGURE, STAR, Json, output_option
from keras_tied.cli._output import print_result, save_figure
from keras_tied.cli._progress import show_stages
from keras_tied.cli._rows import take
from keras_tied.cli._table import describe_doubtful


@command("keras-tied plot model.safetensors rows.csv -o rows.png")
def plot(
    inputs: Inputs,
    output: Path = output_option(f"{FIGURE} {STAR}", None, Path("*-plot.png")),
    *,
    json: Json = False,
) -> None:
    """Draw rows, their codes, their reconstructions, and the cost of training."""
    from keras_tied.drawing import collect_history
    from keras_tied.fitted.value import baseline_errors
    from keras_tied.plotting import FORMATS, AutoencoderDisplay, new_figure

    check_writable(output, FORMATS)
    figure = new_figure()
    fitted_model, rows = inputs.open()
    sample, doubts = take(rows)
    remark(*describe_doubtful(rows, doubts))
    with show_stages("drawing"):
        fitted = fitted_model.fitted_value
        error, pca_error = baseline_errors(fitted, sample.numbers)
        AutoencoderDisplay.from_estimator(
            fitted,
            sample.numbers,
            history=collect_history(fitted_model.contents.settings),
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
