"""Dates that follow one another, and numbers that are never above others."""

import numpy as np
import pyarrow as pa
import pytest
from tests.marks import for_each

from tied_tables.rules import Rules

N = 600
DAY = np.timedelta64(1, "D")


def make_days(seed=0):
    """Days of an order, of its delivery and of its payment, of two years."""
    generator = np.random.default_rng(seed)
    ordered = np.datetime64("2023-01-01") + generator.integers(0, 700, N) * DAY
    shipped = ordered + generator.integers(0, 15, N) * DAY
    paid = shipped + generator.integers(0, 30, N) * DAY
    return {"ordered": ordered, "shipped": shipped, "paid": paid}


def write(days, form):
    stamps = pa.array(days.astype("datetime64[s]"))
    return pa.compute.strftime(stamps, format=form).to_pylist()


FORMS = {
    "ISO": ["%Y-%m-%d"] * 3,
    "day first": ["%d.%m.%Y"] * 3,
    "month first": ["%m/%d/%Y"] * 3,
    "names of months": ["%d %b %Y"] * 3,
    "three forms": ["%Y-%m-%d", "%d.%m.%Y", "%b %d, %Y"],
    "times of day in one": ["%Y-%m-%d 15:30", "%Y-%m-%d", "%Y-%m-%d"],
    "times of day in all": ["%Y-%m-%dT%H:%M:%S"] * 3,
}


def write_days(days, forms):
    pairs = zip(days.items(), forms, strict=True)
    return {name: write(values, form) for (name, values), form in pairs}


def list_pairs(rules):
    return {(order.lower, order.upper) for order in rules.orders}


@pytest.mark.parametrize("forms", FORMS.values(), ids=FORMS)
def test_dates_that_follow_are_found_without_what_follows_from_others(forms, to_table):
    rules = Rules.find(to_table(write_days(make_days(), forms)))
    assert list_pairs(rules) == {("ordered", "shipped"), ("shipped", "paid")}
    assert {order.n_rows for order in rules.orders} == {N}
    assert "ordered <= shipped: 100 % of 600 rows, 0 exceptions" in rules.list_words()


def test_columns_of_arrow_dates_and_timestamps_are_read(to_table):
    days = make_days()
    table = pa.table(
        {
            "ordered": pa.array(days["ordered"].astype("datetime64[ms]")),
            "shipped": pa.array(days["shipped"]),
            "paid": pa.array(write(days["paid"], "%d.%m.%Y")),
        }
    )
    pairs = {("ordered", "shipped"), ("shipped", "paid")}
    assert list_pairs(Rules.find(table)) == pairs


@pytest.mark.parametrize("forms", FORMS.values(), ids=FORMS)
def test_slipped_dates_are_doubted_and_no_others(forms, to_table):
    days = make_days()
    generator = np.random.default_rng(1)
    rows = generator.choice(N, 9, replace=False)
    for place, row in enumerate(rows.tolist()):
        name = ("ordered", "shipped", "paid")[place % 3]
        days[name][row] += 400 * DAY if name == "ordered" else -400 * DAY
    table = to_table(write_days(days, forms))
    doubts = Rules.find(table).judge(table)
    assert sorted(doubt.row for doubt in doubts) == sorted((rows + 1).tolist())
    # `shipped` breaks two orders when it slips
    columns = {doubt.row - 1: doubt.column for doubt in doubts}
    assert all(columns[row] == "shipped" for row in rows[1::3].tolist())


def test_the_doubt_names_both_cells_and_the_counts(to_table):
    days = make_days()
    days["paid"][4] = np.datetime64("2019-05-01")
    table = to_table(write_days(days, FORMS["ISO"]))
    [doubt] = Rules.find(table).judge(table)
    assert (doubt.row, doubt.column, doubt.value) == (5, "paid", "2019-05-01")
    assert doubt.suggestion is None
    assert doubt.reason == (
        "shipped <= paid: 99.83 % of 600 rows, 1 exception; this row has shipped"
        f" {days['shipped'][4]}, paid 2019-05-01; one of these is wrong"
    )


def test_one_new_row_is_read_as_those_before(to_table):
    stored = Rules.find(to_table(write_days(make_days(), FORMS["day first"])))
    rules = Rules.from_json(stored.to_json())
    assert rules.orders == stored.orders
    new = {"ordered": ["03.04.2023"], "shipped": ["02.05.2023"], "paid": ["01.06.2023"]}
    assert rules.judge(to_table(new)) == []
    [doubt] = rules.judge(to_table(new | {"shipped": ["12.02.2023"]}))
    assert "ordered 03.04.2023, shipped 12.02.2023; one of" in doubt.reason
    assert rules.judge(to_table({"ordered": ["03.04.2023"]})) == []
    assert rules.judge(to_table(new | {"shipped": ["soon"]})) == []


def make_numbers(seed=0):
    generator = np.random.default_rng(seed)
    low = np.round(generator.gamma(3, 20, N), 2)
    return {"low": low, "high": low + np.round(generator.gamma(1, 9, N), 2)}


def write_numbers(columns):
    return {name: list(map("{:.2f}".format, v)) for name, v in columns.items()}


def test_numbers_that_are_never_above_others_are_found(to_table):
    columns = make_numbers()
    columns["high"][7] = 0.5
    table = to_table(write_numbers(columns))
    rules = Rules.find(table)
    assert list_pairs(rules) == {("low", "high")}
    assert Rules.from_json(rules.to_json()).orders == rules.orders
    [doubt] = rules.judge(table)
    assert doubt.row == 8
    assert "one of these is wrong" in doubt.reason


NO_ORDERS = {
    "ranges apart": lambda low, high: (low, high + 300),
    "the same": lambda low, high: (low, low),
    "many exceptions": lambda low, high: (low, np.where(high > 60, high, 40)),
    "few rows": lambda low, high: (low[:400], high[:400]),
    "a few values": lambda low, high: (low > 90, high > 40),
}


@for_each(NO_ORDERS, "change")
def test_no_order_is_found_where_chance_gives_it(change, to_table):
    low, high = change(*make_numbers().values())
    table = to_table(write_numbers({"low": low * 1.0, "high": high * 1.0}))
    assert not Rules.find(table).orders


def test_independent_dates_and_times_of_day_are_in_no_order(to_table):
    days = make_days() | {"other": make_days(1)["ordered"]}
    table = write_days(days, ["%Y-%m-%d"] * 4)
    table |= {"start": ["09:15", "10:30"] * 300, "end": ["17:45", "18:00"] * 300}
    names = {name for pair in list_pairs(Rules.find(to_table(table))) for name in pair}
    assert names == {"ordered", "shipped", "paid"}


def test_columns_of_a_relation_are_in_no_order_beside_it(to_table):
    generator = np.random.default_rng(0)
    net = np.round(generator.gamma(3, 20, N), 2)
    vat = np.round(net * generator.choice([0.07, 0.19], N), 2)
    rules = Rules.find(
        to_table(write_numbers({"net": net, "vat": vat, "sum": net + vat}))
    )
    assert rules.relations
    assert not rules.orders


@pytest.mark.parametrize("seed", range(5))
def test_gaps_break_no_order(seed, to_table):
    generator = np.random.default_rng(seed)
    columns = write_days(make_days(seed), FORMS["day first"])
    for texts in columns.values():
        for row in generator.choice(N, 100):
            texts[row] = generator.choice(["", "NA", None])
    table = to_table(columns)
    rules = Rules.find(table)
    assert list_pairs(rules) == {("ordered", "shipped"), ("shipped", "paid")}
    assert rules.judge(table) == []
