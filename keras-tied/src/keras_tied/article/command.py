"""The command ``keras-tied demo``: run the article's experiment, and draw it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_tied._files import replace_atomically
from keras_tied._version import __version__
from keras_tied.article._donuts import make_correlated_donuts, prepare
from keras_tied.article._experiment import (
    EPOCHS,
    Experiment,
    Rows,
    run,
    run_from_pca,
)
from keras_tied.article._figure import draw

OUTPUT = Path("keras-tied-demo.png")
INTERRUPTED = 130  # the exit code after Ctrl-C, as in a shell


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; the entry point of ``keras-tied``."""
    options = _make_parser().parse_args(arguments)
    try:
        _demo(options)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"keras-tied: {error}")


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("keras-tied", description="Tied layers for Keras.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    what = "Train the article's 4-2-4 autoencoder on two correlated rings, and draw it."
    demo = commands.add_parser("demo", help=what, description=what)
    demo.add_argument(
        "-o",
        "--output",
        type=Path,
        help=(
            "file of the figure, .png, .svg or .pdf; by default keras-tied-demo.png, if"
            " Matplotlib is installed"
        ),
    )
    demo.add_argument(
        "--epochs",
        type=_read_count,
        default=EPOCHS,
        help=f"number of training steps, each on all rows; by default {EPOCHS}",
    )
    demo.add_argument(
        "--seed",
        type=int,
        default=0,
        help="seed of the rows, their order and the initial weights; by default 0",
    )
    demo.add_argument(
        "--engine",
        choices=("keras", "numpy", "pytensor"),
        default="keras",
        help="Keras, or the same network written out by hand; by default keras",
    )
    return parser


def _read_count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)


def _demo(options: argparse.Namespace) -> None:
    seed, engine = options.seed, options.engine
    os.stat((options.output or OUTPUT).parent)  # is there, or an error names it
    donuts = make_correlated_donuts(random_state=seed)
    rows, labels = prepare(*donuts, random_state=seed)
    result = run(rows, epochs=options.epochs, engine=engine, random_state=seed)
    best = run_from_pca(rows) if engine == "keras" else None
    figure = _draw(result, rows, labels, options.output)
    _print_errors(result, best)
    _print_facts(result, engine, figure)


def _draw(result: Experiment, rows: Rows, labels: Any, output: Path | None) -> str:
    """Write the figure; return its path, or why there is none."""
    try:
        figure = draw(result, rows, labels)
    except ImportError as error:
        if output:
            raise
        return str(error)
    path = output or OUTPUT
    with replace_atomically(path) as part:
        figure.savefig(part, format=path.suffix[1:].lower() or "png")
    return os.fspath(path)


def _print_errors(result: Experiment, best: tuple[float, float] | None) -> None:
    errors = {"the article's network": (result.train_mse, result.validation_mse)}
    if best:
        errors["with gains, from PCA, by L-BFGS"] = best
    pca_errors = result.pca_train_mse, result.pca_validation_mse
    errors["PCA, same components"] = pca_errors
    print("mean squared error                  train  validation")
    for name, (train, validation) in errors.items():
        print(f"{name:32} {train:8.2e}    {validation:8.2e}")
    print()


def _print_facts(result: Experiment, engine: str, figure: str) -> None:
    if engine == "keras":
        engine = f"keras on {keras.backend.backend()}"
    facts = {
        "engine": engine,
        "epochs": f"{len(result.history['loss'])}, in {result.seconds:.2f} s",
        "parameters": f"{result.parameters}, against {result.untied_parameters} untied",
        "figure": figure,
    }
    for name, fact in facts.items():
        print(f"{name:14} {fact}")
