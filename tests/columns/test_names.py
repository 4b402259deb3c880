"""Whole numbers that name something, as their columns' names and order tell."""

import pyarrow as pa
import pytest

from keras_tied.columns import Columns, Kind


def read(name, values, n=40, **choices):
    """The fact about a column, and how it is used, beside a column of numbers."""
    batch = pa.record_batch({name: values, "weight": [i % 7 + 0.5 for i in range(n)]})
    columns, facts = Columns.survey(batch, begin=batch, **choices)
    return facts[0], columns


@pytest.mark.parametrize(
    "name", ["", "rownames", "Unnamed: 0", "obs", "Case", "record"]
)
@pytest.mark.parametrize("first", [0, 1])
def test_columns_that_count_the_rows_are_their_numbers(name, first):
    fact, columns = read(name or "column1", range(first, first + 40))
    assert (fact.reads_as, fact.becomes) == (
        "row numbers",
        "left out: row numbers, for --id",
    )
    assert columns.names == ["weight"]


def test_an_unnamed_column_of_different_numbers_names_the_rows():
    assert (
        read("column1", [i + i % 3 / 10 for i in range(40)])[0].reads_as
        == "row numbers"
    )
    assert read("column1", [1.5] * 20 + [2.5] * 20)[0].reads_as == "numbers"


def test_ids_of_digits_and_a_few_letters_are_not_refused():
    ids = [f"{'abcdefg'[i % 7]}{i}" if i % 6 == 0 else str(i) for i in range(100, 160)]
    assert read("subject", ids * 2, 120)[0].becomes == "left out: ids, for --id"
    assert read("weight of it", ids * 2, 120)[0].becomes == "refused"


@pytest.mark.parametrize(
    "name", ["time", "t", "day_of_year", "Year", "rank", "n56", "Trial"]
)
def test_what_grows_by_one_by_its_nature_is_a_number(name):
    assert read(name, range(1, 41))[0].reads_as == "integers"


def test_a_column_that_counts_in_another_order_is_a_number():
    values = [*range(20, 40), *range(20)]
    assert read("position of team", values)[0].reads_as == "integers"
    assert (
        read("Unnamed: 0", values)[0].reads_as == "row numbers"
    )  # of a table that was sorted


@pytest.mark.parametrize(
    "name", ["id", "ID", "patient_id", "caseid", "HorseID", "Subject", "uuid"]
)
def test_whole_numbers_of_ids_are_left_out(name):
    fact, columns = read(name, [1_000 + i * i % 31 for i in range(40)])
    assert (fact.reads_as, fact.becomes) == ("ids", "left out: ids, for --id")
    assert columns.names == ["weight"]


@pytest.mark.parametrize(
    "name", ["acid", "covid", "Android", "fluid", "grid", "paid", "kid"]
)
def test_words_that_end_like_ids_are_none(name):
    assert read(name, [i * i % 31 for i in range(40)])[0].reads_as == "integers"


@pytest.mark.parametrize(
    "name", ["race", "treatment_group", "Postal Code", "bloodType", "sex"]
)
def test_few_whole_numbers_of_kinds_are_categories_and_many_are_ids(name):
    fact, columns = read(name, [1 + i % 3 for i in range(40)])
    assert fact.becomes == "3 numbers: 1, 2, 3"
    assert columns.used[0].kind is Kind.text
    assert read(name, [i % 50 for i in range(100)], 100)[0].reads_as == "ids"


def test_zero_and_one_stay_one_number():
    assert read("sex", [i % 2 for i in range(40)])[0].becomes == "1 number"


def test_what_the_user_says_comes_first():
    ids = range(1, 41)
    for choices in ({"columns": ["id"]}, {"numeric": ["id"]}):
        assert read("id", ids, **choices)[0].becomes == "1 number"
    assert read("id", ids, categorical=["id"])[0].reads_as == "names"
    assert (
        read("race", [1 + i % 3 for i in range(40)], numeric=["race"])[0].becomes
        == "1 number"
    )
    assert read("id", ids, exclude=["id"])[0].becomes == "left out: excluded"


def test_without_the_order_types_alone_tell():
    batch = pa.record_batch({"id": range(40), "race": [1 + i % 3 for i in range(40)]})
    facts = Columns.survey(batch)[1]
    assert [fact.becomes for fact in facts] == ["1 number", "1 number"]


def test_digits_are_times_of_day_where_the_name_tells():
    clocks = [100 * (i % 24) + 7 * i % 60 for i in range(40)]
    fact, columns = read("dep_time", clocks)
    assert fact.reads_as == "times of day such as 0"
    batch = pa.record_batch({"dep_time": clocks, "weight": [1.5] * 40})
    again = columns.decode(columns.encode(batch)).column("dep_time").to_pylist()
    assert list(map(int, again)) == clocks
    assert read("dep_time", range(41, 81))[0].reads_as == "integers"
    assert read("price", clocks)[0].reads_as == "integers"
