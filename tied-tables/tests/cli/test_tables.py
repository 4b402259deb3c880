"""What the commands say of a corpus of columns: `check`, `fit`, `score` and `fill`."""

import itertools
import re
from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather
from tests.marks import for_each

from .conftest import save

N = 60


class Column(NamedTuple):
    """The values of a column, again and again, and what is said of it."""

    values: Iterable[object]
    becomes: str
    warning: str = ""
    options: str = ""


ROW_NUMBERS = range(1, N + 1)
TOWNS = [f"town {i % 300}" if i % 3 else "Paris" for i in range(10 * N)]
AGES = [*range(18, 18 + N - 1), 999]
DAYS = ["1/2/2025", "3/4/2025", "11/12/2025"]
NEARLY_NUMBERS = [f"about {i}" if i % 5 == 0 else i * 7 for i in range(N)]
COLUMNS = {
    "row numbers": Column(ROW_NUMBERS, "left out: row numbers; keep it with --id"),
    "numbers of rows": Column(ROW_NUMBERS, "1 number", "", "--numeric odd"),
    "ordinals": Column(["2nd", "1st", "*", "3rd"], "4 numbers: *, 1st, 2nd, 3rd"),
    "ages": Column(["0-17", "65+", "unknown"], "3 numbers: 0-17, 65+, unknown"),
    "waves": Column(
        [1, 2, 3], "1 number; if 1 to 3 are category codes, use --categorical odd"
    ),
    "kinds": Column([1, 2, 3], "3 numbers: 1, 2, 3", "", "--categorical odd"),
    "postcodes": Column(
        [f"{10_000 + 7 * i}-{1000 + i}" for i in range(N)],
        "left out: text with 60 different values in 60 rows",
    ),
    "towns": Column(
        TOWNS,
        "2 numbers: Paris, (other); (other) holds 67% of the values",
        "the others (67% of the values) are merged",
    ),
    "dates": Column(["31.01.2026", "15.02.2026"], "5 numbers: days, weekday sin"),
    "either day or month": Column(DAYS, "", "ambiguous order of day and month"),
    "days first": Column(DAYS, "", "", "--dates dmy"),
    "typing errors": Column(
        ["12.x", *range(2, N), "none yet"],
        "1 number",
        "has 2 values treated as missing: '12.x' in row 1, 'none yet' in row 60",
    ),
    "nearly numbers": Column(
        NEARLY_NUMBERS, "refused", ", --categorical odd or --exclude odd"
    ),
    "grades": Column(
        ["K", *range(1, 9)],
        "9 numbers: 1, 2, 3, 4 and 5 more; if these are integers, use --na K",
    ),
    "unknown numbers": Column(
        ["unknown", *range(12)],
        "1 number",
        "holds integers, and 'unknown' in 8% of its values, treated as missing",
    ),
    "an absurd age": Column(
        AGES,
        "1 number",
        "has '999' in row 60, far outside its other values (median 48); correct it if"
        " it is wrong, or use --na for a value that means missing",
    ),
    "a missing age": Column(AGES, "1 number", "", "--na 999"),
    "often -999": Column([4, 7, 5, 9, -999, 6, 8], "1 number", "use --na -999"),
    "ordinary nines": Column([10, 99, 50, 99, 98, 1], "1 number"),
    "a row of totals": Column(
        [*"ab" * 29, "a", "Total"], "", "row 60, the last, says 'Total' in column 'odd'"
    ),
}


def write_rows(column):
    n = max(N, len(column.values))
    values = itertools.islice(itertools.cycle(column.values), n)
    place = np.arange(n)
    x, y = np.resize([3, 1, 4, 1, 5, 9, 2], n), place * 7 % 13
    frame = pd.DataFrame({"x": x, "odd": list(values), "y": y, "z": place * 5 % 11})
    save(frame)
    return f"rows.csv {column.options}"


@pytest.mark.parametrize("name", COLUMNS)
def test_check_fit_and_inspect_tell_what_becomes_of_a_column(tied_tables, name):
    column = COLUMNS[name]
    table = write_rows(column)
    found = tied_tables(f"check {table} --json").json
    [fact] = [fact for fact in found["columns"] if fact["name"] == "odd"]
    warnings = [f"warning: {text.rstrip('.')}" for text in found["warnings"]]
    assert fact["becomes"].startswith(column.becomes)
    assert column.warning in " ".join(warnings)
    assert bool(warnings) == bool(column.warning)
    shown = tied_tables(f"check {table}").out
    assert shown.splitlines()[: len(warnings)] == warnings
    is_left_out = not fact["numbers"] and not fact["refused"]
    text = "left out: " if is_left_out else fact["reads_as"]
    cells = re.escape(f"{fact['numbers']}  {text}")
    [row] = re.findall(rf"^odd .* {cells}.*", shown, re.MULTILINE)
    assert row.endswith(fact["note"])
    assert row.count(fact["reads_as"]) <= 1
    are_all = 0 < fact["distinct"] <= 3 and " such as " not in text
    assert (" such as " in row) == (bool(fact["numbers"]) and not are_all)
    quantity, _, labels = column.becomes.partition(": ")
    if quantity.endswith(("number", "numbers")):
        assert quantity.split()[0] == str(fact["numbers"])
    if fact["numbers"] and labels:
        listed = tied_tables(f"check {table} --categories").out
        assert labels.partition(" and ")[0].partition(";")[0] in listed
    refused = 2 * fact["refused"]
    tied_tables(f"check {table} --strict", refused or bool(warnings))
    fit = f"fit {table} -o new.safetensors --epochs 1 --hidden 4"
    fitted = tied_tables(fit, refused)
    assert column.warning in fitted.words
    if not refused:
        inspected = tied_tables("inspect new.safetensors")
        assert text in inspected.words
        assert fact["note"] in inspected.words
        noted = tied_tables("inspect new.safetensors --json").json["notes"]["table"]
        assert noted["columns"] == found["columns"]
        if reason := column.becomes.partition("left out: ")[2]:
            assert f"odd ({reason}" in fitted.words
            assert f"odd ({reason}" in inspected.words


FAR = pa.array(range(2**40, 2**40 + N), pa.timestamp("s"))  # not of Python's years
TYPED = [
    FAR,
    pa.StructArray.from_arrays([FAR], ["when"]),
    pa.array([date(2026, 1, 1), None] * 30).dictionary_encode(),
    pa.array(["a", "b"] * 30, pa.string_view()),
    pa.array([b"a"] * N, pa.binary_view()),
    pa.array([pa.MonthDayNano([1, 2, 3])] * N),
]


@pytest.mark.parametrize("values", TYPED)
def test_a_column_may_be_of_any_type_of_arrow(tied_tables, rng, values):
    table = pa.table({"typed": values, "x": rng.random(N), "y": rng.random(N)})
    feather.write_feather(table, "rows.arrow")
    tied_tables("fit rows.arrow -o own.safetensors")
    for command in ("corrections", "score --json", "fill -o filled.arrow"):
        tied_tables(f"{command} own.safetensors rows.arrow --id typed")


PLANTED = {
    "a weight": (40, "weight", "9999999"),
    "a date": (0, "day", "1900-01-01"),
}


@for_each(PLANTED, "row", "column", "text")
def test_an_absurd_value_is_listed_and_comes_first_with_why(
    tied_tables, fruit, row, column, text
):
    fruit.loc[row, column] = text
    save(fruit)
    fit = "fit rows.csv -o m.safetensors --id name --epochs 3 --hidden 8"
    fitted = tied_tables(fit).words
    assert f"column {column!r} has {text!r} in row {row + 1}, far outside" in fitted
    assert "1 absurd value, replaced by the medians" in fitted
    [odd] = tied_tables("score m.safetensors rows.csv --top 1 --json").json["oddest"]
    assert (odd["row"], odd["name"], odd["column1"]) == (row + 1, f"{row:04}", column)
    assert odd["why"].endswith("with that the row would be ordinary")
    assert odd["one_in"] == 300


def test_of_many_columns_check_shows_some_or_all(tied_tables):
    numbers = np.arange(4 * 503).reshape(4, 503) ** 2 % 7
    save(pd.DataFrame(numbers).add_prefix("c"))
    some = tied_tables("check rows.csv").out
    assert some.endswith("and 3 more columns; check --json lists all\n")
    assert "c499 " in some
    assert "c500 " not in some
    assert len(tied_tables("check rows.csv --json").json["columns"]) == 503


@pytest.mark.parametrize(
    ("data", "delimiter", "kept"),
    [("gaps.csv", ";", "NA"), ("gaps.tsv", "\t", ""), ("gaps*.csv", ";", "")],
)
def test_fill_changes_gaps_alone_and_writes_what_fits_the_column(
    tied_tables, fruit, rng, data, delimiter, kept
):
    rows = fruit.mask(rng.random(fruit.shape) < 0.1, "NA")
    rows.loc[:2, ["weight", "count"]] = ("0097.50", " 12 "), ("", "ten"), ("1.", "NA")
    if "*" in data:
        save(rows[200:], "gaps2.csv", sep=delimiter)
    first = rows[:200] if "*" in data else rows
    save(first, data.replace("*", "1"), sep=delimiter)
    done = tied_tables(f"fill m.safetensors '{data}' -o filled.csv")
    known = "kind weight length count ripe".split()
    is_gap = rows.isin(["", "NA"])
    assert done.out.startswith(f"filled {is_gap[known].to_numpy().sum()} cells to ")
    said = "has 1 value treated as missing, but not filled unless --na names it: 'ten'"
    assert f"column 'count' {said} in row 2" in done.err
    assert ("'filled.csv' was rewritten, not" in done.err) == (kept == "")
    mark = delimiter if kept else ","
    filled = pd.read_csv("filled.csv", sep=mark, dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(filled.mask(is_gap), rows.mask(is_gap))
    for name in ("name", "day", "farm", "taste"):  # of which the model knows nothing
        assert (filled[name][rows[name] == "NA"] == kept).all()
    assert set(filled["kind"]) == set(fruit["kind"])
    assert set(filled["ripe"]) == {"true", "false"}
    assert filled["count"][is_gap["count"]].str.fullmatch(r"-?\d+").all()
    weights = filled["weight"][is_gap["weight"]]
    assert weights.str.fullmatch(r"\d+\.\d\d?").all()
    known = pd.to_numeric(fruit["weight"])
    assert (weights.astype(float) - known).std() < known.std() / 2


@pytest.mark.parametrize("form", ["{:.0f}", "{:.1f}"])
def test_names_that_are_whole_numbers_are_known_in_either_form(tied_tables, rng, form):
    sex = rng.integers(1, 3, 200)
    height = 150 + 10 * sex + rng.normal(size=200)
    texts = [form.format(code) for code in sex]
    texts[5] = texts[77] = ""  # for which pandas makes decimals of whole numbers
    save(pd.DataFrame({"sex": texts, "height": height, "age": rng.uniform(size=200)}))
    [fact] = [
        fact
        for fact in tied_tables("check rows.csv --json").json["columns"]
        if fact["name"] == "sex"
    ]
    assert fact["numbers"] == 2
    found = tied_tables("corrections rows.csv --json").json["corrections"]
    assert [each for each in found if each["column"] == "sex"] == []
    tied_tables("fill rows.csv -o filled.csv")
    filled = pd.read_csv("filled.csv")["sex"]
    assert (filled == sex).mean() >= 0.99


def test_examples_with_a_decimal_comma_are_told_apart(tied_tables):
    prices = [f"{place * 7 % 90 + 10},{place % 10}5" for place in range(60)]
    save(pd.DataFrame({"price": prices, "kind": [*"abcd"] * 15}))
    shown = tied_tables("check rows.csv").out
    [row] = re.findall(r"^price .*", shown, re.MULTILINE)
    assert re.search(r"decimal comma such as \d+,\d5; \d+,\d5; \d+,\d5$", row)
    [row] = re.findall(r"^kind .*", shown, re.MULTILINE)
    assert re.search(r"categories such as [a-d], [a-d], [a-d]$", row)
