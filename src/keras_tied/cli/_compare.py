"""``keras-tied compare``: how well several methods reconstruct a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_tied._text import format_number, format_quantity
from keras_tied.cli import _widths
from keras_tied.cli._app import command
from keras_tied.cli._check import learn, survey
from keras_tied.cli._keras import hide_modules, require_backend
from keras_tied.cli._lazy import comparison, plotting
from keras_tied.cli._messages import UsageError, report_wrong_use
from keras_tied.cli._options import Data, OnBackend, Seed, option, output_option
from keras_tied.cli._output import Printing, check_output, print_json, print_table, save_figure
from keras_tied.cli._progress import show_stages
from keras_tied.cli._rows import choose_places
from keras_tied.cli._table import ColumnOptions, TableOptions


@command("keras-tied compare rows.csv --components 3 -o chart.png")
def compare(
    data: Data,
    output: Path | None = output_option("A chart to write too: .png, .svg or .pdf.", None, None),
    components: str = option(
        "The number of components; several, as 1..16 or 1,2,4, for the error by width.", default="2"
    ),
    rows: int = option(
        "Rows to compare on, chosen at random where there are more.", default=10_000, min=10
    ),
    seed: Seed = 0,
    seeds: int = option(
        "Repeat with as many seeds, from --seed on; errors are means.", default=1, min=1
    ),
    *,
    columns: ColumnOptions,
    options: TableOptions,
    backend: OnBackend = None,
    printing: Printing,
) -> None:
    """Compare with PCA and other installed methods, on rows that none was trained on.

    With several numbers of components, only with PCA.
    """
    widths = _widths.parse_widths(components)
    if widths is None:
        raise UsageError(
            f"--components {components!r} is not a number from 1 on, or at most "
            f"{_widths.MOST_WIDTHS} of them; give one such as 2, or several such as 1..16 or 1,2,4."
        )
    if output:
        with report_wrong_use():
            check_output(output, plotting.FORMATS)
            plotting.new_figure()  # raises where Matplotlib is not installed
    require_backend(backend)
    quiet = printing.quiet
    table = learn(survey(data, options, columns, seed, quiet), seed, quiet)
    numbers = table.rows[choose_places(len(table.rows), rows, seed)]
    facts = {"rows": len(numbers), "features": numbers.shape[1], "seeds": seeds}
    n, n_all = len(numbers), table.survey.source.n_rows
    heading = f"{n:,} rows" if n == n_all else f"{n:,} of {n_all:,} rows"
    heading += f" of {numbers.shape[1]:,} numbers"
    held_out = "; errors are mean squares over 30 % held out, absurd values included"
    held_out += f"; means of {seeds} seeds" * (seeds > 1)
    curve: list[comparison.Width] = []
    if len(widths) > 1:
        column_of = table.survey.columns.column_numbers
        curve = _widths.measure_widths(numbers, widths, column_of, seed, quiet, seeds)
    else:
        heading += f", {widths[0]} left"
        with show_stages("starting", quiet) as on_method:
            _widths.require_enough(numbers, widths[0])
            with hide_modules("tensorflow"):  # UMAP imports it if it can, which takes seconds
                methods = comparison.compare(
                    numbers, widths[0], random_state=seed, n_seeds=seeds, on_method=on_method
                )
    if output:
        if curve:
            n_components, _, _, hidden, errors, pca_errors = zip(*curve, strict=True)
            figure = plotting.width_curve(n_components, errors, pca_errors, hidden_errors=hidden)
        else:
            ratios, seconds = [row.relatives for row in methods], [row.seconds for row in methods]
            figure = plotting.comparison([row.name for row in methods], ratios, seconds)
        save_figure(figure, output, quiet)
    if printing.json:
        key, results = ("widths", curve) if curve else ("methods", methods)
        print_json({key: _describe(results)} | facts)
    elif output is None or not quiet:
        print(heading + held_out)
        if curve:
            _print_widths(curve)
        else:
            _print_methods(methods)


def _describe(
    results: Sequence[comparison.MethodResult | comparison.Width],
) -> list[dict[str, Any]]:
    """Return what was measured as JSON, which has no NaN."""

    def to_json(value: Any) -> Any:
        if isinstance(value, tuple):
            return [to_json(item) for item in value]
        return None if value == "" or value != value else value

    return [{k: to_json(v) for k, v in row._asdict().items()} for row in results]


def _print_methods(methods: list[comparison.MethodResult]) -> None:
    several = len(methods[0].errors) > 1
    reasons = any(row.reason for row in methods)
    header = ["method", "error", "relative to PCA", *["lowest to highest"] * several, "seconds"]
    lines = []
    for row in methods:
        ratios = _format_ratios(row.relative, row.relatives, several)
        numbers = [format_number(row.error), *ratios, format_number(row.seconds)]
        lines.append([row.name, *numbers, *[row.reason] * reasons])
    print_table([*header, *["why not"] * reasons], lines)


def _print_widths(curve: list[comparison.Width]) -> None:
    several = len(curve[0].errors) > 1
    lines = []
    for width in curve:
        pairs = zip(width.errors, width.pca_errors, strict=True)
        relatives = [a / b if b > comparison.NEGLIGIBLE_ERROR else math.nan for a, b in pairs]
        ratios = _format_ratios(sum(relatives) / len(relatives), relatives, several)
        errors = [format_number(width.error), format_number(width.pca_error)]
        hidden = format_number(width.hidden_error)
        lines.append([str(width.n_components), *errors, *ratios, hidden])
    header = ["components", "error", "PCA's error", "relative to PCA"]
    print_table([*header, *["lowest to highest"] * several, "hidden"], lines)
    hidden_errors = [width.hidden_error for width in curve]
    if not any(map(math.isnan, hidden_errors)):
        chosen = format_quantity(comparison.choose_width(curve), "component")
        weakness = _widths.explain_weakness(hidden_errors)
        print(f"hidden values are reconstructed best with {chosen}{weakness}")


def _format_ratios(mean: float, ratios: Sequence[float], several: bool) -> list[str]:
    """Return the cell of the mean and, of several seeds, one of the lowest and the highest."""
    if math.isnan(mean):
        return ["-"] * (1 + several)
    return [f"{mean:.2f}", *[f"{min(ratios):.2f} to {max(ratios):.2f}"] * several]
