"""``keras-tied fit``: train a model on a table."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from keras_tied._files import check_writable, report_write_errors, temporary_folder
from keras_tied._interrupts import interrupts
from keras_tied._table_errors import WriteError
from keras_tied._text import format_quantity, list_some
from keras_tied.cli._app import command, fill_options
from keras_tied.cli._check import MOST_FACTS, Table, learn, survey
from keras_tied.cli._cluster import ClusterOptions
from keras_tied.cli._keras import collect_versions
from keras_tied.cli._messages import (
    INTERRUPT_CODE,
    FailedError,
    UsageError,
    describe_command,
    remark,
    remark_warnings,
    say,
)
from keras_tied.cli._model import Model, load
from keras_tied.cli._options import (
    STANDARD_INPUT,
    STAR,
    Data,
    Json,
    Seed,
    option,
    output_option,
)
from keras_tied.cli._output import print_result
from keras_tied.cli._progress import show_stages, show_training
from keras_tied.cli._proposals import join
from keras_tied.cli._table import (
    ColumnOptions,
    TableOptions,
    explain_left_out,
)
from keras_tied.cli._widths import (
    MOST_WIDTHS,
    explain_choice,
    find_width,
    parse_widths,
)

VALIDATION_SHARE = 0.1  # of a sample that errors are measured on
MOST_OPTIMISM = 3.0  # an error of held-out rows that is more times larger is warned of
Solver = StrEnum("Solver", ["auto", "lbfgs", "nadam"])
Scaler = StrEnum("Scaler", ["standard", "minmax", "none"])


@dataclass(frozen=True)
class TrainingOptions:
    """The options of how a model is trained; see `TiedAutoencoder`."""

    components: str = option(
        "The number of components, or the share of variance to keep, below 1; several,"
        " as 1..16 or 1,2,4, for the one that reconstructs hidden values best.",
        default="2",
    )
    hidden: str = option(
        "Units of the hidden layers, such as 64,32, or auto.", default="auto"
    )
    solver: Solver = option(
        "L-BFGS on all rows at once, or Nadam in batches.", default=Solver.auto
    )
    epochs: int | None = option(
        "Epochs of Nadam or iterations of L-BFGS, instead of as many as help.", min=1
    )
    validation: float = option(
        "The share of rows to hold out; 0 for none.", min=0.0, max=1.0, default=0.1
    )
    scaler: Scaler = option("How the columns are scaled.", default=Scaler.standard)
    seed: Seed = 0

    def to_arguments(self) -> dict[str, Any]:
        """Return the arguments of `TiedAutoencoder`; several numbers of components."""
        hidden_layer_sizes = _parse_hidden_sizes(self.hidden)
        if self.validation >= 1:
            raise UsageError(
                "--validation 1 leaves no row to train on; give a share such as 0.1."
            )
        return {
            "n_components": _parse_components(self.components),
            "hidden_layer_sizes": hidden_layer_sizes,
            "solver": self.solver.value,
            "max_iter": self.epochs,
            "scaler": None if self.scaler is Scaler.none else self.scaler.value,
            "random_state": self.seed,
            "early_stopping": self.validation > 0,
            # Without early stopping it is not used.
            "validation_fraction": self.validation or 0.1,
        }


@command("keras-tied fit rows.csv")
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
    notes, checkpoint = _train(table, settings, output, start)
    facts = {"output": output, "columns": table_survey.columns.names} | notes
    summary = _summarize(table, notes, output)
    summary["next"] = join(["score", str(output), data])
    print_result(json, facts, summary)
    if checkpoint is not None:
        text = f"interrupted; {str(output)!r} is the best model so far"
        if checkpoint.exists():
            text += "; the same command goes on with the training"
        say(f"{text}.")
        raise typer.Exit(INTERRUPT_CODE)


def fit_first(
    data: str, output: Path | None, columns: ColumnOptions, options: TableOptions
) -> Model:
    """Fit a model to a table that another command was given without one."""
    if data == STANDARD_INPUT or Path(data).is_fifo():
        raise UsageError(
            "a pipe can be read once, and a model is fitted first: name a file, or the"
            " model that keras-tied fit - writes."
        )
    if output is not None:
        check_writable(output, ["safetensors"])
    start = time.perf_counter()
    training = fill_options(TrainingOptions, {})
    table = learn(survey(data, options, columns, training.seed), training.seed)
    settings = training.to_arguments()
    n_numbers = table.rows.shape[1]
    if n_numbers == 1:
        raise UsageError(
            f"{data!r} has one column to use, and others are needed to judge it by;"
            f" give more, or write {join(['check', data])}."
        )
    if n_numbers == 2:  # a code as wide as a row would leave nothing over
        settings["n_components"] = [1]
    with temporary_folder() as folder:
        path = output or Path(folder, "model.safetensors")
        notes, checkpoint = _train(table, settings, path, start)
        model = load(path)
        if checkpoint is not None:
            path.unlink()  # else the next command would take it for a whole one
            raise KeyboardInterrupt
    seconds = notes["seconds"]
    fitted = f"fitted a model to {data!r} first, in {seconds:.1f} s"
    where = "keep it with --model, as in --model model.safetensors"
    if output is not None:
        where = f"it is kept in {str(output)!r}"
    remark(f"{fitted}; {where}.")
    return model


def _train(
    table: Table, settings: dict[str, Any], output: Path, start: float
) -> tuple[dict[str, Any], Path | None]:
    """Train a model and write it to a file; return its notes.

    After Ctrl-C it is the best so far, and the folder of its checkpoint is returned.
    """
    seed, source = settings["random_state"], table.survey.source
    widths: list[dict[str, float]] = []
    if isinstance(settings["n_components"], list):
        some = settings["n_components"]
        settings["n_components"], widths = _choose_components(some, table, seed)
    with show_stages("starting"):
        notes: dict[str, Any] = {
            "command": describe_command(),
            "data": source.name,
            "rows": source.n_rows,
            "table": table.survey.to_json(MOST_FACTS),
            "versions": collect_versions(),
        }
    if widths:
        notes |= {"widths": widths, "choice": explain_choice(widths)}
    checkpoint = output.resolve().with_suffix(".unfinished")
    settings["checkpoint"] = checkpoint
    try:
        with interrupts() as is_interrupted:
            notes = _train_and_measure(table, settings, output, start, notes)
    finally:
        with suppress(OSError):  # it is not there, or holds a training to go on with
            checkpoint.rmdir()
    remark(*_find_doubts(table, notes))
    if is_interrupted():
        return notes, checkpoint
    shutil.rmtree(checkpoint, ignore_errors=True)
    return notes, None


def _train_and_measure(
    table: Table,
    settings: dict[str, Any],
    output: Path,
    start: float,
    notes: dict[str, Any],
) -> dict[str, Any]:
    """Train, save the model, measure it, and save it again; return its notes.

    They are added to those that are known before training.
    """
    from keras_tied.fitted.value import baseline_errors
    from keras_tied.fitting.file import write_outcome
    from keras_tied.fitting.fit import fit
    from keras_tied.fitting.plan import Parameters
    from keras_tied.fitting.progress import epoch_callback
    from keras_tied.fitting.rows import Features

    columns = table.survey.columns
    names = tuple(columns.features)
    features = Features(names, columns.layout, columns.to_json())
    parameters = Parameters(**settings)
    rows, test_rows, title = table.rows, None, "training"
    if table.moments is not None:
        n_test = max(2, int(len(rows) * VALIDATION_SHARE))
        rows, test_rows = rows[n_test:], rows[:n_test]
        title = f"training on {len(rows):,} rows"
    start_of_training = time.perf_counter()
    with (
        show_training(title) as on_epoch,
        epoch_callback(on_epoch),
        remark_warnings(),
    ):
        outcome = fit(parameters, rows, features=features, moments=table.moments)
    streamed = None
    if test_rows is not None:
        seconds = time.perf_counter() - start_of_training
        streamed = (
            "scale and PCA are those of all rows; the network was trained on "
            f"{len(rows):,} of them, in {seconds:.1f} s"
        )

    def save(results: dict[str, Any]) -> dict[str, Any]:
        all_notes = notes | {
            "trained": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - start, 3),
            "components": outcome.fitted.n_components,
            "is_pca": outcome.is_pca,
            **results,
        }
        with report_write_errors(str(output)):
            write_outcome(output, outcome, vars(parameters), all_notes)
        return all_notes

    save({"streamed": streamed})
    try:
        with show_stages("comparing with PCA"):
            error, pca_error = baseline_errors(outcome.fitted, rows, test_rows)
        results = {
            "error": error,
            "pca_error": pca_error,
            "measured_on": "all rows",
            "streamed": streamed,
            "trimmed": outcome.n_trimmed,
            "has_classes": outcome.fitted.link is not None,
            "held_out": outcome.held_out_errors,
        }
        if test_rows is not None:
            results["measured_on"] = f"{len(test_rows):,} rows not trained on"
            results["held_out"] = None
        return save(results)
    except WriteError:
        raise
    except Exception as failure:
        reason = f"{type(failure).__name__}: {failure}".rstrip(".: ")
        raise FailedError(
            f"failed after training with {reason}; {str(output)!r} holds the model"
            " so far, and --debug shows where."
        ) from failure


def _choose_components(
    widths: list[int], table: Table, seed: int
) -> tuple[int, list[dict[str, float]]]:
    """Return the number of components, and the errors of each if there are several."""
    columns = table.survey.columns
    if len(widths) > 1:
        return find_width(table.rows, widths, columns.column_numbers, seed)
    [components] = widths
    n_rows, n_features = table.rows.shape
    if components > min(n_rows, n_features):
        limit, remedy = f"rows, {n_rows}", "ask for fewer"
        if n_features <= n_rows:
            limit = f"numbers in a row, {n_features}"
            if columns.left_out:
                left_out = list_some(explain_left_out(columns))
                remedy += f", or use columns that were left out: {left_out}"
        raise UsageError(
            f"--components {components} is more than there are {limit}; {remedy}."
        )
    return components, []


def _find_doubts(table: Table, notes: dict[str, Any]) -> Iterator[str]:
    """Warn of a model whose errors promise more than it can do."""
    n_features = len(table.survey.columns.features)
    error = max(notes["error"], 1e-12)
    held_out_error, _ = notes["held_out"] or (0.0, 0.0)
    if notes["components"] >= n_features:
        numbers = format_quantity(n_features, "number")
        yield (
            f"the code holds all of a row, {numbers}, so that every row is"
            " reconstructed as it is; add columns, or ask for fewer with --components."
        )
    elif held_out_error > MOST_OPTIMISM * error:
        yield (
            f"the error of rows held out, {held_out_error:.4g}, is"
            f" {held_out_error / error:.3g} times that of the rows trained on:"
            " the model knows these by heart; add rows, or ask for fewer with"
            " --components."
        )


def _summarize(table: Table, notes: dict[str, Any], output: Path) -> dict[str, str]:
    columns = table.survey.columns
    n_features = len(columns.features)
    usage = list_some(columns.names)
    if n_features > len(columns.names):
        usage += f": {n_features} numbers, one for each category or part of a time"
    facts = {"rows": f"{notes['rows']:,}", "columns used": usage}
    if columns.left_out:
        facts["left out"] = list_some(explain_left_out(columns))
    choice = notes.get("choice", "")
    facts["components"] = f"{notes['components']}{choice}"
    facts |= _summarize_errors(notes)
    if notes["trimmed"]:
        absurd = format_quantity(notes["trimmed"], "absurd value")
        facts["not trained on"] = (
            f"{absurd}; model and PCA have the medians of their columns there"
        )
    if notes["streamed"]:
        facts["all rows"] = notes["streamed"]
    return facts | {"seconds": f"{notes['seconds']:.1f}", "model": str(output)}


def _summarize_errors(notes: dict[str, Any]) -> dict[str, str]:
    error, pca_error, where = notes["error"], notes["pca_error"], notes["measured_on"]
    if notes["held_out"]:
        where = f"on rows held out; {error:.4g} on {where}"
        error, pca_error = notes["held_out"]
    what = "mean square of scaled columns"
    if notes["has_classes"]:
        what = "mean deviance of columns, 1 for the best constants"
    ratio = error / pca_error if pca_error else 1.0
    against = f"the model's is {ratio:.2f} times that"
    if ratio > 1:  # where a tenth of the values is missing
        against += ", as it has learned to fill in gaps"
    if notes["is_pca"]:
        against = "no network was found that is better, so the model is PCA"
    return {
        "error": f"{error:.4g}, {what}, {where}",
        "PCA's error": f"{pca_error:.4g}; {against}",
    }


def _parse_components(text: str) -> list[int] | float:
    """Return some numbers of components, or a share of variance."""
    if (widths := parse_widths(text)) is not None:
        return widths
    with suppress(ValueError):
        if 0 < (share := float(text)) < 1:
            return share
    raise UsageError(
        f"--components {text!r} is neither a whole number from 1 on, nor several such"
        f" as 1..16 or 1,2,4, at most {MOST_WIDTHS}, nor a share between 0 and"
        " 1; give one of these."
    )


def _parse_hidden_sizes(text: str) -> Any:
    if text == "auto":
        return text
    with suppress(ValueError):
        sizes = [int(size) for size in text.split(",")]
        if min(sizes) >= 1:
            return sizes
    raise UsageError(
        f"--hidden {text!r} is neither auto nor numbers of units; give some such as"
        " 64,32."
    )
