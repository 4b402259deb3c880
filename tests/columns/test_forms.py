"""Text that people write is read as what Python wrote, and written again."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_tied.columns import Columns
from keras_tied.tables import open_table

amounts = st.lists(
    st.integers(-(10**6), 10**6).map(lambda cents: cents / 100),
    min_size=5,
    max_size=30,
    unique=True,
)


def learn(texts, **options):
    batch = pa.record_batch({"x": list(texts)})
    columns = Columns.survey(batch, **options)[0]
    return (
        columns,
        columns.encode(batch),
        columns.decode(columns.encode(batch))["x"].to_pylist(),
    )


@given(
    amounts,
    st.sampled_from(
        [(",", "."), (".", ","), ("\u00a0", ","), ("\u2019", "."), ("", "."), ("", ",")]
    ),
    st.sampled_from(["{}", "${}", "{} €", "CHF {}", "{}%", "{} km/h", "£ {}"]),
)
def test_amounts_are_read_and_written_as_python_writes_them(values, marks, unit):
    separator, decimal = marks

    def write(value):
        digits = f"{abs(value):,.2f}".translate(
            {ord(","): separator, ord("."): decimal}
        )
        inside = unit.split("{}")[0].endswith(" ")
        if inside:
            return unit.format(digits if value >= 0 else f"-{digits}")
        return ("" if value >= 0 else "-") + unit.format(digits)

    texts = [write(value) for value in values]
    _, numbers, again = learn(texts)
    np.testing.assert_array_equal(numbers[:, 0], np.float32(values))
    if isinstance(again[0], str):
        assert again == texts
    else:
        np.testing.assert_array_equal(np.float32(again), np.float32(values))


FORMATS = (
    *(
        "%Y-%m-%d",
        "%d.%m.%Y",
        "%d/%m/%Y",
        "%m/%d/%Y",
        "%Y/%m/%d",
        "%d-%b-%Y",
        "%Y-%m-%dT%H:%M",
    ),
    *("%Y%m%d", "%d %B %Y", "%b %d, %Y", "%d.%m.%y %H:%M:%S", "%m/%d/%Y %I:%M %p"),
    "%Y-%m-%dT%H:%M:%SZ",
)


@pytest.mark.parametrize("form", FORMATS)
@given(
    st.lists(
        st.datetimes(datetime.datetime(1975, 1, 1), datetime.datetime(2028, 1, 1)),
        min_size=5,
        max_size=30,
        unique_by=lambda time: time.date(),
    )
)
def test_times_are_read_and_written_as_python_writes_them(form, times):
    # The last tells the day from the month.
    texts = [time.strftime(form) for time in [*times, datetime.datetime(2024, 12, 31)]]
    columns, numbers, again = learn(texts)
    assert again == texts
    epoch = datetime.datetime(1970, 1, 1)
    pattern = form.removesuffix("Z")
    parsed = [
        datetime.datetime.strptime(text.removesuffix("Z"), pattern) for text in texts
    ]
    days = np.array([(time - epoch) / datetime.timedelta(days=1) for time in parsed])
    np.testing.assert_allclose(numbers[:, 0], days - columns.used[0].origin, atol=2e-3)


@pytest.mark.parametrize("order", ["dmy", "mdy"])
def test_the_order_of_day_and_month_is_what_is_said(order):
    form = {"dmy": "%d/%m/%Y", "mdy": "%m/%d/%Y"}[order]
    times = [
        datetime.datetime(2024, month, day) for month in (1, 5, 9) for day in (2, 6, 11)
    ]
    texts = [time.strftime(form) for time in times]
    _columns, numbers, again = learn(texts, dates=order)
    assert again == texts
    expected = [(time - times[0]).days for time in times]
    np.testing.assert_array_equal(numbers[:, 0], expected)


def test_the_decimal_mark_is_what_is_said():
    texts = ["1,234", "5,678", "9,012"]
    assert learn(texts)[1][:, 0].tolist() == [1234, 5678, 9012]
    np.testing.assert_allclose(
        learn(texts, decimal=",")[1][:, 0], [1.234, 5.678, 9.012]
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [('a,b\n"1,234",x\n', "."), ("a;b\n1,234;x\n", ","), ("a;b\n1,234;0.5\n", ".")],
)
def test_the_decimal_mark_of_a_file_is_that_of_its_delimiter_and_numbers(
    tmp_path, content, expected
):
    (tmp_path / "rows.csv").write_text(content)
    assert open_table(tmp_path / "rows.csv").decimal == expected


def test_a_clear_column_decides_for_one_that_is_not():
    batch = pa.record_batch({"x": ["1,234", "5,678"], "y": ["0,5", "1.234,5"]})
    np.testing.assert_allclose(
        Columns.survey(batch)[0].encode(batch)[:, 0], [1.234, 5.678]
    )


@pytest.mark.parametrize(
    "texts",
    [
        ["1.2.3", "1.2.4", "2.0.1", "1.10.3"] * 9,
        ["192.168.0.1", "10.0.0.7", "172.16.254.3"] * 9,
        ["+49 151 2345678", "+49 30 123456", "+1 555 0100"] * 9,
        ["12 kg", "300 g", "1 t"] * 9,
        ["10-20", "20-30", "30+"] * 9,
    ],
)
def test_names_that_hold_digits_are_no_numbers(texts):
    columns, _, again = learn(texts)
    assert columns.used[0].kind == "text"
    assert again == texts


def test_zeros_before_numbers_are_kept():
    _, _, again = learn(["01069", "80331", "01069", "04109"] * 9)
    assert again[:2] == ["01069", "80331"]


def test_whole_numbers_that_name_things_come_back_whole():
    batch = pa.record_batch({"zip": [80331, 1069, 80331] * 9})
    columns = Columns.survey(batch, categorical=["zip"])[0]
    assert columns.features == ["zip=1069", "zip=80331"]
    assert columns.decode(columns.encode(batch)).to_pydict() == batch.to_pydict()


def test_no_rows_are_decoded_to_no_rows():
    columns, numbers, _ = learn(["$1,234.50", "($2.00)", "$3.25"])
    assert columns.decode(numbers[:0])["x"].to_pylist() == []
