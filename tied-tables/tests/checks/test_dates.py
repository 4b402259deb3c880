"""Dates in a wrong year, in tables in which dates follow one another."""

import pandas as pd
import pytest

from tied_tables import TiedAutoencoder, check, corrections

SLIPS = {  # the row and the column, and the year that is written instead of 2024
    (17, "ordered"): "2023",
    (37, "ordered"): "2014",
    (57, "paid"): "2025",
    (77, "shipped"): "2034",
    (97, "ordered"): "2026",
    (117, "paid"): "2022",
}


@pytest.fixture
def truth(rng):
    """Orders of a year, which are shipped within 9 days, and paid within 39 more."""
    n = 600
    ordered = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n), "D")
    shipped = ordered + pd.to_timedelta(rng.integers(0, 10, n), "D")
    paid = shipped + pd.to_timedelta(rng.integers(0, 40, n), "D")
    dates = {"ordered": ordered, "shipped": shipped, "paid": paid}
    frame = pd.DataFrame(
        {name: day.strftime("%Y-%m-%d") for name, day in dates.items()}
    )
    frame["city"] = rng.choice(["Bergen", "Cork", "Delft"], n)
    frame["price"] = rng.lognormal(3, 0.5, n).round(2)
    places = [row for row, _ in SLIPS]
    # So that no slip of a year is a slip of none.
    frame.loc[places, "paid"] = frame.loc[places, "paid"].str.replace("2025", "2024")
    return frame


@pytest.fixture
def table(truth):
    frame = truth.copy()
    for (row, column), year in SLIPS.items():
        frame.loc[row, column] = year + frame.loc[row, column][4:]
    return frame


def test_the_date_that_is_wrong_is_doubted_and_no_date_beside_it(table):
    found = corrections(table)
    found = found[found["column"].isin(["ordered", "shipped", "paid"])]
    cells = list(zip(found["row"] - 1, found["column"], strict=True))
    assert sorted(cells) == sorted(SLIPS)


def test_what_is_suggested_for_a_date_is_near_and_keeps_the_order(table, truth):
    found = corrections(table).set_index(["row", "column"])
    for row, column in SLIPS:
        suggestion = found.loc[(row + 1, column), "suggestion"]
        distance = pd.Timestamp(suggestion) - pd.Timestamp(truth.loc[row, column])
        assert abs(distance.days) <= 40
        dates = dict(truth.loc[row]) | {column: suggestion}
        assert dates["ordered"] <= dates["shipped"] <= dates["paid"]


def test_a_date_is_not_far_outside_for_the_error_of_another(table):
    warnings = check(table).set_index("column")["warning"]
    assert "in row 38" in warnings["ordered"]
    assert "in row 38" not in warnings["shipped"]
    assert "in row 98" not in warnings["shipped"]


@pytest.mark.filterwarnings("ignore:The fit of TiedAutoencoder replaced")
def test_a_row_that_a_date_would_make_ordinary_is_so_with_it(table):
    dates = ["ordered", "shipped", "paid"]
    frame = table.assign(**{name: pd.to_datetime(table[name]) for name in dates})
    autoencoder = TiedAutoencoder(2, random_state=0).fit(frame)
    rows = frame.iloc[[row for row, _ in SLIPS]]
    reasons = autoencoder.explain(rows).to_frame()
    is_cured = reasons["why"].str.contains("the row would be ordinary")
    assert is_cured.sum() >= 3
    for place in range(len(rows)):
        if is_cured.iloc[place]:
            row = rows.iloc[[place]].copy()
            expected = pd.Timestamp(reasons["expected1"].iloc[place])
            row[reasons["column1"].iloc[place]] = expected
            assert autoencoder.rarity(row)[0] < 20
