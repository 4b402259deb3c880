import pyarrow as pa
import pytest

pytest.importorskip("pyarrow")


def learn(values, **choice):
    """Learn the columns of a table, or of one column x, and refuse unusable ones."""
    from keras_tied.columns import Columns

    sample = values if isinstance(values, pa.RecordBatch) else pa.record_batch(values)
    columns, facts = Columns.survey(sample, **choice)
    columns.require_usable(facts)
    return columns
