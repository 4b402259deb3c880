"""Tables as people have them are read as a person would read them."""

import datetime
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from keras_tied.columns import Columns, Kind
from keras_tied.tables import open_table

KINDS = {
    Kind.number: "number",
    Kind.integer: "number",
    Kind.time: "time",
    Kind.boolean: "truth",
    Kind.text: "category",
}


def load_script(name):
    spec = importlib.util.spec_from_file_location(
        name, Path(__file__).with_name(f"{name}.py")
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


messy = load_script("messy")
NAMES = [*messy.build(), *messy.OTHER_FORMATS]


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return {case.name: case for case in messy.make(tmp_path_factory.mktemp("messy"))}


@pytest.fixture
def case(cases, name):
    return cases[name]


@pytest.fixture
def read(case):
    """All rows in order, the columns that were learned, and the facts."""
    source = open_table(case.path)
    rows = pa.Table.from_batches(source.batches()).combine_chunks().to_batches()[0]
    return rows, *Columns.survey(source.sample(messy.N, seed=0))


def test_the_corpus_is_large_and_of_three_countries():
    assert len(NAMES) >= 25
    assert {country for country, _ in messy.build().values()} == set(messy.LOCALES)


@pytest.mark.parametrize("name", NAMES)
def test_each_column_is_what_a_person_says(case, read):
    _, columns, _ = read
    found = {column.name: KINDS[column.kind] for column in columns.used}
    expected = {name: column.kind for name, column in case.columns.items()}
    assert {name: found.get(name, "left out") for name in expected} == expected


@pytest.mark.parametrize("name", NAMES)
def test_no_numbers_are_in_the_rest_of_categories(read):
    assert not any(column.other for column in read[1].used)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_and_truths_have_their_values(case, read):
    rows, columns, _ = read
    numbers = dict(zip(columns.features, columns.encode(rows).T, strict=True))
    for name, column in case.columns.items():
        if (
            column.kind in ("number", "truth")
            and column.values
            and "typing" not in case.name
        ):
            expected = np.array(
                [np.nan if v is None else float(v) for v in column.values]
            )
            np.testing.assert_allclose(numbers[name], expected, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_times_have_their_days(case, read):
    rows, columns, _ = read
    by_name = {column.name: column for column in columns.used}
    for name, column in case.columns.items():
        if column.kind == "time" and column.values:
            days = by_name[name].parse(rows[name])
            epoch = datetime.datetime(1970, 1, 1)
            expected = [
                np.nan if v is None else (v - epoch) / datetime.timedelta(days=1)
                for v in column.values
            ]
            if "%" in column.form and not set(column.form) & set("yYbB"):
                expected = np.array(expected) % 1  # a time of day alone
            np.testing.assert_allclose(days, expected, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_encoded_is_decoded_in_its_form(case, read):
    rows, columns, _ = read
    decoded = columns.decode(columns.encode(rows))
    for name, column in case.columns.items():
        if name in decoded.schema.names and column.exact:
            marks = () if column.kind == "truth" else messy.MARKS
            expected = [None if text in marks else text for text in column.texts]
            found = decoded[name].cast(pa.string()).to_pylist()
            if column.kind == "number" and decoded[name].type != pa.string():
                expected = [text and float(text) for text in expected]
                found = [text and float(text) for text in found]
            assert found == expected, name
