"""Tables as people have them are read as a person would read them."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from tied_tables.columns import Columns, Kind
from tied_tables.io import open_table

from . import messy

KINDS = {
    Kind.number: "number",
    Kind.integer: "number",
    Kind.time: "time",
    Kind.boolean: "truth",
    Kind.text: "category",
}
EPOCH = datetime.datetime(1970, 1, 1)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return messy.make(tmp_path_factory.mktemp("messy"))


@pytest.fixture(params=messy.build())
def case(cases, request):
    return cases[request.param]


@pytest.fixture
def rows(case):
    [batch] = open_table(case.path).batches()
    return batch


@pytest.fixture
def columns(case):
    sample = open_table(case.path).sample(messy.N, seed=0)
    return Columns.survey(sample)[0]


def test_each_column_is_what_a_person_says(case, columns):
    found = dict.fromkeys(case.columns, "left out")
    for column in columns.used:
        found[column.name] = KINDS[column.kind]
        assert not column.other
    assert found == {name: column.kind for name, column in case.columns.items()}


def to_number(value, form):
    if value is None:
        return np.nan
    if isinstance(value, datetime.datetime):
        days = (value - EPOCH) / datetime.timedelta(days=1)
        is_time_of_day = "%Y" not in form
        return days % 1 if is_time_of_day else days
    return float(value)


def test_numbers_truths_and_times_have_their_values(case, rows, columns):
    used = {column.name: column for column in columns.used}
    for name, column in case.columns.items():
        if column.kind in ("number", "truth", "time") and len(column.values):
            expected = [to_number(value, column.form) for value in column.values]
            found = used[name].parse(rows[name])
            assert_allclose(found, expected, rtol=1e-6, atol=1e-12)


def test_what_is_encoded_is_decoded_in_its_form(case, rows, columns):
    decoded = columns.decode(columns.encode(rows))
    for name, column in case.columns.items():
        if name not in decoded.schema.names or not column.exact:
            continue
        marks = () if column.kind == "truth" else messy.MARKS
        expected = [None if text in marks else text for text in column.texts]
        values = decoded[name]
        found = values.cast(pa.string()).to_pylist()
        if column.kind == "number" and values.type != pa.string():
            expected = [text and float(text) for text in expected]
            found = [text and float(text) for text in found]
        assert found == expected, name
