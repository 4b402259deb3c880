import dataclasses
import datetime
import json
import re
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import OneHotEncoder
from tests.marks import for_each

from tied_tables import _column_words
from tied_tables._text import OTHER
from tied_tables.columns import Columns, Doubts, FrameSchema, Role, Topic
from tied_tables.estimator import REMEDIES
from tied_tables.estimator._columns import learn_columns
from tied_tables.io import TableError, open_table

from .conftest import learn, survey

LONG = "y" * 5000
NAN = np.nan
DATE = datetime.date(2026, 1, 31)
MOMENT = datetime.datetime(2026, 1, 31, 12, 30, tzinfo=datetime.UTC)


@pytest.fixture
def mixed():
    return pa.record_batch(
        {
            "number": [0.5, None, -2.25, 3.0],
            "whole": [1, 2, None, 4],
            "yes": [True, False, None, True],
            "word": ["red", "blue", None, "red"],
        }
    )


def test_numbers_are_used_as_they_are_and_text_is_one_number_a_category(mixed):
    columns = learn(mixed)
    assert columns.features == [
        "number",
        "whole",
        "yes",
        "word=blue",
        "word=red",
    ]
    assert columns.layout.columns.tolist() == [0, 1, 2, 3, 3]
    expected = [
        [0.5, 1, 1, 0, 1],
        [NAN, 2, 0, 1, 0],
        [-2.25, NAN, NAN, NAN, NAN],
        [3, 4, 1, 0, 1],
    ]
    numbers = columns.encode(mixed)
    assert numbers.dtype == np.float32
    assert_array_equal(numbers, np.float32(expected))
    again = Columns.from_json(columns.to_json())
    assert again == columns
    assert again.decode(numbers).to_pydict() == mixed.to_pydict()
    empty = {name: pa.nulls(2) for name in mixed.schema.names}
    assert np.isnan(again.encode(pa.record_batch(empty))).all()


@given(
    step=st.sampled_from([0.01, 0.25, 0.5, 1, 5, 12, 1000]),
    multiples=st.sets(st.integers(-999, 999), min_size=6),
    off=st.floats(-0.49, 0.49),
)
def test_gaps_are_filled_with_multiples_of_what_all_values_are(step, multiples, off):
    values = np.array(sorted(multiples | {0, 1})) * step
    batch = pa.record_batch({"price": pa.array([*values.tolist(), None])})
    numbers = (1 + off) * np.full((len(batch), 1), step)
    filled = learn(batch).fill(batch, numbers).column("price")
    assert filled.to_pylist() == [*values.tolist(), step]


CLOCK = [f"{hour:02}:30" for hour in (5, 6, 8, 9, 12, 20)]
EVERY = np.array([0, 1, 2, 5, 9, 30])
TIMES = {"a clock": (CLOCK, 0.005)} | {
    f"{minutes} minutes": (
        np.datetime64("2026-01-05T09:07", "us") + EVERY * np.timedelta64(minutes, "m"),
        0.2 * minutes / 1440,
    )
    for minutes in (10, 45, 1440, 10_080)
}


@for_each(TIMES, "times", "off")
def test_times_are_decoded_as_far_apart_as_all_are(times, off):
    batch = pa.record_batch({"at": times})
    columns = learn(batch)
    numbers = columns.encode(batch) + 0.005
    numbers[:, 0] += off
    assert columns.decode(numbers).equals(batch)


@pytest.mark.parametrize("unit", [1e-300, 1e300, 1.0])
def test_numbers_that_single_precision_loses_are_in_double(unit):
    offset = 1.7e12 * (unit == 1)
    values = [*((offset + np.arange(1, 99)) * unit).tolist(), None]
    batch = pa.record_batch({"x": values, "y": [True, False, None] * 33})
    columns = learn(batch)
    numbers = columns.encode(batch)
    assert_array_equal(numbers[:, 0], np.array(values, float))
    assert columns.decode(numbers)["x"].to_pylist() == values


def test_levels_of_a_type_are_taken_as_they_are():
    levels = ["AA", "Aa", "None", "?", " x", "x", "Lyon", "Loyn"]
    values = [*levels, *["Lyon"] * 99]
    batch = pa.record_batch({"x": values})
    columns = learn(batch, categorical=["x"])
    again = Columns.from_json(columns.to_json())
    assert again.decode(again.encode(batch))["x"].to_pylist() == values


def test_a_column_of_marks_alone_holds_no_value():
    _, [fact, _] = survey({"x": ["NA", "n/a"], "y": [1, 2]})
    assert (fact.name, fact.becomes) == ("x", "left out: no value in 2 rows")


def test_months_are_angles():
    days = np.arange(18262, 19000).astype("datetime64[D]")
    months = days.astype("datetime64[M]").astype(int) % 12
    angles = 2 * np.pi * months / 12
    batch = pa.record_batch({"day": days})
    columns = learn(batch)
    numbers = columns.encode(batch)
    assert_allclose(numbers[:, -2], np.sin(angles), atol=1e-6)
    assert_allclose(numbers[:, -1], np.cos(angles), atol=1e-6)


def test_decode_takes_the_largest_category_rounds_whole_numbers_and_halves_booleans(
    mixed,
):
    columns = learn(mixed)
    rows = [
        [0.1, 1.6, 0.5, -0.3, -0.4],
        [0.2, -1.6, 0.49, 0.2, 0.9],
        [0.3, 1e30, 1, 1, 0],
        [0.4, -1e30, 1, 1, 0],
    ]
    found = columns.decode(np.float64(rows)).to_pydict()
    assert found["number"] == [0.1, 0.2, 0.3, 0.4]
    assert found["whole"][:2] == [2, -2]
    assert found["whole"][2] > 2**62
    assert found["whole"][3] == -(2**63)
    assert found["yes"][:2] == [True, False]
    assert found["word"][:2] == ["blue", "red"]


def test_times_of_any_type_are_days_or_seconds_and_come_back():
    batch = pa.record_batch(
        {
            "day": [DATE, None, datetime.date(2024, 2, 29)],
            "moment": [MOMENT, None, MOMENT + datetime.timedelta(hours=5)],
            "clock": [datetime.time(6), None, datetime.time(18, 0, 1)],
            "lasts": [datetime.timedelta(seconds=i) for i in (1, 2, 40)],
            "same": [DATE] * 3,
        }
    )
    columns = learn(batch)
    numbers = columns.encode(batch)
    assert numbers[[0, 2], 0].tolist() == [702, 0]
    assert numbers[:, -1].tolist() == [1, 2, 40]
    assert columns.decode(numbers).to_pydict() == batch.to_pydict()
    numbers[:, -1] += 0.4
    assert columns.decode(numbers)["lasts"].equals(batch["lasts"])


@pytest.mark.parametrize(
    "dtype",
    [
        "int8",
        "uint64",
        "halffloat",
        "float",
        "bool",
        pa.decimal128(25, 2),
    ],
)
def test_numbers_of_any_type_are_encoded(dtype):
    batch = pa.record_batch({"x": pa.array([1, 0, None]).cast(dtype)})
    assert_array_equal(
        learn(batch).encode(batch),
        [[1], [0], [NAN]],
    )


@pytest.mark.parametrize(
    "digits",
    [(2, 2), (5, 2), (5, -2), (3, 5)],
)
def test_decimals_are_limited_to_what_their_type_holds(digits):
    scale = 10.0 ** -digits[1]
    numbers = np.array([12, -3, 10 ** digits[0] - 1]) * scale
    nothing = pa.nulls(1, pa.decimal128(*digits))
    schema, _ = FrameSchema.learn(pa.table({"x": nothing}))
    X = pa.record_batch({"x": [*numbers, 1e300]})
    found = schema.join(X, X)["x"].cast("float64")
    assert_allclose(found, [*numbers, numbers[-1]])


def draw_places(n=900):
    """A shop for each row, its town and region, and a column of 30 kinds."""
    rng = np.random.default_rng(0)
    shop = rng.permutation(np.arange(n) % 60)
    return pa.record_batch(
        {
            "shop": [f"shop {'ab'[i % 2]}{i}" for i in shop],
            "town": [f"{'cdefg'[i % 5]} town {i}" for i in shop // 2],
            "region": [f"{'hijk'[i % 4]} region {i}" for i in shop // 6],
            "kind": [f"kind {i}" for i in rng.integers(0, 30, n)],
        }
    )


def test_columns_that_others_determine_are_left_out_of_too_many_numbers():
    places = draw_places()
    determinants = {"town": ["shop"], "region": ["town", "shop"], "shop": ["town"]}
    columns, facts = Columns.survey(places, determinants=determinants)
    # Of two that determine each other one is left, here the one with fewer categories.
    assert columns.names == ["town", "kind"]
    assert {fact.name: fact.role for fact in facts} == {
        "shop": Role.determined,
        "town": Role.used,
        "region": Role.determined,
        "kind": Role.used,
    }
    assert columns.left_out["region"].text == "town"
    chain = {"town": ["region"], "shop": ["town"], "region": ["shop"]}
    last, _ = Columns.survey(places, determinants=chain)
    assert last.names == ["region", "kind"]
    few, _ = Columns.survey(
        places.select(["town", "region"]), determinants=determinants
    )
    assert few.names == ["town", "region"]
    named, _ = Columns.survey(places, determinants=determinants, categorical=["region"])
    assert named.names == ["town", "region", "kind"]


def test_columns_of_most_categories_keep_the_most_frequent_ones():
    """Of 60, 50, 10 and 30 kinds 128 are left if a column has 44."""
    rng = np.random.default_rng(1)
    frame = {}
    for name, n_kinds in zip("abcd", (60, 50, 10, 30), strict=True):
        values = np.repeat(np.arange(n_kinds), np.arange(100, 100 + n_kinds))
        frame[name] = rng.choice(values, 5_000)
    texts = {
        name: [f"{name * 3}{i:03}x" for i in kinds] for name, kinds in frame.items()
    }
    columns, _ = Columns.survey(pa.record_batch(texts))
    n_categories = [len(column.categories) for column in columns.used]
    assert n_categories == [44, 44, 10, 30]
    for column in columns.used:
        counts = Counter(texts[column.name])
        chosen = sorted(counts[text] for text in column.categories)
        assert chosen == sorted(counts.values())[-len(chosen) :]


def test_categories_are_those_of_scikit_learn_and_rare_ones_are_grouped(rng):
    names = [*(f"c{i:02}" for i in range(47)), "Ölgrün", "Rot", "a=b"]
    values = np.repeat(
        [*names, "rare"],
        [*range(300, 650, 7), 3],
    )
    rng.shuffle(values)
    columns = learn({"word": values})
    oracle = OneHotEncoder(
        min_frequency=0.01,
        handle_unknown="infrequent_if_exist",
        sparse_output=False,
    ).fit(values[:, None])
    later = np.append(values, "new")
    found = columns.encode(pa.record_batch({"word": later}))
    assert_array_equal(found, oracle.transform(later[:, None]))
    *common, _ = oracle.get_feature_names_out(["word"])
    expected = [name.replace("word_", "word=") for name in common]
    assert columns.features == [*expected, f"word={OTHER}"]


N = 500
LEFT_OUT = {
    "constant": ([1.0] * N, "always '1'"),
    "none": (pa.nulls(N), "no value in 500 rows"),
    "nan": ([NAN] * N, "no value in 500 rows"),
    "key": (
        [f"key {i}" for i in range(N)],
        "text with 500 different values in 500 rows",
    ),
    "many": (
        [f"town {i % 250}" for i in range(N)],
        "text of 250 categories, all of which are rare",
    ),
    "units": (
        [f"{i % 90} {['g', 'kg'][i % 2]}" for i in range(N)],
        "text like numbers, with too many different values for categories",
    ),
    "tickets": (
        [f"{['A/', ''][i % 2]}{i * 37}" for i in range(N)],
        "text with 500 different values in 500 rows",
    ),
    "day": ([DATE] * N, "always '2026-01-31'"),
    "list": ([[1, 2]] * N, "unsupported type list<item: int64>"),
    "bytes": ([b"x"] * N, "unsupported type binary"),
    "long": ([LONG] * N, "text of over 4,096 characters"),
    "partly long": ([LONG, "short"] * (N // 2), "text of over 4,096 characters"),
    "copy": (range(N), "the same as 'row'"),
    "y": (["a", "b"] * (N // 2), "the label"),
    "name": (range(7, N + 7), "the id"),
    "unwanted": (range(9, N + 9), "excluded"),
}


def test_what_is_left_out_has_a_reason():
    kept = {"row": range(N), "large": [2**25, 2**25 + 1] * (N // 2)}
    sample = kept | {name: values for name, (values, _) in LEFT_OUT.items()}
    columns = learn(sample, exclude=["unwanted"], label="y", id="name")
    assert columns.names == list(kept)
    reasons = _column_words.describe_left_out(columns, REMEDIES)
    assert reasons == {name: why for name, (_, why) in LEFT_OUT.items()}
    assert columns.text == ["name"]
    roles = [columns.left_out[name].role for name in ("key", "y", "name")]
    assert roles == [Role.unusable, Role.excluded, Role.id]
    some = learn(sample, columns=["large", "row"])
    assert some.names == list(kept)
    assert some.left_out["day"].topic is Topic.unasked


def test_a_copy_is_left_out_and_a_constant_is_decoded_in_the_order_of_the_table():
    batch = pa.record_batch({"one": [1] * 30, "x": range(30), "twin": range(30)})
    columns, facts = Columns.survey(batch)
    assert [fact.role for fact in facts] == ["constant", "used", "copy"]
    again = Columns.from_json(columns.to_json())
    assert again == columns
    decoded = again.decode(again.encode(batch))
    assert decoded.equals(batch.select(["one", "x"]))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (
            {"columns": ["yes", "size", "age"]},
            "no column 'size', 'age'; available: 'numb",
        ),
        ({"exclude": ["size"]}, "no column 'size'"),
        ({"label": "age"}, "no column 'age'"),
        (
            {"exclude": ["number", "whole", "yes"], "label": "word"},
            "no usable column: 'number' .*excluded",
        ),
    ],
)
def test_a_choice_that_leaves_nothing_or_is_not_there_is_refused(
    mixed, choice, message
):
    with pytest.raises(TableError, match=message):
        learn(mixed, **choice)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("number", [None, DATE], "has .*2026, 1, 31.* in row 12"),
        ("word", [None, DATE], "has .*2026, 1, 31.* in row 12"),
    ],
)
def test_what_is_no_value_of_a_column_is_named_with_its_row(
    mixed, name, values, message
):
    columns = learn(mixed, columns=[name])
    batch = pa.record_batch({name: values})
    with pytest.raises(TableError, match=f"column '{name}' {message}"):
        columns.encode(batch, first_row=10)


def test_of_twenty_values_one_may_be_misread():
    columns, doubts = learn({"x": [0.5, 1.5]}), Doubts()
    batch = pa.record_batch({"x": ["1.5"] * 19 + ["red"]})
    numbers = columns.encode(batch, doubts=doubts)
    assert_array_equal(numbers[:, 0], [1.5] * 19 + [NAN])
    assert doubts.misread.describe("x") == "'red' in row 20"
    with pytest.raises(TableError, match="'x' has 'red' in row 19 instead of a number"):
        columns.encode(batch[1:])


OUT_OF_RANGE = ["0.88e422243", "1e39", "-1e999", "inf", 1e39, -np.inf]


@pytest.mark.parametrize("value", OUT_OF_RANGE)
def test_a_number_out_of_range_is_misread(value):
    kind = type(value)
    columns, doubts = learn({"x": [0.5, 1.5]}), Doubts()
    batch = pa.record_batch({"x": [*map(kind, [1.5] * 30), value]})
    numbers = columns.encode(batch, doubts=doubts)
    assert_array_equal(numbers[:, 0], [1.5] * 30 + [NAN])
    assert doubts.misread.describe("x") == f"'{value}' in row 31"


@pytest.mark.parametrize("value", ["-1e999", -np.inf])
def test_a_sample_may_have_an_infinite_number(value):
    kind = type(value)
    [column] = learn({"x": [*map(kind, [2.5, 0.5, 0.25] * 20), value]}).used
    assert column.kind == "number"
    assert not column.double


@pytest.mark.parametrize("number", [2, -7, 0.5, NAN, np.inf])
@pytest.mark.parametrize("values", [[True, False], ["yes", "no"], ["+", "-"]])
def test_numbers_other_than_0_and_1_are_no_truth_values(values, number):
    columns, doubts = learn({"x": values * 9}), Doubts()
    batch = pa.record_batch({"x": [1.0, 0.0] * 9 + [1.0, number]})
    numbers = columns.encode(batch, doubts=doubts)
    assert_array_equal(numbers[:, 0], [1, 0] * 9 + [1, NAN])
    assert doubts.misread.counts["x"] == (not np.isnan(number))
    if not np.isnan(number):
        with pytest.raises(TableError, match=f"has {float(number)} in row 2 instead"):
            columns.encode(batch[18:])


def test_nan_of_a_frame_is_filled_as_null_is():
    rows = pa.table({"x": [1.0, NAN, None], "y": ["a", None, "b"]})
    schema, _ = FrameSchema.learn(rows)
    others = pa.record_batch({"x": [7.0, 8.0, 9.0], "y": ["c", "d", "e"]})
    filled = schema.fill(rows, others, {})
    assert filled.to_pydict() == {"x": [1.0, 8.0, 9.0], "y": ["a", "d", "b"]}


def test_columns_that_are_not_there_are_named_at_once(mixed):
    with pytest.raises(
        TableError, match="lacks columns of the model: 'number', 'word'"
    ):
        learn(mixed).encode(mixed.select(["yes", "whole"]))


def test_shares_add_up_to_one_where_no_category_is_likely(mixed):
    shares = learn(mixed).join_proba([[0.0] * 5], None)
    assert_array_equal(shares, [[0, 0.5, 0.5]])


def test_decode_refuses_another_width(mixed):
    with pytest.raises(TableError, match=r"5 columns.*shape \(1, 3\)"):
        learn(mixed).decode([[1.0] * 3])


def test_categories_that_look_like_numbers_in_another_file_are_read_as_text(folder):
    (folder / "a.csv").write_text("zip,x\n01,1\n02,2\nother,3\n01,1\n02,1\n")
    (folder / "b.csv").write_text("zip,x\n01,1\n02,2\n")
    columns = learn(next(open_table("a.csv").batches()))
    assert columns.text == ["zip"]
    [other] = open_table("b.csv", text=columns.text).batches()
    found = columns.encode(other)
    assert_array_equal(found[:, :3], [[1, 0, 0], [0, 1, 0]])


def test_whole_numbers_that_name_things_come_back_whole():
    batch = pa.record_batch({"zip": [2**62, 1069] * 9})
    columns = learn(batch, categorical=["zip"])
    columns = Columns.from_json(columns.to_json())
    assert columns.features == ["zip=1069", f"zip={2**62}"]
    assert columns.decode(columns.encode(batch)).to_pydict() == batch.to_pydict()
    assert np.isnan(columns.encode(pa.record_batch({"zip": [1069.5, NAN]}))).all()


def test_a_gap_has_the_decimals_and_the_type_of_other_values():
    rain = [*np.zeros(1500), *np.arange(99) / 100]
    batch = pa.record_batch({"rain": [*rain, None]})
    numbers = np.full((len(batch), 1), 0.43)
    assert learn(batch).fill(batch, numbers)["rain"][-1].as_py() == 0.43
    columns = learn(pa.record_batch({"rain": [f"{mm} mm" for mm in rain]}))
    assert columns.fill(batch, numbers)["rain"][-1].as_py() == 0.43


def test_large_whole_numbers_come_back():
    many = pa.array([10**20, None], pa.decimal128(38, 0))
    rows = pa.table({"x": many})
    schema, _ = FrameSchema.learn(rows)
    others = pa.record_batch({"x": [10**18, 2]})
    assert schema.join(others, rows)["x"].to_pylist() == [10**18, 2]
    ids = pa.array([*range(9)] * 9).cast(many.type)
    assert learn(pa.record_batch({"store_id": ids})).used


def test_marks_of_a_missing_value_are_so_in_later_tables():
    parts = np.float32([-9.9, 1, 2])
    batch = pa.record_batch({"x": parts, "word": ["none yet", "a", "b"]})
    columns = learn(batch, na=["-9.9", "none yet"])
    found = Columns.from_json(columns.to_json()).encode(batch)
    assert_array_equal(np.isnan(found), [[True] * 3, *[[False] * 3] * 2])


def test_a_frame_that_lacks_a_column_is_refused():
    frame, _ = FrameSchema.learn(pa.table({"y": [1]}))
    columns = dataclasses.replace(learn({"x": [0.5, 1.5]}), frame=frame)
    with pytest.raises(TableError, match="its columns contradict one another"):
        Columns.from_json(columns.to_json())


SOUND = """{
    "version": 1,
    "columns": [
        {"name": "x", "kind": "number", "marks": ["-9"]},
        {"name": "word", "kind": "text", "categories": ["a", "b"], "other": true},
        {"name": "day", "kind": "time", "form": {"form": "times", "format": "%Y-%m-%d"},
         "origin": 20000.0, "cycles": ["weekday"]},
        {"name": "price", "kind": "number",
         "form": {"form": "number", "decimal": ",", "prefix": "$", "places": 2}}
    ],
    "order": ["x", "same", "word", "day", "price"],
    "left_out": {"y": {"topic": "label"}, "same": {"topic": "constant", "value": 1.5}},
    "label": "y"
}"""

# What stands in the sound description, and what stands there instead.
DAMAGES = {
    "no columns": (r'"columns": \[.*?\n    \]', '"columns": []'),
    "a column that is text": (r'"columns": \[', '"columns": ["x",'),
    "a version to come": ('"version": 1', '"version": 3'),
    "no version": ('"version": 1,', ""),
    "a label that is a number": ('"label": "y"', '"label": 3'),
    "a reason that is a number": (r'\{"topic": "label"\}', "3"),
    "a reason that is none": ('"label"}', '"misspelt"}'),
    "a topic that is none": ('"label"}', '"colour"}'),
    "a number of rows that is text": ('"label"}', '"label", "n": "3"}'),
    "a mark that is a number": ('"-9"', "-9"),
    "an order of others": ('"order": .', '"order": ["z", '),
    "a constant column that is used": ('"same": ', '"x": '),
    "a constant list": ("1.5", "[1]"),
    "a date that is none": ("1.5", '"soon", "text": "date"'),
    "a constant number that is too large": ("1.5", "1" + 30 * "0"),
    "a constant text that is too long": ("1.5", f'"{LONG}"'),
    "a name that is a number": ('"name": "x"', '"name": 3'),
    "a name twice": ('"name": "x"', '"name": "word"'),
    "a kind that is not": ('"kind": "number"', '"kind": "colour"'),
    "a time without a form": ('"kind": "number"', '"kind": "time"'),
    "text without categories": (r'\["a", "b"\]', "[]"),
    "a category twice": (r'\["a", "b"\]', '["a", "a"]'),
    "a category that is a number": (r'\["a", "b"\]', '["a", 1]'),
    "a category that is too long": (r'\["a", "b"\]', f'["a", "{LONG}"]'),
    "whole categories that are words": ('"other": true', '"whole": true'),
    "others that are a number": ('"other": true', '"other": 1'),
    "numbers with categories": (
        '"kind": "number"',
        '"kind": "number", "categories": ["a"]',
    ),
    "others among numbers": ('"kind": "number"', '"kind": "number", "other": true'),
    "a form of no kind": ('"form": "number"', '"form": "colour"'),
    "a form that is text": ('"form": {"form": "number".*?}', '"form": "$"'),
    "numbers with a form of times": ('"form": "number".*?}', '"form": "times"}'),
    "another decimal mark": ('"decimal": ","', '"decimal": "x"'),
    "a prefix that is a number": (r'"\$"', "3"),
    "a unit that is too long": ('"decimal": ","', f'"suffix": "{LONG}"'),
    "too many places": ('"places": 2', '"places": 99'),
    "an argument that is none": ('"places": 2', '"colour": 1'),
    "a format that is none": ("%Y-%m-%d", "%s%n" * 99),
    "a zone that is none": ('"format"', '"zone": "+xx", "format"'),
    "a cycle that is none": ("weekday", "moon"),
    "days since times, of numbers": ('"number"', '"number", "since": "day"'),
    "no beginning": ("20000.0", "NaN"),
}


@for_each(DAMAGES, "sound", "damage")
def test_a_damaged_description_is_refused(sound, damage):
    damaged, n_places = re.subn(sound, damage, SOUND, count=1, flags=re.DOTALL)
    assert n_places == 1
    json.loads(damaged)
    with pytest.raises(TableError, match="description of the columns in the model"):
        Columns.from_json(damaged.encode())


@pytest.mark.parametrize("text", [b"[]", b"{"])
def test_what_is_no_description_is_refused(text):
    with pytest.raises(TableError, match="damaged"):
        Columns.from_json(text)


def test_the_sound_description_is_accepted():
    columns = Columns.from_json(SOUND.encode())
    of_day = ["day:days", "day:weekday sin", "day:weekday cos"]
    of_word = ["word=a", "word=b", f"word={OTHER}"]
    assert columns.features == ["x", *of_word, *of_day, "price"]
    [row] = columns.decode(np.ones((1, 8))).to_pylist()
    assert list(row) == ["x", "same", "word", "day", "price"]
    assert list(row.values()) == [1.0, 1.5, "a", "2024-10-05", "$1,00"]


WORDS = [
    "military",
    "Lyon",
    "north-east",
    "high school",
    "Bergamo",
]


@given(data=st.data())
def test_a_rare_text_one_letter_from_a_frequent_one_counts_as_it(data):
    word = data.draw(st.sampled_from(WORDS))
    place = data.draw(st.sampled_from([i for i, x in enumerate(word) if x.isalpha()]))
    wrong, missing, twice = "z", "", 2 * word[place]
    letter = data.draw(st.sampled_from([wrong, missing, twice]))
    misspelt = word[:place] + letter + word[place + 1 :]
    rows = pa.record_batch({"word": [*WORDS * 20, misspelt]})
    columns, [fact] = survey(rows)
    assert f"{misspelt!r} (1x) for {word!r} (20x)" in fact.warnings[0]
    assert columns.used[0].categories == tuple(sorted(WORDS))
    doubts = Doubts()
    last = columns.encode(rows, doubts=doubts)[-1]
    assert_array_equal(last, [x == word for x in sorted(WORDS)])
    assert columns.decode([last])["word"].to_pylist() == [word]
    later = pa.record_batch({"word": [misspelt]})
    assert_array_equal(columns.encode(later, doubts=doubts), [last])
    [(places, times)] = doubts.misspelt.texts["word"].values()
    assert (places, times) == ([len(rows), 1], 2)
    assert not doubts.unseen.counts


@pytest.mark.parametrize(
    "pair",
    [
        "a12 a13",
        "A-1 B-1",
        "low now",
        "class1 class2",
        "x y",
        "no-1 no 1",
    ],
)
def test_digits_and_short_words_tell_kinds_apart(pair):
    one, other = pair.split(" ", 1)
    columns, [fact] = survey({"word": [*[one] * 60, *["else"] * 60, other]})
    assert fact.warnings == ()
    assert len(columns.features) == 3


def test_what_is_similar_to_a_category_and_not_rare_is_one_too():
    """Texts of over 40 kinds, of which those of one in a hundred rows have a number."""
    rest = [one + other for one in "abcdef" for other in "ghijklmnop"]
    words = [*["Iran"] * 60, "Iraq", *rest, *["Peru"] * 40]
    columns, [fact] = survey({"word": words * 20})
    assert "Iraq" not in str(fact.warnings)
    assert columns.used[0].categories == ("Iran", "Iraq", "Peru")


def test_times_that_follow_others_are_the_days_since_these_too(rng):
    ordered = rng.integers(0, 900, 200).astype("datetime64[D]")
    days = rng.integers(1, 9, 200)
    born = rng.integers(-9000, 0, 200).astype("datetime64[D]")
    arrays = {"born": born, "ordered": ordered, "shipped": ordered + days}
    rows = pa.record_batch({name: pa.array(x) for name, x in arrays.items()})
    columns = learn(rows)
    numbers = columns.encode(rows)
    assert [name for name in columns.features if "since" in name] == [
        "shipped:days since ordered"
    ]
    assert_array_equal(numbers[:, -1], days)
    again = Columns.from_json(columns.to_json())
    assert again.decode(numbers).equals(rows)
    empty = pa.nulls(200, pa.date32())
    gaps = pa.record_batch({**arrays, "ordered": empty})
    assert np.isnan(again.encode(gaps)[:, -1]).all()
    # A time that is filled in is as far from the other one as that number says.
    gaps = pa.record_batch({**arrays, "shipped": empty})
    numbers[:, again.features.index("shipped:days")] += 40
    assert again.fill(gaps, numbers).equals(rows)


def test_what_arrow_notes_of_pandas_is_whole():
    """Else it is missed when a frame is made, long after the file was read."""
    frame = pd.DataFrame({"a": ["x", "y"] * 40, "b": range(80)})
    columns = learn_columns(frame, "from_dtype")
    Columns.from_json(columns.to_json())
    notes = json.dumps({"columns": [{"name": "a"}]})
    batch = columns.frame.without_rows.replace_schema_metadata({"pandas": notes})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    schema = FrameSchema("pandas", ("a", "b"), sink.getvalue().to_pybytes())
    damaged = dataclasses.replace(columns, frame=schema)
    with pytest.raises(TableError, match="damaged"):
        Columns.from_json(damaged.to_json())
