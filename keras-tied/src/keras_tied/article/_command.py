"""``keras-tied demo``: run the article's experiment, and draw it."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from keras_tied._files import check_writable
from keras_tied.cli._app import command
from keras_tied.cli._keras import Backend, import_keras, require_backend
from keras_tied.cli._messages import UsageError, is_quiet, report_wrong_use
from keras_tied.cli._options import FIGURE, option, output_option
from keras_tied.cli._output import print_facts, print_table, save_figure
from keras_tied.cli._progress import show_training

if TYPE_CHECKING:
    from keras_tied.article import Experiment


class Engine(StrEnum):
    """The engines that can train the article's autoencoder."""

    keras = "keras"
    numpy = "numpy"
    pytensor = "pytensor"


@command("keras-tied demo --data donut_corr2.npy --seed 1 --output donuts.svg")
def demo(
    output: Path = output_option(FIGURE, None, Path("keras-tied-demo.png")),
    data: Path | None = option(
        "An .npy file of 4 columns, or 5 with a label, instead of rows drawn by --seed."
    ),
    epochs: int = option("Steps of training, on all rows each.", default=3000, min=1),
    seed: int = option(
        "Fixes the rows, their order and the start of the training.", default=0
    ),
    backend: Backend | None = option(
        "What Keras runs on, instead of KERAS_BACKEND or what is installed."
    ),
    engine: Engine = option(
        "Keras, or the same network written out by hand.", default=Engine.keras
    ),
) -> None:
    """Train the article's 4-2-4 autoencoder on two correlated rings, and draw it."""
    from keras_tied.plotting import FORMATS, AutoencoderDisplay, new_figure

    with report_wrong_use():
        check_writable(output, FORMATS)
        _require_backend(engine, backend)
        from keras_tied import datasets, experiment

        figure = new_figure()
        table = datasets.load_donuts(data) if data else None
        table = table or datasets.make_correlated_donuts(random_state=seed)
        rows, labels = datasets.prepare(*table, random_state=seed)
        experiment.split(rows)  # refuses too few rows
    if engine is Engine.keras:
        import_keras()
    with show_training("training") as show_epoch:
        result = experiment.run(
            rows,
            epochs=epochs,
            engine=engine.value,
            random_state=seed,
            on_epoch=lambda epoch, logs: show_epoch(epoch + 1, epochs, logs),
        )
    best = experiment.run_from_pca(rows) if engine is Engine.keras else None
    display = AutoencoderDisplay(
        rows,
        result.code,
        result.reconstruction,
        result.history,
        y=labels,
        pca_error=result.pca_train_mse,
        plane="features",
    )
    display.plot(figure)
    save_figure(figure, output)
    if not is_quiet():
        _print_result(result, best, engine, output)


def _require_backend(engine: Engine, backend: Backend | None) -> None:
    """Check that the backend is that of the engine, and is installed."""
    if engine is Engine.keras:
        require_backend(backend)
    elif backend:
        raise UsageError(
            f"--backend {backend} is for Keras, and --engine {engine} does without it;"
            " leave one of them out."
        )


def _print_result(
    result: Experiment, best: tuple[float, float] | None, engine: Engine, output: Path
) -> None:
    errors = {
        "the article's network": (result.train_mse, result.validation_mse),
        **({"with gains, from PCA, by L-BFGS": best} if best else {}),
        "PCA, same components": (result.pca_train_mse, result.pca_validation_mse),
    }
    rows = [
        (name, f"{train:.2e}", f"{test:.2e}") for name, (train, test) in errors.items()
    ]
    print_table(("mean squared error", "train", "validation"), rows)
    on = f" on {os.environ['KERAS_BACKEND']}" if engine is Engine.keras else ""
    print_facts(
        {
            "engine": f"{engine}{on}",
            "epochs": f"{len(result.history['loss'])}, in {result.seconds:.2f} s",
            "parameters": (
                f"{result.parameters}, against {result.untied_parameters} untied"
            ),
            "shared kernel": f"max |W_dec - W_enc^T| = {result.tie_error:g}",
            "figure": str(output),
        }
    )
    if best:
        print(
            "The article's network comes to"
            f" {result.train_mse / result.pca_train_mse:.3g} times PCA's error, and"
            " with gains, from PCA's weights and by L-BFGS to"
            f" {best[0] / result.pca_train_mse:.3g} times."
        )
