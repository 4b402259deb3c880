import pyarrow as pa
from tests.marks import for_each

from tied_tables.rules.kinds import find_kinds
from tied_tables.rules.texts import (
    doubt_encoding,
    doubt_patterns,
    doubt_percents,
    doubt_suffixes,
)


def put(texts, wrong):
    """The texts with another one in the eighth row."""
    return [*texts[:7], wrong, *texts[8:]]


PATIENTS = [f"{number} patients" for number in range(100, 200)]
CODES = [f"AL-{number}" for number in range(100, 200)]
PLACES = {"city": ["Reno", "Boise"] * 20, "state": ["NV", "ID"] * 20}
SPOILT = ["Zürich", "Zürich".encode().decode("cp1252"), "Gen\ufffdve", "Gen\ufffdve"]
ACCENTS = ["São Paulo", "Âge", "Ångström", "naïve", "Ça va", "10 £", "½"]
# What is looked for, in which columns, and the rows, texts and suggestions found.
CASES = {
    "letters among digits": (
        doubt_patterns,
        {"phone": put([str(number) for number in range(10_000, 10_100)], "3x0x7")},
        [(8, "3x0x7", None)],
    ),
    "a wrong letter beside a number": (
        doubt_patterns,
        {"sample": put(PATIENTS, "107 paxients")},
        [(8, "107 paxients", "107 patients")],
    ),
    "codes with other letters": (doubt_patterns, {"code": put(CODES, "AK-107")}, []),
    "another word of as many letters": (
        doubt_patterns,
        {"status": put(["1. Married", "2. Divorce"] * 50, "3. Widowed")},
        [],
    ),
    "a text that ends in an empty column": (
        doubt_suffixes,
        {"city": put(PLACES["city"], "Boise ID"), "state": put(PLACES["state"], "")},
        [(8, "Boise ID", "Boise")],
    ),
    "a text that also stands beside a value": (
        doubt_suffixes,
        {
            "first": ["Source Verified", "Verified"] * 20,
            "second": ["", "Verified", "Verified", ""] * 10,
        },
        [],
    ),
    "a percent sign where others have none": (
        doubt_percents,
        {"abv": put([f"0.0{number}" for number in range(100)], "0.05%")},
        [(8, "0.05%", None)],
    ),
    "no percent sign where others have one": (
        doubt_percents,
        {"share": [*put([f"{number}%" for number in range(100)], "0.05"), "0"]},
        [(8, "0.05", None)],
    ),
    "percent signs everywhere, or among words": (
        doubt_percents,
        {"a": [f"{number}%" for number in range(9)], "b": ["5%", "6", "few"] * 3},
        [],
    ),
    "a wrong encoding": (
        doubt_encoding,
        {"city": SPOILT},
        [(2, SPOILT[1], "Zürich"), (3, SPOILT[2], None), (4, SPOILT[2], None)],
    ),
    "accents": (doubt_encoding, {"city": ACCENTS}, []),
}


@for_each(CASES, "find", "columns", "expected")
def test_texts_that_differ_from_others_in_form_are_doubted(
    find, columns, expected, to_table
):
    doubts = find(find_kinds(to_table(columns)))
    found = [(doubt.row, doubt.value, doubt.suggestion) for doubt in doubts]
    assert found == expected


def test_columns_that_are_no_text_are_left_out():
    interval = pa.array([(1, 2, 3)], pa.month_day_nano_interval())
    columns = {"a": ["x"], "list": [[1]], "bytes": [b"\xff"], "interval": interval}
    table = pa.table(columns | {"number": [1.5], "flag": [True]})
    assert [kinds.name for kinds in find_kinds(table)] == ["a", "number", "flag"]
