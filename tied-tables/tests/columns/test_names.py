"""Whole numbers that name something, as their columns' names and order tell."""

import pyarrow as pa
import pytest

from . import conftest

COUNTED = range(1, 41)
SORTED = [*range(20, 40), *range(20)]
MANY = [1000 + i * i % 31 for i in range(40)]
KINDS = [1 + i % 3 for i in range(40)]
CODES = [10_007 + 1711 * i % 40_000 for i in range(40)]
DIGIT_DATES = [20_260_101 + i for i in range(28)]
STATES = [1 + i % 50 for i in range(400)]
VILLAGES = [1 + i % 20 for i in range(60)]
SERIALS = [45_000 + 11 * i for i in range(40)]
CLOCKS = [100 * (i % 24) + 7 * i % 60 for i in range(40)]
MIXED = [f"{'' if i % 6 else 'abcdefg'[i % 7]}{i}" for i in range(100, 160)] * 2

ROW_NUMBERS = "left out: row numbers; keep it with --id"
LEFT_OUT = "left out: ids; keep it with --id"
NUMBER = "1 number"
DOUBT = "1 number; if these are ids, use --exclude {name}"
CATEGORIES = "3 numbers: 1, 2, 3"
ALL_STATES = "50 numbers: 1, 10, 11, 12 and 46 more"

# Values, what they become, and the names of such columns.
COLUMNS = [
    (
        COUNTED,
        ROW_NUMBERS,
        "column1|rownames|obs|Case|record",
    ),
    (
        range(40),
        ROW_NUMBERS,
        "Unnamed: 0|obs",
    ),
    (
        SORTED,
        ROW_NUMBERS,
        "Unnamed: 0|__index_level_0__",
    ),
    (
        list(map(str, COUNTED)),  # as text, which all cells of a sheet may be
        ROW_NUMBERS,
        "column1|record",
    ),
    (
        SORTED,
        NUMBER,
        "position of team",
    ),
    (
        [i + i % 3 / 10 for i in range(40)],
        ROW_NUMBERS,
        "column1",
    ),
    (
        [1.5, 2.5] * 20,
        NUMBER,
        "column1|state|id",
    ),
    (
        [*map(str, range(60)), "1e50", *"abcdefghi"],
        "refused",
        "age|id of it",
    ),
    (
        COUNTED,
        NUMBER,
        "time|t|day_of_year|Year|rank|n56|Trial",
    ),
    (
        MANY,
        LEFT_OUT,
        "id|ID|patient_id|caseid|HorseID|Subject|uuid",
    ),
    (
        MANY,
        NUMBER,
        "acid|covid|Android|fluid|grid|paid|kid",
    ),
    (
        [*range(5, 105)] * 2,
        LEFT_OUT,
        "race|treatment_group",
    ),
    (
        STATES,
        ALL_STATES,
        "state|statefip|STATE_FIPS|county",
    ),
    (
        CODES,
        LEFT_OUT,
        "FIPS|OBJECTID|AREANO|SEQN|intid|AreaKey|bcode|isbn13|account",
    ),
    (
        [*map(float, CODES), None],
        LEFT_OUT,
        "iso_num|distid|GEOID10|order_number|sku",
    ),
    (
        [*map(str, CODES), "700.0"],
        LEFT_OUT,
        "distid|sku",
    ),
    (
        DIGIT_DATES,
        LEFT_OUT,
        "date_id",
    ),
    (
        list(map(str, DIGIT_DATES)),
        LEFT_OUT,
        "date_id",
    ),
    (
        CODES,
        NUMBER,
        "population|account_balance|zip_users|state_tax|no_of_items|bid",
    ),
    (
        VILLAGES,
        DOUBT,
        "villnum|room_no",
    ),
    (
        range(40, 80),
        NUMBER,
        "dep_time",
    ),
    (
        MIXED,
        LEFT_OUT,
        "subject",
    ),
    (
        MIXED,
        "refused",
        "weight of it",
    ),
    (
        KINDS,
        CATEGORIES,
        "store_id|speciesID|PID|race|treatment_group|Postal Code|sex|bloodType",
    ),
    (
        [f"{kind}.0" for kind in KINDS],  # as pandas writes them beside a gap
        CATEGORIES,
        "store_id|sex",
    ),
    (
        ["0", "-0", "0.0"] * 20,
        "left out: always '0'",
        "load",
    ),
    (
        [0, 1] * 20,
        NUMBER,
        "sex|person",
    ),
    (
        CLOCKS,
        NUMBER,
        "price",
    ),
    (
        range(1900, 1960),
        NUMBER,
        "time",
    ),
]


def survey(name, values, **choice):
    n = len(values)
    batch = pa.record_batch({name: values, "weight": [i % 7 + 0.5 for i in range(n)]})
    columns, facts = conftest.survey(batch, **{"first_rows": batch} | choice)
    return columns, facts[0]


@pytest.mark.parametrize(("values", "expected", "names"), COLUMNS)
def test_names_and_order_tell_what_whole_numbers_are(values, expected, names):
    for name in names.split("|"):
        columns, fact = survey(name, values)
        assert fact.becomes == expected.format(name=name)
        assert (name in columns.names) == (
            "number" in expected and "out" not in expected
        )


@pytest.mark.parametrize(
    ("name", "values", "reads_as"),
    [
        ("dep_time", CLOCKS, "times of day such as 0"),
        ("order_date", SERIALS, "dates such as 45000"),
        ("Datum", [190_100 + i for i in range(1, 13)], "dates such as 190101"),
        ("date", [830_701 + i for i in range(30)], "dates such as 830701"),
    ],
)
@pytest.mark.parametrize("write", [int, float, str])
def test_digits_are_times_where_the_name_tells(name, values, reads_as, write):
    batch = pa.record_batch({name: [None, *map(write, values)]})
    columns, [fact] = conftest.survey(batch, first_rows=batch)
    assert fact.reads_as == reads_as
    first, *again = columns.decode(columns.encode(batch))[name].to_pylist()
    assert first is None
    assert again == list(map(str, values))


def test_midnight_may_be_the_end_of_a_day_and_no_other_number_is_a_time():
    clocks = [*CLOCKS, 2400, 1675]
    batch = pa.record_batch({"dep_time": clocks})
    columns, [fact] = conftest.survey(batch, first_rows=batch)
    again = columns.decode(columns.encode(batch))["dep_time"].to_pylist()
    assert (again[-2:], fact.misread) == (["0", None], 1)


@pytest.mark.parametrize(
    ("name", "values", "choice", "becomes"),
    [
        ("id", COUNTED, {"columns": ["id"]}, "1 number"),
        ("race", KINDS, {"numeric": ["race"]}, "1 number"),
        ("race", KINDS, {"first_rows": None}, "1 number"),
    ],
)
def test_what_the_user_says_comes_first(name, values, choice, becomes):
    assert survey(name, values, **choice)[1].becomes == becomes
