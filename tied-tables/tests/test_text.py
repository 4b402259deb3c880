"""Values, numbers and reasons as people read them."""

import math

import pytest

from tied_tables import _reasons, _text
from tied_tables._reasons import Cause


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        ("format_value", "a\0b", "a�b"),
        ("format_value", 20260131.0, "20260131"),
        ("format_number", 0.123456, "0.123"),
        ("format_number", math.nan, "-"),
        ("format_share", 0.9996, "99.9 %"),
        ("format_share", 1.0, "100 %"),
        ("format_share", 0.0123, "1.2 %"),
        ("format_given", 9999999.0, "9,999,999"),
        ("format_given", 0.1234567, "0.123457"),
        ("format_given", 123456.78, "123,457"),
        ("format_given", -1205556.47, "-1,205,556"),
        ("format_given", 1.5e16, "1.5e+16"),
        ("format_given", math.inf, "inf"),
        ("format_given", None, "missing"),
        ("format_suggestion", 9999999, "10,000,000"),
        ("format_suggestion", 451_870_000.0, "452,000,000"),
        ("format_suggestion", 4.5e16, "4.50e+16"),
        ("format_suggestion", float("inf"), "inf"),
        ("format_suggestion", 33912, "33,900"),
        ("format_suggestion", 2.4449, "2.44"),
    ],
)
def test_values_are_visible_and_have_the_digits_that_say_something(
    function, value, text
):
    module = _text if hasattr(_text, function) else _reasons
    assert getattr(module, function)(value) == text


def test_a_long_value_is_cut_in_its_middle():
    assert _text.format_value("abcdefghij", longest=5) == "ab…ij"
    assert _text.format_value("abcde", longest=5) == "abcde"


@pytest.mark.parametrize(
    ("one_in", "text"), [(1.3, "1"), (1234.5, "1,200"), (2000, "> 2,000")]
)
def test_a_rarity_has_two_significant_digits(one_in, text):
    assert _text.format_rarity(one_in, 2000) == text


@pytest.mark.parametrize(
    ("causes", "reason"),
    [
        (
            [Cause("age", 1.0, "999", "34")],
            "age 999; the other columns suggest 34,"
            " and with that the row would be ordinary",
        ),
        (
            [Cause("owner", 1.0, "yes", "no", 41.3)],
            "owner yes; the other columns make no 41 times as likely",
        ),
        (
            [Cause("shop", 0.5, "A", "(other)"), Cause("b", 0.5, "9", "2")],
            "shop A and b 9 seldom go together; the other columns suggest shop another"
            " value or b 2",
        ),
        (
            [Cause("a", 0.5, "1", "9"), Cause("b", 0.5, "9", "2")],
            "a 1 and b 9 seldom go together; the other columns suggest a 9 or b 2",
        ),
        (
            [Cause("a", 0.6, "1", None), Cause("b", 0.4, "9", None)],
            "a 1 and b 9 seldom go together",
        ),
        ([Cause("a", 1.0, "1", None)], "a 1 is rare with the other values of the row"),
    ],
)
def test_a_reason_names_a_column_or_two_that_contradict_each_other(causes, reason):
    is_ordinary = "ordinary" in reason
    assert _reasons.describe_reason(causes, is_ordinary) == reason
