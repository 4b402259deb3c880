"""Durations, which are no times of day; quarters and months; years of two digits."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_tied.columns import Columns

SECONDS = st.lists(st.integers(0, 10**6), min_size=2, max_size=30, unique=True)


def learn(values):
    batch = pa.record_batch({"x": values})
    columns, (fact,) = Columns.survey(batch)
    numbers = columns.encode(batch)
    return (
        fact,
        numbers,
        Columns.from_json(columns.to_json()).decode(numbers)["x"].to_pylist(),
    )


@given(SECONDS)
def test_durations_of_hours_are_seconds_and_written_as_they_were(seconds):
    seconds = [*seconds, 90_000]  # more than a day
    texts = [f"{s // 3600}:{s // 60 % 60:02}:{s % 60:02}" for s in seconds]
    fact, numbers, again = learn(texts)
    assert fact.reads_as == "durations"
    np.testing.assert_array_equal(numbers[:, 0], np.float32(seconds))
    assert again == texts


def test_short_ones_with_seconds_and_no_leading_zero_are_durations_too():
    fact, numbers, again = learn(["2:10:30", "3:05:00", "9:59:59", "2:10:31"])
    assert fact.reads_as == "durations"
    np.testing.assert_array_equal(numbers[:, 0], [7830, 11100, 35999, 7831])
    assert again == ["2:10:30", "3:05:00", "9:59:59", "2:10:31"]


@pytest.mark.parametrize(
    "texts", [["02:10:30", "03:05:00"], ["9:30", "17:45"], ["12:00:00", "1:00:00"]]
)
def test_times_of_day_stay_times_of_day(texts):
    assert learn([*texts, "13:13:13" if texts[0].count(":") == 2 else "13:13"])[
        0
    ].reads_as.startswith("times of day such as")


def test_minutes_and_seconds_beyond_a_day_of_hours():
    assert learn(["31:13", "44:37", "9:02"])[1][:, 0].tolist() == [1873, 2677, 542]


def test_durations_of_arrow_come_back_as_durations():
    values = [datetime.timedelta(hours=2, minutes=i) for i in range(30)]
    _, numbers, again = learn(values)
    np.testing.assert_array_equal(numbers[:, 0], [7200 + 60 * i for i in range(30)])
    assert again == values


def test_whole_seconds_stay_whole():
    batch = pa.record_batch({"x": [datetime.timedelta(seconds=i) for i in range(30)]})
    columns, _ = Columns.survey(batch)
    assert columns.decode([[12.4]])["x"].to_pylist() == [datetime.timedelta(seconds=12)]


QUARTERS = [(year, quarter) for year in range(1990, 1998) for quarter in (1, 2, 3, 4)]


@pytest.mark.parametrize("form", ["{0} Q{1}", "{0}Q{1}"])
def test_quarters_are_the_days_on_which_they_begin(form):
    texts = [form.format(*quarter) for quarter in QUARTERS]
    fact, numbers, again = learn(texts)
    assert fact.reads_as == f"dates such as {texts[0]}"
    first = [datetime.date(year, 3 * quarter - 2, 1) for year, quarter in QUARTERS]
    np.testing.assert_array_equal(
        numbers[:, 0], [(day - first[0]).days for day in first]
    )
    assert again == texts


@pytest.mark.parametrize("form", ["%Y %b", "%b %Y", "%Y-%m", "%m/%y"])
def test_months_in_every_order(form):
    days = [datetime.date(1986 + i // 12, i % 12 + 1, 1) for i in range(40)]
    texts = [day.strftime(form) for day in days]
    _, numbers, again = learn(texts)
    np.testing.assert_array_equal(numbers[:, 0], [(day - days[0]).days for day in days])
    assert again == texts


def test_nobody_is_born_in_the_future():
    days = [datetime.date(1934 + i, i % 12 + 1, 13) for i in range(80)]
    texts = [day.strftime("%m/%d/%y") for day in days]
    _, numbers, again = learn(texts)
    np.testing.assert_array_equal(numbers[:, 0], [(day - days[0]).days for day in days])
    assert again == texts
