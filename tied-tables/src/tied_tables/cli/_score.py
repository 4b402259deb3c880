"""``tied-tables score``: how odd each row is, and why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import typer

from tied_tables._text import format_quantity
from tied_tables.cli._app import command
from tied_tables.cli._apply import Task, write_rows
from tied_tables.cli._cluster import ClusterOptions
from tied_tables.cli._inputs import Inputs
from tied_tables.cli._messages import UsageError, print_message, remark
from tied_tables.cli._options import (
    DRIFT_CODE,
    FailOnDrift,
    Json,
    SafeCsv,
    option,
    output_option,
)
from tied_tables.cli._output import print_json, print_result, print_rows
from tied_tables.cli._progress import fold_rows
from tied_tables.cli._table import remark_doubtful

if TYPE_CHECKING:
    import pyarrow as pa

    from tied_tables._types import Array
    from tied_tables.checks import Oddest
    from tied_tables.io import Total
    from tied_tables.model.value import TableModel
    from tied_tables.rows import Batch, BatchTransform, Scan

DEFAULT_TOP = 10  # rows that are printed without --output and --top
ALARM_CODE = 3  # the exit code where rows reach the threshold
RARITY = "1/"  # what a threshold begins with that is no score


@dataclass(frozen=True)
class ScoreOptions:
    """The options of which rows are scored for whom."""

    output: str | None = output_option(
        "The file to write, in the format of its extension; - for CSV. Without it, the"
        " rows with the highest scores are printed.",
        default=None,
    )
    top: int | None = option(
        "Only the N rows with the highest scores, with the reasons.", metavar="N", min=1
    )
    explain: bool = option(
        "Add the reasons for all rows, which takes longer.",
        "--explain",
        default=False,
    )

    @property
    def needs_all(self) -> bool:
        """Whether all rows are written."""
        return self.output is not None and self.top is None


@dataclass(frozen=True)
class Alarm:
    """The options of when the command ends with an exit code of its own."""

    threshold: str | None = option(
        f"Exit with code {ALARM_CODE} if a row has at least this score, such as 100, or"
        " is at least as rare as 1/1000.",
        metavar="SCORE",
    )
    fail_on_drift: FailOnDrift = False

    @property
    def is_set(self) -> bool:
        """Whether there is such a code."""
        return self.threshold is not None or self.fail_on_drift

    @property
    def is_rarity(self) -> bool:
        """Whether the threshold is one row in so many, and no score."""
        return self.threshold is not None and self.threshold.startswith(RARITY)

    @cached_property
    def least(self) -> float:
        """The score of the threshold, or N of one row in N; NaN without one."""
        if self.threshold is None:
            return math.nan  # which no score reaches
        with suppress(ValueError):
            least = float(self.threshold.removeprefix(RARITY))
            if (1 if self.is_rarity else -math.inf) <= least < math.inf:
                return least
        raise UsageError(
            f"--threshold {self.threshold!r} is invalid; use a score such as 100, or a"
            " rarity such as 1/1000."
        )

    def require_within(self, fitted: TableModel) -> None:
        """Raise if a model cannot tell that a row is as rare."""
        most = int(fitted.largest_rarity)
        if self.is_rarity and self.least > most:
            raise UsageError(
                f"--threshold {self.threshold} cannot be estimated from {most} training"
                f" rows; use {RARITY}{most}, or a score."
            )

    def describe(self, fitted: TableModel, scores: Array) -> dict[str, Any]:
        """Return how many rows reach the threshold, and whether rows have drifted."""
        import numpy as np

        if not self.is_set:
            return {}
        sizes = fitted.find_rarity(scores) if self.is_rarity else scores
        n_reached = int((np.float32(sizes) >= np.float32(self.least)).sum())
        return {"reached": n_reached, "drifted": fitted.has_drifted(scores)}

    def exit_if_triggered(self, data: str, facts: Mapping[str, Any]) -> None:
        """End the command if rows reach the threshold, or have drifted."""
        if facts.get("reached"):
            n_reached = format_quantity(facts["reached"], "row")
            print_message(f"{n_reached} reached the threshold of {self.threshold}.")
            raise typer.Exit(ALARM_CODE)
        if self.fail_on_drift and facts["drifted"]:
            print_message(
                f"{data!r} has drifted: far more rows are odd than were in training."
            )
            raise typer.Exit(DRIFT_CODE)


@command("tied-tables score model.safetensors rows.csv --top 20")
def score(
    inputs: Inputs,
    options: ScoreOptions,
    alarm: Alarm,
    *,
    safe_csv: SafeCsv = False,
    cluster: ClusterOptions,
    json: Json = False,
) -> None:
    """Compute the outlier score of each row, with its rank, rarity and error."""
    from tied_tables.rows import BatchTransform

    _require_consistent(options, alarm, cluster)
    task = Task(output=options.output or "", safe_csv=safe_csv, json=json)
    if options.output is not None:
        cluster.require_output(task.output, json, inputs.data)
    model, rows = inputs.open()
    fitted = model.fitted_value
    total = _find_total(rows)
    alarm.require_within(fitted)
    transform = BatchTransform(fitted, rows.columns, "scores", rows.id, options.explain)
    with cluster.connect_writer(transform, task.output) as write:
        if write is not None:
            write_rows("scored", rows, write, task)
            return
    if options.needs_all:
        batches, scores = _score_all(rows, transform)
        facts = alarm.describe(fitted, _leave_out(total, scores))
        _write(task, batches, scores, fitted, facts, alarm.threshold)
    else:
        oddest = _score_oddest(rows, transform, options.top or DEFAULT_TOP)
        facts = alarm.describe(fitted, _leave_out(total, oddest.all_scores))
        if options.output is None:
            _print(oddest, total, fitted, json, facts)
        else:
            scores = oddest.all_scores
            _write(task, [oddest.table], scores, fitted, facts, alarm.threshold)
    alarm.exit_if_triggered(inputs.data, facts)


def _require_consistent(
    options: ScoreOptions, alarm: Alarm, cluster: ClusterOptions
) -> None:
    """Raise if options contradict each other, or the threshold is none."""
    if cluster.cluster is not None and (alarm.is_set or not options.needs_all):
        raise UsageError(
            "--cluster writes all rows; add --output, and drop --top, --threshold and"
            " --fail-on-drift."
        )
    _ = alarm.least


def _leave_out(total: Total | None, scores: Array) -> Array:
    """Return the scores of all rows but one that adds up the others."""
    import numpy as np

    return scores if total is None else np.delete(scores, total.row - 1)


def _find_total(rows: Scan) -> Total | None:
    """Find and report a row that adds up the others; raise if the id has no place."""
    from tied_tables.io import find_total

    if rows.id in ("rank", "why"):
        raise UsageError(
            f"the id column {rows.id!r} has the name of a column of the result; rename"
            " it."
        )
    total = find_total(rows.source)
    if total is not None:
        remark(str(total))
    return total


def _score_oddest(rows: Scan, transform: BatchTransform, top: int) -> Oddest:
    from tied_tables.checks import find_oddest

    find = partial(find_oddest, transform=transform, top=top)
    oddest, doubts = fold_rows("scoring", rows, find)
    remark_doubtful(rows, doubts)
    return oddest


def _score_all(
    rows: Scan, transform: BatchTransform
) -> tuple[list[pa.RecordBatch], Array]:
    """Return all rows in order, with score, rank, rarity and error, and maybe why."""
    import pyarrow as pa

    from tied_tables.model.tail import ranks

    def collect(batches: Iterable[Batch]) -> pa.Table:
        return pa.Table.from_batches(map(transform.apply, batches))

    table, doubts = fold_rows("scoring", rows, collect)
    remark_doubtful(rows, doubts)
    scores = table["score"].to_numpy()
    place = table.column_names.index("score") + 1
    ranked = table.add_column(place, "rank", pa.array(ranks(scores)))
    return ranked.to_batches(), scores


def _write(
    task: Task,
    batches: list[pa.RecordBatch],
    scores: Array,
    fitted: TableModel,
    facts: Mapping[str, Any],
    threshold: str | None,
) -> None:
    """Write scored rows, and print how many stand out, or reach the threshold."""
    from tied_tables.io import write_table

    n_rows = len(scores)
    n_written = write_table(task.output, batches, safe_csv=task.safe_csv)
    counts = {"scored": n_rows, "written": n_written, "output": task.output}
    if threshold is None:
        n_odd = int(fitted.stand_out(scores, n_rows).sum())
        which = "stands out" if n_odd < 2 else "stand out"
    else:
        n_odd = facts["reached"]
        verb = "reaches" if n_odd < 2 else "reach"
        which = f"{verb} the threshold of {threshold}"
    scored = format_quantity(n_rows, "row")
    count = f"{n_odd:,}" if n_odd else "none"
    text = f"scored {scored}, {count} of which {which}, to {task.output}"
    print_result(task.json, {**facts, **counts}, text)


def _print(
    oddest: Oddest,
    total: Total | None,
    fitted: TableModel,
    json: bool,
    facts: Mapping[str, Any],
) -> None:
    """Print the oddest rows."""
    rows = _list_oddest(oddest, total)
    if json:
        print_json({**facts, "oddest": rows})
    else:
        columns = oddest.table.column_names
        names = [*columns[: columns.index("error") + 1], "why"]
        print_rows(names, rows, int(fitted.largest_rarity))
        n = len(oddest.all_scores)
        if oddest.rarities[0] < n and not oddest.stand_out.any():
            n_rows = format_quantity(n, "row")
            chance = "some are as odd as these by chance"
            remark(f"no row stands out: among {n_rows}, {chance}.")


def _list_oddest(oddest: Oddest, total: Total | None) -> list[dict[str, Any]]:
    """Return the oddest rows, with a reason each."""
    from tied_tables.columns import list_values

    table, reasons = oddest.table, oddest.reasons
    if total is not None:
        pairs = zip(table["row"].to_pylist(), reasons, strict=True)
        why_total = f"a total: it {total.reason}"
        reasons = [why_total if row == total.row else why for row, why in pairs]
    names = [*table.column_names, "why"]
    columns = [*map(list_values, table.columns), reasons]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
