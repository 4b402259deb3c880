from collections import Counter
from itertools import permutations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tied_tables.rules import Rules
from tied_tables.rules.dependencies import count_pairs, measure_rule
from tied_tables.rules.kinds import encode_texts


def encode(texts):
    return encode_texts("column", pa.chunked_array([pa.array(texts, pa.string())]))


def find_doubts(table):
    return Rules.find(table).judge(table)


texts = st.lists(
    st.tuples(st.sampled_from([None, *"abc"]), st.sampled_from([None, *"xyz"])),
    min_size=1,
    max_size=60,
)


@given(texts)
def test_pairs_are_counted_as_a_counter_counts_them(rows):
    a, b = (encode(column) for column in zip(*rows, strict=True))
    groups = count_pairs(a.codes, b.codes, len(a.counts), len(b.counts))
    present = [row for row in rows if None not in row]
    expected = Counter(present)
    for i, first in enumerate(a.texts.to_pylist()):
        for j, second in enumerate(b.texts.to_pylist()):
            counted = groups.count_rows(np.array([i]), np.array([j]))[0]
            assert counted == expected[first, second]
        own = Counter(second for other, second in present if other == first)
        assert groups.sizes[i] == own.total()
        assert groups.tops[i] == max(own.values(), default=0)
        if own:
            majority = b.texts[int(groups.majority[i])].as_py()
            assert own[majority] == groups.tops[i]


@pytest.mark.parametrize("seed", range(5))
def test_tau_is_that_of_pairs_of_rows_compared_one_by_one(seed):
    generator = np.random.default_rng(seed)
    first = generator.integers(0, 8, 60)
    second = np.where(
        generator.random(60) < 0.8, first % 3, generator.integers(0, 3, 60)
    )
    counts = Counter(first.tolist())
    rows = [row for row in range(60) if counts[first[row]] >= 3]
    agree = np.mean(
        [
            np.mean(
                [
                    second[row] == second[other]
                    for other in range(60)
                    if other != row and first[other] == first[row]
                ]
            )
            for row in rows
        ]
    )
    base = np.mean([np.mean(np.delete(second, row) == second[row]) for row in rows])
    a, b = encode(list(map(str, first))), encode(list(map(str, second)))
    groups = count_pairs(a.codes, b.codes, len(a.counts), len(b.counts))
    tau, telling = measure_rule(groups, b.counts, np.ones(len(a.counts)))
    assert tau == pytest.approx((agree - base) / (1 - base))
    assert telling == pytest.approx(np.log(agree / base) / -np.log(base))


def test_exceptions_are_those_that_pandas_finds(places, to_table):
    places["city"][17] = "Atlantis"
    frame = pd.DataFrame(places)
    groups = frame.groupby("zip")["city"]
    majority = groups.transform(lambda cities: cities.mode()[0])
    is_counted = groups.transform("size") >= 3
    rules = Rules.find(to_table(places)).rules
    [found] = [
        rule.dependency for rule in rules if rule.dependency[:2] == ("zip", "city")
    ]
    assert found.n_rows == is_counted.sum()
    assert found.n_exceptions == (is_counted & (majority != frame.city)).sum()


def test_each_planted_error_is_found_with_what_was_there(places, to_table):
    clean = {name: list(values) for name, values in places.items()}
    planted = {
        (3, "city"): "Atlantis",
        (50, "city"): clean["city"][51],
        (90, "state"): "S9",
    }
    planted = {
        cell: value
        for cell, value in planted.items()
        if value != clean[cell[1]][cell[0]]
    }
    for (row, column), value in planted.items():
        places[column][row] = value
    doubts = find_doubts(to_table(places))
    found = {(doubt.row - 1, doubt.column): doubt.suggestion for doubt in doubts}
    assert found == {(row, column): clean[column][row] for row, column in planted}


@pytest.mark.parametrize("n_wrong", [1, 2])
def test_errors_of_one_thing_do_not_end_its_rule(n_wrong, places, to_table):
    counts = Counter(places["zip"])
    zip = next(zip for zip, n_rows in counts.items() if n_rows == 6)
    rows = np.flatnonzero(np.array(places["zip"]) == zip)
    clean = list(places["city"])
    planted = {int(row): f"{clean[row][:-1]}x{row}" for row in rows[:n_wrong]}
    for row, value in planted.items():
        places["city"][row] = value
    doubts = find_doubts(to_table(places))
    found = {(doubt.row - 1, doubt.column): doubt.suggestion for doubt in doubts}
    assert found == {(row, "city"): clean[row] for row in planted}


def test_a_table_without_errors_has_no_doubts(places, to_table):
    assert find_doubts(to_table(places)) == []


def test_independent_columns_have_no_rules(to_table):
    generator = np.random.default_rng(0)
    table = {name: list(map(str, generator.integers(0, 20, 1_000))) for name in "abcd"}
    rules = Rules.find(to_table(table))
    assert rules.dependencies == []
    assert rules.relations == []


@pytest.mark.parametrize("order", list(permutations(range(4)))[::5])
def test_the_order_of_columns_and_rows_changes_no_doubt(order, places, to_table):
    places["city"][3] = "Atlantis"
    places["state"][90] = "S9"
    expected = find_doubts(to_table(places))
    rows = np.random.default_rng(sum(order)).permutation(400)
    names = [list(places)[place] for place in order]
    moved = {name: [places[name][row] for row in rows] for name in names}
    doubts = find_doubts(to_table(moved))
    cells = {(rows[doubt.row - 1], doubt.column, doubt.suggestion) for doubt in doubts}
    assert cells == {
        (doubt.row - 1, *doubt[1:2], doubt.suggestion) for doubt in expected
    }


def test_the_names_of_values_change_no_doubt(places, to_table):
    places["city"][3] = "Atlantis"
    renamed = places | {"zip": [f"area {zip[::-1]}" for zip in places["zip"]]}
    [doubt] = find_doubts(to_table(places))
    [other] = find_doubts(to_table(renamed))
    assert doubt[:4] == other[:4]


def test_groups_of_two_rows_have_no_word(to_table):
    names = [str(row // 2) for row in range(400)]
    values = [f"value {row // 2}" for row in range(400)]
    values[7] = "wrong"
    assert find_doubts(to_table({"name": names, "value": values})) == []


def test_a_group_that_is_another_thing_is_no_error(places, to_table):
    """All rows of one zip and `other` have another city: a second place of the name."""
    for row in range(0, 400, 2):
        if places["zip"][row] == places["zip"][0]:
            places["city"][row] = "Twin"
    assert find_doubts(to_table(places)) == []


def test_whole_numbers_with_a_decimal_are_those_without():
    generator = np.random.default_rng(0)
    city = generator.integers(0, 20, 400)
    towns = [f"town {place}" for place in city]
    typed = pa.table({"city": towns, "zip": 1000.0 + city})
    rules = Rules.find(typed)
    texts = [f"{value}" for value in 1000.0 + city]  # as pandas writes beside gaps
    texts[7] = f"{1000.0 + (city[7] + 5) % 20}"
    texts[9] = None
    rows = pa.table({"city": towns, "zip": pa.array(texts, pa.string())})
    [doubt] = rules.judge(rows)
    assert doubt[:4] == (8, "zip", texts[7], f"{1000.0 + city[7]}")


def test_two_days_that_are_mostly_the_same_may_differ(rng, to_table):
    first = rng.integers(0, 40, 2_000).astype("datetime64[D]")
    last = first.copy()
    last[:20] += np.timedelta64(9, "D")
    days = pd.DataFrame({"first": first.astype(str), "last": last.astype(str)})
    assert find_doubts(to_table(days)) == []


def test_another_column_tells_what_one_that_is_mostly_equal_does_not(places, to_table):
    places["post"] = list(places["city"])
    city = places["city"][3]
    places["city"][3] = "Atlantis"
    [doubt] = find_doubts(to_table(places))
    assert (doubt.row, doubt.column, doubt.suggestion) == (4, "city", city)
    assert doubt.reason.endswith(f"with zip {places['zip'][3]}")


def test_a_measurement_that_is_equal_by_chance_determines_nothing(to_table):
    weights = np.random.default_rng(0).normal(size=100).round(6).repeat(5)
    towns = np.repeat(np.arange(100) % 7, 5)
    towns[::50] = (towns[::50] + 1) % 7
    columns = {"weight": list(map(str, weights)), "town": list(map(str, towns))}
    assert Rules.find(to_table(columns)).determinants == {}


@pytest.mark.parametrize("key", ["address", "mail"])
def test_a_swapped_key_is_doubted_instead_of_another_that_fits_the_row(to_table, key):
    rng = np.random.default_rng(0)
    person = rng.permutation(np.arange(800) % 40)
    columns = {
        "address": [f"{chr(97 + i % 26)} street {i}" for i in person],
        "mail": [f"{i}@{chr(97 + i % 26)}.com" for i in person],
        "name": [f"{chr(97 + i // 2)} name {i // 2}" for i in person],
        "town": [f"{chr(99 + i // 3)} town {i // 3}" for i in person],
        "country": [f"{chr(100 + i % 7)} land" for i in person],
    }
    right = list(columns[key])
    swapped = [3, 77, 150, 390]
    for row in swapped:
        columns[key][row] = rng.choice([text for text in right if text != right[row]])
    table = to_table(columns)
    doubts = Rules.find(table).judge(table)
    found = sorted((doubt.row - 1, doubt.column, doubt.suggestion) for doubt in doubts)
    assert found == [(row, key, right[row]) for row in swapped]
