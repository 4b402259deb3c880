"""A column whose values are written in another form than those that it was learned from."""

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa

from keras_tied._types import Array
from keras_tied.estimator.columns._column import MOST_MISREAD, Column, Form, MisfitError
from keras_tied.estimator.columns._facts import ColumnChoice, TableError
from keras_tied.estimator.columns._kinds import Kind, find_kind
from keras_tied.estimator.columns._learning import read_text
from keras_tied.estimator.columns._number_text import NumberText, TruthText, decide_truth_text
from keras_tied.estimator.columns._times import Times


def may_adapt(column: Column, kind: Kind) -> bool:
    """Return whether values of a kind can be written in several forms that the column takes."""
    is_text = kind is Kind.text and column.kind is not Kind.text
    return is_text or (kind is Kind.integer and column.kind is Kind.time)


def adapt_column(column: Column, values: pa.Array, decimal: str | None) -> Column:
    """Return a column in the form of other values, or itself if it reads them as well."""
    if not may_adapt(column, find_kind(values.type)):
        return column
    texts = column.clean(values).drop_null()
    if not len(texts) or (new := _find_form(column, texts, decimal)) is None:
        return column
    old_numbers, numbers = _parse(column, texts), _parse(new, texts)
    read_before, read = ~np.isnan(old_numbers), ~np.isnan(numbers)
    both = read_before & read
    is_alike = np.array_equal(old_numbers[both], numbers[both])
    if (is_alike and read_before.sum() >= read.sum()) or read.mean() < 1 - MOST_MISREAD:
        return column
    units, old_units = _list_units(new), _list_units(column)
    if units and old_units and units != old_units:
        raise TableError(
            f"column {column.name!r} holds {new.description}, where the model learned "
            f"{column.description}; convert it."
        )
    return new


def _find_form(column: Column, texts: pa.Array, decimal: str | None) -> Column | None:
    """Return a column in the form of most texts, or None if they are of another kind or unclear."""
    old, dates = column.form, "auto"
    if column.kind is Kind.boolean:
        return replace(column, form=decide_truth_text(texts) or TruthText("true", "false"))
    if isinstance(old, NumberText):
        decimal = decimal or old.decimal
    if isinstance(old, Times) and (order := re.findall("%[dm]", old.format)):
        dates = "mdy" if order[0] == "%m" else "dmy"
    found, _, doubt = read_text(column.name, texts, ColumnChoice(decimal=decimal, dates=dates))
    if found is None or (found.kind is Kind.time) != isinstance(old, Times):
        return None
    if isinstance(found.form, Times) and (doubt or _has_date(found.form) != _has_date(old)):
        return None
    return replace(column, form=found.form)


def _has_date(form: Form | None) -> bool:
    if not isinstance(form, Times):
        return False
    return "%y" in form.format.lower() if form.format else form.dtype != "time"


def _list_units(column: Column) -> set[str]:
    if not isinstance(column.form, NumberText):
        return set()
    return {column.form.prefix.strip(), column.form.suffix.strip()} - {""}


def _parse(column: Column, texts: pa.Array) -> Array:
    """Return the numbers of texts, NaN if the column takes none or one is infinite."""
    try:
        return column.parse(texts)
    except MisfitError:
        return np.full(len(texts), np.nan)
