"""What there is to say of columns, in words that the command and Python share."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import msgspec

from tied_tables._table_errors import TableError
from tied_tables._text import OTHER, format_quantity, format_value, list_some, quote
from tied_tables.columns import (
    Column,
    Columns,
    Fact,
    Kind,
    NotedValues,
    Remark,
    Topic,
)

MOST_REFUSED, MOST_REASONS = 3, 8
MOST_SHOWN_LABELS = 4
LONGEST_LINE = 78  # characters, of the description of a column
# By the topic of a remark. Braces stand for its attributes, for its value as a table
# shows it (shown), for its texts in quotes (listed), and for what to do, which each
# face words: the shell by its options, Python by the argument of the estimator.
REASONS = {
    Topic.all_different: ("text with {n:,} different values in {total:,} rows"),
    Topic.all_rare: "text of {n} categories, all of which are rare",
    Topic.constant: "always {shown!r}",
    Topic.copy: "the same as {text!r}",
    Topic.determined: "determined by {text!r}",
    Topic.empty: "no value in {n} rows",
    Topic.excluded: "excluded",
    Topic.id: "the id",
    Topic.ids: "ids{for_id}",
    Topic.label: "the label",
    Topic.long_text: "text of over {n:,} characters",
    Topic.mixed: (
        "holds {text} in {share:.0%} of its values and other text in {n:,}, such as"
        " {value!r}; correct these, or {reread}"
    ),
    Topic.numeric_text: (
        "text like numbers, with too many different values for categories"
    ),
    Topic.other_type: "unsupported type {text}",
    Topic.row_numbers: "row numbers{for_id}",
    Topic.times_off: "a date or time",
    Topic.unasked: "not selected",
}
# What values may be instead: it stands beside what the column becomes.
HINTS = {
    Topic.maybe_kinds: "if 1 to {n} are category codes, {as_names}",
    Topic.maybe_names: "if these are ids, {leave_out}",
    Topic.maybe_numeric: "if these are {text}, {as_missing}",
    Topic.other: f"{OTHER} holds {{share:.0%}} of the values",
}
WARNINGS = {
    Topic.bounds: (
        "has values such as {value!r} ({share:.0%} of all), read as {text}; if that is"
        " wrong, {leave_out}"
    ),
    Topic.day_or_month: (
        "has an ambiguous order of day and month, as in {value!r}; {order_dates}"
    ),
    Topic.far: (
        "has {text}, far outside its other values (median {value}); correct it if it is"
        " wrong, or {mark_missing}"
    ),
    Topic.formats: (
        "has dates in several formats: {share:.0%} such as {value!r}, most such as"
        " {text!r}"
    ),
    Topic.irregular: (
        "has text such as {value!r}, not in one number or date format; use one format,"
        " or {as_names} if these are categories"
    ),
    Topic.marks: (
        "holds {text}, and {listed} in {share:.0%} of its values, treated as missing;"
        " {as_names} if these are categories"
    ),
    Topic.misspelt: "{value!r} ({n:,}x) for {text!r} ({total:,}x)",
    Topic.month_or_fraction: (
        "has {value!r}, read as a month; if it is not one, {as_names}"
    ),
    Topic.mostly_rare: (
        "has {n:,} categories, only {total:,} of which are frequent; the others"
        " ({share:.0%} of the values) are merged"
    ),
    Topic.partly_missing: (
        "is either {value!r} or missing; if a gap stands for another value, fill it in"
    ),
    Topic.percent: (
        "has a percent sign on {n:,} of its {total:,} numbers; 5% is read as 5, not as"
        " 0.05: write all in one way"
    ),
    Topic.scale: (
        "has {value} after {share:.0%} of its numbers, read as a factor of {text}"
    ),
    Topic.sentinel: (
        "has {value!r} in {n:,} of {total:,} rows, far from its other values; if it"
        " means missing, {as_missing}"
    ),
    Topic.spellings: (
        "has {n} spellings of {total} categories, merged regardless of case"
    ),
    Topic.thousands: (
        "has {value!r}, read with a comma between thousands; if it is a decimal comma,"
        " {use_comma}"
    ),
    Topic.unit: (
        "has the unit {value} on {share:.0%} of its numbers; all are read in this unit"
    ),
    Topic.unit_spelling: "{value!r} ({n:,}x)",
}
WORDS = REASONS | HINTS | WARNINGS
# What all remarks on a topic are listed in, and how many at most.
LISTS = {
    Topic.misspelt: ("may have misspellings: {}; correct them", 3),
    Topic.unit_spelling: ("has one unit in several spellings: {}", 8),
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
        warnings: what else to look at, each as a clause about the column.
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
    warnings: tuple[str, ...] = ()
    refused: bool = False

    @classmethod
    def from_json(cls, json: Any) -> FactText:
        """Read one from a model file, maybe untrusted, or raise a `TableError`."""
        try:
            return msgspec.convert(json, cls)
        except msgspec.ValidationError as error:
            raise TableError(
                f"the facts about the columns in the model file are damaged ({error});"
                " refit the model."
            ) from error

    def summarize(self, labels: str = "") -> str:
        """Describe the column in about a line, with labels instead of examples."""
        if not self.numbers and not self.refused:
            return self.note
        note = f"; {self.note}" if self.note else ""
        if labels:
            return f"{self.reads_as}: {labels}{note}"
        return self._list_examples(LONGEST_LINE - len(note)) + note

    def _list_examples(self, room: int) -> str:
        """Return what the values are, and as many of them as there is room for."""
        room -= len(f"{self.reads_as} such as")
        shown: list[str] = []
        for example in self.examples if self.numbers else ():
            room -= len(f", {example}")
            if room < 0:
                break
            shown.append(example)
        if not shown:
            return self.reads_as
        comma = "; " if any("," in example for example in shown) else ", "
        if self.reads_as.endswith(f" such as {shown[0]}"):  # dates such as 2024-01-31
            return comma.join([self.reads_as, *shown[1:]])
        mark = ":" if len(shown) == self.distinct else " such as"
        return f"{self.reads_as}{mark} {comma.join(shown)}"


def describe_fact(
    fact: Fact, remedies: Mapping[str, str], warnings: Sequence[str] = ()
) -> FactText:
    """Put a fact about a column in words, with more warnings before its own."""
    reads_as, column = fact.reads_as, fact.column
    warnings = [*warnings, *_describe_remarks(fact, WARNINGS, remedies)]
    reason = ""
    if fact.reason is not None:
        reason = describe_remark(fact.reason, remedies, fact.name)
    note = becomes = f"left out: {reason}"
    numbers = 0
    if column is not None:
        numbers = len(column.features)
        hints = _describe_remarks(fact, HINTS, remedies)
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
        warnings=tuple(warnings),
        refused=fact.is_refused,
    )


def describe_remark(remark: Remark, remedies: Mapping[str, str], column: str) -> str:
    """Put a remark about a column in words.

    Braces in a remedy stand for the value and the name of the column as a shell quotes
    them (quoted, column).
    """
    quoted, name = shlex.quote(str(remark.value)), shlex.quote(column)
    return WORDS[remark.topic].format(
        **msgspec.structs.asdict(remark),
        shown=format_value(remark.value),
        listed=quote(remark.texts),
        **{
            key: remedy.format(quoted=quoted, column=name)
            for key, remedy in remedies.items()
        },
    )


def describe_left_out(columns: Columns, remedies: Mapping[str, str]) -> dict[str, str]:
    """Tell why columns are not used, by their names."""
    return {
        name: describe_remark(reason, remedies, name)
        for name, reason in columns.left_out.items()
    }


def describe_misread(misread: NotedValues, more: str = "") -> dict[str, str]:
    """Describe the values that were not of the kind of their column, by column."""
    return {
        column: (
            f"has {format_quantity(times, 'value')} treated as missing{more}:"
            f" {misread.describe(column)}"
        )
        for column, times in misread.counts.items()
    }


def require_usable(
    columns: Columns,
    facts: Sequence[Fact],
    remedies: Mapping[str, str],
) -> None:
    """Raise a `TableError` if a column is refused, or none can be used."""
    reasons = describe_left_out(columns, remedies)
    refused = [fact.name for fact in facts if fact.is_refused]
    if refused:
        faults = [f"column {name!r} {reasons[name]}" for name in refused]
        raise TableError(f"{list_some(faults, MOST_REFUSED)}.")
    if not columns.used:
        left_out = [f"{name!r} ({reason})" for name, reason in reasons.items()]
        raise TableError(
            f"no usable column: {', '.join(left_out[:MOST_REASONS])}; use a column of"
            " numbers, dates or categories."
        )


def _describe_numbers(column: Column) -> str:
    """Tell how many numbers a column becomes, and which."""
    numbers = format_quantity(len(column.features), "number")
    if len(column.features) == 1 and column.kind is not Kind.text:
        return numbers
    return f"{numbers}: {list_some(column.labels, MOST_SHOWN_LABELS)}"


def _describe_remarks(
    fact: Fact, topics: Collection[Topic], remedies: Mapping[str, str]
) -> list[str]:
    """Put the remarks on these topics in words: those of a list in one clause."""
    remarks = [remark for remark in fact.remarks if remark.topic in topics]
    clauses = []
    for topic, group in groupby(remarks, key=lambda remark: remark.topic):
        texts = [describe_remark(remark, remedies, fact.name) for remark in group]
        if topic in LISTS:
            clause, most = LISTS[topic]
            texts = [clause.format(list_some(texts, most))]
        clauses += texts
    return clauses
