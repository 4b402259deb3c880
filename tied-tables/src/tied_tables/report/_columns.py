"""Columns as a page shows them, and how closely the units of a code follow them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from msgspec import structs

from tied_tables._reasons import format_suggestion
from tied_tables._text import format_share, format_value
from tied_tables._types import Array

if TYPE_CHECKING:
    from tied_tables.columns import Column

LONGEST = 60  # characters of a name that are shown
MINUTE = 1 / 1440  # in days


@dataclass(frozen=True)
class PageColumn:
    """A column of a table, and how a page writes its values."""

    name: str
    # a number, a whole number, or a truth value, of one feature each; a category, with
    # a feature for each level, the largest of which is the value; a time, whose first
    # feature is its days
    kind: Literal["number", "whole", "truth", "category", "time"] = "number"
    n_features: int = 1  # how many features it has, which are side by side
    # how the page writes its values, plainly by default. Of a number, a truth value and
    # a time the attributes of its form in `tied_tables.columns`; of a category
    # `levels`; of a time also `origin` and `offset` in days since 1970, `step` in
    # days, `hour`, the feature with the sine of the hour, `is_clock` for times of day,
    # and `months`, pairs of what stands for them
    form: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_table(cls, column: Column) -> Self:
        """Return a column of `tied_tables.columns`, as a page shows it."""
        from tied_tables.columns import (
            Kind,
            NumberText,
            Times,
            list_months,
        )

        name, form, n_features = column.name, column.form, len(column.features)
        if column.kind is Kind.text:
            return cls(name, "category", n_features, {"levels": column.labels})
        attributes = {} if form is None else structs.asdict(form)
        if isinstance(form, Times):
            attributes |= {
                "origin": column.origin,
                "step": column.step,
                "offset": form.offset,
                "hour": 1 if "hour" in column.cycles else None,
                "is_clock": form.is_clock,
                "months": list_months(form.months),
            }
            return cls(name, "time", n_features, attributes)
        if column.kind is Kind.boolean:
            return cls(name, "truth", form=attributes)
        if isinstance(form, NumberText) and not form.is_whole:
            return cls(name, "number", form=attributes)
        is_whole = column.kind is Kind.integer or form is not None
        return cls(name, "whole" if is_whole else "number")

    @property
    def title(self) -> str:
        """The name as it is shown."""
        return format_value(self.name, LONGEST)

    @property
    def features(self) -> list[str]:
        """The names of its features."""
        if self.kind == "category":
            return [f"{self.name}={level}" for level in self.levels]
        return [self.name] * self.n_features

    @property
    def levels(self) -> Any:
        """The levels of a category, by default their numbers."""
        return self.form.get("levels", range(1, self.n_features + 1))

    def to_json(self) -> dict[str, Any]:
        """Return the column as JSON, with texts that can be shown."""
        form = {
            name: format_value(part) if isinstance(part, str) else part
            for name, part in self.form.items()
        }
        if self.kind == "category":
            form["levels"] = [format_value(level, LONGEST) for level in self.levels]
        return {
            "name": self.title,
            "kind": self.kind,
            "n": self.n_features,
            "form": form,
        }


def slice_columns(columns: Sequence[PageColumn]) -> list[tuple[PageColumn, slice]]:
    """Return each column with the place of its features."""
    sizes = [column.n_features for column in columns]
    ends = np.cumsum(sizes)
    parts = map(slice, ends - sizes, ends)
    return list(zip(columns, parts, strict=True))


def format_typical(column: PageColumn, rows: Array) -> str:
    """Format the median, or the most frequent category with its share."""
    if not len(rows):
        return "-"
    if column.kind == "category":
        counts = np.bincount(rows.argmax(axis=1))
        largest = int(counts.argmax())
        name = format_value(column.levels[largest], 30)
        share = counts[largest] / len(rows)
        return f"{name} ({format_share(share)})"
    if column.kind == "truth":
        share = (rows[:, 0] >= 0.5).mean()
        return f"{format_share(share)} true"
    median = float(np.median(rows[:, 0]))  # the first feature of a time is its days
    if column.kind == "time":
        form = column.form
        days = median + form.get("origin", 0.0) + form.get("offset", 0.0)
        if form.get("is_clock"):
            minutes = round(days / MINUTE) % 1440
            return f"{minutes // 60:02}:{minutes % 60:02}"
        return str(np.datetime64(math.floor(days), "D"))
    return format_suggestion(median)


def correlate(X: Array, code: Array) -> Array:
    """Correlate units with features (Pearson), `(units, features)`; 0 if constant."""
    correlations = np.zeros((code.shape[1], X.shape[1]))
    for feature, present in enumerate(~np.isnan(X.T)):
        values, units = X[present, feature], code[present]  # (m,), (m, units)
        if len(values) > 1 and np.ptp(values) > 0:
            with np.errstate(all="ignore"):  # of units that are constant
                pairs = np.corrcoef(values, units, rowvar=False)
            correlations[:, feature] = pairs[0, 1:]
    return np.nan_to_num(correlations)
