"""The columns of a table, each of one or several features, and how their values are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from keras_tied._text import format_number, format_value

Kind = Literal["number", "whole", "truth", "category", "time"]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its name.
        kind: a number, a whole number, or a truth value, of one feature each; a category, with a
            feature for each level, the largest of which is the value; a time, whose first feature
            is its days.
        n_features: how many features it has, which are side by side.
        form: how its values are written, for the page's script. Of a number `decimal`,
            `separator`, `prefix`, `suffix`, `places` and `parentheses`; of a truth value `true` and
            `false`; of a category `levels`; of a time `format` as for `strftime`, `origin` and
            `offset` in days since 1970, `hour`, the feature with the sine of the hour, `zone`,
            `places` of the seconds, and `padded`. What is not given is plain.
    """

    name: str
    kind: Kind = "number"
    n_features: int = 1
    form: Mapping[str, Any] = field(default_factory=dict)


def sum_columns(columns: Sequence[Column], features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add up the features of each column, `(..., features)`, to `(..., columns)`.

    Examples:
        >>> sum_columns([Column("a"), Column("b", "category", 2)], np.array([1.0, 2.0, 3.0]))
        array([1., 5.])
    """
    begins = np.cumsum([0, *(column.n_features for column in columns[:-1])])
    return np.add.reduceat(features, begins, axis=-1)


def format_features(column: Column, features: NDArray[np.float64]) -> str:
    """Format the value that the features of a column stand for.

    Examples:
        >>> format_features(Column("age", "whole"), np.array([1234.4]))
        '1,234'
        >>> fruit = Column("fruit", "category", 2, {"levels": ["apple", "plum"]})
        >>> format_features(fruit, np.array([0.2, 0.7]))
        'plum'
    """
    if np.isnan(features).any():
        return "missing"
    form, number = column.form, float(features[0])
    if column.kind == "category":
        levels = form.get("levels", range(1, len(features) + 1))
        return format_value(levels[int(features.argmax())], 40)
    if column.kind == "truth":
        return format_value(
            form.get("true", "true") if number >= 0.5 else form.get("false", "false")
        )
    if column.kind == "time":
        return format_days(number + form.get("origin", 0.0))
    if column.kind == "whole":
        return f"{round(number):,}"
    text = format_number(number)
    if form.get("places") is not None:
        text = f"{number:,.{form['places']}f}"
    return format_value(f"{form.get('prefix', '')}{text}{form.get('suffix', '')}")


def format_days(days: float) -> str:
    """Format days since 1970 as a date.

    Examples:
        >>> format_days(365.2)
        '1971-01-01'
    """
    return str(np.datetime64("1970-01-01") + np.timedelta64(int(np.floor(days)), "D"))


def describe_columns(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return columns as JSON, with texts that can be shown."""
    return [
        {
            "name": format_value(column.name, 60),
            "kind": column.kind,
            "n": column.n_features,
            "form": {name: _clean(part) for name, part in column.form.items()},
        }
        for column in columns
    ]


def _clean(part: Any) -> Any:
    if isinstance(part, str):
        return format_value(part)
    return [format_value(text, 60) for text in part] if isinstance(part, list | tuple) else part
