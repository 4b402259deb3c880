"""Rules in a file: the same judgement, and nothing that is damaged."""

import functools
import json
import operator

import numpy as np
import pytest
from tests.marks import for_each

from tied_tables.rules import Rules


@pytest.fixture
def dirty(places, orders):
    days = [np.datetime64("2023-01-01") + 7 * place % 365 for place in range(400)]
    places["city"][3] = "Atlantis"
    places["state"][90] = "S9"
    numbers = {name: values[:400] for name, values in orders.items()}
    numbers["total"][9] = "0.07"
    times = {"ordered": list(map(str, days)), "paid": [str(day + 9) for day in days]}
    return places | numbers | times


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


def shorten(values):
    return values[:-1]


def reverse(values):
    return values[::-1]


DAMAGES = {  # where in the JSON, and what stands there, or is made of what did
    "another field": ("more", 1),
    "a column twice": ("kinds", lambda kinds: [*kinds, kinds[0]]),
    "a text twice": ("kinds 0 texts", lambda texts: [texts[1], *texts[1:]]),
    "texts without counts": ("kinds 0 counts", shorten),
    "a count of 0": ("kinds 0 counts 0", 0),
    "a rule of no column": ("rules 0 dependency 0", "nowhere"),
    "a rule of one column": (
        "rules 0 dependency",
        lambda rule: [*rule[:1] * 2, *rule[2:]],
    ),
    "no rows": ("rules 0 dependency 4", 0),
    "a negative prior": ("rules 0 prior", -1.0),
    "a pair beyond": ("rules 0 determinants -1", 10**6),
    "a pair out of order": ("rules 0 determinants", reverse),
    "pairs without counts": ("rules 0 counts", shorten),
    "numbers out of order": ("numbers 0 values", reverse),
    "no numbers": ("numbers", shorten),
    "another decimal mark": ("numbers 0 decimal", "x"),
    "an operation beyond": ("relations 0 2", 99),
    "a term too many": ("relations 0 1", lambda terms: [*terms, "zip"]),
    "an operation of one term": ("relations 0 1", shorten),
    "an order of one column": ("orders 0 1", "ordered"),
    "an order without rows": ("orders 0 2", 0),
    "more exceptions than rows": ("orders 0 3", 10**6),
    "an order of no numbers": ("orders 0 4", None),
    "a form of no dates": ("orders 0 4 0 format", "%j"),
    "a factor of 0": ("relations 0 3", 0.0),
}


@for_each(DAMAGES, "path", "value")
def test_damaged_rules_are_refused(path, value, dirty, to_table):
    rules = json.loads(Rules.find(to_table(dirty)).to_json())
    *path, key = [int(each) if each[-1].isdigit() else each for each in path.split()]
    holder = functools.reduce(operator.getitem, path, rules)
    holder[key] = value(holder[key]) if callable(value) else value
    with pytest.raises(ValueError, match="its rules are damaged"):
        Rules.from_json(json.dumps(rules).encode())


def test_rules_that_are_no_json_are_refused(dirty, to_table):
    with pytest.raises(ValueError, match="its rules are damaged"):
        Rules.from_json(Rules.find(to_table(dirty)).to_json()[:-1])
