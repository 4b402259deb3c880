import pyarrow as pa
import pytest

pytest.importorskip("pyarrow")


def learn(values, **choice):
    """Learn the columns of a table, or of one column x, and refuse unusable ones."""
    from keras_tied.columns import Columns

    columns, facts = Columns.survey(pa.record_batch(values), **choice)
    columns.require_usable(facts)
    return columns
