"""What the commands do, as functions of frames."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tied_tables import TiedAutoencoder, check, corrections, load
from tied_tables.datasets import make_clients
from tied_tables.io import TableError
from tied_tables.rules import Rules

from .estimator.libraries import LIBRARIES, assert_is_of, each_library


@pytest.fixture(scope="module")
def clients():
    frame = pd.DataFrame(make_clients(random_state=0)).drop(columns="client")
    frame.loc[5, "town"] = "Bergn"
    return pd.concat([frame, frame.iloc[[30]]], ignore_index=True)


@pytest.fixture(scope="module")
def fitted(clients):
    return TiedAutoencoder(2, max_iter=20, random_state=0).fit(clients)


def test_planted_errors_are_listed_with_their_corrections(clients, fitted):
    listed = corrections(clients, fitted)
    [typo] = listed[listed["value"] == "Bergn"].to_dict("records")
    assert (typo["row"], typo["column"], typo["suggestion"]) == (6, "town", "Bergen")
    assert f"row {len(clients)} repeats row 31" in list(listed["why"])


def test_a_large_number_is_suggested_as_a_file_has_it(rng):
    voters = rng.integers(40_000, 60_000, 400)
    frame = pd.DataFrame({"voters": voters, "votes": voters // 2})
    frame["votes"] += rng.integers(-300, 300, 400)
    frame["share"] = frame["votes"] / 1e5 + rng.normal(size=400) / 1e3
    frame.loc[7, "votes"] = 10 * frame["votes"][7]
    found = corrections(frame).iloc[0]
    assert (found["row"], found["column"]) == (8, "votes")
    assert int(found["suggestion"]) == pytest.approx(frame["votes"][7] / 10, rel=0.05)


@each_library
def test_what_is_found_is_of_the_library_of_the_frame(clients, fitted, library):
    frame = LIBRARIES[library](clients)
    for found, expected, name in (
        (corrections(frame, fitted), corrections(clients, fitted), "why"),
        (check(frame), check(clients), "column"),
    ):
        assert_is_of(library, found)
        assert [*map(str, found[name])] == [*expected[name]]


def test_a_frame_in_which_nothing_is_wrong_has_an_empty_list():
    steps = range(60)
    frame = pd.DataFrame({"x": steps, "y": [2 * place + 1 for place in steps]})
    model = TiedAutoencoder(1, max_iter=1, random_state=0).fit(frame)
    listed = corrections(frame, model)
    assert len(listed) == 0
    assert list(listed)[:3] == ["row", "column", "value"]


def test_a_model_is_fitted_where_none_is_given(clients):
    listed = corrections(clients[["town", "plan"]].head(120))
    assert "Bergn" in list(listed["value"])


def test_results_of_pandas_have_the_index_of_their_rows(clients, fitted):
    named = clients.set_axis([f"client {place}" for place in range(len(clients))])
    found = corrections(named, fitted)
    assert len(found) > 2
    assert list(found.index) == list(named.index[found["row"] - 1])
    explanation = repr(fitted.explain(named[7:9])).splitlines()[1:]
    names = [line.partition(":")[0] for line in explanation]
    assert names == ["client 7", "client 8"]


def test_the_text_of_what_is_fitted_is_short(clients, fitted):
    fitted.save("m.safetensors")
    loaded = load("m.safetensors")
    n_numbers = len(fitted.get_number_names_out())
    expected = f"TableModel of {n_numbers} numbers, with 2 components"
    assert repr(loaded) == expected
    rows = fitted.to_numbers(clients)
    assert repr(loaded.explain(rows)) == f"Attribution of {len(rows)} rows"


def test_rows_that_speak_of_one_thing_are_compared(rng):
    flights = np.repeat([f"AA-{i}" for i in range(40)], 5)
    gates = np.repeat(rng.choice(["A1", "B7", "C3"], 40), 5)
    frame = pd.DataFrame({"flight": flights, "gate": gates})
    frame["delay"] = rng.uniform(size=200)
    frame.loc[13, "gate"] = "Z9"
    found = corrections(frame, same="flight")
    first = found[found["column"] == "gate"].iloc[0]
    assert (first["row"], first["suggestion"]) == (14, gates[13])
    why = f"gate Z9; it is {gates[13]} in 4 of 5 rows with flight AA-2"
    assert first["why"] == why
    with pytest.raises(TableError, match="no column 'flihgt'"):
        corrections(frame, same="flihgt")


def test_columns_of_a_frame_are_described(clients):
    frame = clients.assign(
        number=7,
        twin=clients["age"],
        mostly=["x" if place % 5 == 0 else str(place) for place in range(len(clients))],
    )
    frame.loc[8, "income"] = 1e9
    found = check(frame).set_index("column")
    assert list(found.index) == list(frame)
    assert list(found["missing"]) == [
        *frame.drop(columns="mostly").isna().sum(),
        (frame["mostly"] == "x").sum(),
    ]
    roles = {"town": "used", "number": "constant", "twin": "copy"}
    assert {name: found.loc[name, "role"] for name in roles} == roles
    assert dict(found["numbers"][["age", "plan", "twin"]]) == {
        "age": 1,
        "plan": 3,
        "twin": 0,
    }
    warned = found["warning"].dropna()
    assert "'Bergn' (1x) for 'Bergen'" in warned["town"]
    assert "'1000000000' in row 9" in warned["income"]
    assert "name the column in categorical_features" in warned["mostly"]
    assert not warned.str.contains("--").any()


def test_a_frame_whose_columns_cannot_be_used_is_described(clients):
    n = len(clients)
    nothing = pd.DataFrame({"none": [None] * n, "one": 1})
    assert list(check(nothing)["numbers"]) == [0, 0]
    texts = [f"n{place}" if place % 7 == 0 else f"{place}.5" for place in range(n)]
    mixed = pd.DataFrame({"mixed": texts})
    [note] = check(mixed)["note"]
    assert note == "refused"
    [role] = check(mixed, categorical_features=["mixed"])["role"]
    assert role == "unusable"
    with pytest.raises(TableError, match="no column 'mixd'"):
        check(mixed, categorical_features=["mixd"])


@pytest.mark.parametrize("function", [check, corrections])
def test_columns_of_one_name_are_named(function):
    frame = pd.DataFrame(np.eye(30)[:, :3], columns=["size", "town", "size"])
    with pytest.raises(TableError, match="duplicate column names: 'size'; rename them"):
        function(frame)


@pytest.mark.parametrize("function", [check, corrections])
@pytest.mark.parametrize("X", [np.zeros((5, 2)), [1.0, 2.0]])
def test_what_is_no_frame_is_refused(function, X):
    with pytest.raises(TypeError, match="X must be a pandas, Polars or Arrow frame"):
        function(X)


@pytest.mark.filterwarnings("ignore:1 column of X was left out")
@pytest.mark.parametrize("gap", ["", "  ", "NA", "-", None])
@pytest.mark.parametrize("word", ["Tie", "7", None])
def test_a_gap_in_a_column_of_one_value_is_not_doubted(rng, gap, word):
    frame = pd.DataFrame({"x": rng.normal(size=200), "y": rng.normal(size=200)})
    frame["tie"] = [word] * 12 + [gap] * 188
    assert "tie" not in set(corrections(frame)["column"])


@each_library
def test_spellings_of_a_unit_are_one_column_in_any_frame(library):
    sizes = ["12.0 oz", "16.0 oz.", "12.5 ounce", "13.0 oz."] * 15
    shares = ["0.05", "0.06%", "0.07", "0.04"] * 15
    frame = LIBRARIES[library](pd.DataFrame({"size": sizes, "share": shares}))
    warnings = [*map(str, check(frame)["warning"])]
    assert "'oz.' (30x), 'oz' (15x), 'ounce' (15x)" in warnings[0]
    assert "a percent sign on 15 of its 60 numbers" in warnings[1]
    listed = corrections(frame)
    assert [*map(str, listed["value"])].count("0.06%") == 15


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_dates_of_a_frame_are_written_as_dates(rng, unit):
    n = 400
    day = np.timedelta64(1, "D")
    ordered = np.datetime64("2024-01-01") + rng.integers(0, 300, n) * day
    paid = ordered + rng.integers(0, 20, n) * day
    frame = pd.DataFrame({"ordered": ordered, "paid": paid})
    frame = frame.astype(f"datetime64[{unit}]")
    frame["price"] = rng.lognormal(3, 1, n)
    frame.loc[7, "paid"] -= pd.Timedelta(days=366)
    frame.loc[30, "paid"] += pd.Timedelta(days=3653)
    found = corrections(frame).set_index("row")
    for row in (8, 31):
        assert found.loc[row, "column"] == "paid"
        assert found.loc[row, "value"] == str(frame.loc[row - 1, "paid"].date())
        assert datetime.date.fromisoformat(found.loc[row, "suggestion"])
        assert "00:00" not in found.loc[row, "why"]


def test_orders_of_dates_hold_for_times_too(rng):
    n = 400
    day = np.timedelta64(1, "D")
    ordered = np.datetime64("2024-01-01", "s") + rng.integers(0, 300, n) * day
    paid = ordered + rng.integers(0, 20, n) * day
    frame = pd.DataFrame({"ordered": ordered, "paid": paid})
    rules = Rules.find(pa.Table.from_pandas(frame))
    later = frame + pd.to_timedelta(rng.integers(1, 80_000, n), "s").to_numpy()[:, None]
    assert not rules.judge(pa.Table.from_pandas(later))
    later.loc[5, "paid"] -= pd.Timedelta(days=90)
    [doubt] = rules.judge(pa.Table.from_pandas(later))
    assert doubt.row == 6
