"""A column whose values are written in another form than those that it was learned from."""

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa

from keras_tied._table_errors import TableError
from keras_tied._types import Array
from keras_tied.columns._column import MOST_MISREAD, Column, MisfitError
from keras_tied.columns._durations import Durations
from keras_tied.columns._facts import ColumnChoice
from keras_tied.columns._kinds import Kind, find_kind
from keras_tied.columns._learning import read_text
from keras_tied.columns._number_text import NumberText, TruthText, decide_truth_text
from keras_tied.columns._times import Times

ORDERS = {"%d": "dmy", "%m": "mdy"}


def adapt_column(column: Column, values: pa.Array, decimal: str | None) -> Column:
    """Return a column in the form of other values, or itself if it reads them as well."""
    kinds = (Kind.text, Kind.integer) if column.kind is Kind.time else (Kind.text,)
    if column.kind is Kind.text or find_kind(values.type) not in kinds:
        return column
    texts = column.clean(values).drop_null()
    new = _decide_form(column, texts, decimal) if len(texts) else column
    before, after = _parse(column, texts), _parse(new, texts)
    reads_before, reads = ~np.isnan(before), ~np.isnan(after)
    is_alike = np.array_equal(before[reads_before & reads], after[reads_before & reads])
    if (
        is_alike and reads_before.sum() >= reads.sum()
    ) or reads.mean() < 1 - MOST_MISREAD:
        return column
    units = [
        of.form.unit if isinstance(of.form, NumberText) else "" for of in (column, new)
    ]
    if all(units) and units[0] != units[1]:
        raise TableError(
            f"column {column.name!r} holds {new.description}, where the model learned "
            f"{column.description}; convert it."
        )
    return new


def _decide_form(column: Column, texts: pa.Array, decimal: str | None) -> Column:
    """Return a column in the form of most texts, or itself if it is of another kind or unclear."""
    old, dates = column.form, "auto"
    if column.kind is Kind.boolean:
        return replace(
            column, form=decide_truth_text(texts) or TruthText("true", "false")
        )
    if isinstance(old, NumberText):
        decimal = decimal or old.decimal
    elif isinstance(old, Times) and (order := re.search("%[dm]", old.format)):
        dates = ORDERS[order[0]]
    new, _, doubt = read_text(
        column.name, texts, ColumnChoice(decimal=decimal, dates=dates)
    )
    if new is None or (new.kind is Kind.time) != (column.kind is Kind.time):
        return column
    if isinstance(new.form, Durations) != isinstance(
        old, Durations
    ):  # of an unknown unit
        return column
    # Times of day are no dates.
    if new.kind is Kind.time and (
        doubt or new.description[:5] != column.description[:5]
    ):
        return column
    return replace(column, form=new.form)


def _parse(column: Column, texts: pa.Array) -> Array:
    """Return the numbers of texts, NaN if the column takes no text, or one is infinite."""
    try:
        return column.parse(texts)
    except MisfitError:
        return np.full(len(texts), np.nan)
