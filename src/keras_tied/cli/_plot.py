"""``keras-tied plot``: draw a model and a table as four panels."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import typer

from keras_tied.cli._app import command
from keras_tied.cli._messages import report_wrong_use
from keras_tied.cli._model import load
from keras_tied.cli._options import Data, Json, ModelFile, Quiet
from keras_tied.cli._output import check_figure_path, save_figure
from keras_tied.cli._progress import show_activity
from keras_tied.cli._sample import Label, open_with_label, say_found, take
from keras_tied.cli._show import print_json
from keras_tied.cli._table import TableOptions


@command("keras-tied plot model.keras rows.csv -o rows.png --label kind")
def plot(
    model: ModelFile,
    data: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The figure to write: .png, .svg or .pdf.")
    ],
    label: Label = None,
    *,
    options: TableOptions,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw rows, their codes, their reconstructions, and the cost of training."""
    with report_wrong_use():
        target = check_figure_path(output)
        from keras_tied import plotting

        figure = plotting.new_figure()
    opened_model = load(model)
    rows = open_with_label(opened_model, data, options, None, label, quiet)
    sample = take(rows, quiet)
    say_found(rows, quiet)
    with show_activity("drawing", quiet):
        from keras_tied.drawing import collect_history
        from keras_tied.estimator.internal import baseline_errors

        error, pca_error = baseline_errors(opened_model.fitted_value, sample.numbers)
        plotting.AutoencoderDisplay.from_estimator(
            opened_model.fitted_value,
            sample.numbers,
            history=collect_history(SimpleNamespace(**opened_model.contents.learned)),
            figure=figure,
            y=sample.labels,
            label_name=sample.label_name or "label",
            feature_names=rows.columns.features,
            pca_error=pca_error,
        )
        save_figure(figure, output, target, quiet)
    n = len(sample.numbers)
    if json:
        facts = {"rows": rows.source.n_rows, "drawn": n, "error": error, "pca_error": pca_error}
        print_json({"output": str(output)} | facts)
    elif not quiet:
        print(f"drew {n:,} of {rows.source.n_rows:,} rows to {output}")
