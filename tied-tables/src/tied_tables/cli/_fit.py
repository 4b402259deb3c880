"""``tied-tables fit``: train a model on a table."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tied_tables._files import check_writable, report_write_errors
from tied_tables._interrupts import interrupts
from tied_tables._text import format_quantity, list_some
from tied_tables._version import __version__
from tied_tables.cli._app import command, fill_options
from tied_tables.cli._check import MOST_FACTS, Table, learn, survey
from tied_tables.cli._cluster import ClusterOptions
from tied_tables.cli._messages import (
    INTERRUPT_CODE,
    UsageError,
    print_message,
    remark,
    remark_warnings,
)
from tied_tables.cli._model import Model
from tied_tables.cli._options import (
    STANDARD_INPUT,
    STAR,
    Data,
    Json,
    Seed,
    option,
    output_option,
)
from tied_tables.cli._output import print_result
from tied_tables.cli._progress import show_stages, show_training
from tied_tables.cli._proposals import join
from tied_tables.cli._summary import summarize
from tied_tables.cli._table import (
    ColumnOptions,
    TableOptions,
)
from tied_tables.cli._widths import (
    MOST_WIDTHS,
    explain_choice,
    find_width,
    parse_widths,
)

if TYPE_CHECKING:
    from tied_tables.io import Source
    from tied_tables.model.file.contents import Contents
    from tied_tables.model.value import TableModel

MOST_EPOCHS = 1_000_000
SAMPLE_EFFORT = 4  # the factor of the steps on a sample, as reading all rows is slow
VALIDATION_SHARE = 0.1  # of a sample that errors are measured on
MOST_OPTIMISM = 3.0  # an error of held-out rows that is more times larger is warned of
Solver = StrEnum("Solver", ["auto", "lbfgs", "nadam"])
Scaler = StrEnum("Scaler", ["standard", "minmax", "none"])


@dataclass(frozen=True)
class TrainingOptions:
    """The options of how a model is trained; see `TiedAutoencoder`."""

    components: str = option(
        "Number of components, or share of variance to keep, below 1. Of several, such"
        " as 1..16 or 1,2,4, the one that reconstructs hidden values best is used.",
        metavar="N",
        default="2",
    )
    hidden: str = option(
        "Units of the hidden layers, such as 64,32, or auto.",
        metavar="UNITS",
        default="auto",
    )
    solver: Solver = option(
        "lbfgs (all rows at once), nadam (in batches) or auto.",
        metavar="NAME",
        default=Solver.auto,
    )
    epochs: int | None = option(
        "Epochs of Nadam or iterations of L-BFGS (default: by the size of the table).",
        metavar="N",
        min=1,
        max=MOST_EPOCHS,
    )
    validation: float = option(
        "Share of rows to hold out; 0 for none.",
        metavar="SHARE",
        min=0.0,
        max=0.9,
        default=0.1,
    )
    scaler: Scaler = option(
        "Scaling of the columns: standard, minmax or none.",
        metavar="NAME",
        default=Scaler.standard,
    )
    seed: Seed = 0

    def to_arguments(self) -> dict[str, Any]:
        """Return the arguments of `TiedAutoencoder`; several numbers of components."""
        return {
            "n_components": _parse_components(self.components),
            "hidden_layer_sizes": _parse_hidden_sizes(self.hidden),
            "solver": self.solver.value,
            "max_iter": self.epochs,
            "scaler": None if self.scaler is Scaler.none else self.scaler.value,
            "random_state": self.seed,
            "early_stopping": self.validation > 0,
            # Without early stopping it is not used.
            "validation_fraction": self.validation or 0.1,
        }


@command("tied-tables fit rows.csv")
def fit(
    data: Data,
    output: Path = output_option(
        f"The .safetensors file. {STAR}", "MODEL", Path("*.safetensors")
    ),
    *,
    training: TrainingOptions,
    columns: ColumnOptions,
    options: TableOptions,
    cluster: ClusterOptions,
    json: Json = False,
) -> None:
    """Train an autoencoder on a table, and write it to one file."""
    check_writable(output, ["safetensors"])
    settings = training.to_arguments()
    start = time.perf_counter()
    table_survey = survey(data, options, columns, training.seed)
    with cluster.connect() as workers:
        table = learn(table_survey, training.seed, workers)
    contents, was_interrupted = _train(table, settings, output, start)
    model = Model(output, contents, contents.notes, table_survey.columns)
    facts = {"output": output, "columns": table_survey.columns.names} | model.notes
    next_line = {"next": join(["score", str(output), data])}
    print_result(json, facts, summarize(model) | next_line)
    if was_interrupted:
        print_message(f"interrupted; {str(output)!r} is the best model so far.")
        raise typer.Exit(INTERRUPT_CODE)


def fit_first(
    data: str,
    output: Path | None,
    columns: ColumnOptions,
    options: TableOptions,
    effort: float = 1,
    *,
    as_text: bool = False,
) -> tuple[Model, Source]:
    """Fit a model to a table that another command was given without one.

    One that is not kept is trained with some effort only. Also return the open table.
    """
    if data == STANDARD_INPUT or Path(data).is_fifo():
        raise UsageError(
            "a pipe can be read only once, but a model must be fitted first; save the"
            " table to a file, or give a model that tied-tables fit - writes."
        )
    if output is not None:
        check_writable(output, ["safetensors"])
    start = time.perf_counter()
    training = fill_options(TrainingOptions, {})
    seed = training.seed
    table = learn(survey(data, options, columns, seed, as_text=as_text), seed)
    settings = training.to_arguments()
    if table.rows.shape[1] <= 2:  # a code as wide as a row would leave nothing over
        settings["n_components"] = [1]
    if output is not None:
        effort = 1
    contents, was_interrupted = _train(table, settings, None, start, effort)
    if was_interrupted:  # the next command would take it for a whole one
        raise KeyboardInterrupt
    if output is not None:
        _write(output, contents)
    path = output or Path("model.safetensors")
    model = Model(path, contents, contents.notes, table.survey.columns)
    seconds = model.notes["seconds"]
    fitted = f"fitted a model to {data!r} first, in {seconds:.1f} s"
    where = "keep it with --model, as in --model model.safetensors"
    if output is not None:
        where = f"it is saved in {str(output)!r}"
    remark(f"{fitted}; {where}.")
    return model, table.survey.source


def _train(
    table: Table,
    settings: dict[str, Any],
    output: Path | None,
    start: float,
    effort: float = 1,
) -> tuple[Contents, bool]:
    """Train a model, write it to a file if one is named, and return what that holds.

    After Ctrl-C it is the best so far; returns whether that was pressed.
    """
    widths: list[dict[str, float]] = []
    component_counts = settings["n_components"]
    if isinstance(component_counts, list):
        settings["n_components"], widths = _choose_components(
            component_counts, table, settings["random_state"]
        )
    with interrupts() as is_interrupted:
        contents = _train_and_write(table, settings, widths, output, start, effort)
    remark(*_find_doubts(contents))
    return contents, is_interrupted()


def _train_and_write(
    table: Table,
    settings: dict[str, Any],
    widths: list[dict[str, float]],
    output: Path | None,
    start: float,
    effort: float,
) -> Contents:
    """Train a model, measure it, and write it with notes on both."""
    from tied_tables.fit.fit import fit
    from tied_tables.fit.plan import Parameters
    from tied_tables.fit.progress import epoch_callback
    from tied_tables.fit.rows import Features
    from tied_tables.model.file.contents import Contents
    from tied_tables.model.value import baseline_errors

    columns = table.survey.columns
    features = Features.of(columns)
    parameters = Parameters(**settings)
    rows, test_rows = table.rows, None
    title, streamed, measured_on = "training", None, "all rows"
    is_sample = not table.survey.is_complete
    if is_sample:
        n_test = max(2, int(len(rows) * VALIDATION_SHARE))
        rows, test_rows = rows[n_test:], rows[:n_test]
        effort *= SAMPLE_EFFORT
        title = f"training on {len(rows):,} rows"
        streamed = f"the model is fitted to {len(rows):,} rows, drawn at random"
        measured_on = f"{n_test:,} rows not trained on"
    with (
        show_training(title) as on_epoch,
        epoch_callback(on_epoch),
        remark_warnings(),
    ):
        model = fit(parameters, rows, features=features, effort=effort)
    model = replace(model, rules=table.survey.rules)
    source = table.survey.source
    notes = {
        "command": join(sys.argv[1:]),
        "data": source.name,
        "rows": table.survey.training.n_rows,
        "table": table.survey.to_json(MOST_FACTS),
        "versions": _collect_versions(),
        "trained": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - start, 3),
        "measured_on": measured_on,
        "streamed": streamed,
        **_describe_training(model, widths, is_sample),
    }
    try:
        with show_stages("comparing with PCA"):
            error, pca_error = baseline_errors(model, rows, test_rows)
        notes |= {"error": error, "pca_error": pca_error}
    finally:  # a model that cannot be compared is kept
        contents = Contents(model, vars(parameters), notes)
        if output is not None:
            _write(output, contents)
    return contents


def _describe_training(
    model: TableModel, widths: list[dict[str, float]], is_sample: bool
) -> dict[str, Any]:
    """Return the notes on what training chose and found."""
    training = model.training
    choice = {"widths": widths, "choice": explain_choice(widths)} if widths else {}
    return choice | {
        "components": model.n_components,
        "is_pca": training.is_pca,
        "trimmed": training.n_trimmed,
        "has_classes": model.link is not None,
        "held_out": None if is_sample else training.held_out_errors,
    }


def _write(output: Path, contents: Contents) -> None:
    from tied_tables.model.file import write

    with report_write_errors(str(output)):
        write(output, contents)


def _choose_components(
    widths: list[int], table: Table, seed: int
) -> tuple[int, list[dict[str, float]]]:
    """Return the number of components, and the errors of each if there are several."""
    from tied_tables.fit.width import count_most_components

    columns = table.survey.columns
    n_rows, n_features = table.rows.shape
    is_choice = len(widths) > 1
    most = min(n_rows, n_features)
    if is_choice:  # of which each leaves something over
        most = count_most_components(n_rows, n_features)
    if 0 < most < widths[-1]:
        remedy = f"use at most {most}"
        if columns.left_out:
            from tied_tables.cli._column_words import explain_left_out

            left_out = list_some(explain_left_out(columns))
            remedy += f", or use columns that were left out: {left_out}"
        numbers = format_quantity(n_features, "number")
        raise UsageError(
            f"--components {widths[-1]} is too many for {n_rows:,} rows of {numbers};"
            f" {remedy}."
        )
    if is_choice:
        return find_width(table.rows, widths, columns.layout.columns, seed)
    return widths[0], []


def _find_doubts(contents: Contents) -> Iterator[str]:
    """Warn of a model whose errors promise more than it can do."""
    fitted, notes = contents.model, contents.notes
    n_features = fitted.n_features
    error, held_out = notes["error"], notes["held_out"]
    if fitted.n_components >= n_features:
        numbers = format_quantity(n_features, "number")
        yield (
            f"the code is as wide as the input ({numbers}), so every row is"
            " reconstructed exactly; add columns, or lower --components."
        )
    elif held_out is not None and held_out[0] > MOST_OPTIMISM * error:
        yield (
            f"the model overfits: the error on held-out rows, {held_out[0]:.4g}, is"
            f" {held_out[0] / error:.3g} times the error on the training rows; add"
            " rows, or lower --components."
        )


def _parse_components(text: str) -> list[int] | float:
    """Return some numbers of components, or a share of variance."""
    if (widths := parse_widths(text)) is not None:
        return widths
    with suppress(ValueError):
        if 0 < (share := float(text)) < 1:
            return share
    raise UsageError(
        f"--components {text!r} is invalid; use a positive integer, a list such as"
        f" 1..16 or 1,2,4 (at most {MOST_WIDTHS} values), or a share between 0 and 1."
    )


def _parse_hidden_sizes(text: str) -> Any:
    if text == "auto":
        return text
    with suppress(ValueError):
        sizes = [int(size) for size in text.split(",")]
        if min(sizes) >= 1:
            return sizes
    raise UsageError(
        f"--hidden {text!r} is invalid; use auto, or numbers of units such as 64,32."
    )


def _collect_versions() -> dict[str, str]:
    """The versions of what fits a model."""
    libraries = {name: metadata.version(name) for name in ("numpy", "scipy")}
    return {
        "python": platform.python_version(),
        "tied-tables": __version__,
        **libraries,
    }
