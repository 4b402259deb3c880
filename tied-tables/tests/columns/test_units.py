"""Numbers with a unit: in several spellings, or with a percent sign on some only."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from tied_tables.columns import Columns, NumberText
from tied_tables.io import open_table

from .conftest import learn, survey

UNITS = {
    "ounce": ["oz", "oz.", "OZ", "OZ.", "Oz", "ounce", "Ounces", "oz. Silo Can"],
    "pound": ["lb", "lbs", "lbs.", "LB", "pound", "pounds", "Pounds"],
    "kilogram": ["kg", "Kg", "KG", "kg.", "kgs"],
    "hour": ["h", "hr", "hrs", "hour", "hours"],
    "minute": ["min", "min.", "Min", "mins", "minute", "minutes"],
    "millilitre": ["ml", "mL", "ML"],
    "any": ["widget", "widgets", "Widgets", "WIDGETS", "widget."],
}
DIRTY_TABLES = Path(os.environ.get("DIRTY_TABLES", "no folder"))


@st.composite
def mixtures(draw):
    """Numbers, and the same as texts with spellings of one unit, or without it."""
    numbers = draw(st.lists(st.integers(-999, 9999), min_size=6, unique=True))
    spelling = st.sampled_from(draw(st.sampled_from([*UNITS.values()])))
    blank = st.sampled_from(["", " "])
    texts = [f"{number / 4}{draw(blank)}{draw(spelling)}".strip() for number in numbers]
    return np.array(numbers) / 4, texts


@given(mixtures())
def test_any_mixture_of_spellings_reads_as_the_plain_numbers(mixture):
    numbers, texts = mixture
    batch = pa.record_batch({"x": texts})
    columns = Columns.from_json(learn(batch).to_json())
    assert_array_equal(columns.encode(batch)[:, 0], numbers)
    reversed_rows = batch.take(pa.array(range(len(texts))[::-1]))
    assert_array_equal(columns.encode(reversed_rows)[:, 0], numbers[::-1])


@given(mixtures(), st.sampled_from(["oz", "lb", "kg", "h", "min", "ml", "widget"]))
def test_new_rows_may_have_other_spellings_but_no_other_unit(mixture, unit):
    numbers, texts = mixture
    parsed = NumberText(suffix=f" {unit}").parse(pa.array(texts))
    spellings = next(words for words in UNITS.values() if unit in words)
    is_same = [text.lstrip("-.0123456789 ") in spellings for text in texts]
    assert_array_equal(parsed, np.where(is_same, numbers, np.nan))


OTHER_UNITS = [
    ("oz", "ml"),
    ("oz", "fl oz"),
    ("m", "ms"),
    ("m", "M"),
    ("Mb", "MB"),
    ("mW", "MW"),
    ("h", "min"),
    ("sq. ft.", "sq. m"),
    ("miles", "miles per hour"),
]


@pytest.mark.parametrize(("unit", "other"), OTHER_UNITS)
def test_different_units_are_not_one_column_of_numbers(unit, other):
    texts = [f"{i} {other if i % 3 else unit}" for i in range(12, 72)]
    _, [fact] = survey({"x": texts})
    assert "numbers" not in fact.reads_as
    assert_array_equal(
        NumberText(suffix=f" {unit}").parse(pa.array(texts)),
        [np.nan if i % 3 else i for i in range(12, 72)],
    )


def test_spellings_are_reported_with_how_often_they_are_there():
    texts = ["12.0 oz", "13.0 oz.", "12.5 oz.", "16.0 ounce"] * 10
    _, [fact] = survey({"x": texts})
    assert fact.warnings == (
        "has one unit in several spellings: 'oz.' (20x), 'oz' (10x), 'ounce' (10x)",
    )


def test_a_singular_after_1_is_not_reported():
    _, [fact] = survey({"x": ["0 bolts", "1 bolt", "2 bolts", "3 bolts"] * 9})
    assert (fact.reads_as, fact.warnings) == ("numbers in bolts", ())


def test_a_file_in_another_spelling_and_decimal_mark_has_the_same_unit():
    columns = learn({"x": [f"{i}.5 oz" for i in range(40)]})
    other = pa.record_batch({"x": [f"{i},5 ounces" for i in range(40)]})
    adapted = columns.adapt(other)
    assert_array_equal(adapted.encode(other)[:, 0], np.arange(40) + 0.5)


@pytest.mark.parametrize(
    ("texts", "filled"),
    [
        (["12.0 oz", "13.0 oz.", "12.5 oz.", None], "15.5 oz."),
        (["12.0%", "13.0", "12.5", None], "15.5"),
        (["12.0%", "13.0%", "12.5%", None], "15.5%"),
    ],
)
def test_gaps_are_filled_in_the_most_frequent_spelling(texts, filled):
    batch = pa.record_batch({"x": texts * 10})
    columns = learn(batch)
    rows = columns.fill(batch, np.full((40, 1), 15.5))
    assert rows["x"].to_pylist() == [*texts[:3], filled] * 10


FEW_PERCENTS = ["0.05%", "0.05", "0.07", "0.06"]
FEW_PLAIN = ["5%", "0.06", "7%", "4%"]


@pytest.mark.parametrize(
    ("texts", "n_percent"), [(FEW_PERCENTS, 10), (FEW_PLAIN, 30)], ids=str
)
def test_percent_signs_on_some_are_reported_and_nothing_is_divided(texts, n_percent):
    batch = pa.record_batch({"x": texts * 10})
    columns, [fact] = survey(batch)
    warning = f"a percent sign on {n_percent} of its 40 numbers; 5% is read as 5"
    assert warning in str(fact.warnings)
    expected = [float(text.rstrip("%")) for text in texts]
    again = Columns.from_json(columns.to_json())
    assert_array_equal(again.encode(batch)[:4, 0], np.float32(expected))


@pytest.mark.parametrize("texts", [["5%", "6%", "7.5%"], ["5%", "0", "7%", "8%"]])
def test_percentages_and_zeros_are_not_reported(texts):
    _, [fact] = survey({"x": texts * 10})
    assert (fact.reads_as, fact.warnings) == ("numbers in %", ())


@pytest.mark.skipif(not DIRTY_TABLES.is_dir(), reason="DIRTY_TABLES is no folder")
def test_the_ounces_of_beers_are_numbers():
    dirty, clean = (
        open_table(DIRTY_TABLES / "beers" / name) for name in ("dirty.csv", "clean.csv")
    )
    [rows], [right] = dirty.batches(names=["ounces"]), clean.batches(names=["ounces"])
    columns, [fact] = survey(rows)
    assert fact.reads_as == "numbers in oz."
    assert "'oz.' (925x), 'oz' (621x), 'ounce' (570x)" in str(fact.warnings)
    ounces = np.float32(right["ounces"].to_numpy())
    assert_array_equal(columns.encode(rows)[:, 0], ounces)
