"""What the columns of a frame or of a file are, as a report shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_tied.report._columns import Column

if TYPE_CHECKING:
    from keras_tied import columns as table

# Of times that are no text.
FORMATS = {"date": "%Y-%m-%d", "timestamp": "%Y-%m-%d %H:%M:%S", "time": "%H:%M:%S"}


def list_columns(columns: Sequence[Column] | table.Columns) -> Sequence[Column]:
    """Return columns as they are, or of a table those that are used, with their form."""
    if isinstance(columns, Sequence):
        return columns
    described = [(column, *_describe_column(column)) for column in columns.used]
    return [Column(c.name, kind, len(c.features), form) for c, kind, form in described]


def _describe_column(column: table.Column) -> tuple[Any, dict[str, Any]]:
    from keras_tied.columns import Kind, NumberText, Times, TruthText  # needs pyarrow

    form = column.form
    if column.kind is Kind.text:
        prefix = len(column.name) + 1
        return "category", {"levels": [name[prefix:] for name in column.features]}
    if isinstance(form, Times):
        return "time", {
            "format": form.format or FORMATS[form.dtype],
            "origin": column.origin,
            "offset": form.offset,
            "hour": (
                1 + 2 * column.cycles.index("hour") if "hour" in column.cycles else None
            ),
            "zone": form.zone if form.format else "",
            "places": form.places,
            "padded": form.padded,
        }
    if isinstance(form, TruthText):
        return "truth", {"true": form.true, "false": form.false}
    if isinstance(form, NumberText) and not form.is_whole:
        names = "decimal", "separator", "prefix", "suffix", "places", "parentheses"
        return "number", {name: getattr(form, name) for name in names}
    if column.kind is Kind.boolean:
        return "truth", {}
    return (
        "whole" if column.kind is Kind.integer or form is not None else "number"
    ), {}
