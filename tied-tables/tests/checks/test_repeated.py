"""Rows that are there twice, against pandas and planted ones."""

import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from tests.marks import for_each

from tied_tables.checks import RepeatFinder


def find(frame, ids=()):
    finder = RepeatFinder(ids)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for batch in table.combine_chunks().to_batches(max_chunksize=7):
        finder.add(batch)
    return finder.find()


def draw(n=60, seed=0):
    rng = default_rng(seed)
    words = rng.choice(["a", "b", None], n)
    day = rng.integers(0, 9000, n).astype("datetime64[D]")
    number = np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n))
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "number": number,
            "word": words,
            "day": day,
        }
    )


@given(data=st.data())
def test_repeated_rows_are_those_of_pandas(data):
    numbers = st.sampled_from([0.0, -0.0, 1.0, np.nan])
    words = st.sampled_from(["a", "b", None])
    rows = data.draw(st.lists(st.tuples(numbers, words), min_size=1, max_size=9))
    frame = pd.DataFrame(rows, columns=["number", "word"])
    found = find(frame.astype({"number": float, "word": object}))
    expected = np.flatnonzero(frame.duplicated()) + 1
    inside = []
    for doubt in found:
        repeating, _ = doubt.reason.split(" repeat")
        numbers = list(map(int, re.findall(r"\d+", repeating)))
        assert numbers[0] == doubt.row
        inside += range(numbers[0], numbers[-1] + 1)
    assert sorted(inside) == expected.tolist()


@pytest.mark.parametrize("has_new_ids", [False, True])
def test_a_block_that_is_there_twice_is_one_repeat_whatever_its_ids(has_new_ids):
    rows = draw()
    block = rows.iloc[10:15]
    if has_new_ids:
        block = block.assign(id=range(100, 105))
    frame = pd.concat([rows.iloc[:40], block, rows.iloc[40:]])
    [repeat] = find(frame, ["id"])
    assert repeat.reason == "rows 41 to 45 repeat rows 11 to 15"


def test_ids_and_single_rows_that_are_there_twice_are_named():
    rows = draw()
    rows.loc[50, "id"] = 20
    rows.loc[55] = rows.loc[30]
    rows["id"] = rows["id"].astype(float)
    rows.loc[[3, 4], "id"] = np.nan
    sentences = [repeat.reason for repeat in find(rows, ["id"])]
    assert sentences == [
        "row 51 has the id of row 21",
        "row 56 repeats row 31",
    ]


IDS = {
    "integers": int,
    "long integers": lambda i: 10**17 + i,
    "decimals": lambda i: Decimal(10**24 + i),
    "times": lambda i: np.datetime64(10**18 + i, "ns"),
    "intervals": lambda i: pa.MonthDayNano([1, i, 0]),
    "text": ["None", "", "nan"].__getitem__,
    "bytes": lambda i: b"%d" % i,
    "lists": lambda i: [i, None],
}


@for_each(IDS, "name")
def test_ids_of_any_type_are_equal_in_full_alone(name):
    ids = [name(0), name(1), name(2), None, name(0)]
    numbers = np.arange(len(ids))[::-1]  # of which one is an id, too
    finder = RepeatFinder(["id"])
    finder.add(pa.record_batch({"id": ids, "x": numbers}))
    sentences = [repeat.reason for repeat in finder.find()]
    assert sentences == ["row 5 has the id of row 1"]


def test_a_number_may_be_missing_in_two_ways():
    finder = RepeatFinder([])
    finder.add(pa.record_batch({"x": pa.array([0.5, np.nan, 1.0, None])}))
    assert [repeat.reason for repeat in finder.find()] == ["row 4 repeats row 2"]


@pytest.mark.parametrize("n_words", [1, 2, 6])
def test_equal_rows_of_few_kinds_are_a_part_of_the_table(n_words):
    rng = default_rng(0)
    for _ in range(20):
        words = rng.integers(0, n_words, 300)
        rows = pd.DataFrame({"word": words})
        assert find(rows) == []
