"""What to look at in each column of a table, in words."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from tied_tables._column_words import (
    FactText,
    describe_fact,
    describe_misread,
    describe_remark,
)
from tied_tables.checks._absurd import find_far_values
from tied_tables.columns import Columns, Fact
from tied_tables.io import Source


def describe_columns(
    source: Source,
    sample: pa.RecordBatch,
    columns: Columns,
    facts: Sequence[Fact],
    remedies: Mapping[str, str],
) -> list[FactText]:
    """Put what is known of the columns of a table in words, with doubtful values.

    Args:
        source: the table.
        sample: the rows of it that `Columns.survey` looked at.
        columns: those that are used.
        facts: about all columns.
        remedies: what to do about a column, by the name that `_column_words` gives it.
    """
    names = [fact.name for fact in facts if fact.misread and not fact.is_refused]
    batches = source.batches(names=names)
    misread = describe_misread(columns.find_misread(batches, names))
    far = find_far_values(source, sample, columns)
    texts = []
    for fact in facts:
        name = fact.name
        warnings = []
        if name in far:
            warnings.append(describe_remark(far[name], remedies, name))
        if name in misread:
            warnings.append(misread[name])
        texts.append(describe_fact(fact, remedies, warnings))
    return texts
