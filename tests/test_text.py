"""Values, numbers and reasons as people read them."""

import pytest

from keras_tied._reasons import (
    Cause,
    describe_reason,
    format_given,
    format_suggestion,
)
from keras_tied._text import format_number, format_rarity, format_share, format_value


def test_a_value_is_visible_and_not_too_long():
    assert format_value("a\0b") == "a�b"
    assert format_value("abcdefghij", longest=5) == "ab…ij"


@pytest.mark.parametrize(
    ("number", "text"), [(0.123456, "0.123"), (12345.6, "12,346"), (float("nan"), "-")]
)
def test_a_number_has_three_significant_digits(number, text):
    assert format_number(number) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.8962, "90 %"), (0.9996, "99.9 %"), (1.0, "100 %"), (0.0123, "1.2 %")],
)
def test_a_share_is_100_percent_only_if_it_is(share, text):
    assert format_share(share) == text


@pytest.mark.parametrize(
    ("one_in", "text"), [(1.3, "1"), (1234.5, "1,200"), (2000, "> 2,000")]
)
def test_a_rarity_has_two_significant_digits(one_in, text):
    assert format_rarity(one_in, 2000) == text


def test_a_reason_names_a_column_or_two_that_contradict_each_other():
    assert format_given(9_999_999.0) == format_given(9_999_999) == "9,999,999"
    assert (format_given(0.1234567), format_given(float("inf"))) == ("0.123457", "inf")
    alone = describe_reason([Cause("age", 1.0, "999", "34")], True)
    assert (
        alone == "age 999; the other columns suggest 34, and with that the row would be"
        " ordinary"
    )
    likely = describe_reason([Cause("owner", 1.0, "yes", "no", 41.3)], False)
    assert likely == "owner yes; the other columns make no 41 times as likely"
    both = describe_reason(
        [Cause("a", 0.5, "1", "9"), Cause("b", 0.5, "9", "2")], False
    )
    assert (
        both == "a 1 and b 9 seldom go together; the other columns suggest a 9 or b 2"
    )


@pytest.mark.parametrize(
    ("value", "given", "suggestion"),
    [
        (9999999, "9,999,999", "1.00e+07"),
        (33912, "33,912", "33,900"),
        (2003, "2003", "2003"),
        (1998.6, "1998.6", "1999"),
        (2.4449, "2.4449", "2.44"),
        (None, "missing", "missing"),
        ("plum", "plum", "plum"),
    ],
)
def test_values_are_given_in_full_and_suggested_in_three_digits(
    value, given, suggestion
):
    assert format_given(value) == given
    assert format_suggestion(value) == suggestion
