"""Rows that speak of one thing: what pandas finds by groups is the oracle."""

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from tied_tables.rules import find_minorities

TEXT = st.sampled_from(["x", "y", "z", None])


def draw_flights(rng, share):
    """Times of 100 flights as five sources tell them, of which a share is wrong."""
    n = 500
    flights = np.repeat([f"AA-{i}" for i in range(100)], 5)
    right = np.repeat([f"{7 + i % 12}:{i % 60:02}" for i in range(100)], 5)
    is_wrong = rng.random(n) < share
    told = np.where(is_wrong, [f"{i % 24}:59" for i in range(n)], right)
    sources = np.tile([f"source {i}" for i in range(5)], 100)
    frame = pd.DataFrame({"flight": flights, "source": sources, "departure": told})
    return frame, right, told != right


def test_what_most_sources_tell_is_suggested(rng):
    frame, right, is_wrong = draw_flights(rng, 0.15)
    doubts = find_minorities(pa.Table.from_pandas(frame), "flight")
    assert {doubt.column for doubt in doubts} == {"departure"}
    rows = np.array([doubt.row for doubt in doubts]) - 1
    assert is_wrong[rows].mean() >= 0.95
    assert len(rows) >= 0.95 * is_wrong.sum()
    assert np.mean([d.suggestion == right[d.row - 1] for d in doubts]) >= 0.95


@example([(None, "x")])
@example([("x", None)])
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=30))
def test_the_mode_of_each_group_is_that_of_pandas(pairs):
    frame = pd.DataFrame(pairs, columns=["group", "value"], dtype="string")
    known = frame.dropna()
    expected = {}
    n_agreeing = 0
    for name, values in known.groupby("group")["value"]:
        counts = values.value_counts()
        if list(counts).count(counts.iloc[0]) > 1:
            continue
        n_agreeing += counts.iloc[0]
        for row in values.index[values != counts.index[0]]:
            share = f"{counts.iloc[0]} of {len(values)}"
            reason = f"value {values[row]}; it is {counts.index[0]} in {share}"
            expected[row + 1] = f"{reason} rows with group {name}"
    if n_agreeing < len(known) / 2:
        expected = {}
    table = pa.Table.from_pandas(frame, preserve_index=False)
    doubts = find_minorities(table, "group")
    assert {doubt.row: doubt.reason for doubt in doubts} == expected


def test_a_column_that_varies_within_groups_is_left_out(rng):
    frame, _, _ = draw_flights(rng, 0)
    frame["seats"] = rng.integers(0, 4, len(frame)).astype(str)
    assert find_minorities(pa.Table.from_pandas(frame), "flight") == []
