"""A table in another form than the one that was learned from gives the same numbers."""

import datetime
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_tied.columns import Columns
from keras_tied.tables import TableError

N = 60
AMOUNTS = [round(1234.5 * i - 20_000, 2) for i in range(N)]
DAYS = [datetime.date(2025, 1, 1) + datetime.timedelta(days=7 * i) for i in range(N)]


def german(value, places=2):
    return f"{value:,.{places}f}".translate(str.maketrans(",.", ".,"))


AMOUNT_FORMS = {
    "numbers": AMOUNTS,
    "text": [f"{a:.2f}" for a in AMOUNTS],
    "thousands": [f"{a:,.2f}" for a in AMOUNTS],
    "unit": [f"{a:,.2f} g" for a in AMOUNTS],
    "decimal comma": [german(a) for a in AMOUNTS],
    "decimal comma and unit": [f"{german(a)} g" for a in AMOUNTS],
    "accounts": [f"({-a:,.2f})" if a < 0 else f"{a:,.2f}" for a in AMOUNTS],
}
DAY_FORMS = {
    "dates": DAYS,
    "timestamps": [datetime.datetime(d.year, d.month, d.day) for d in DAYS],
    **{
        form: [d.strftime(form) for d in DAYS]
        for form in (
            "%Y-%m-%d",
            "%d.%m.%Y",
            "%d/%m/%Y",
            "%m/%d/%Y",
            "%d %b %Y",
            "%Y%m%d",
        )
    },
    "digits": [int(d.strftime("%Y%m%d")) for d in DAYS],
}
TRUTHS = [i % 3 == 0 for i in range(N)]
TRUTH_FORMS = {
    "booleans": TRUTHS,
    "0 and 1": list(map(int, TRUTHS)),
    **{
        true: [true if t else false for t in TRUTHS]
        for true, false in (("yes", "no"), ("ja", "nein"), ("T", "F"), ("+", "-"))
    },
}


def batch(*columns):
    return pa.record_batch(
        [pa.array(c) for c in columns], names=["amount", "day", "is_new"]
    )


def survey(rows):
    columns, facts = Columns.survey(rows)
    columns.require_usable(facts)
    return columns


@given(
    *[st.sampled_from(sorted(f)) for f in (AMOUNT_FORMS, DAY_FORMS, TRUTH_FORMS)] * 2
)
def test_numbers_are_those_of_the_first_form(
    amount, day, is_new, amount2, day2, is_new2
):
    if is_new == "0 and 1":
        is_new = "yes"  # numbers are learned of it, which no words stand for
    first = batch(AMOUNT_FORMS[amount], DAY_FORMS[day], TRUTH_FORMS[is_new])
    other = batch(AMOUNT_FORMS[amount2], DAY_FORMS[day2], TRUTH_FORMS[is_new2])
    columns = survey(first)
    adapted = columns.adapt(other)
    np.testing.assert_array_equal(adapted.encode(other), columns.encode(first))
    assert adapted.features == columns.features
    assert adapted.decode(adapted.encode(other)).schema.names == first.schema.names


@pytest.mark.parametrize("amount", AMOUNT_FORMS)
@pytest.mark.parametrize("day", ["dates", "%d/%m/%Y"])
def test_what_reads_as_learned_stays(amount, day):
    first = batch(AMOUNT_FORMS[amount], DAY_FORMS[day], TRUTH_FORMS["yes"])
    columns = survey(first)
    assert columns.adapt(first) == columns
    assert columns.adapt(first.slice(3, 1)) == columns
    assert columns.adapt(first.slice(0, 0)) == columns


def learn(values):
    return survey(pa.record_batch({"x": values}))


@pytest.mark.parametrize(
    ("learned", "given"),
    [("{} kg", "{} g"), ("€{}", "${}"), ("{} %", "{} kg"), ("{} Mb", "{} MB")],
)
def test_another_unit_is_refused_with_both(learned, given):
    columns = learn([learned.format(i) for i in range(N)])
    with pytest.raises(TableError) as error:
        columns.adapt(pa.record_batch({"x": [given.format(i) for i in range(N)]}))
    for unit in (learned, given):
        assert f"in {unit.replace('{}', '').strip()}" in str(error.value)


def test_a_currency_may_stand_on_the_other_side():
    columns = learn([f"{i} €" for i in range(N)])
    rows = pa.record_batch({"x": [f"€{german(i / 4)}" for i in range(N)]})
    np.testing.assert_array_equal(
        columns.adapt(rows).encode(rows)[:, 0], np.arange(N) / 4
    )


def test_the_mark_of_other_columns_and_the_one_learned_decide_where_a_column_does_not():
    thousands = [f"{1 + i % 9}.{i:03}" for i in range(N)]
    rows = {"x": thousands, "y": [german(i / 4) for i in range(N)]}
    columns = survey(
        pa.record_batch({"x": np.arange(N) + 0.5, "y": np.arange(N) + 0.5})
    )
    whole = [float(text.replace(".", "")) for text in thousands]
    both, alone = pa.record_batch(rows), pa.record_batch({"x": thousands})
    np.testing.assert_array_equal(columns.adapt(both).encode(both)[:, 0], whole)
    assert columns.adapt(alone) == columns
    np.testing.assert_array_equal(
        learn(rows["y"]).adapt(alone).encode(alone)[:, 0], whole
    )
    point = learn(np.arange(N) + 0.5)
    np.testing.assert_array_equal(point.adapt(alone, ",").encode(alone)[:, 0], whole)


def test_dates_that_do_not_tell_have_the_order_learned():
    unclear = pa.record_batch({"x": ["03/04/2026", "05/06/2026"]})
    for order in ("%d/%m/%Y", "%m/%d/%Y"):
        columns = learn([d.strftime(order) for d in DAYS])
        assert columns.adapt(unclear) == columns
        dotted = pa.record_batch({"x": ["03.04.2026", "05.06.2026"]})
        days = [
            datetime.datetime.strptime(t, order.replace("/", "."))
            for t in dotted["x"].to_pylist()
        ]
        found = columns.adapt(dotted).encode(dotted)[:, 0]
        assert found.tolist() == [(d.date() - DAYS[0]).days for d in days]
    columns = learn(DAYS)
    assert columns.adapt(unclear) == columns


@pytest.mark.parametrize(
    ("learned", "given"),
    [
        (AMOUNTS, [d.isoformat() for d in DAYS]),
        (DAYS, [f"{i % 24}:30" for i in range(N)]),
        ([datetime.time(i % 24) for i in range(N)], [d.isoformat() for d in DAYS]),
        (AMOUNTS, [f"{i} g" if i % 2 else f"{i} kg" for i in range(N)]),
        (TRUTHS, ["maybe", "never"] * 30),
        (AMOUNTS, ["red", "green"] * 30),
    ],
)
def test_another_kind_is_refused_as_ever(learned, given):
    columns, rows = learn(learned), pa.record_batch({"x": given})
    assert columns.adapt(rows) == columns
    with pytest.raises(TableError, match="was expected"):
        columns.encode(rows)


def test_marks_of_missing_values_tell_nothing():
    columns, _ = Columns.survey(pa.record_batch({"x": AMOUNTS}), na=["n. b."])
    texts = [german(a) for a in AMOUNTS] + ["n. b."] * N + ["-"] * N
    random.Random(0).shuffle(texts)
    rows = pa.record_batch({"x": texts})
    found = columns.adapt(rows).encode(rows)[:, 0]
    np.testing.assert_array_equal(np.sort(found[~np.isnan(found)]), np.float32(AMOUNTS))
