"""Rows that are odd, of which some are right: their numbers keep a relation."""

import numpy as np
import pandas as pd
import pytest

from tied_tables import corrections


@pytest.fixture
def orders(rng):
    """Orders of some hundred pieces; three are of one piece, and cost little."""
    price = np.round(rng.uniform(20, 40, 600), 2)
    quantity = rng.integers(300, 500, 600)
    quantity[[50, 250, 450]] = 1
    table = {"price": price, "quantity": quantity, "total": price * quantity}
    table["discount"] = rng.integers(0, 4, 600) * 5
    return pd.DataFrame(table).round(2)


def find_cells(frame):
    found = corrections(frame)
    return set(zip(found["row"] - 1, found["column"], strict=True))


def test_a_right_row_is_not_doubted_for_numbers_of_a_relation_that_it_keeps(orders):
    rows = {row for row, column in find_cells(orders) if column != "discount"}
    assert not rows & {50, 250, 450}


def test_a_wrong_number_among_right_rows_is_found(orders):
    orders.loc[100, "total"] *= 10
    assert find_cells(orders) >= {(100, "total")}


def test_a_row_that_many_columns_make_odd_has_no_cell_to_correct(rng):
    base = rng.normal(size=400)
    numbers = base[:, None] + 0.2 * rng.normal(size=(400, 6))
    numbers[100] = [6, -6, 6, -6, 6, -6]
    numbers[200, 3] += 6
    cells = find_cells(pd.DataFrame(numbers.round(3), columns=[*"abcdef"]))
    assert 100 not in {row for row, _ in cells}
    assert (200, "d") in cells


@pytest.mark.parametrize("n_rows", [200, 2000])
def test_ordinary_numbers_of_a_table_of_one_column_are_not_doubted(rng, n_rows):
    frame = pd.DataFrame({"a": rng.normal(size=n_rows)})
    assert corrections(frame).empty
    frame.loc[5, "a"] = 1e6
    found = corrections(frame)
    assert found["row"].tolist() == [6]
    assert "; its other values suggest" in found["why"].iloc[0]


def test_rows_that_break_rules_take_no_place_of_a_rare_one(rng):
    n = 800
    price = rng.lognormal(3, 0.3, n).round(2)
    units = rng.integers(1, 30, n)
    frame = pd.DataFrame({"price": price, "units": units})
    frame["total"] = (price * units).round(2)
    frame["weight"] = (7 * units * rng.normal(1, 0.05, n)).round(1)
    broken = list(range(40, 48))
    frame.loc[broken, "total"] = (frame.loc[broken, "total"] * 10).round(2)
    row = int(np.argmin(abs(units - 12)))
    frame.loc[row, "weight"] *= 2
    cells = {(place, "total") for place in broken} | {(row, "weight")}
    assert cells <= find_cells(frame)
