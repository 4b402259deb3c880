"""``keras-tied fit``: train a model on a table."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from keras_tied._interrupts import interrupts
from keras_tied._text import format_quantity, list_some
from keras_tied.cli import _widths
from keras_tied.cli._app import command
from keras_tied.cli._check import MOST_FACTS, Table, learn, show_survey, survey
from keras_tied.cli._cluster import ClusterOptions
from keras_tied.cli._keras import collect_versions
from keras_tied.cli._lazy import comparison
from keras_tied.cli._messages import (
    INTERRUPT_CODE,
    FailedError,
    UsageError,
    report_wrong_use,
    say,
    say_warnings,
)
from keras_tied.cli._options import Data, Seed, option, output_option
from keras_tied.cli._output import Printing, check_output, report_write_errors
from keras_tied.cli._progress import show_stages, show_training
from keras_tied.cli._rows import choose_places
from keras_tied.cli._table import ColumnOptions, TableOptions, explain_left_out

if TYPE_CHECKING:
    from keras_tied.fitting.judge import Outcome
    from keras_tied.fitting.plan import Parameters

VALIDATION_SHARE = 0.1  # of a sample that errors are measured on
MOST_OPTIMISM = 3.0  # an error of held-out rows that is more times larger is warned of
MOST_ROWS_OF_WIDTHS = 10_000  # that several numbers of components are compared on
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
        """Return the arguments of `TiedAutoencoder`, but for `n_components`."""
        hidden_layer_sizes = _parse_hidden_sizes(self.hidden)
        if self.validation >= 1:
            raise UsageError(
                "--validation 1 leaves no row to train on; give a share such as 0.1."
            )
        return {
            "hidden_layer_sizes": hidden_layer_sizes,
            "solver": self.solver.value,
            "max_iter": self.epochs,
            "scaler": None if self.scaler is Scaler.none else self.scaler.value,
            "random_state": self.seed,
            "early_stopping": self.validation > 0,
            "validation_fraction": (
                self.validation or 0.1
            ),  # unused without early stopping
        }


@command("keras-tied fit rows.csv -o model.safetensors --components 3 --id name")
def fit(
    data: Data,
    output: Path = output_option("The .safetensors file.", "MODEL"),
    *,
    training: TrainingOptions,
    columns: ColumnOptions,
    options: TableOptions,
    dry_run: bool = option(
        "Show what check shows, and do not train.", "--dry-run", default=False
    ),
    cluster: ClusterOptions,
    printing: Printing,
) -> None:
    """Train an autoencoder on a table, and write it to one file."""
    check_output(output, ["safetensors"])
    widths = _parse_components(training.components)
    settings, seed = training.to_arguments(), training.seed
    start = time.perf_counter()
    quiet = printing.quiet
    table_survey = survey(data, options, columns, seed, quiet)
    if dry_run:
        show_survey(table_survey, printing.json)
        return
    with cluster.connect() as workers:
        table = learn(table_survey, seed, quiet, workers)
    settings["n_components"], curve = _choose_components(widths, table, seed, quiet)
    with show_stages("starting", quiet):
        notes = {
            "command": shlex.join(["keras-tied", *sys.argv[1:]]),
            "data": table_survey.source.name,
            "rows": table_survey.source.n_rows,
            "table": table_survey.to_json(MOST_FACTS),
            "versions": collect_versions(),
        }
        file = OutputFile(output, start, notes | curve)
    checkpoint = output.resolve().with_name(f"{output.name}.checkpoint")
    settings["checkpoint"] = checkpoint
    try:
        with interrupts() as is_interrupted:
            notes = _train_and_measure(table, settings, file, quiet)
    finally:
        with suppress(OSError):  # it is not there, or holds a training to go on with
            checkpoint.rmdir()
    say(*_find_doubts(table, notes), quiet=quiet)
    facts = {"output": str(output), "columns": table_survey.columns.names} | notes
    printing.print_result(facts, _summarize(table, notes, output))
    if is_interrupted():
        more = (
            "; the same command goes on with the training"
            if checkpoint.exists()
            else ""
        )
        say(f"interrupted; {str(output)!r} is the best model so far{more}.")
        raise typer.Exit(INTERRUPT_CODE)
    shutil.rmtree(checkpoint, ignore_errors=True)


@dataclass(frozen=True)
class OutputFile:
    """The file of the model, which is written after training, and again with more results."""

    path: Path
    start: float
    notes: dict[str, Any]  # which are known before training

    def save(
        self, outcome: Outcome, parameters: Parameters, **results: Any
    ) -> dict[str, Any]:
        """Write a model with notes that include these results; return the notes."""
        notes = self.notes | {
            "trained": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self.start, 3),
            "components": outcome.fitted.n_components,
            "is_pca": outcome.is_pca,
            **results,
        }
        from keras_tied.fitting.file import write_outcome

        with report_write_errors(self.path):
            params = parameters.to_dict()
            write_outcome(self.path.resolve(), outcome, params, notes)
        return notes


def _train_and_measure(
    table: Table, settings: dict[str, Any], file: OutputFile, quiet: bool
) -> dict[str, Any]:
    """Train, save the model, measure it, and save it again; return its notes."""
    from keras_tied.fitted.value import baseline_errors
    from keras_tied.fitting.fit import fit_rows
    from keras_tied.fitting.plan import Parameters
    from keras_tied.fitting.progress import epoch_callback

    columns = table.survey.columns
    parameters = Parameters(**settings, feature_names=tuple(columns.features))
    n = 0 if table.moments is None else max(2, int(len(table.rows) * VALIDATION_SHARE))
    rows, validation_rows = table.rows[n:], table.rows[:n] if n else None
    start = time.perf_counter()
    title = f"training on {len(rows):,} rows" if n else "training"
    with (
        show_training(title, quiet) as on_epoch,
        epoch_callback(on_epoch),
        say_warnings(quiet),
    ):
        outcome = fit_rows(parameters, rows, columns=columns, moments=table.moments)
    streamed = None
    if n:
        streamed = (
            "scale and PCA are those of all rows; the network was trained on "
            f"{len(rows):,} of them, in {time.perf_counter() - start:.1f} s"
        )
    file.save(outcome, parameters, streamed=streamed)
    try:
        with show_stages("comparing with PCA", quiet):
            error, pca_error = baseline_errors(outcome.fitted, rows, validation_rows)
        return file.save(
            outcome,
            parameters,
            error=error,
            pca_error=pca_error,
            measured_on=f"{n:,} rows not trained on" if n else "all rows",
            streamed=streamed,
            trimmed=outcome.n_trimmed,
            has_classes=outcome.fitted.link is not None,
            held_out=None if n else outcome.held_out_errors,
        )
    except FailedError:
        raise
    except Exception as failure:
        reason = f"{type(failure).__name__}: {failure}".rstrip(".: ")
        raise FailedError(
            f"failed after training with {reason}; {str(file.path)!r} holds the model"
            " so far, and --debug shows where."
        ) from failure


def _choose_components(
    widths: list[int] | float, table: Table, seed: int, quiet: bool
) -> tuple[int | float, dict[str, Any]]:
    """Return the number of components, or the share of variance, and notes on how it was chosen."""
    if not isinstance(widths, list):
        return widths, {}
    if len(widths) == 1:
        _require_enough(widths[0], table)
        return widths[0], {}
    numbers = table.rows[choose_places(len(table.rows), MOST_ROWS_OF_WIDTHS, seed)]
    columns = table.survey.columns
    curve = _widths.measure_widths(numbers, widths, columns.column_numbers, seed, quiet)

    with report_wrong_use():
        chosen = comparison.choose_width(curve)
    notes = [
        dict(zip(_widths.WIDTH, width[: len(_widths.WIDTH)], strict=True))
        for width in curve
    ]
    return chosen, {"widths": notes}


def _require_enough(components: int, table: Table) -> None:
    n, d = table.rows.shape
    left_out = list_some(explain_left_out(table.survey.columns))
    if components > min(n, d):
        raise UsageError(
            f"--components {components} is more than there are "
            f"{f'numbers in a row, {d}' if d <= n else f'rows, {n}'}; ask for fewer"
            f"{f', or use columns that were left out: {left_out}' if d <= n and left_out else ''}."
        )


def _find_doubts(table: Table, notes: dict[str, Any]) -> Iterator[str]:
    """Warn of a model whose errors promise more than it can do."""
    n_features, error = len(table.survey.columns.features), notes["error"]
    if notes["components"] >= n_features:
        yield (
            f"the {notes['components']} components hold all {n_features} numbers of a"
            " row, so that every row is reconstructed and none is odd; ask for fewer"
            " with --components."
        )
    elif (held_out := (notes["held_out"] or [0.0])[0]) > MOST_OPTIMISM * max(
        error, 1e-12
    ):
        yield (
            f"the error of rows held out, {held_out:.4g}, is"
            f" {held_out / max(error, 1e-12):.3g} times that of the rows trained on:"
            " the model knows these by heart; add rows, or ask for fewer with"
            " --components."
        )


def _summarize(table: Table, notes: dict[str, Any], output: Path) -> dict[str, str]:
    columns = table.survey.columns
    usage = list_some(columns.names)
    if len(columns.features) > len(columns.names):
        usage += (
            f": {len(columns.features)} numbers, one for each category or part of a"
            " time"
        )
    facts = {"rows": f"{notes['rows']:,}", "columns used": usage}
    if columns.left_out:
        facts["left out"] = list_some(explain_left_out(columns))
    error, pca_error = notes["held_out"] or (notes["error"], notes["pca_error"])
    where = notes["measured_on"]
    if notes["held_out"]:
        where = f"on rows held out; {notes['error']:.4g} on {where}"
    ratio = error / pca_error if pca_error else 1.0
    against = f"the model's is {ratio:.2f} times that"
    if ratio > 1:  # where a tenth of the values is missing
        against += ", as it has learned to fill in gaps"
    if notes["is_pca"]:
        against = "no network was found that is better, so the model is PCA"
    what = "mean square of scaled columns"
    if notes["has_classes"]:
        what = "mean deviance of columns, 1 for the best constants"
    facts |= {
        "components": (
            str(notes["components"]) + _widths.explain_choice(notes.get("widths", []))
        ),
        "error": f"{error:.4g}, {what}, {where}",
        "PCA's error": f"{pca_error:.4g}; {against}",
    }
    if notes["trimmed"]:
        absurd = format_quantity(notes["trimmed"], "absurd value")
        facts["not trained on"] = (
            f"{absurd}; model and PCA have the medians of their columns there"
        )
    if notes["streamed"]:
        facts["all rows"] = notes["streamed"]
    return facts | {"seconds": f"{notes['seconds']:.1f}", "model": str(output)}


def _parse_components(text: str) -> list[int] | float:
    """Return some numbers of components, or a share of variance."""
    if (widths := _widths.parse_widths(text)) is not None:
        return widths
    with suppress(ValueError):
        if 0 < (share := float(text)) < 1:
            return share
    raise UsageError(
        f"--components {text!r} is neither a whole number from 1 on, nor several such"
        f" as 1..16 or 1,2,4, at most {_widths.MOST_WIDTHS}, nor a share between 0 and"
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
