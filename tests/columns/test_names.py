"""Whole numbers that name something, as their columns' names and order tell."""

import pyarrow as pa
import pytest

from keras_tied.columns import Columns

COUNTED = range(1, 41)
SORTED = [*range(20, 40), *range(20)]
MANY = [1000 + i * i % 31 for i in range(40)]
KINDS = [1 + i % 3 for i in range(40)]
CLOCKS = [100 * (i % 24) + 7 * i % 60 for i in range(40)]
MIXED = [f"{'' if i % 6 else 'abcdefg'[i % 7]}{i}" for i in range(100, 160)] * 2

ROW_NUMBERS = "left out: row numbers, for --id"
LEFT_OUT = "left out: ids, for --id"
NUMBER = "1 number"
CATEGORIES = "3 numbers: 1, 2, 3"

# Values, what they become, and the names of such columns.
COLUMNS = [
    (COUNTED, ROW_NUMBERS, "column1|rownames|obs|Case|record"),
    (range(40), ROW_NUMBERS, "Unnamed: 0|obs"),
    (SORTED, ROW_NUMBERS, "Unnamed: 0"),
    (SORTED, NUMBER, "position of team"),
    ([i + i % 3 / 10 for i in range(40)], ROW_NUMBERS, "column1"),
    ([1.5, 2.5] * 20, NUMBER, "column1"),
    (COUNTED, NUMBER, "time|t|day_of_year|Year|rank|n56|Trial"),
    (MANY, LEFT_OUT, "id|ID|patient_id|caseid|HorseID|Subject|uuid"),
    (MANY, NUMBER, "acid|covid|Android|fluid|grid|paid|kid"),
    ([*range(5, 55)] * 2, LEFT_OUT, "race|treatment_group"),
    (range(40, 80), NUMBER, "dep_time"),
    (MIXED, LEFT_OUT, "subject"),
    (MIXED, "refused", "weight of it"),
    (KINDS, CATEGORIES, "race|treatment_group|Postal Code|sex|bloodType"),
    ([0, 1] * 20, NUMBER, "sex"),
    (CLOCKS, NUMBER, "price"),
]


def survey(name, values, **choice):
    n = len(values)
    batch = pa.record_batch({name: values, "weight": [i % 7 + 0.5 for i in range(n)]})
    columns, facts = Columns.survey(batch, **{"begin": batch} | choice)
    return columns, facts[0]


@pytest.mark.parametrize(("values", "expected", "names"), COLUMNS)
def test_names_and_order_tell_what_whole_numbers_are(values, expected, names):
    for name in names.split("|"):
        columns, fact = survey(name, values)
        assert fact.becomes == expected, name
        assert (name in columns.names) == (
            "number" in expected and "out" not in expected
        )


def test_digits_are_times_of_day_where_the_name_tells():
    columns, fact = survey("dep_time", CLOCKS)
    assert fact.reads_as == "times of day such as 0"
    batch = pa.record_batch({"dep_time": CLOCKS, "weight": [1.5] * 40})
    again = columns.decode(columns.encode(batch))["dep_time"].to_pylist()
    assert list(map(int, again)) == CLOCKS


@pytest.mark.parametrize(
    ("name", "values", "choice", "becomes"),
    [
        ("id", COUNTED, {"columns": ["id"]}, "1 number"),
        ("id", COUNTED, {"numeric": ["id"]}, "1 number"),
        ("id", COUNTED, {"exclude": ["id"]}, "left out: excluded"),
        ("race", KINDS, {"numeric": ["race"]}, "1 number"),
        ("size", KINDS, {"categorical": ["size"]}, "3 numbers: 1, 2, 3"),
        ("id", KINDS, {"begin": None}, "1 number"),
        ("race", KINDS, {"begin": None}, "1 number"),
    ],
)
def test_what_the_user_says_comes_first(name, values, choice, becomes):
    assert survey(name, values, **choice)[1].becomes == becomes
