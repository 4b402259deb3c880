"""What the command says of columns, with the options that may help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import msgspec

from tied_tables._column_words import WORDS, describe_left_out, describe_remark
from tied_tables._table_errors import TableError
from tied_tables._text import format_quantity, list_some
from tied_tables.columns import OTHER, Column, Columns, Fact, Kind, Topic

MOST_MISSPELT, MOST_NUMBERS = 3, 4
LONGEST_LINE = 78  # characters, of what is said of a column
MIXED = WORDS[Topic.mixed]
REASONS = {
    **WORDS,
    Topic.ids: "ids, for --id",
    Topic.mixed: (
        f"{MIXED}: correct them, or say --na {{quoted}}, --categorical {{column}} or"
        " --exclude {column}"
    ),
    Topic.row_numbers: "row numbers, for --id",
    Topic.times_off: "a date or time, with --dates off",
}
# What values may be instead: it stands beside what the column becomes.
HINTS = {
    Topic.maybe_kinds: "if 1 to {n} name kinds, say --categorical",
    Topic.maybe_names: "if they are names, say --exclude",
    Topic.maybe_numeric: "if they are {text}, say --na {quoted}",
    Topic.other: f"{OTHER} holds {{share:.0%}} of the values",
}
WARNINGS = {
    Topic.bounds: (
        "holds {value!r} and others such, {share:.0%} of its values, which are read as"
        " {text}; say --exclude if that is wrong"
    ),
    Topic.day_or_month: (
        "holds {value!r}, of which day and month are not clear; say --dates dmy or"
        " --dates mdy"
    ),
    Topic.irregular: (
        "holds text such as {value!r}, which is not read as numbers or times of one"
        " form: write it so, or say --categorical {column} if it names kinds"
    ),
    Topic.marks: (
        "holds {listed} in {share:.0%} of its values, beside {text}: they count as"
        " missing; say --categorical {column} if they name kinds"
    ),
    Topic.misspelt: "{value!r} {n:,} and {text!r} {total:,} times",
    Topic.month_or_fraction: (
        "holds {value!r}, which is read as a month; else say --categorical"
    ),
    Topic.mostly_rare: (
        "has {n:,} kinds of values, {total} of which have a number of their own; the"
        " others, {share:.0%} of the values, count as one"
    ),
    Topic.partly_missing: (
        "is {value!r} or missing; write what it is where it is missing"
    ),
    Topic.scale: "has {value} beside {share:.0%} of its numbers, read as {text}",
    Topic.sentinel: (
        "holds {value!r} in {n:,} of {total:,} rows, far from its other values: if it"
        " stands for a missing one, say --na {quoted}"
    ),
    Topic.spellings: (
        "has {n} spellings of {total} categories, merged whatever their case"
    ),
    Topic.thousands: (
        "holds {value!r}, which is read as thousands; say --decimal , if the comma"
        " stands before decimals"
    ),
    Topic.unit: "has {value} beside {share:.0%} of its numbers, read as if all had it",
}


@dataclass(frozen=True)
class FactText:
    """A fact about a column in words, as `check` prints it and a model's notes hold it.

    Attributes:
        name, reads_as, examples: of the column, what its values are, and some of them.
        becomes: the numbers that it becomes, or why it is left out.
        numbers: how many these are; 0 if it is left out.
        note: why it is left out, or what its values may be instead; maybe empty.
        missing, misread, distinct: how many values are missing, not what the column
            holds, and different.
        warning: what else to look at, as one clause about the column; empty if there is
            nothing.
        refused: whether the column cannot be used before someone says what it is.
    """

    name: str
    reads_as: str
    becomes: str
    numbers: int = 0
    note: str = ""
    missing: int = 0
    misread: int = 0
    distinct: int = 0
    examples: tuple[str, ...] = ()
    warning: str = ""
    refused: bool = False

    @classmethod
    def from_json(cls, json: Any) -> FactText:
        """Read one from a model file, maybe untrusted, or raise a `TableError`."""
        try:
            return msgspec.convert(json, cls)
        except msgspec.ValidationError as error:
            raise TableError(
                f"the facts of the columns in the model file are damaged ({error}); fit"
                " it anew."
            ) from error

    def summarize(self, labels: str = "") -> str:
        """Describe the column in about a line, with labels instead of examples."""
        note = f"; {self.note}" if self.note else ""
        room = LONGEST_LINE - len(self.reads_as) - len(note)
        examples: list[str] = []
        for example in self.examples if self.numbers else ():
            room -= len(f", {example}")
            if room < 0:
                break
            examples.append(example)
        values = labels or ", ".join(examples)
        return self.reads_as + (f": {values}" if values else "") + note


def describe_fact(fact: Fact) -> FactText:
    """Put a fact about a column in words."""
    reads_as, column = fact.reads_as, fact.column
    warnings = _describe_remarks(fact, WARNINGS)
    reason = ""
    if fact.reason is not None:
        reason = describe_remark(fact.reason, REASONS, fact.name)
    note = becomes = f"left out: {reason}"
    numbers = 0
    if column is not None:
        numbers = len(column.features)
        hints = _describe_remarks(fact, HINTS)
        note = "; ".join(hints)
        becomes = "; ".join([_describe_numbers(column), *hints])
    elif fact.is_refused:
        reads_as, warnings = f"mostly {reads_as}", [reason]
        note = becomes = "refused"
    return FactText(
        name=fact.name,
        reads_as=reads_as,
        becomes=becomes,
        numbers=numbers,
        note=note,
        missing=fact.missing,
        misread=fact.misread,
        distinct=fact.distinct,
        examples=fact.examples,
        warning="; ".join(warnings),
        refused=fact.is_refused,
    )


def explain_left_out(columns: Columns) -> list[str]:
    """Return each column that is not used, with the reason."""
    reasons = describe_left_out(columns, REASONS)
    return [f"{name} ({reason})" for name, reason in reasons.items()]


def _describe_numbers(column: Column) -> str:
    """Tell how many numbers a column becomes, and which."""
    numbers = format_quantity(len(column.features), "number")
    if len(column.features) == 1 and column.kind is not Kind.text:
        return numbers
    return f"{numbers}: {list_some(column.labels, MOST_NUMBERS)}"


def _describe_remarks(fact: Fact, words: Mapping[Topic, str]) -> list[str]:
    """Put the remarks on these topics in words: all misspellings in one clause."""
    remarks = [remark for remark in fact.remarks if remark.topic in words]
    clauses = []
    for topic, group in groupby(remarks, key=lambda remark: remark.topic):
        texts = [describe_remark(remark, words, fact.name) for remark in group]
        if topic is Topic.misspelt:
            pairs = list_some(texts, MOST_MISSPELT)
            texts = [f"holds {pairs}: correct what is misspelt"]
        clauses += texts
    return clauses
