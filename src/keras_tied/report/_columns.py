"""The columns of a table, how their values are shown, and the units of a code that follow them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from keras_tied._text import format_number, format_share, format_value
from keras_tied._types import Array

Kind = Literal["number", "whole", "truth", "category", "time"]
LONGEST = 60  # characters of a name that are shown
WEAKEST = 0.3  # a correlation below this is not named
MOST_NAMED = 2

# A column that a unit follows: its place, its level if it is a category, and the
# correlation.
Driver = tuple[int, str, float]


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    # a number, a whole number, or a truth value, of one feature each; a category, with
    # a feature for each level, the largest of which is the value; a time, whose first
    # feature is its days
    kind: Kind = "number"
    n_features: int = 1  # how many features it has, which are side by side
    # how the page writes its values, plainly by default. Of a number `decimal`,
    # `separator`, `prefix`, `suffix`, `places` and `parentheses`; of a truth value
    # `true` and `false`; of a category `levels`; of a time `format` as for `strftime`,
    # `origin` and `offset` in days since 1970, `hour`, the feature with the sine of the
    # hour, `zone`, `places` of the seconds, `padded`
    form: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The name as it is shown."""
        return format_value(self.name, LONGEST)


def slice_columns(columns: Sequence[Column]) -> list[slice]:
    """Return the place of the features of each column."""
    ends = np.cumsum([0, *(column.n_features for column in columns)]).tolist()
    return list(map(slice, ends[:-1], ends[1:]))


def sum_columns(columns: Sequence[Column], features: Array) -> Array:
    """Add up the features of each column, `(..., features)`, to `(..., columns)`."""
    starts = [part.start for part in slice_columns(columns)]
    return np.asarray(np.add.reduceat(features, starts, axis=-1))


def format_features(column: Column, features: Array) -> str:
    """Format the value that the features of a column stand for."""
    if np.isnan(features).any():
        return "missing"
    form, number = column.form, float(features[0])
    match column.kind:
        case "category":
            levels = form.get("levels", range(1, len(features) + 1))
            return format_value(levels[int(features.argmax())], 40)
        case "truth":
            name = "true" if number >= 0.5 else "false"
            return format_value(form.get(name, name))
        case "time":
            nearest = 0.5 if form.get("hour") is None else 0.0
            return format_days(
                number + nearest + form.get("origin", 0.0) + form.get("offset", 0.0)
            )
        case "whole":
            return _ungroup(f"{round(number):,}")
    places = form.get("places")
    text = (
        _ungroup(format_number(number)) if places is None else f"{number:,.{places}f}"
    )
    marks = {",": form.get("separator", ","), ".": form.get("decimal", ".")}
    text = text.translate(str.maketrans(marks))
    return format_value(f"{form.get('prefix', '')}{text}{form.get('suffix', '')}")


def _ungroup(number: str) -> str:
    """Write a number of four digits as 2003: it may be a year."""
    return (
        number.replace(",", "") if len(number.lstrip("-")) == len("2,003") else number
    )


def format_pair(column: Column, given: Array, expected: Array) -> tuple[str, str]:
    """Format a value and what is expected, with decimals where it is about as large."""
    texts = format_features(column, given), format_features(column, expected)
    if column.kind == "whole" and texts[0] == texts[1]:
        return texts[0], _ungroup(format_number(float(expected[0])))
    return texts


def format_typical(column: Column, rows: Array) -> str:
    """Format the median of numbers or days, or the most frequent category with its share."""
    if not len(rows):
        return "-"
    if column.kind == "category":
        counts = np.bincount(rows.argmax(axis=1))
        levels, largest = (
            column.form.get("levels", range(column.n_features)),
            int(counts.argmax()),
        )
        return (
            f"{format_value(levels[largest], 30)}"
            f" ({format_share(counts[largest] / len(rows))})"
        )
    if column.kind == "truth":
        return f"{format_share(float((rows[:, 0] >= 0.5).mean()))} true"
    median = float(np.median(rows[:, 0]))
    if column.kind == "time":
        return format_days(median + column.form.get("origin", 0.0))
    return _ungroup(format_number(median))


def format_days(days: float) -> str:
    """Format days since 1970 as a date."""
    return str(np.datetime64("1970-01-01") + np.timedelta64(int(np.floor(days)), "D"))


def describe_columns(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return columns as JSON, with texts that can be shown."""

    def clean(part: Any) -> Any:
        if isinstance(part, list | tuple):
            return [format_value(text, LONGEST) for text in part]
        return format_value(part) if isinstance(part, str) else part

    return [
        {
            "name": column.title,
            "kind": column.kind,
            "n": column.n_features,
            "form": {name: clean(part) for name, part in column.form.items()},
        }
        for column in columns
    ]


def correlate(X: Array, code: Array) -> Array:
    """Correlate each unit with each feature (Pearson), `(units, features)`; 0 if constant."""
    correlations = np.zeros((code.shape[1], X.shape[1]))
    for feature, present in enumerate(~np.isnan(X.T)):
        values, units = X[present, feature], code[present]
        if len(values) < 2:
            continue
        values = values / (np.abs(values).max() or 1.0)  # no square overflows
        a, b = values - values.mean(), units - units.mean(axis=0)
        norm = np.sqrt((a @ a) * np.einsum("ij,ij->j", b, b))
        is_constant = np.isnan(norm) | (a @ a <= 1e-12 * len(a)) | (norm == 0)
        correlations[:, feature] = np.where(
            is_constant, 0, a @ b / np.where(is_constant, 1, norm)
        )
    return np.nan_to_num(correlations)


def describe_units(
    columns: Sequence[Column], correlations: Array
) -> list[list[Driver]]:
    """Return the columns of each unit, strongest first, by their strongest level or part."""
    units = []
    for row in correlations:
        drivers: list[Driver] = []
        for index, (column, part) in enumerate(
            zip(columns, slice_columns(columns), strict=True)
        ):
            strongest, level = int(np.abs(row[part]).argmax()), ""
            if column.kind == "category" and "levels" in column.form:
                level = format_value(column.form["levels"][strongest], LONGEST)
            drivers.append((index, level, round(float(row[part][strongest]), 3)))
        units.append(sorted(drivers, key=lambda driver: -abs(driver[2])))
    return units


def name_axis(unit: int, columns: Sequence[Column], drivers: Sequence[Driver]) -> str:
    """Say which columns a unit, counted from 0, follows most."""
    texts: list[str] = []
    for place, level, r in drivers[:MOST_NAMED]:
        if abs(r) < WEAKEST:
            continue
        name, verb = columns[place].title, "rises" if r > 0 else "falls"
        how = f"where {name} is {level}" if level else f"with {name}"
        is_same = bool(texts) and texts[0].startswith(verb)
        texts.append(how if is_same else f"{verb} {how}")
    return f"Unit {unit + 1} {' and '.join(texts) or 'follows no column closely'}"
