import datetime
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder

from keras_tied.columns import OTHER, Columns, Kind, MisreadValues
from keras_tied.tables import TableError, open_table


@pytest.fixture
def mixed():
    return pa.record_batch(
        {
            "number": pa.array([0.5, None, -2.25, 3.0], pa.float64()),
            "whole": pa.array([1, 2, None, 4], pa.int64()),
            "yes": pa.array([True, False, None, True]),
            "word": ["red", "blue", None, "red"],
        }
    )


def learn(sample, **choice):
    columns, facts = Columns.survey(sample, **choice)
    columns.require_usable(facts)
    return columns


def test_numbers_are_used_as_they_are_and_text_is_one_number_a_category(mixed):
    columns = learn(mixed)
    assert columns.features == ["number", "whole", "yes", "word=blue", "word=red"]
    assert columns.column_numbers.tolist() == [0, 1, 2, 3, 3]
    nan = np.nan
    expected = [
        [0.5, 1, 1, 0, 1],
        [nan, 2, 0, 1, 0],
        [-2.25, nan, nan, nan, nan],
        [3, 4, 1, 0, 1],
    ]
    numbers = columns.encode(mixed)
    assert numbers.dtype == np.float32
    np.testing.assert_array_equal(numbers, np.float32(expected))


def test_decode_takes_encode_back(mixed):
    columns = learn(mixed)
    assert columns.decode(columns.encode(mixed)).to_pydict() == mixed.to_pydict()


def test_decode_takes_the_largest_category_rounds_whole_numbers_and_halves_booleans(
    mixed,
):
    columns = learn(mixed)
    rows = [[0.1, 1.6, 0.5, -0.3, -0.4], [0.2, -1.6, 0.49, 0.2, 0.9]]
    assert columns.decode(np.float64(rows)).to_pylist() == [
        {"number": 0.1, "whole": 2, "yes": True, "word": "blue"},
        {"number": 0.2, "whole": -2, "yes": False, "word": "red"},
    ]


def test_decode_of_numbers_beyond_whole_ones_gives_the_last(mixed):
    columns = learn(mixed, columns=["whole"])
    found = columns.decode(np.float32([[1e30], [-1e30]]))["whole"].to_pylist()
    assert found[0] > 2**62
    assert found[1] == -(2**63)


def test_decode_refuses_another_width(mixed):
    with pytest.raises(TableError, match=r"shape \(1, 3\).*give 5 columns"):
        learn(mixed).decode([[1.0, 2.0, 3.0]])


words = st.sampled_from(["red", "green", "blue", "Ölgrün", "Rot", "a=b"])


@settings(max_examples=100)
@given(st.lists(words, min_size=8, max_size=60))
def test_one_hot_is_that_of_scikit_learn(values):
    values = [*values, "red", "green"]
    columns = learn(pa.record_batch({"word": values}))
    assert not columns.used[0].other
    oracle = OneHotEncoder(sparse_output=False).fit(np.array(values, object)[:, None])
    np.testing.assert_array_equal(
        columns.encode(pa.record_batch({"word": values})),
        oracle.transform(np.array(values, object)[:, None]),
    )
    names = oracle.get_feature_names_out(["word"])
    assert columns.features == [name.replace("word_", "word=", 1) for name in names]


def test_rare_categories_are_grouped_as_in_scikit_learn(rng):
    # No two as frequent, so that which are the forty most frequent is not a matter of
    # ties.
    values = [f"c{i:02}" for i in range(50) for _ in range(300 + 7 * i)] + ["rare"] * 3
    rng.shuffle(values)
    columns = learn(pa.record_batch({"word": values}))
    oracle = OneHotEncoder(
        max_categories=41,
        min_frequency=0.01,
        handle_unknown="infrequent_if_exist",
        sparse_output=False,
    ).fit(np.array(values)[:, None])
    assert columns.features[-1] == f"word={OTHER}"
    assert len(columns.features) == 41
    np.testing.assert_array_equal(
        columns.encode(pa.record_batch({"word": [*values, "new"]})),
        oracle.transform(np.array([*values, "new"])[:, None]),
    )


def test_a_category_never_seen_is_missing_and_counted(mixed):
    columns = learn(mixed, columns=["word"])
    unseen = MisreadValues()
    batch = pa.record_batch({"word": ["green", "red", "green", None]})
    numbers = columns.encode(batch, unseen=unseen)
    missing = [np.nan, np.nan]
    np.testing.assert_array_equal(numbers, [missing, [0, 1], missing, missing])
    assert unseen.counts == {"word": 2}
    assert unseen.describe("word") == "'green' 2 times, first in row 1"


def test_columns_are_matched_by_name_in_any_order_and_others_are_listed(mixed):
    columns = learn(mixed, exclude=["whole"])
    other = pa.record_batch(
        [pa.array(["x"] * 4), *reversed(mixed.columns)],
        names=["new", *reversed(mixed.schema.names)],
    )
    np.testing.assert_array_equal(columns.encode(other), columns.encode(mixed))
    assert columns.match(other.schema.names) == ["new"]


def test_all_missing_columns_are_named_at_once(mixed):
    columns = learn(mixed)
    with pytest.raises(
        TableError, match="no column 'number', 'word', which the model uses"
    ):
        columns.encode(mixed.select(["yes", "whole"]))


def test_what_is_left_out_has_a_reason(rng):
    n = 500
    day = datetime.date(2026, 1, 1)
    x = rng.normal(size=n)
    sample = pa.record_batch(
        {
            "x": x,
            "copy": x,
            "constant": np.ones(n),
            "none": pa.nulls(n),
            "nan": np.full(n, np.nan),
            "no text": pa.nulls(n, pa.string()),
            "key": [f"key {i}" for i in range(n)],
            "many": [f"town {i % 250}" for i in range(n)],
            "day": [day] * n,
            "moment": pa.array([0] * n, pa.timestamp("us", "UTC")),
            "list": [[1, 2]] * n,
            "bytes": [b"x"] * n,
            "struct": [{"a": 1}] * n,
            "y": ["a", "b"] * (n // 2),
            "row": np.arange(n),
            "unwanted": np.ones(n),
        }
    )
    columns = learn(sample, exclude=["unwanted"], label="y", id="row")
    assert columns.names == ["x"]
    assert columns.left_out == {
        "constant": "always '1'",
        "copy": "the same as 'x'",
        "none": "no value in 500 rows",
        "nan": "no value in 500 rows",
        "no text": "no value in 500 rows",
        "key": "text of which nearly every value differs, 500 in 500 rows",
        "many": "text of 250 categories, all of which are rare",
        "day": "always '2026-01-01'",
        "moment": "always '1970-01-01 00:00:00+00:00'",
        "list": "values of type list<item: int64>",
        "bytes": "values of type binary",
        "struct": "values of type struct<a: int64>",
        "y": "the label",
        "row": "the id",
        "unwanted": "excluded",
    }
    assert columns.text == ["y", "row"]


def test_only_the_columns_asked_for_are_used(mixed):
    columns = learn(mixed, columns=["yes", "number"])
    assert columns.names == ["number", "yes"]
    assert columns.left_out["word"] == "not among those asked for"


@pytest.mark.parametrize("argument", ["columns", "exclude"])
def test_a_column_asked_for_that_is_not_there_is_named(mixed, argument):
    with pytest.raises(
        TableError, match="no column 'size', 'age'; it has 'number', 'whole'"
    ):
        learn(mixed, **{argument: ["yes", "size", "age"]})
    with pytest.raises(TableError, match="no column 'age'"):
        learn(mixed, label="age")
    with pytest.raises(TableError, match="no column 'age'"):
        learn(mixed, id="age")


def test_a_table_without_a_usable_column_is_refused_with_the_reasons():
    sample = pa.record_batch({"a": ["x", "y", "z"], "b": pa.nulls(3)})
    with pytest.raises(
        TableError, match=r"no column can be used: 'a' .*differs.*'b' .*no value"
    ):
        learn(sample)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39])
def test_an_infinite_value_is_named_with_its_column_and_row(mixed, value):
    columns = learn(mixed, columns=["number"])
    batch = pa.record_batch({"number": [0.0, np.nan, value]})
    with pytest.raises(
        TableError, match=r"column 'number' holds -?(inf|1e\+39) in row 1003,"
    ):
        columns.encode(batch, first_row=1000)


def test_text_in_a_column_of_numbers_is_named_with_its_row(mixed):
    columns = learn(mixed, columns=["number"])
    assert columns.encode(pa.record_batch({"number": ["1.5", None]}))[0] == 1.5
    with pytest.raises(
        TableError, match="column 'number' holds 'red' in row 2, where a number"
    ):
        columns.encode(pa.record_batch({"number": ["1.5", "red"]}))


@pytest.mark.parametrize("column", ["number", "word"])
def test_dates_in_a_column_of_another_kind_are_refused(mixed, column):
    columns = learn(mixed, columns=[column])
    dates = pa.record_batch({column: [None, datetime.date(2026, 1, 1)]})
    with pytest.raises(
        TableError, match=f"column '{column}' holds .*2026, 1, 1.* in row 2"
    ):
        columns.encode(dates)


@pytest.mark.parametrize(
    "dtype",
    [
        pa.int8(),
        pa.uint64(),
        pa.float16(),
        pa.float32(),
        pa.decimal128(25, 2),
        pa.bool_(),
    ],
)
def test_numbers_of_any_type_are_encoded(dtype):
    values = pa.array([1, 0, None]).cast(dtype)
    batch = pa.record_batch({"x": values})
    np.testing.assert_array_equal(
        learn(batch).encode(batch), np.float32([[1], [0], [np.nan]])
    )


def test_a_column_without_values_is_missing_in_every_row(mixed):
    batch = pa.record_batch({name: pa.nulls(2) for name in mixed.schema.names})
    assert np.isnan(learn(mixed).encode(batch)).all()


def test_no_rows_become_no_numbers(mixed):
    assert learn(mixed).encode(mixed.slice(0, 0)).shape == (0, 5)


def test_batches_are_encoded_to_what_the_whole_is(folder, rng):
    lines = [
        f"{x:.3f},{word}\n"
        for x, word in zip(rng.normal(size=999), "abc" * 333, strict=True)
    ]
    (folder / "rows.csv").write_text("x,word\n" + "".join(lines))
    source = open_table("rows.csv")
    columns = learn(source.sample(100, seed=0))
    (whole,) = source.batches(999)
    parts = [columns.encode(batch) for batch in source.batches(100)]
    np.testing.assert_array_equal(np.concatenate(parts), columns.encode(whole))


def test_categories_that_look_like_numbers_in_another_file_are_read_as_text(folder):
    (folder / "a.csv").write_text("zip,x\n01,1\n02,2\nother,3\n01,1\n02,1\n")
    (folder / "b.csv").write_text("zip,x\n01,1\n02,2\n")
    (first,) = open_table("a.csv").batches()
    columns = learn(first)
    assert columns.text == ["zip"]
    (second,) = open_table("b.csv", text=columns.text).batches()
    unseen = MisreadValues()
    np.testing.assert_array_equal(
        columns.encode(second, unseen=unseen)[:, :3], [[1, 0, 0], [0, 1, 0]]
    )
    assert not unseen.counts


def test_the_description_of_a_clean_table_holds_what_it_needs_and_no_more(mixed):
    text = learn(mixed, exclude=["whole"], label="yes").to_json()
    description = json.loads(text)
    assert list(description) == ["version", "columns", "left_out", "label", "id"]
    assert all(
        list(c) == ["name", "kind", "categories", "other"]
        for c in description["columns"]
    )


def test_numbers_that_differ_beyond_single_precision_are_not_constant():
    batch = pa.record_batch({"x": [2**25, 2**25 + 1], "y": [1, 2]})
    assert learn(batch).names == ["x", "y"]


def test_marks_of_a_missing_value_are_so_in_later_tables():
    batch = pa.record_batch({"x": [-9, 1, 2], "word": ["none yet", "a", "b"]})
    columns = learn(batch, na=["-9", "none yet"])
    again = Columns.from_json(columns.to_json())
    assert np.isnan(again.encode(batch)[0]).all()
    assert not np.isnan(again.encode(batch)[1:]).any()


def test_times_of_any_type_are_days_and_come_back():
    moment = datetime.datetime(2026, 1, 31, 12, 30, tzinfo=datetime.UTC)
    batch = pa.record_batch(
        {
            "day": pa.array(
                [datetime.date(2026, 1, 31), None, datetime.date(2024, 2, 29)]
            ),
            "moment": pa.array([moment, None, moment + datetime.timedelta(hours=5)]),
            "clock": pa.array([datetime.time(6), None, datetime.time(18, 0, 1)]),
            "same": [datetime.date(2026, 1, 31)] * 3,
        }
    )
    columns = learn(batch)
    assert columns.encode(batch)[[0, 2], 0].tolist() == [702, 0]
    assert columns.decode(columns.encode(batch)).to_pydict() == batch.to_pydict()


def test_json_takes_columns_back(mixed):
    columns = learn(mixed, exclude=["whole"], label="yes")
    assert Columns.from_json(columns.to_json()) == columns


def damaged(change):
    """A description that someone has changed."""
    json = {
        "version": 1,
        "columns": [
            {"name": "x", "kind": "number", "categories": [], "other": False},
            {"name": "word", "kind": "text", "categories": ["a", "b"], "other": True},
            {
                "name": "day",
                "kind": "time",
                "categories": [],
                "other": False,
                "form": {
                    "form": "times",
                    "format": "%Y-%m-%d",
                    "dtype": "",
                    "zone": "",
                    "places": 0,
                },
                "origin": 20000.0,
                "cycles": ["weekday"],
            },
            {
                "name": "price",
                "kind": "number",
                "categories": [],
                "other": False,
                "form": {"form": "number", "decimal": ",", "prefix": "$", "places": 2},
            },
        ],
        "restored": [
            {"name": "same", "copy_of": None, "value": 1.5, "is_date": False},
            {"name": "again", "copy_of": "x", "value": None, "is_date": False},
        ],
        "order": ["x", "same", "word", "day", "again", "price"],
        "na": ["-9"],
        "left_out": {"y": "the label"},
        "label": "y",
        "id": None,
    }
    change(json)
    return json


DAMAGES = {
    "no columns": lambda json: json.update(columns=[]),
    "columns that are text": lambda json: json.update(columns="xy"),
    "a version to come": lambda json: json.update(version=3),
    "no version": lambda json: json.pop("version"),
    "a label that is a number": lambda json: json.update(label=3),
    "a reason that is a number": lambda json: json.update(left_out={"y": 3}),
    "a name that is a number": lambda json: json["columns"][0].update(name=3),
    "a name twice": lambda json: json["columns"][0].update(name="word"),
    "a kind that is not": lambda json: json["columns"][0].update(kind="colour"),
    "a kind that is not used": lambda json: json["columns"][0].update(kind="time"),
    "text without categories": lambda json: json["columns"][1].update(categories=[]),
    "numbers with categories": lambda json: json["columns"][0].update(categories=["a"]),
    "a category twice": lambda json: json["columns"][1].update(categories=["a", "a"]),
    "a category that is a number": (
        lambda json: json["columns"][1].update(categories=["a", 1])
    ),
    "others among numbers": lambda json: json["columns"][0].update(other=True),
    "others that are a number": lambda json: json["columns"][1].update(other=1),
    "a column that is text": lambda json: json["columns"].append("x"),
    "a form of no kind": lambda json: json["columns"][3]["form"].update(form="colour"),
    "a form that is text": lambda json: json["columns"][3].update(form="$"),
    "another decimal mark": lambda json: json["columns"][3]["form"].update(decimal="x"),
    "a prefix that is a number": (
        lambda json: json["columns"][3]["form"].update(prefix=3)
    ),
    "too many places": lambda json: json["columns"][3]["form"].update(places=99),
    "an argument that is none": (
        lambda json: json["columns"][3]["form"].update(colour=1)
    ),
    "a format that is none": (
        lambda json: json["columns"][2]["form"].update(format="%s%n" * 99)
    ),
    "a zone that is none": lambda json: json["columns"][2]["form"].update(zone="+xx"),
    "times without a form": lambda json: json["columns"][2].pop("form"),
    "numbers with a form of times": (
        lambda json: json["columns"][3].update(form=json["columns"][2]["form"])
    ),
    "a cycle that is none": lambda json: json["columns"][2].update(cycles=["moon"]),
    "no beginning": lambda json: json["columns"][2].update(origin=float("nan")),
    "whole categories that are words": (
        lambda json: json["columns"][1].update(whole=True)
    ),
    "a copy of what is not there": lambda json: json["restored"][1].update(copy_of="z"),
    "a restored column that is used": lambda json: json["restored"][0].update(name="x"),
    "a restored list": lambda json: json["restored"][0].update(value=[1]),
    "a date that is none": (
        lambda json: json["restored"][0].update(is_date=True, value="soon")
    ),
    "a value that is too large": lambda json: json["restored"][0].update(value=2**70),
    "an order of others": lambda json: json["order"].append("z"),
    "a mark that is a number": lambda json: json.update(na=[-9]),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_description_is_refused(what):
    with pytest.raises(
        TableError, match="the description of the columns in the model file"
    ):
        Columns.from_json(json.dumps(damaged(DAMAGES[what])).encode())


@pytest.mark.parametrize("text", [b"null", b"[]", b'"x"', b"3", b"", b"{"])
def test_what_is_no_description_is_refused(text):
    with pytest.raises(TableError, match="damaged"):
        Columns.from_json(text)


def test_the_sound_description_is_accepted():
    columns = Columns.from_json(json.dumps(damaged(lambda json: None)).encode())
    assert columns.features[:4] == ["x", "word=a", "word=b", f"word={OTHER}"]
    assert columns.features[4:] == [
        "day:days",
        "day:weekday sin",
        "day:weekday cos",
        "price",
    ]
    assert columns.used[1].kind is Kind.text
    assert columns.decode(np.ones((1, 8))).to_pylist() == [
        {
            "x": 1.0,
            "same": 1.5,
            "word": "a",
            "day": "2024-10-05",
            "again": 1.0,
            "price": "$1,00",
        }
    ]
