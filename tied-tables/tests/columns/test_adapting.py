"""A table in another form than the one that was learned from gives the same numbers."""

import datetime
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from tests.marks import for_each

from tied_tables.io import TableError

from .conftest import learn

N = 60
AMOUNTS = [round(1234.5 * i - 20_000, 2) for i in range(N)]
DAYS = [datetime.date(2025, 1, 1) + datetime.timedelta(days=7 * i) for i in range(N)]
TRUTHS = [i % 3 == 0 for i in range(N)]
GERMAN = str.maketrans(",.", ".,")


def german(value, form="{}"):
    return form.format(f"{value:,.2f}".translate(GERMAN))


def write_days(form):
    return [day.strftime(form) for day in DAYS]


def write_truths(true, false):
    return [true if truth else false for truth in TRUTHS]


FORMATS = (
    "%Y-%m-%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d %b %Y",
    "%Y%m%d",
)
AMOUNT_FORMS = {
    "numbers": AMOUNTS,
    "text": [f"{a:.2f}" for a in AMOUNTS],
    "thousands": [f"{a:,.2f}" for a in AMOUNTS],
    "unit": [f"{a:,.2f} g" for a in AMOUNTS],
    "decimal comma": [german(a) for a in AMOUNTS],
    "decimal comma and unit": [german(a, "{} g") for a in AMOUNTS],
    "accounts": [f"({-a:,.2f})" if a < 0 else f"{a:,.2f}" for a in AMOUNTS],
}
DAY_FORMS = {
    "dates": DAYS,
    "timestamps": [datetime.datetime(d.year, d.month, d.day) for d in DAYS],
    "digits": [int(text) for text in write_days("%Y%m%d")],
    **{form: write_days(form) for form in FORMATS},
}
TRUTH_FORMS = {
    "booleans": TRUTHS,
    "yes": write_truths("yes", "no"),
    "ja": write_truths("ja", "nein"),
    "letters": write_truths("T", "F"),
    "signs": write_truths("+", "-"),
    "0 and 1": write_truths(1, 0),
    "numerals": write_truths("1.0", "0.0"),
}
LEARNED = ["booleans", "yes", "ja", "letters", "signs"]


@st.composite
def tables(draw, truths=tuple(TRUTH_FORMS)):
    amount_form = draw(st.sampled_from(sorted(AMOUNT_FORMS)))
    day_form = draw(st.sampled_from(sorted(DAY_FORMS)))
    truth_form = draw(st.sampled_from(truths))
    return pa.record_batch(
        {
            "amount": AMOUNT_FORMS[amount_form],
            "day": DAY_FORMS[day_form],
            "is_new": TRUTH_FORMS[truth_form],
        }
    )


@given(tables(LEARNED), tables())
def test_numbers_are_those_of_the_first_form(first, other):
    columns = learn(first)
    adapted = columns.adapt(other)
    assert columns.adapt(first) == columns
    assert columns.adapt(first.slice(3, 1)) == columns
    assert columns.adapt(first.slice(0, 0)) == columns
    assert_array_equal(adapted.encode(other), columns.encode(first))
    assert adapted.features == columns.features
    assert adapted.decode(adapted.encode(other)).schema.names == first.schema.names


@pytest.mark.parametrize("learned", LEARNED)
@pytest.mark.parametrize("given", TRUTH_FORMS)
def test_truth_values_are_read_in_any_form(learned, given):
    columns = learn({"x": TRUTH_FORMS[learned]})
    rows = pa.record_batch({"x": TRUTH_FORMS[given]})
    assert_array_equal(columns.adapt(rows).encode(rows)[:, 0], TRUTHS)


@pytest.mark.parametrize("learned", LEARNED)
def test_a_dash_is_no_in_the_form_of_signs_alone(learned):
    columns = learn({"x": TRUTH_FORMS[learned]})
    words = pa.record_batch({"x": ["yes", "-", "no", "yes"]})
    assert_array_equal(columns.adapt(words).encode(words)[:, 0], [1, np.nan, 0, 1])
    signs = pa.record_batch({"x": ["+", "-", "-", "+"]})
    assert_array_equal(columns.adapt(signs).encode(signs)[:, 0], [1, 0, 0, 1])


def test_gaps_of_truth_values_are_filled_in_the_words_of_the_table():
    columns = learn({"x": TRUTH_FORMS["yes"]})
    rows = pa.record_batch({"x": ["ja", "nein", "-", "-"]})
    filled = columns.adapt(rows).fill(rows, [[1.0], [0.0], [1.0], [0.0]])
    assert filled["x"].to_pylist() == ["ja", "nein", "ja", "nein"]


def test_signs_are_no_words_of_a_table_that_was_not_adapted_to():
    columns = learn({"x": TRUTH_FORMS["yes"]})
    with pytest.raises(TableError, match=r"has '\+' in row 1 instead of yes or no"):
        columns.encode(pa.record_batch({"x": TRUTH_FORMS["signs"]}))


@pytest.mark.parametrize(
    ("learned", "given"),
    [("{} %", "{} kg"), ("€{}", "${}"), ("{} Mb", "{} MB")],
)
def test_another_unit_is_refused_with_both(learned, given):
    columns = learn({"x": [learned.format(i) for i in range(N)]})
    rows = pa.record_batch({"x": [given.format(i) for i in range(N)]})
    ours, theirs = (form.replace("{}", "").strip() for form in (learned, given))
    said = re.escape(f"in {theirs}, but the model was fitted with numbers in {ours};")
    with pytest.raises(TableError, match=said):
        columns.adapt(rows)


THOUSANDS = {"x": [f"{1 + i % 9}.{i:03}" for i in range(N)]}
UNITS = {"behind": "{} min", "before": "€{}", "none": "{}"}
QUARTERS = [german(i / 4) for i in range(N)]
POINT = {"x": np.arange(N) + 0.5}
COMMA = {"x": QUARTERS}


@pytest.mark.parametrize(
    ("learned", "given", "decimal", "is_whole"),
    [
        (POINT | {"y": POINT["x"]}, THOUSANDS | {"y": QUARTERS}, None, True),
        (POINT, THOUSANDS, None, False),
        (COMMA, THOUSANDS, None, True),
        (POINT, THOUSANDS, ",", True),
    ],
)
def test_other_columns_and_what_was_learned_decide_on_the_decimal_mark(
    learned, given, decimal, is_whole
):
    columns, rows = learn(learned), pa.record_batch(given)
    factor = 1000 if is_whole else 1
    expected = factor * np.array(given["x"], np.float32)
    found = columns.adapt(rows, decimal).encode(rows)[:, 0]
    assert_allclose(found, expected, rtol=1e-6)


def test_a_mark_counts_where_the_first_rows_are_whole():
    columns = learn({"x": np.arange(N)})
    columns = columns.adapt(pa.record_batch({"x": ["12", "7"]}), ",")
    assert columns.encode(pa.record_batch({"x": ["1.234"]})).item() == 1234


@for_each(UNITS, "form")
def test_a_unit_stays_where_whole_numbers_have_another_decimal_mark(form):
    rows = pa.record_batch({"x": [form.format(i) for i in range(N)]})
    columns = learn(rows, decimal=",")
    adapted = columns.adapt(rows, ".")
    assert_array_equal(adapted.encode(rows)[:, 0], np.arange(N))
    assert adapted.decode(adapted.encode(rows)) == columns.decode(columns.encode(rows))
    assert adapted.encode(pa.record_batch({"x": [form.format(1.5)]})).item() == 1.5


@pytest.mark.parametrize("order", ["%d/%m/%Y", "%m/%d/%Y"])
def test_dates_that_do_not_tell_have_the_order_learned(order):
    columns = learn({"x": write_days(order)})
    days = [datetime.date(2026, 3, 4), datetime.date(2026, 5, 6)]
    for form in (order, order.replace("/", ".")):
        rows = pa.record_batch({"x": [day.strftime(form) for day in days]})
        found = columns.adapt(rows).encode(rows)[:, 0]
        assert found.tolist() == [(day - DAYS[0]).days for day in days]
    unclear = pa.record_batch({"x": ["03/04/2026", "05/06/2026"]})
    by_type = learn({"x": DAYS})
    assert by_type.adapt(unclear) == by_type


@pytest.mark.parametrize(
    ("learned", "given"),
    [
        (AMOUNTS, write_days("%Y-%m-%d")),
        (DAYS, [f"{i % 24}:30" for i in range(N)]),
        ([datetime.time(i % 24) for i in range(N)], write_days("%Y-%m-%d")),
        (AMOUNTS, ["1 g", "2 kg"] * 30),
        (TRUTHS, ["maybe", "never"] * 30),
        (DAYS, ["soon", "later"] * 30),
    ],
)
def test_another_kind_is_refused(learned, given):
    columns, rows = learn({"x": learned}), pa.record_batch({"x": given})
    assert columns.adapt(rows) == columns
    with pytest.raises(TableError, match="instead of"):
        columns.encode(rows)


def test_a_currency_may_stand_elsewhere_among_marks_of_missing_values():
    columns = learn(
        {"x": [german(a, "{} €") for a in AMOUNTS]},
        na=["n. b."],
    )
    texts = [german(a, "€{}") for a in AMOUNTS]
    rows = pa.record_batch({"x": ["n. b.", "-"] * N + texts})
    found = columns.adapt(rows).encode(rows)[:, 0]
    assert np.isnan(found[: 2 * N]).all()
    assert_array_equal(found[2 * N :], np.float32(AMOUNTS))
