"""Why columns are not used, in words that the command and Python share."""

import shlex
from collections.abc import Mapping, Sequence

import msgspec

from tied_tables._table_errors import TableError
from tied_tables._text import format_value, list_some, quote
from tied_tables.columns import Columns, Fact, Remark, Topic

MOST_REFUSED, MOST_REASONS = 3, 8
# By the topic of a remark. Braces stand for its attributes, for its value as a table
# shows it (shown), for its texts in quotes (listed), and for its value and the name of
# the column in the quotes of a shell (quoted, column).
WORDS = {
    Topic.all_different: (
        "text of which nearly every value differs, {n} in {total} rows"
    ),
    Topic.all_rare: "text of {n} categories, all of which are rare",
    Topic.constant: "always {shown!r}",
    Topic.copy: "the same as {text!r}",
    Topic.determined: "determined by {text!r}",
    Topic.empty: "no value in {n} rows",
    Topic.excluded: "excluded",
    Topic.id: "the id",
    Topic.ids: "ids",
    Topic.label: "the label",
    Topic.long_text: "text of over {n:,} characters",
    Topic.mixed: (
        "holds {text} in {share:.0%} of its values, and {n:,} others such as {value!r}"
    ),
    Topic.numeric_text: (
        "text that looks like numbers, of too many kinds for categories"
    ),
    Topic.other_type: "values of type {text}",
    Topic.row_numbers: "row numbers",
    Topic.times_off: "a date or time",
    Topic.unasked: "not among those asked for",
}


def describe_remark(remark: Remark, words: Mapping[Topic, str], column: str) -> str:
    """Put a remark about a column in words."""
    return words[remark.topic].format(
        **msgspec.structs.asdict(remark),
        shown=format_value(remark.value),
        listed=quote(remark.texts),
        quoted=shlex.quote(str(remark.value)),
        column=shlex.quote(column),
    )


def describe_left_out(columns: Columns, words: Mapping[Topic, str]) -> dict[str, str]:
    """Tell why columns are not used, by their names."""
    return {
        name: describe_remark(reason, words, name)
        for name, reason in columns.left_out.items()
    }


def require_usable(
    columns: Columns,
    facts: Sequence[Fact],
    words: Mapping[Topic, str],
) -> None:
    """Raise a `TableError` if a column is refused, or none can be used."""
    reasons = describe_left_out(columns, words)
    refused = [fact.name for fact in facts if fact.is_refused]
    if refused:
        faults = [f"column {name!r} {reasons[name]}" for name in refused]
        raise TableError(f"{list_some(faults, MOST_REFUSED)}.")
    if not columns.used:
        left_out = [f"{name!r} ({reason})" for name, reason in reasons.items()]
        raise TableError(
            f"no column can be used: {', '.join(left_out[:MOST_REASONS])}; give one of"
            " numbers."
        )
