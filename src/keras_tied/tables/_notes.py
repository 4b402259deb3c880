"""The columns of a table as JSON, for the notes of a model."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa

from keras_tied.tables._column import Column, Form
from keras_tied.tables._errors import TableError
from keras_tied.tables._facts import Restored
from keras_tied.tables._kinds import Kind
from keras_tied.tables._number_text import NumberText, TruthText
from keras_tied.tables._times import CYCLES, Times

OLD_KEYS = {"name", "kind", "categories", "other"}
"""What the first version knew of a column."""
USABLE = (Kind.boolean, Kind.integer, Kind.number, Kind.text, Kind.time)
FORMS: dict[str, type[Form]] = {"number": NumberText, "truth": TruthText, "times": Times}


def describe_column(column: Column) -> dict[str, Any]:
    """Return a column as JSON, with what is newer than the first version only if it is used."""
    form = column.form
    kinds = {kind: name for name, kind in FORMS.items()}
    newer = {
        "form": None if form is None else {"form": kinds[type(form)]} | asdict(form),
        "folded": column.folded,
        "whole": column.whole,
        "origin": column.origin,
        "cycles": list(column.cycles),
    }
    return {
        "name": column.name,
        "kind": column.kind.value,
        "categories": list(column.categories),
        "other": column.other,
        **{name: value for name, value in newer.items() if value},
    }


def parse_column(entry: Any) -> Column:
    """Check and read the result of `describe_column`."""
    match entry:
        case {
            "name": str() as name,
            "kind": str() as kind,
            "categories": list() as categories,
            "other": bool() as other,
        } if kind in USABLE and all(isinstance(category, str) for category in categories):
            is_text = kind == Kind.text
            if is_text != bool(categories) or len(set(categories)) < len(categories):
                raise damage_error(f"the categories of {name!r} are not")
            if other and not is_text:
                raise damage_error(f"{name!r} has no categories")
            column = Column(name, Kind(kind), tuple(categories), other)
        case _:
            raise damage_error("one of them is not a column")
    defaults: dict[str, Any] = {
        "form": None,
        "folded": False,
        "whole": False,
        "origin": 0.0,
        "cycles": [],
    }
    match defaults | entry:
        case {
            "form": dict() | None as form,
            "folded": bool() as folded,
            "whole": bool() as whole,
            "origin": int() | float() as origin,
            "cycles": list() as cycles,
        } if all(cycle in tuple(CYCLES) for cycle in cycles) and abs(origin) < 2**31:
            column = replace(
                column,
                form=_parse_form(form),
                folded=folded,
                whole=whole,
                origin=float(origin),
                cycles=tuple(cycles),
            )
        case _:
            raise damage_error(f"the form of {name!r} is not told")
    if column.whole and not all(re.fullmatch(r"-?\d{1,18}", text) for text in column.categories):
        raise damage_error(f"the categories of {name!r} are not whole numbers")
    if (column.kind is Kind.time) != isinstance(column.form, Times):
        raise damage_error(f"{name!r} has a form of another kind")
    return column


def _parse_form(entry: Any) -> Form | None:
    if entry is None:
        return None
    try:
        return FORMS[entry["form"]](**{name: entry[name] for name in entry if name != "form"})
    except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise damage_error("a form is not one") from error


def parse_restoration(entry: Any, names: Collection[str]) -> Restored:
    """Check and read a column that is restored; `names` are those that are used."""
    match entry:
        case {
            "name": str() as name,
            "copy_of": str() | None as copy_of,
            "value": str() | int() | float() | bool() | None as value,
            "is_date": bool() as is_date,
        } if name not in names and (copy_of is None or copy_of in names):
            restored = Restored(name, copy_of, value, is_date)
            try:
                restored.repeat(0)
            except (OverflowError, pa.ArrowException) as error:
                raise damage_error(f"the value of {name!r} is not one") from error
            return restored
    raise damage_error("a column that is restored is not one")


def damage_error(why: str) -> TableError:
    """Make the error for what is not a description of columns."""
    return TableError(
        f"the description of the columns in the model file is damaged ({why}); save the model anew."
    )
