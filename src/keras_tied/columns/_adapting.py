"""A column in another form than that of the table that it was learned from."""

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa

from keras_tied._table_errors import TableError
from keras_tied.columns._column import Column
from keras_tied.columns._durations import Durations
from keras_tied.columns._facts import ColumnChoice
from keras_tied.columns._kinds import Kind, find_kind
from keras_tied.columns._learning import read_text
from keras_tied.columns._missing import MOST_MISREAD
from keras_tied.columns._number_text import NumberText
from keras_tied.columns._times import Times
from keras_tied.columns._truth_text import TruthText, decide_truth_text

ORDERS = {"%d": "dmy", "%m": "mdy"}


def adapt_column(
    column: Column,
    values: pa.Array,
    decimal: str | None,
) -> Column:
    """Return a column in the form of other values, or itself if it reads them."""
    kind = find_kind(values.type)
    are_digits = kind is Kind.integer and column.kind is Kind.time
    can_differ = kind is Kind.text or are_digits
    if not can_differ or column.kind is Kind.text or isinstance(column.form, Durations):
        return column
    texts = column.clean(values).drop_null()
    if not len(texts):
        return column
    new = _decide_form(column, texts, decimal)
    before = column.text_form.parse(texts)
    after = new.text_form.parse(texts)
    reads_before = ~np.isnan(before)
    reads = ~np.isnan(after)
    both = reads_before & reads
    is_alike = np.array_equal(before[both], after[both])
    is_enough = is_alike and reads_before.sum() >= reads.sum()
    marks = [getattr(form, "decimal", ".") for form in (column.form, new.form)]
    if is_enough and marks[0] != marks[1]:  # which later rows may tell
        return replace(column, form=NumberText(marks[1]))
    if is_enough or reads.mean() < 1 - MOST_MISREAD:
        return column
    old_unit = getattr(column.form, "unit", "")
    unit = getattr(new.form, "unit", "")
    if old_unit and unit and old_unit != unit:
        raise TableError(
            f"column {column.name!r} holds {new.description}, where the model learned "
            f"{column.description}; convert it."
        )
    return new


def _decide_form(
    column: Column,
    texts: pa.Array,
    decimal: str | None,
) -> Column:
    """Return a column in the form of most texts, or itself if that is not clear."""
    old = column.form
    if column.kind is Kind.boolean:
        truths = decide_truth_text(texts) or TruthText("true", "false")
        return replace(column, form=truths)
    dates = "auto"
    if isinstance(old, NumberText):
        decimal = decimal or old.decimal
    if isinstance(old, Times):
        order = re.search("%[dm]", old.format)
        dates = ORDERS[order[0]] if order else dates
    choice = ColumnChoice(decimal=decimal, dates=dates)
    new, _, doubt = read_text(column.name, texts, choice)
    if new is None or new.is_clock != column.is_clock:
        return column
    is_time = column.kind is Kind.time
    if (new.kind is Kind.time) != is_time or (is_time and doubt):
        return column
    return replace(column, form=new.form)
