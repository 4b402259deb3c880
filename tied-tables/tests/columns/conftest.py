import pyarrow as pa
import pytest

pytest.importorskip("pyarrow")


def survey(values, **choice):
    """The columns of a table, and what is told of each."""
    from tied_tables.columns import Columns

    return Columns.survey(pa.record_batch(values), **choice)


def learn(values, **choice):
    """Learn the columns of a table, or of one column x, and refuse unusable ones."""
    columns, facts = survey(values, **choice)
    columns.require_usable(facts)
    return columns
