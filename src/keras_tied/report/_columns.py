"""Columns as a page shows them, and the units of a code that follow them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from msgspec import structs

from keras_tied._text import format_number, format_share, format_value
from keras_tied._types import Array
from keras_tied.fitted.layout import MISSPELT

if TYPE_CHECKING:
    from keras_tied.columns import Column

LONGEST = 60  # characters of a name that are shown
MINUTE = 1 / 1440  # in days
# Of times that are no text.
TIME_FORMATS = {
    "date": "%Y-%m-%d",
    "timestamp": "%Y-%m-%d %H:%M:%S",
    "time": "%H:%M:%S",
}

# A column that a unit follows: its place, its level if it is a category, and the
# correlation.
Driver = tuple[int, str, float]


@dataclass(frozen=True)
class PageColumn:
    """A column of a table, and how a page writes its values."""

    name: str
    # a number, a whole number, or a truth value, of one feature each; a category, with
    # a feature for each level, the largest of which is the value; a time, whose first
    # feature is its days
    kind: Literal["number", "whole", "truth", "category", "time"] = "number"
    n_features: int = 1  # how many features it has, which are side by side
    # how the page writes its values, plainly by default. Of a number `decimal`,
    # `separator`, `prefix`, `suffix`, `places` and `parentheses`; of a truth value
    # `true` and `false`; of a category `levels`; of a time `format` as for `strftime`,
    # `origin` and `offset` in days since 1970, `step` in days, `hour`, the feature with
    # the sine of the hour, `zone`, `places` of the seconds, `padded`, `is_clock` for
    # times of day, and `months`, pairs of what stands for them
    form: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_table(cls, column: Column) -> Self:
        """Return a column of `keras_tied.columns`, as a page shows it."""
        from keras_tied.columns import (
            Kind,
            NumberText,
            Times,
            list_months,
        )

        name, form, n_features = column.name, column.form, len(column.features)
        if column.kind is Kind.text:
            return cls(name, "category", n_features, {"levels": column.labels})
        if isinstance(form, Times):
            time = {
                "format": form.format or TIME_FORMATS[form.dtype],
                "origin": column.origin,
                "step": column.step,
                "offset": form.offset,
                "hour": 1 if "hour" in column.cycles else None,
                "zone": form.zone if form.format else "",
                "places": form.places,
                "padded": form.padded,
                "is_clock": form.is_clock,
                "months": list_months(form.months),
            }
            return cls(name, "time", n_features, time)
        if column.kind is Kind.boolean:
            truths = structs.asdict(form) if form else {}
            return cls(name, "truth", form=truths)
        if isinstance(form, NumberText) and not form.is_whole:
            number = structs.asdict(form)
            return cls(name, "number", n_features, number)
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


def sum_columns(columns: Sequence[PageColumn], features: Array) -> Array:
    """Add up the features of each column, `(..., features)`, to `(..., columns)`."""
    starts = [part.start for _, part in slice_columns(columns)]
    return np.asarray(np.add.reduceat(features, starts, axis=-1))


def drop_same(
    columns: Sequence[PageColumn], shares: Array, given: Array, expected: Array
) -> Array:
    """Shares of oddness, (n, columns), 0 where what is expected is what is there."""
    shares = shares.copy()
    for place, (column, part) in enumerate(slice_columns(columns)):
        is_same = _find_same(column, given[:, part], expected[:, part])
        shares[is_same, place] = 0.0
    return shares


def _find_same(column: PageColumn, given: Array, expected: Array) -> Array:
    """Which values, (n, features), are written as what is expected, or nearly so."""
    is_present = ~np.isnan(given).any(axis=1)
    if column.kind == "category":
        is_spelt = given.max(axis=1) != MISSPELT
        is_same = given.argmax(axis=1) == expected.argmax(axis=1)
        return np.asarray(is_present & is_spelt & is_same)
    first, second = given[:, 0], expected[:, 0]
    if column.kind == "number":
        places = column.form.get("places")
        texts = [_write_numbers(values, places) for values in (first, second)]
        return np.asarray(is_present & (texts[0] == texts[1]))
    # How far whole numbers, truth values and days may be apart.
    tolerance = 0.5
    if column.kind == "time":
        form = column.form.get("format", "")
        tolerance = MINUTE / 2 if "%H" in form else 0.9
        if "%S" in form:
            tolerance /= 60
    return np.asarray(is_present & (np.abs(first - second) < tolerance))


def _write_numbers(numbers: Array, places: int | None) -> Array:
    """Write numbers, (n,), with some decimals, or with three digits."""
    if places is None:
        return np.array(list(map(format_number, numbers.tolist())))
    return np.round(numbers, places)


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
    text = format_number(median)
    is_like_year = len(text) == len("2,003")
    return text.replace(",", "") if is_like_year else text


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


def describe_units(
    columns: Sequence[PageColumn], correlations: Array
) -> list[list[Driver]]:
    """Return the columns of each unit, strongest first, by their strongest feature."""
    parts = slice_columns(columns)
    units = []
    for row in correlations:
        drivers = []
        for place, (column, part) in enumerate(parts):
            features = row[part]
            strongest = int(np.abs(features).argmax())
            level = ""
            if column.kind == "category":
                level = format_value(column.levels[strongest], LONGEST)
            drivers.append((place, level, round(float(features[strongest]), 3)))
        drivers.sort(key=lambda driver: -abs(driver[2]))
        units.append(drivers)
    return units
