"""On which cases a test runs."""

import os

import pytest

slow = pytest.mark.slow
needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


def for_each(table, *names):
    """Run a test on each row of a table, under its key: with the values of these names."""
    return pytest.mark.parametrize(", ".join(names), table.values(), ids=table)


def slow_but(cases, *quick):
    """Cases of which all but some are slow."""
    return [pytest.param(case, marks=[slow] * (case not in quick)) for case in cases]
