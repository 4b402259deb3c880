"""What a page shows of each row: its fields as texts, written once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tied_tables._text import format_number, format_value
from tied_tables._types import Array
from tied_tables.columns import Column, Kind, NumberText, Times
from tied_tables.report._colours import (
    Colours,
    colour_by_label,
    colour_by_logarithm,
    colour_by_number,
    find_range,
)
from tied_tables.report._columns import (
    CLASSES,
    LARGEST_SHOWN,
    LONGEST_NAME,
    MISSING_LABEL,
    format_cells,
    format_name,
    format_numbers,
    list_numbers,
    slice_columns,
)
from tied_tables.report._rows import Rows

DATE_PART = [0, 10]  # the characters of a date in 2026-01-31T12:30

Field = dict[str, Any]  # as the script of the page has it


def pack(texts: Iterable[str]) -> dict[str, list[Any]]:
    """Return the different texts of rows, and which of these each row has."""
    places: dict[str, int] = {}
    cells = [places.setdefault(text, len(places)) for text in texts]
    return {"texts": list(places), "cells": cells}


def round_numbers(numbers: Array, digits: int = 7) -> list[float | None]:
    """Return numbers as JSON has them: rounded, finite, and None for NaN."""
    finite = np.clip(numbers, -LARGEST_SHOWN, LARGEST_SHOWN)
    return [None if np.isnan(x) else float(f"{x:.{digits}g}") for x in finite]


def describe_ids(rows: Rows) -> Field:
    """Return the names of rows, or their numbers in the table."""
    numbers = (np.asarray(rows.places) + 1).tolist()
    if rows.ids is None:
        texts = [f"{number:,}" for number in numbers]
        return {"name": "row", "numbers": numbers} | pack(texts)
    names = map(format_value, rows.ids.tolist())
    return {"name": "row", "numbers": None} | pack(names)


def describe_measure(name: str, numbers: Array) -> Field:
    """Return outlier scores or errors, (n,), NaN where there is none."""
    numbers = np.clip(numbers, -LARGEST_SHOWN, LARGEST_SHOWN)
    return {
        "name": name,
        "numbers": round_numbers(numbers),
        "is_plain": True,
        "colours": colour_by_logarithm(numbers),
    } | pack(map(format_number, numbers.tolist()))


def describe_labels(rows: Rows) -> Field | None:
    """Return the labels of rows, if there are some."""
    if rows.labels is None:
        return None
    texts = [
        MISSING_LABEL if label is None or label != label else format_value(label)
        for label in rows.labels.tolist()
    ]
    numbers = None
    if rows.labels.dtype.kind in "iuf":
        numbers = round_numbers(rows.labels, 15)
    return {
        "name": format_value(rows.label_name),
        "numbers": numbers,
        "colours": colour_by_label(rows.labels),
    } | pack(texts)


def describe_column(column: Column, values: Array, expected: Array) -> Field:
    """Return a column of rows, (n, features), with what is expected in each."""
    n = len(values)
    texts = format_cells(column, values)
    packed = pack([*texts, *format_cells(column, expected)])
    numbers = list_numbers(column, values)
    return {
        "name": format_name(column),
        "numbers": numbers,
        "colours": _colour_column(column, values, texts, numbers),
        "texts": packed["texts"],
        "cells": packed["cells"][:n],
        "expected": packed["cells"][n:],
    } | _describe_reading(column)


def _describe_reading(column: Column) -> dict[str, Any]:
    """Return how a limit is read that rows are filtered by, if not as a plain number.

    A plain number is downloaded as such, others as texts.
    """
    form = column.form
    if isinstance(form, Times):
        return {"is_time": True, "is_day_first": form.format.startswith("%d")}
    if isinstance(form, NumberText) and not form.is_whole:
        return {"decimal": form.decimal}
    return {"is_plain": form is None and column.kind not in CLASSES}


def _colour_column(
    column: Column,
    features: Array,
    texts: list[str],
    numbers: list[float | None] | None,
) -> Colours:
    if numbers is None:
        is_missing = np.isnan(features).any(axis=1)
        return colour_by_label(np.where(is_missing, "", texts))
    values = np.array(numbers, np.float64)

    def write(ends: Array) -> list[str]:
        if isinstance(column.form, Times):
            ends = ends / 86_400 - column.form.offset - column.origin
        return format_numbers(column, ends)

    return colour_by_number(values, write)


def list_shares(shares: Array, columns: list[Field]) -> list[list[float]]:
    """Return shares of columns in the scores of rows, (n, columns), in percent.

    They are 0 where what is expected stands there already.
    """
    percent = np.round(100 * shares, 2)
    for place, column in enumerate(columns):
        is_same = np.equal(column["cells"], column["expected"])
        percent[is_same, place] = 0
    return [[int(x) if x % 1 == 0 else x for x in row] for row in percent.T.tolist()]


def describe_slides(columns: Sequence[Column], X: Array) -> list[dict[str, Any]]:
    """Return how a decoded row is written: of each column its features and its form.

    X, (n, features), are ordinary rows, which tell the range of each number.
    """
    slides = []
    for column, part in slice_columns(columns):
        values = X[:, part.start]
        low, high = find_range(np.sort(values[np.isfinite(values)]))
        slide = {"begin": int(part.start), "low": low, "high": high}
        slides.append(slide | _describe_form(column))
    return slides


def _describe_form(column: Column) -> dict[str, Any]:
    form = column.form
    if column.kind is Kind.text:
        return {
            "levels": [format_value(label, LONGEST_NAME) for label in column.labels]
        }
    if column.kind is Kind.boolean:
        return {"truth": format_numbers(column, np.array([0.0, 1.0]))}
    if isinstance(form, Times):
        part = _find_part(form)
        # A date is the nearest: its script cuts the time of day off.
        half = 0.5 if part == DATE_PART else 0.0
        return {"origin": column.origin + form.offset + half, "part": part}
    if isinstance(form, NumberText) and not form.is_whole:
        units = [format_value(unit) for unit in (form.prefix, form.suffix)]
        return {"units": units, "decimal": form.decimal}
    return {"is_whole": column.kind is Kind.integer}


def _find_part(times: Times) -> list[int]:
    """Return which characters of 2026-01-31T12:30 are those of times."""
    if times.is_clock:
        return [11, 16]
    return DATE_PART if times.description == "dates" else [0, 16]
