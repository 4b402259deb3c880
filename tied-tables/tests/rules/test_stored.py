"""Rules in a file: the same judgement, and nothing that is damaged."""

import json

import numpy as np
import pytest

from tied_tables.rules import Rules


@pytest.fixture
def dirty(places, orders):
    places["city"][3] = "Atlantis"
    places["state"][90] = "S9"
    numbers = {name: values[:400] for name, values in orders.items()}
    numbers["total"][9] = "0.07"
    return places | numbers


def test_rules_that_were_stored_judge_as_before(dirty, to_table):
    table = to_table(dirty)
    rules = Rules.find(table)
    stored = Rules.from_json(rules.to_json())
    assert stored.list_words() == rules.list_words()
    assert len(rules.judge(table)) == 3
    assert stored.judge(table) == rules.judge(table)


def test_new_rows_are_judged_by_the_rows_of_training(dirty, to_table):
    clean = {name: list(values[100:]) for name, values in dirty.items()}
    rules = Rules.find(to_table(clean))
    wrong = {name: [values[150]] for name, values in dirty.items()}
    assert rules.judge(to_table(wrong)) == []
    city = wrong["city"][0]
    wrong["city"] = ["Atlantis"]
    [doubt] = rules.judge(to_table(wrong))
    assert (doubt.row, doubt.column, doubt.suggestion) == (1, "city", city)
    total = wrong["total"][0]
    wrong |= {"city": [city], "total": ["99999.99"]}
    [doubt] = rules.judge(to_table(wrong))
    assert (doubt.column, float(doubt.suggestion)) == ("total", float(total))


def test_rows_of_a_new_thing_are_not_doubted(dirty, to_table):
    rules = Rules.find(to_table(dirty))
    new = {"zip": ["99999"], "city": ["Newtown"], "state": ["S1"], "other": ["1"]}
    assert rules.judge(to_table(new)) == []


def test_texts_of_few_rows_are_not_stored(to_table):
    names = ["Ann", "Bob", "Cid"] * 40 + [f"Person {i}" for i in range(60)]
    towns = ["Ulm", "Bonn", "Kiel"] * 40 + [f"Town {i % 7}" for i in range(60)]
    json = Rules.find(to_table({"name": names, "town": towns})).to_json()
    assert b"Ann" in json
    assert b"Person" not in json


def test_the_order_of_the_texts_of_new_rows_changes_nothing(dirty, to_table):
    rules = Rules.find(to_table(dirty))
    order = np.random.default_rng(0).permutation(400)
    moved = {name: [values[row] for row in order] for name, values in dirty.items()}
    doubts = {
        (order[each.row - 1] + 1, *each[1:]) for each in rules.judge(to_table(moved))
    }
    assert doubts == set(rules.judge(to_table(dirty)))


DAMAGES = {
    "no JSON": lambda rules: None,
    "another field": lambda rules: rules.update(more=1),
    "a column twice": lambda rules: rules["kinds"].append(rules["kinds"][0]),
    "a text twice": lambda rules: rules["kinds"][0]["texts"].__setitem__(
        0, rules["kinds"][0]["texts"][1]
    ),
    "texts without counts": lambda rules: rules["kinds"][0]["counts"].pop(),
    "a count of 0": lambda rules: rules["kinds"][0]["counts"].__setitem__(0, 0),
    "a rule of no column": lambda rules: rules["rules"][0]["dependency"].__setitem__(
        0, "nowhere"
    ),
    "a rule of one column": lambda rules: rules["rules"][0]["dependency"].__setitem__(
        0, rules["rules"][0]["dependency"][1]
    ),
    "no rows": lambda rules: rules["rules"][0]["dependency"].__setitem__(4, 0),
    "a negative prior": lambda rules: rules["rules"][0].update(prior=-1.0),
    "a pair beyond": lambda rules: rules["rules"][0]["determinants"].__setitem__(
        -1, 10**6
    ),
    "a pair out of order": lambda rules: rules["rules"][0]["determinants"].reverse(),
    "pairs without counts": lambda rules: rules["rules"][0]["counts"].pop(),
    "numbers out of order": lambda rules: rules["numbers"][0]["values"].reverse(),
    "no numbers": lambda rules: rules["numbers"].pop(),
    "another decimal mark": lambda rules: rules["numbers"][0].update(decimal="x"),
    "an operation beyond": lambda rules: rules["relations"][0].__setitem__(2, 99),
    "a term too many": lambda rules: rules["relations"][0][1].append("zip"),
    "a factor of 0": lambda rules: rules["relations"][0].__setitem__(3, 0.0),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_rules_are_refused(damage, dirty, to_table):
    text = Rules.find(to_table(dirty)).to_json()
    rules = json.loads(text)
    DAMAGES[damage](rules)
    text = text[:-1] if damage == "no JSON" else json.dumps(rules).encode()
    with pytest.raises(ValueError, match="its rules are damaged"):
        Rules.from_json(text)
