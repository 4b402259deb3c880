import pyarrow as pa
import pytest

pytest.importorskip("pyarrow")


def survey(values, **choice):
    """The columns of a table, and what is said of each at a shell."""
    from tied_tables._column_words import describe_fact
    from tied_tables.cli._column_words import REMEDIES
    from tied_tables.columns import Columns

    columns, facts = Columns.survey(pa.record_batch(values), **choice)
    return columns, [describe_fact(fact, REMEDIES) for fact in facts]


def learn(values, **choice):
    """Learn the columns of a table, or of one column x, and refuse unusable ones."""
    from tied_tables._column_words import require_usable
    from tied_tables.columns import Columns
    from tied_tables.estimator import REMEDIES

    columns, facts = Columns.survey(pa.record_batch(values), **choice)
    require_usable(columns, facts, REMEDIES)
    return columns
