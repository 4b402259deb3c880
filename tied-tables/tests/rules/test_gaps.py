"""Gaps that rules fill, with what stood there before."""

import numpy as np
import pandas as pd
import pyarrow as pa

from tied_tables.columns import Columns
from tied_tables.rules import Rules


def fill(columns, gaps, alone=()):
    rows = pa.record_batch(columns)
    rules = Rules.find(pa.Table.from_batches([rows]))
    masks = {}
    for name, rows_of_gaps in gaps.items():
        masks[name] = np.isin(np.arange(rows.num_rows), rows_of_gaps)
    return rules.fill(rows, masks, alone)


def test_a_gap_in_a_determined_column_gets_what_pandas_finds(places):
    rng = np.random.default_rng(0)
    rows = rng.choice(400, 30, replace=False)
    for row in rows:
        places["city"][row] = None
    frame = pd.DataFrame(places)
    told = fill(places, {"city": rows})["city"]
    for row in range(400):
        others = frame.loc[frame.zip == frame.zip[row], "city"].dropna()
        is_known = row in rows and len(others) >= 3
        assert told[row] == (others.mode()[0] if is_known else None)


def test_a_gap_gets_the_text_of_a_column_that_is_mostly_equal(places):
    columns = {"city": places["city"], "post": list(places["city"])}
    columns["post"][3] = None
    assert fill(columns, {"post": [3]})["post"][3] == places["city"][3]


def test_a_gap_is_left_where_groups_are_mixed(places):
    """A zip of which a third has another city tells nothing for sure."""
    others = {other: row for row, other in enumerate(places["zip"])}
    for row in list(others.values())[1:16]:  # exceptions that are alone in their zip
        places["city"][row] = f"Far {row}"
    zip = places["zip"][0]
    rows = [row for row in range(400) if places["zip"][row] == zip]
    for row in rows[: len(rows) // 3]:
        places["city"][row] = "Twin"
    places["city"][rows[-1]] = None
    for name in ("state", "other"):
        del places[name]
    assert fill(places, {"city": [rows[-1]]})["city"][rows[-1]] is None
    alone = fill(places, {"city": [rows[-1]]}, ["city"])
    assert alone["city"][rows[-1]] == places["city"][rows[-2]]


def test_a_gap_in_a_relation_is_filled_exactly(orders):
    expected = {}
    for place, (name, values) in enumerate(orders.items()):
        for row in range(place, 90, 10):
            expected[name, row] = values[row]
            values[row] = None
    gaps = {name: [row for other, row in expected if other == name] for name in orders}
    told = fill(orders, gaps)
    for (name, row), value in expected.items():
        assert float(told[name][row]) == float(value)


def test_two_gaps_in_a_relation_are_left(orders):
    orders["price"][3] = orders["total"][3] = None
    told = fill(orders, {"price": [3], "total": [3]})
    assert told["price"][3] is None
    assert told["total"][3] is None


def test_a_filled_table_has_no_gap_in_a_column_that_another_determines():
    rng = np.random.default_rng(0)
    shop = rng.permutation(np.arange(1_200) % 80)
    columns = {
        "shop": [f"shop {'ab'[i % 2]}{i}" for i in shop],
        "town": [f"{'cdefg'[i % 5]} town {i}" for i in shop // 2],
        "kind": [f"kind {i % 60}" for i in shop],
    }
    rows = pa.record_batch(columns)
    determined, _ = Columns.survey(rows, determinants={"town": ["shop"]})
    town = columns["town"][7]
    columns["town"][7] = columns["shop"][9] = columns["town"][9] = None
    gaps = determined.find_gaps(pa.record_batch(columns))["town"]
    gaps = {"town": np.flatnonzero(gaps)}
    told = fill(columns, gaps, determined.determined)["town"]
    assert told[7] == town
    assert told[9] is not None


def test_a_gap_is_filled_by_the_relation_that_gives_one_value():
    """Five values of `net` or so have the same `vat`; one has the same `gross`."""
    rng = np.random.default_rng(0)
    price = np.round(rng.uniform(1, 90, 600), 2)
    quantity = rng.integers(1, 30, 600)
    net = np.round(price * quantity, 2)
    vat = np.round(0.19 * net, 2)
    orders = {
        "vat": vat.tolist(),
        "net": net.tolist(),
        "gross": np.round(net + vat, 2).tolist(),
    }
    rows = range(0, 600, 20)
    for row in rows:
        orders["net"][row] = None
    told = fill(orders, {"net": list(rows)})["net"]
    assert [float(told[row]) for row in rows] == [float(net[row]) for row in rows]
