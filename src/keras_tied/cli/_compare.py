"""``keras-tied compare``: how well several methods reconstruct a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_tied._text import format_number
from keras_tied.cli._app import command
from keras_tied.cli._keras import hide_modules, import_keras_alone, require_backend
from keras_tied.cli._messages import UsageError, report_wrong_use
from keras_tied.cli._options import Data, Json, OnBackend, Quiet, Seed
from keras_tied.cli._output import check_figure_path, save_figure
from keras_tied.cli._progress import show_stages
from keras_tied.cli._show import print_json, print_table
from keras_tied.cli._table import ColumnOptions, TableOptions
from keras_tied.cli._training_table import learn, survey
from keras_tied.cli._widths import (
    MOST_WIDTHS,
    count_rows,
    format_range,
    format_ratio,
    measure_widths,
    parse_widths,
    print_widths,
    require_enough,
    sample_rows,
)

if TYPE_CHECKING:
    from keras_tied.comparison import MethodResult, Width


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
    *,
    columns: ColumnOptions,
    options: TableOptions,
    backend: OnBackend = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare with PCA and other installed methods, on rows that none was trained on.

    With several numbers of components, only with PCA.
    """
    widths = parse_widths(components)
    if widths is None:
        raise UsageError(
            f"--components {components!r} is not a number from 1 on, or at most {MOST_WIDTHS} of "
            "them; give one such as 2, or several such as 1..16 or 1,2,4."
        )
    with report_wrong_use():
        target = check_figure_path(output) if output else None
        if target:
            from keras_tied import plotting

            plotting.new_figure()  # raises where Matplotlib is not installed
    require_backend(backend)
    found = survey(data, options, columns, seed, quiet)
    table = learn(found, seed, quiet)
    numbers = sample_rows(table.rows, rows, seed)
    require_enough(numbers, max(widths))
    facts = {"rows": len(numbers), "features": numbers.shape[1], "seeds": seeds}
    some = f"{count_rows(len(numbers), table.source.n_rows)} of {numbers.shape[1]:,} numbers"
    held_out = "errors are those of 30 % held out" + f", means of {seeds} seeds" * (seeds > 1)
    if len(widths) > 1:
        curve = measure_widths(numbers, widths, table.columns, seed, quiet, seeds)
        if output and target:
            figure = plotting.width_curve(
                widths,
                [width.errors for width in curve],
                [width.pca_errors for width in curve],
                hidden_errors=[width.hidden_error for width in curve],
            )
            save_figure(figure, output, target, quiet)
        if json:
            print_json({"widths": _describe(curve)} | facts)
        elif not quiet:
            print_widths(curve, f"{some}; {held_out}")
        return
    with show_stages("starting", quiet) as on_method:
        import_keras_alone()
        from keras_tied import comparison

        with hide_modules("tensorflow"):  # UMAP imports it if it can, which takes seconds
            results = comparison.compare(
                numbers, widths[0], random_state=seed, n_seeds=seeds, on_method=on_method
            )
    if output and target:
        figure = plotting.comparison(
            [row.name for row in results],
            [row.relatives for row in results],
            [row.seconds for row in results],
        )
        save_figure(figure, output, target, quiet)
    if json:
        print_json({"methods": _describe(results)} | facts)
    elif not quiet:
        _print_results(results, f"{some}, {widths[0]} left; {held_out}")


def _describe(results: Sequence[MethodResult | Width]) -> list[dict[str, Any]]:
    """Return what was measured as JSON, which has no NaN."""

    def to_json(value: Any) -> Any:
        if isinstance(value, tuple):
            return [to_json(item) for item in value]
        return None if value == "" or value != value else value

    return [{k: to_json(v) for k, v in row._asdict().items()} for row in results]


def _print_results(results: list[MethodResult], heading: str) -> None:
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
                format_ratio(row.relative),
                *[format_range(row.relatives)] * several,
                format_number(row.seconds),
                *[row.reason] * reasons,
            ]
            for row in results
        ],
    )
