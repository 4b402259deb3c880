"""Rules in a file: which rows break them, by Pointblank, Polars and JSON Schema, too."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from tests.marks import for_each

from tied_tables.columns import Columns
from tied_tables.expectations import (
    find_steps,
    list_failing,
    read_kinds,
    read_yaml,
    to_schema,
    to_yaml,
)
from tied_tables.expectations._expressions import find_false, write_equation
from tied_tables.io import TableError, open_table
from tied_tables.rules import Rules
from tied_tables.rules.relations import AFTER_PRODUCT, OPERATIONS, Relation

N = 400


def make_orders():
    """Orders with a town for each zip, and texts that need quotes."""
    generator = np.random.default_rng(0)
    zips = generator.integers(0, 20, N)
    net = generator.gamma(3, 20, N).round(2)
    vat = (generator.choice([0.07, 0.19], N) * net).round(2)
    grade, stars = (
        generator.choice(["good", "fair", "NA"], N),
        generator.integers(1, 6, N),
    )
    ordered = np.datetime64("2023-01-01") + generator.integers(0, 700, N)
    return pd.DataFrame(
        {
            "order": [f"AB-{1000 + place}" for place in range(N)],
            "zip": [f"0{1000 + 7 * zip}" for zip in zips],
            "town 'é": [f'open ("{zip % 7}"),\nfile (ü)' for zip in zips],
            "grade": grade,
            "stars": stars,
            "net": net,
            "vat": vat,
            "a x (b)": (net + vat).round(2),
            "ordered": ordered.astype(str),
            "shipped (x)": (ordered + generator.integers(0, 20, N)).astype(str),
        }
    )


def save(frame, name="rows.csv"):
    frame.to_csv(name, index=False)
    return open_table(name, text=None)


def write_rules(name, na=()):
    """Write the rules of a file, and return them."""
    source = open_table(name)
    sample = source.sample(10 * N, seed=0)
    columns, _ = Columns.survey(sample, na=na)
    rules = Rules.find(pa.Table.from_batches([sample]))
    kinds = read_kinds(source, columns, na)
    found = find_steps(source, sample, kinds, columns, rules, na)
    Path("rules.yml").write_bytes(to_yaml(found, name, kinds, na))
    Path("rules.json").write_bytes(to_schema(found))
    return found


@pytest.fixture
def steps(folder):
    save(make_orders())
    return write_rules("rows.csv")


def list_broken(steps, source):
    """The rows that break each step, if there are any, by its words."""
    failing = {step.brief: list_failing(step, source) for step in steps}
    return {brief: rows for brief, rows in failing.items() if rows}


def test_what_is_read_was_written_and_a_clean_table_passes_it(steps):
    assert read_yaml("rules.yml") == steps
    assert len(steps) > len(make_orders().columns)
    assert list_broken(steps, save(make_orders())) == {}


PLANTED = {
    "a gap": ("order", "", "never missing"),
    "a format": ("order", "AB-17", "written as AA-9999"),
    "a set": ("grade", "poor", "one of"),
    "a number of a set": ("stars", "6", "one of 3"),
    "a limit": ("net", "1e6", "net is between"),
    "no number": ("net", "much", "net is between"),
    "an equation": ("vat", "0.5", "a x (b) = net + vat"),
    "an order": ("ordered", "2025-05-05", "ordered <= shipped (x)"),
    "a lookup": ("zip", "01000", "zip determines"),
}


@for_each(PLANTED, "column", "value", "words")
def test_a_row_that_breaks_a_rule_is_named(steps, column, value, words):
    orders = make_orders().astype(str)
    row = int(np.flatnonzero(orders["zip"] == "01007")[5])
    orders.loc[row, column] = value
    others = orders[orders.columns[::-1]]  # the order does not matter
    broken = list_broken(steps, save(others, "new.csv"))
    assert any(words in brief for brief in broken)
    assert all(rows == [row + 1] for rows in broken.values())


def test_a_column_that_lacks_is_named(steps):
    with pytest.raises(TableError, match="has no column 'zip'"):
        list_broken(steps, save(make_orders().drop(columns="zip"), "new.csv"))


def make_dirty():
    generator = np.random.default_rng(1)
    orders = make_orders()
    for name in orders.columns[1:]:
        rows = generator.choice(N, 20)
        orders.loc[rows, name] = orders[name].to_numpy()[rows - 1]
    orders.loc[3, "net"], orders.loc[4, "stars"] = 1e6, 9
    orders.loc[5, "order"] = "AB-1"
    return orders.mask(generator.random(orders.shape) < 0.02)


def test_pointblank_finds_the_same_rows(steps):
    pointblank = pytest.importorskip("pointblank")
    source = save(make_dirty())
    checked = pointblank.yaml_interrogate(Path("rules.yml")).validation_info
    assert len(list_broken(steps, source)) > 10
    for step, theirs in zip(steps, checked, strict=True):
        is_good = theirs.tbl_checked["pb_is_good_"].fill_null(False).to_numpy()
        failing = (np.flatnonzero(~is_good) + 1).tolist()
        assert list_failing(step, source) == failing, step.brief


def test_numbers_beside_a_mark_of_missing_values_have_the_same_rules(steps):
    pointblank = pytest.importorskip("pointblank")
    orders = make_orders().astype({"net": str, "vat": str, "stars": str})
    orders.loc[5, "net"] = orders.loc[7, "vat"] = orders.loc[9, "stars"] = "n/k"
    save(orders)
    found = {step.brief for step in write_rules("rows.csv", ["n/k"])}
    complete = {f"{name} is never missing" for name in ("net", "vat", "stars")}
    assert found == {step.brief for step in steps} - complete
    checked = pointblank.yaml_interrogate(Path("rules.yml"))
    assert checked.all_passed()


def test_an_order_of_numbers_is_that_of_numbers_where_they_are_text(folder):
    generator = np.random.default_rng(0)
    n = 5 * N
    low = generator.integers(80, 120, n)
    high = low + generator.integers(0, 9, n)
    frame = pd.DataFrame({"low": low.astype(str), "high": high.astype(str)})
    frame["other"] = generator.normal(size=n).round(3)
    frame.loc[3, "low"] = frame.loc[4, "high"] = "n/k"
    frame.loc[8, ["low", "high"]] = "110", "95"
    source = save(frame)
    steps = write_rules("rows.csv", ["n/k"])
    [step] = [step for step in steps if "<=" in step.brief]
    assert list_failing(step, source, ["n/k"]) == [9]


def test_limits_are_near_to_the_values_whatever_is_absurd(folder):
    generator = np.random.default_rng(0)
    pay = generator.lognormal(8, 0.4, 500).round(2)
    usual = pay[pay < 12_000]
    pay[40], pay[60] = 3e7, -1e6
    save(pd.DataFrame({"pay": pay, "age": generator.integers(18, 66, 500)}))
    limits = {
        step.names[0]: (step.arguments["left"], step.arguments["right"])
        for step in write_rules("rows.csv")
        if step.method == "col_vals_between"
    }
    low, high = limits["pay"]
    assert -0.6 * np.ptp(usual) <= low <= usual.min()
    assert usual.max() <= high <= usual.max() + 0.6 * np.ptp(usual)
    assert 0 <= limits["age"][0] <= 18
    assert 65 <= limits["age"][1] <= 90


FORMS = {str(place): (place, 2, 1) for place in range(len(OPERATIONS))}
FORMS |= {f"{place} after a product": (place, 3, 1) for place in AFTER_PRODUCT}
FORMS |= {"sum": (None, 4, 1), "multiple": (None, 1, -2.5), "equal": (None, 1, 1)}


@for_each(FORMS, "operation", "n_terms", "factor")
def test_polars_evaluates_an_equation_as_it_is_checked(operation, n_terms, factor):
    pl = pytest.importorskip("polars")
    generator = np.random.default_rng(0)
    rows = generator.integers(-1, 2, (200, n_terms + 1)).astype(float)
    names = [f"{place} - (c)" for place in range(n_terms)]
    columns = dict(zip([*names, "result"], rows.T, strict=True))
    batch = pa.record_batch({n: pa.array(v, mask=v < 0) for n, v in columns.items()})
    relation = Relation("result", tuple(names), operation, factor)
    expression = write_equation(relation, 0.51)
    passes = pl.from_arrow(batch).select(eval(expression))
    failing = find_false(batch, expression)
    assert 0 < failing.sum() < 200
    np.testing.assert_array_equal(~failing, passes.to_series().to_numpy())


def test_json_schema_refuses_the_same_rows(steps):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(Path("rules.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    source = save(make_dirty(), "new.csv")
    single = [step for step in steps if "columns" in step.arguments]
    broken = set().union(*list_broken(single, source).values())
    typed = open_table("new.csv").batches(N)
    errors = validator.iter_errors(next(typed).to_pylist())
    assert {error.absolute_path[0] + 1 for error in errors} == broken


def write_steps(*steps):
    return yaml.safe_dump({"tbl": "rows.csv", "steps": steps})


def write_expression(code):
    return write_steps({"col_vals_expr": {"expr": code}})


BOMB = "tbl: x\na: &a [x, x]\nb: &b [*a, *a]\nsteps: [*b, *b]"
TWO = (
    '(pl.col("a").replace_strict({}, {}, default=None) == pl.col("b")).fill_null(True)'
)
HOSTILE = {
    "empty": "",
    "no mapping": "[1, 2]",
    "no steps": "tbl: x",
    "steps of another type": "steps: {a: 1}",
    "a bomb of aliases": BOMB,
    "an object of Python": "steps: !!python/object/apply:os.system [ls]",
    "deep": "[" * 100_000,
    "large": "steps: []\n#" + "x" * 5_000_000,
    "not UTF-8": b"\xff\xfe\x00",
    "unknown": write_steps({"rows_distinct": {}}),
    "two": write_steps({"col_vals_not_null": {}, "rows_distinct": {}}),
    "no column": write_steps({"col_vals_not_null": {}}),
    "a column of another type": write_steps({"col_vals_not_null": {"columns": [1]}}),
    "more arguments": write_steps({"col_vals_not_null": {"columns": "a", "pre": "x"}}),
    "text as a limit": write_steps(
        {"col_vals_between": {"columns": "a", "left": "x", "right": 2, "na_pass": True}}
    ),
    "a set of sets": write_steps({"col_vals_in_set": {"columns": "a", "set": [[1]]}}),
    "no pattern": write_steps(
        {"col_vals_regex": {"columns": "a", "pattern": "(", "na_pass": True}}
    ),
    "code": write_expression("__import__('os').system('ls')"),
    "code behind": write_expression('pl.col("a").map_elements(print)'),
    "code among": write_expression(TWO.format('["x"]', '["y"] + [exit()]')),
    "keys without values": write_expression(TWO.format('["x", "z"]', '["y"]')),
    "keys of two types": write_expression(TWO.format('["x", 1]', '["y", "z"]')),
    "deep literals": write_expression("[" * 100_000),
    "many quotes": write_expression('"\\' * 100_000),
}


@for_each(HOSTILE, "text")
def test_a_file_that_rules_does_not_write_is_refused_in_a_sentence(folder, text):
    Path("rules.yml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TableError, match=r"^'rules.yml' .*\.$"):
        read_yaml("rules.yml")


def test_amounts_with_decimals_or_a_unit_have_no_format(folder):
    generator = np.random.default_rng(0)
    sizes = generator.lognormal(9, 1, 200)
    codes = [f"A-{row:04}" for row in range(200)]
    frame = {"use": [f"{size:,.1f} kWh" for size in sizes], "code": codes}
    save(pd.DataFrame(frame))
    steps = write_rules("rows.csv")
    formats = [step.names for step in steps if step.method == "col_vals_regex"]
    assert formats == [["code"]]
