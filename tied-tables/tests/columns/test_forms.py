"""Text that people write is read as what Python wrote, and written again."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tied_tables.columns import Columns, NumberText
from tied_tables.io import open_table

from .conftest import learn, survey


def read(values, **choice):
    """What a column reads as, its first feature, and its values decoded again."""
    batch = pa.record_batch({"x": values})
    columns, (fact,) = survey(batch, **choice)
    again = Columns.from_json(columns.to_json())
    numbers = again.encode(batch)
    return fact.reads_as, numbers[:, 0], again.decode(numbers)["x"].to_pylist()


def write_amount(value, marks, unit):
    digits = f"{abs(value):,.2f}"
    sign = "-" if value < 0 else ""
    if unit.startswith("CHF"):
        text = unit.format(sign + digits)
    else:
        text = sign + unit.format(digits)
    return text.translate({ord(","): marks[:-1], ord("."): marks[-1]})


@given(
    st.lists(
        st.integers(-(10**6), 10**6),
        min_size=5,
        max_size=30,
        unique=True,
    ),
    st.sampled_from([",.", ".,", "\u00a0,", "\u2019.", ".", ","]),
    st.sampled_from(["{}", "${}", "{} €", "CHF {}", "{}%", "{} km/h", "£{}"]),
)
def test_amounts_are_read_and_written_as_python_writes_them(cents, marks, unit):
    values = np.array(cents) / 100
    texts = [write_amount(value, marks, unit) for value in values]
    _, numbers, again = read(texts)
    assert_array_equal(numbers, np.float32(values))
    if isinstance(again[0], str):
        assert again == texts
    else:
        assert_array_equal(np.float32(again), np.float32(values))


@given(
    st.lists(
        st.none() | st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{0,9})?", fullmatch=True)
    ),
    st.sampled_from([[], [" 7"], ["+7"]]),
)
def test_plain_numerals_are_what_python_reads_whatever_is_among_them(texts, others):
    texts = texts + others
    numbers = NumberText().parse(pa.array(texts, pa.string()))
    expected = [np.nan if text is None else float(text) for text in texts]
    assert_array_equal(numbers, expected)


@pytest.mark.parametrize("zone", ["Z", "+05:30", "-08:00"])
@pytest.mark.parametrize("fraction", ["", ".250"])
def test_moments_of_a_zone_are_days_of_utc_and_come_back(zone, fraction):
    texts = [f"2024-0{i}-01T0{i}:15:30{fraction}{zone}" for i in range(1, 9)]
    moments = [datetime.datetime.fromisoformat(text) for text in texts]
    batch = pa.record_batch({"x": texts})
    columns = learn(batch)
    days = columns.used[0].parse(batch["x"])
    assert_allclose(days, [each.timestamp() / 86_400 for each in moments], rtol=1e-12)
    assert columns.decode(columns.encode(batch))["x"].to_pylist() == texts


def test_a_unit_that_not_all_numbers_have_is_told_with_its_share():
    texts = ["12 kg", "14 kg", "9 kg", "10"] * 10
    _, [fact] = survey({"x": texts})
    assert "the unit kg on 75% of its numbers" in str(fact.warnings)


def test_a_currency_that_thousands_lack_is_no_scale():
    texts = ["$5K", "$7K", "$9", "12"] * 10
    _, [fact] = survey({"x": texts})
    assert fact.reads_as == "numbers in $"
    assert "K after 50% of its numbers, read as a factor of 1e3" in str(fact.warnings)


FORMATS = (
    "%Y-%m-%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y/%m/%d",
    "%d-%b-%Y",
    "%Y-%m-%dT%H:%M",
    "%Y%m%d",
    "%d %B %Y",
    "%b %d, %Y",
    "%d.%m.%y %H:%M:%S",
    "%m/%d/%Y %I:%M %p",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y %b",
    "%b %Y",
    "%Y-%m",
    "%m/%y",
    "%H:%M",
    "%I:%M %p",
)
LAST = datetime.datetime(2024, 12, 31)  # tells the day from the month


@pytest.mark.parametrize("form", FORMATS)
@given(
    st.lists(
        st.datetimes(datetime.datetime(1975, 1, 1), LAST),
        min_size=5,
        max_size=30,
        unique_by=lambda time: (time.year, time.month),
    )
)
def test_times_are_read_and_written_as_python_writes_them(form, times):
    texts = [time.strftime(form) for time in [*times, LAST]]
    parsed = [datetime.datetime.strptime(text, form) for text in texts]
    _, numbers, again = read(texts)
    days = [(time - parsed[0]) / datetime.timedelta(days=1) for time in parsed]
    assert again == texts
    errors = numbers - numbers[0] - days
    if form.startswith(("%H", "%I")):  # which are round a clock
        errors -= np.rint(errors)
    assert_allclose(errors, 0, atol=4e-3)


@pytest.mark.parametrize("place", [0, 250, 499])
def test_one_date_tells_the_order_of_day_and_month(place):
    texts = [f"0{1 + row % 9}/05/2025" for row in range(500)]
    texts[place] = "13/01/2025"
    assert read(texts)[2] == texts


def test_nobody_is_born_in_the_future():
    days = [datetime.date(1934 + i, i % 12 + 1, 13) for i in range(80)]
    texts = [day.strftime("%m/%d/%y") for day in days]
    _, numbers, again = read(texts)
    assert_array_equal(numbers, [(day - days[0]).days for day in days])
    assert again == texts


@given(
    st.lists(
        st.integers(0, 10**6),
        min_size=2,
        max_size=30,
        unique=True,
    )
)
def test_durations_are_seconds_and_written_as_they_were(seconds):
    seconds = [*seconds, 90_000]  # more than a day
    texts = [f"{s // 3600}:{s // 60 % 60:02}:{s % 60:02}" for s in seconds]
    reads_as, numbers, again = read(texts)
    assert reads_as == "durations"
    assert_array_equal(numbers, np.float32(seconds))
    assert again == texts


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('a,b\n"1,234",x\n"5,678",y\n', [1234, 5678]),
        ("a;b\n1,234;x\n5,678;y\n", [1.234, 5.678]),
        ("a;b\n1,234;0.5\n5,678;1\n", [1234, 5678]),
        ('a,b\n"1,234","0,5"\n"5,678","1"\n', [1.234, 5.678]),
        ("b;c;a\n48.2;10,50;1.234\n48.3;11,50;5.678\n", [1234, 5678]),
    ],
)
def test_the_decimal_mark_is_that_of_clear_columns_or_of_the_delimiter(
    folder, content, expected
):
    (folder / "rows.csv").write_text(content)
    source = open_table("rows.csv")
    [batch] = source.batches()
    _, numbers, _ = read(batch["a"], decimal=source.decimal)
    assert_allclose(numbers, expected)


TENS = "|".join(f"{i / 10}" for i in range(11, 23))
RACE = "|".join(f"1:{i}:30" for i in range(11, 23))
CLOCK = "|".join(f"{i}:30" for i in range(1, 22))
DAYS = "|".join(f"2024-01-{i:02}" for i in range(2, 24))
PRICES = "|".join(f"${i}.50" for i in range(11, 33))
# Texts, what they read as, and their numbers; those of names are not told.
READS = [
    ("1,234|5,678", "numbers", "1234|5678"),
    ("\u221212.5|3.0|\u22121.25", "numbers", "-12.5|3|-1.25"),
    ("12.5-|3.0|1.25-", "numbers", "-12.5|3|-1.25"),
    ("1.5e-7|-2E-7|3e-7", "numbers", "1.5e-7|-2e-7|3e-7"),
    ("1'234.5|-5'678.0|2.0", "numbers", "1234.5|-5678|2"),
    ("38.7M|52.7K|1.5k|12", "numbers", "38.7e6|52.7e3|1500|12"),
    (f"<0.5|~3|{TENS}", "numbers", f"0.5|3|{TENS}"),
    (f"65+|2,000+|{TENS}", "numbers", f"65|2000|{TENS}"),
    (f"unknown|TBD|{TENS}", "numbers", f"nan|nan|{TENS}"),
    ("unknown|1.5|2.5|3.5", "categories", ""),
    ("<18|18|>18", "categories", ""),
    ("2023-W37|2023-W38|2024-W01", "dates such as 2023-W37", "0|7|112"),
    ("2023 W37|2023 W38|2024 W01", "dates such as 2023 W37", "0|7|112"),
    ("Q3/23|Q4/23|Q1/24", "dates", "0|92|184"),
    ("Q3'23|Q4'23|Q1'24", "dates", "0|92|184"),
    ("2023-Q3|2023-Q4|2024-Q1", "dates", "0|92|184"),
    ("2023Q1|2023Q2|2023Q3", "dates such as 2023Q1", "0|90|181"),
    ("1990 Q4|1991 Q1|1991 Q2", "dates such as 1990 Q4", "0|92|182"),
    ("1,23,456|12,34,567|45,678", "numbers", "123456|1234567|45678"),
    ("13. September 2023|1. Oktober 2023|2. März 2024", "dates", "0|18|171"),
    ("13 septembre 2023|1 octobre 2023|2 mars 2024", "dates", "0|18|171"),
    ("13 de septiembre de 2023|1 de octubre de 2023", "dates", "0|18"),
    ("Wednesday, September 13, 2023|Sunday, October 01, 2023", "dates", "0|18"),
    ("2:10:30|3:05:00|9:59:59", "durations", "7830|11100|35999"),
    (f"25:61|{CLOCK}", "times of day", ""),
    (f"yse|{'|'.join(['yes', 'no'] * 10)}", "yes or no", ""),
    (f"1.0|{DAYS}", "dates such as 2024-01-02", ""),
    (f"DNF|{RACE}", "durations", ""),
    ("31:13|44:37|9:02", "durations", "1873|2677|542"),
    ("02:10:30|03:05:00|13:13:13", "times of day", ""),
    ("9:30|17:45|13:13", "times of day", ""),
    ("7:15 a.m.|12:05 p.m.|11:35 p.m.", "times of day", ""),
    ("7:15 pm|1:05 am|12:00 pm", "times of day", ""),
    ("12/25/2011 6:55 A.M.|1/2/2012 12:05 P.M.", "dates and times", "0|8.2152778"),
    ("1.5M|2.5", "numbers", "1.5e6|2.5"),
    ("12:00:00|1:00:00|13:13:13", "times of day", ""),
    ("1.2.3|1.2.4|2.0.1|1.10.3", "categories", ""),
    ("192.168.0.1|10.0.0.7|172.16.254.3", "categories", ""),
    ("+49 151 2345678|+49 30 123456|+1 555 0100", "categories", ""),
    ("12 kg|300 g|1 t", "categories", ""),
    ("10-20|20-30|30+", "categories", ""),
    ("01069|80331|04109", "codes of digits", ""),
    # Accounts of three countries.
    ("($1,234.50)|$2.00|$7.25", "numbers in $", "-1234.5|2|7.25"),
    ("(1.234,50 €)|2,00 €|7,25 €", "numbers in € with", "-1234.5|2|7.25"),
    ("(1\u00a0234,50 €)|2,00 €|7,25 €", "numbers in € with", "-1234.5|2|7.25"),
    ("12,5 %|40,0 %|7,2 %", "numbers in % with", "12.5|40|7.2"),
    ("12.5 km²|60.0 km²|7.2 km²", "numbers in km²", "12.5|60|7.2"),
    ("1.234.567|-5.678|12", "numbers with a decimal comma", "1234567|-5678|12"),
    # What people write into gaps, and beside other values.
    ("-|0.251|-7.4|3.125", "numbers", "nan|0.251|-7.4|3.125"),
    ("--|1,234.50|2.25", "numbers", "nan|1234.5|2.25"),
    ("#N/A|12|-7|3", "integers", "nan|12|-7|3"),
    (".|$5.00|$7.25", "numbers in $", "nan|5|7.25"),
    ("n/a|02/27/2024|03/13/2024", "dates such as 02/27/2024", "nan|0|15"),
    ("-|red|green|blue", "categories", ""),
    (f"tbd|{PRICES}", "numbers in $", ""),
    (f"soon|{DAYS}", "dates such as 2024-01-02", ""),
    ("oui|non", "oui or non", "1|0"),
    ("yes|no|-|–", "yes or no", "1|0|nan|nan"),  # noqa: RUF001
    ("ja|nein|-|–", "ja or nein", "1|0|nan|nan"),  # noqa: RUF001
    ("T|F|-|–", "T or F", "1|0|nan|nan"),  # noqa: RUF001
    ("true|false|-|–", "true or false", "1|0|nan|nan"),  # noqa: RUF001
    ("on|off", "on or off", "1|0"),
    ("TRUE|FALSE", "TRUE or FALSE", "1|0"),
    ("1|2|3+", "categories", ""),
]
GONE = {*"DNF 25:61 yse 1.0 tbd soon - – -- . #N/A n/a".split()}  # noqa: RUF001
"""Texts of `READS` that are no value of their columns."""


@pytest.mark.parametrize(("texts", "expected", "numbers"), READS)
def test_texts_read_as_a_person_reads_them(texts, expected, numbers):
    texts = texts.split("|") * 9
    reads_as, found, again = read(texts)
    assert reads_as.startswith(expected)
    if numbers:
        assert_allclose(found, [*map(float, numbers.split("|"))] * 9, rtol=1e-6)
    if expected not in ("numbers", "integers"):
        given = [None if text in GONE else text for text in texts]
        assert again == given


def test_spellings_that_differ_by_case_or_blanks_are_one():
    colours = ["red", "Red", " red ", "green", " green", "GREEN", "blue"] * 9
    paid = ["YES", "no", "yes", "NO", "Yes", "No", "no"] * 9
    columns, [fact, _] = survey({"colour": colours, "paid": paid})
    assert "has 5 spellings of 3 categories" in str(fact.warnings)
    assert columns.features == ["colour=blue", "colour=green", "colour=red", "paid"]


@pytest.mark.parametrize(
    ("form", "is_asked"),
    [
        ("{}Q22", True),
        ("{}. Quartal 2022", True),
        ("{0}th of {0}", True),
        ("{}h 33m", True),
        ("{} days 05:30:00", True),
        ("{} long" + 300 * "g", True),
        ("T{}", False),
        ("{}-20", False),
    ],
)
def test_what_begins_with_digits_and_is_not_read_is_asked_about(form, is_asked):
    texts = [form.format(number) for number in range(12)] * 9
    _, [fact] = survey({"a b": texts})
    assert (
        "use --categorical 'a b' if these are categories" in " ".join(fact.warnings)
    ) == is_asked
    assert len(str(fact.warnings)) < 300
    _, [fact] = survey({"a b": texts}, categorical=["a b"])
    assert not fact.warnings


def test_a_dash_beside_a_plus_is_no():
    batch = pa.record_batch({"x": ["+", "-", "-", None, "."] * 9})
    columns, [fact] = Columns.survey(batch)
    assert fact.missing == 18
    assert_array_equal(columns.encode(batch)[:, 0], [1, 0, 0, np.nan, np.nan] * 9)
    one = batch[1:2]
    assert columns.encode(one).item() == 0


def test_the_end_of_a_day_is_its_begin():
    reads_as, _, again = read(["09:30", "24:00", "13:13"] * 9)
    assert reads_as.startswith("times of day")
    assert again[1] == "00:00"


def write_clock(minutes):
    return [f"{minute // 60 % 24:02}:{minute % 60:02}" for minute in minutes]


def test_a_moment_that_follows_a_time_of_day_comes_back(rng):
    minutes = rng.integers(60, 1200, 200)
    day = np.datetime64("2024-01-01T00:00", "us")
    logged = day + (minutes + rng.integers(-20, 50, 200)).astype("timedelta64[m]")
    batch = pa.record_batch({"opened": write_clock(minutes), "logged": logged})
    columns = learn(batch)
    assert columns.features[-1] == "logged:days since opened"
    numbers = columns.encode(batch)
    numbers[:, columns.features.index("logged:days")] += 40  # the other one tells
    gaps = batch.set_column(1, "logged", pa.nulls(200, batch[1].type))
    filled = columns.fill(gaps, numbers)["logged"].to_numpy(zero_copy_only=False)
    assert np.abs(filled - logged).max() < np.timedelta64(5, "m")  # of 54 years


def test_times_of_day_past_midnight_come_after_those_before_it(rng):
    begins = rng.integers(1080, 1561, 300)
    spans = np.resize([40, 60, -5], 300)
    ends = write_clock(begins + spans)
    batch = pa.record_batch({"begin": write_clock(begins), "end": ends})
    columns = learn(batch)
    numbers = columns.encode(batch)
    days = numbers[:, 0] - numbers[0, 0]
    expected = (begins - begins[0]) / 1440
    assert_allclose(days, expected, atol=1e-6)
    assert columns.features[-1] == "end:days since begin"
    assert_allclose(
        numbers[:, -1],
        spans / 1440,
        atol=1e-6,
    )
    numbers[:, 1:3] += 0.1  # to the hour; the days tell the minute
    assert columns.decode(numbers).equals(batch)


@pytest.mark.parametrize(
    ("choice", "numbers"), [({"dates": "dmy"}, [0, 2]), ({"dates": "mdy"}, [0, 60])]
)
def test_the_order_of_day_and_month_is_what_is_said(choice, numbers):
    texts = ["01/02/2024", "03/02/2024"]
    _, found, again = read(texts, **choice)
    assert (found.tolist(), again) == (numbers, texts)


DATE_FORMATS = ("%d.%m.%Y", "%Y-%m-%d", "%d.%m.%y", "%b %d, %Y", "%d/%m/%Y", "%Y/%m/%d")


@given(
    st.permutations(DATE_FORMATS),
    st.sets(st.dates(datetime.date(1999, 1, 1), LAST.date()), min_size=60, max_size=90),
)
def test_dates_of_several_formats_are_read_each(formats, drawn):
    main, *others = formats[:3]
    dates, texts = [LAST.date()], [LAST.strftime(main)]
    for row, date in enumerate([*drawn, LAST.date(), LAST.date()][::-1]):
        form = others[row % 10] if row % 10 < len(others) else main
        dates.append(date)
        texts.append(date.strftime(form))
    batch = pa.record_batch({"x": texts})
    columns, [fact] = survey(batch)
    assert fact.reads_as.startswith("dates")
    numbers = columns.encode(batch)[:, 0]
    days = [(date - dates[0]).days for date in dates]
    assert_array_equal(numbers - numbers[0], days)
    [warning] = fact.warnings
    assert "dates in several formats" in warning


def test_days_and_months_in_both_orders_are_no_dates():
    dates = [datetime.date(2024, 1, 1) + datetime.timedelta(3 * i) for i in range(100)]
    texts = [
        date.strftime("%d/%m/%Y" if row % 10 < 2 else "%m/%d/%Y")
        for row, date in enumerate(dates)
    ]
    columns, [fact] = survey({"x": texts})
    assert not columns.used
    assert fact.refused


def test_one_date_in_another_format_is_no_format():
    dates = [datetime.date(2024, 1, 1) + datetime.timedelta(3 * i) for i in range(100)]
    texts = [f"{date}" for date in dates]
    texts[7] = "13.1.2024"
    _, [fact] = survey({"x": texts})
    assert fact.misread == 1


def test_a_number_of_another_unit_does_not_change_how_others_are_written():
    texts = [f"{5000 + 7.3 * row:.1f} kWh" for row in range(60)]
    assert read([*texts, "1.6933 MWh"])[2][:60] == texts
