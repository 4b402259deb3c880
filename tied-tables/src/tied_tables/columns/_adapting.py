"""A column in another form than that of the table that it was learned from."""

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
from msgspec import structs

from tied_tables._table_errors import TableError
from tied_tables.columns._column import Column, drop_marks
from tied_tables.columns._durations import Durations
from tied_tables.columns._facts import ColumnChoice
from tied_tables.columns._form import Form
from tied_tables.columns._kinds import NUMERIC_KINDS, Kind, find_kind
from tied_tables.columns._missing import MOST_MISREAD, list_present
from tied_tables.columns._number_text import NumberText
from tied_tables.columns._text import read_text
from tied_tables.columns._times import Times

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
    old = column.form
    if not can_differ or column.kind is Kind.text or isinstance(old, Durations):
        return column
    texts = list_present(drop_marks(values, column.marks))
    dates = "auto"
    if isinstance(old, NumberText):
        decimal = decimal or old.decimal
    if isinstance(old, Times):
        order = re.search("%[dm]", old.format)
        dates = ORDERS[order[0]] if order else dates
    choice = ColumnChoice(decimal=decimal, dates=dates)
    new, share, doubt = read_text(column.name, texts, choice)
    if new is None or new.is_clock != column.is_clock:
        return column
    kinds = {new.kind, column.kind}
    are_alike = len(kinds) == 1 or kinds.issubset(NUMERIC_KINDS)
    if not are_alike or (doubt and new.kind is Kind.time):
        return column
    if column.kind is Kind.boolean:  # any words are read, and signs in their own form
        return replace(column, form=new.form)
    before = column.text_form.parse(texts)
    after = new.text_form.parse(texts)
    is_read = ~np.isnan(after)
    if np.array_equal(before[is_read], after[is_read]):
        mark = getattr(new.form, "decimal", ".")
        if mark == getattr(old, "decimal", "."):
            return column
        return replace(
            column, form=_change_decimal(old, mark)
        )  # as later rows may tell
    if share < 1 - MOST_MISREAD:
        return column
    old_unit = getattr(old, "unit", "")
    unit = getattr(new.form, "unit", "")
    if old_unit and unit and old_unit != unit:
        raise TableError(
            f"column {column.name!r} has {new.description}, but the model was fitted"
            f" with {column.description}; convert it."
        )
    return replace(column, form=new.form)


def _change_decimal(form: Form | None, decimal: str) -> NumberText:
    """Return the form of numbers with another decimal mark."""
    if not isinstance(form, NumberText):
        return NumberText(decimal)
    separator = "" if form.separator == decimal else form.separator
    return structs.replace(form, decimal=decimal, separator=separator)
