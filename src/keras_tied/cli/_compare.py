"""``keras-tied compare``: how well several methods reconstruct a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_tied._text import format_number
from keras_tied.cli._app import command
from keras_tied.cli._keras import hide_module, import_keras_alone, require_backend
from keras_tied.cli._messages import UsageError, report_wrong_use
from keras_tied.cli._options import Data, Exclude, Id, Json, OnBackend, Quiet, Seed, UsedColumns
from keras_tied.cli._output import check_figure_path, save_figure
from keras_tied.cli._progress import show_stages
from keras_tied.cli._show import print_json, print_table
from keras_tied.cli._table import ReadingOptions, TableOptions
from keras_tied.cli._training_table import learn, survey

if TYPE_CHECKING:
    from keras_tied.comparison import Compared, Width

MOST_WIDTHS = 64
FEWEST_ROWS_TO_COMPARE, TRAINING_SHARE = 10, 0.7
"""Rows that are needed, and the share of them to learn from, as in `keras_tied.comparison`."""


@command("keras-tied compare rows.csv --components 3 -o chart.png")
def compare(
    data: Data,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A chart to write too: .png, .svg or .pdf."),
    ] = None,
    components: Annotated[
        str,
        typer.Option(
            help="The number of components; several, as 1..16 or 1,2,4, for the error by width."
        ),
    ] = "2",
    rows: Annotated[
        int, typer.Option(min=10, help="Rows to compare on, chosen at random where there are more.")
    ] = 10_000,
    seed: Seed = 0,
    seeds: Annotated[
        int,
        typer.Option(min=1, help="Repeat with as many seeds, from --seed on; errors are means."),
    ] = 1,
    columns: UsedColumns = None,
    exclude: Exclude = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="A column of labels, which is not used.")
    ] = None,
    *,
    id: Id = None,
    options: TableOptions,
    reading: ReadingOptions,
    backend: OnBackend = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare with PCA and other installed methods, on rows that none was trained on.

    With several numbers of components, only with PCA.
    """
    widths = _parse_widths(components)
    with report_wrong_use():
        target = check_figure_path(output) if output else None
        if target:
            from keras_tied import plotting

            plotting.new_figure()  # raises where Matplotlib is not installed
    require_backend(backend)
    found = survey(
        data,
        options,
        reading,
        columns=columns,
        exclude=exclude,
        label=label,
        id=id,
        seed=seed,
        quiet=quiet,
    )
    table = learn(found, seed, quiet)
    numbers = _sample_rows(table.rows, rows, seed)
    _require_enough(numbers, max(widths))
    facts = {"rows": len(numbers), "features": numbers.shape[1], "seeds": seeds}
    some = f"{_count_rows(len(numbers), table.source.n_rows)} of {numbers.shape[1]:,} numbers"
    held_out = "errors are those of 30 % held out" + f", means of {seeds} seeds" * (seeds > 1)
    if len(widths) > 1:
        curve = _measure_widths(numbers, widths, seed, seeds, quiet)
        if output and target:
            _, _, _, errors, pca_errors = zip(*curve, strict=True)
            figure = plotting.width_curve(widths, errors, pca_errors)
            save_figure(figure, output, target, quiet)
        if json:
            by_width = [width._asdict() for width in curve]
            print_json({"widths": by_width} | facts)
        elif not quiet:
            _print_widths(curve, f"{some}; {held_out}")
        return
    with show_stages("starting", quiet) as on_method:
        import_keras_alone()
        from keras_tied import comparison

        with hide_module("tensorflow"):  # UMAP imports it if it can, which takes seconds
            results = comparison.compare(
                numbers, widths[0], random_state=seed, n_seeds=seeds, on_method=on_method
            )
    if output and target:
        names, _, _, seconds, _, _, relatives = zip(*results, strict=True)
        save_figure(plotting.comparison(names, relatives, seconds), output, target, quiet)
    if json:
        print_json(_describe(results) | facts)
    elif not quiet:
        _print_results(results, f"{some}, {widths[0]} left; {held_out}")


def _parse_widths(text: str) -> list[int]:
    """Read numbers of components: `4`, `1,2,4`, `1..16`, or a mixture."""
    widths: set[int] = set()
    for part in text.split(","):
        first, dots, last = part.strip().partition("..")
        ends = first, last if dots else first
        if not all(end.isascii() and end.isdigit() and len(end) < 6 for end in ends):
            break
        widths.update(range(int(ends[0]), int(ends[1]) + 1))
    else:
        if widths and min(widths) >= 1 and len(widths) <= MOST_WIDTHS:
            return sorted(widths)
    raise UsageError(
        f"--components {text!r} is not a number from 1 on, or at most {MOST_WIDTHS} of them; give "
        "one such as 2, or several such as 1..16 or 1,2,4."
    )


def _measure_widths(
    numbers: Any, widths: list[int], seed: int, n_seeds: int, quiet: bool
) -> list[Width]:
    with show_stages("starting", quiet) as on_stage:
        import_keras_alone()
        from keras_tied import comparison

        def show(n_components: int) -> None:
            on_stage(f"{n_components} of {widths[-1]} components")

        return comparison.compare_widths(
            numbers, widths, random_state=seed, n_seeds=n_seeds, on_width=show
        )


def _sample_rows(rows: Any, most: int, seed: int) -> Any:
    import numpy as np

    if len(rows) <= most:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))]


def _require_enough(numbers: Any, components: int) -> None:
    n, n_features = numbers.shape
    if n < FEWEST_ROWS_TO_COMPARE:
        raise UsageError(
            f"a comparison needs {FEWEST_ROWS_TO_COMPARE} rows, and the table has {n}; add rows."
        )
    if n_features < 2:
        raise UsageError("a comparison needs two columns of numbers at least; give another.")
    most = min(n_features - 1, int(n * TRAINING_SHARE))
    if components > most:
        raise UsageError(
            f"--components {components} is too many for {n:,} rows of {n_features:,} numbers; ask "
            f"for at most {most}."
        )


def _describe(results: list[Compared]) -> dict[str, Any]:
    def to_json(value: Any) -> Any:
        if isinstance(value, tuple):
            return [to_json(item) for item in value]
        return None if value == "" or value != value else value

    return {"methods": [{k: to_json(v) for k, v in row._asdict().items()} for row in results]}


def _print_widths(curve: list[Width], heading: str) -> None:
    print(heading)
    several = len(curve[0].errors) > 1
    lines = []
    for width in curve:
        pairs = zip(width.errors, width.pca_errors, strict=True)
        relatives = [error / pca if pca > 0 else math.nan for error, pca in pairs]
        lines.append(
            [
                str(width.n_components),
                format_number(width.error),
                format_number(width.pca_error),
                _format_ratio(fmean(relatives)),
                *[_format_range(relatives)] * several,
            ]
        )
    header = ["components", "error", "PCA's error", "relative to PCA"]
    print_table([*header, *["lowest to highest"] * several], lines)


def _count_rows(n: int, n_all: int) -> str:
    return f"{n:,} rows" if n == n_all else f"{n:,} of {n_all:,} rows"


def _print_results(results: list[Compared], heading: str) -> None:
    print(heading)
    several = len(results[0].errors) > 1
    reasons = any(row.reason for row in results)
    header = ["method", "error", "relative to PCA", *["lowest to highest"] * several, "seconds"]
    print_table(
        [*header, *["why not"] * reasons],
        [
            [
                row.name,
                format_number(row.error),
                _format_ratio(row.relative),
                *[_format_range(row.relatives)] * several,
                format_number(row.seconds),
                *[row.reason] * reasons,
            ]
            for row in results
        ],
    )


def _format_ratio(ratio: float) -> str:
    return "-" if math.isnan(ratio) else f"{ratio:.2f}"


def _format_range(ratios: Sequence[float]) -> str:
    return "-" if math.isnan(sum(ratios)) else f"{min(ratios):.2f} to {max(ratios):.2f}"
