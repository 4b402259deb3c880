"""Dates and times, as text or not, as days and as parts of cycles."""

import re
from collections.abc import Sequence
from itertools import chain
from typing import Annotated, ClassVar, Literal, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from tied_tables._types import Array
from tied_tables.columns._arrow import (
    count_values,
    measure_matches,
    measure_present,
    to_floats,
    to_integers,
)
from tied_tables.columns._form import Form
from tied_tables.columns._kinds import Kind
from tied_tables.columns._remarks import Remark, Topic

DAY_SECONDS = 86_400
CENTURY = 36_525  # days, from one of 1901 to 1999 to the same of the next century
YEARS_AHEAD = 5  # that a date of two digits may lie in the future
NEVER = 3e6
YEAR_1000 = -354_286
YEARS_1_TO_9999 = (-719_162.0, 2_932_896.0)
MOST_APART = 1 / 24  # days: times of day that two ways of decoding agree on
MONTH = 30.436875  # days, its mean length, where days are the same of each month
CLOCK_DAYS = (
    0.0,
    1.0 - 1e-6 / DAY_SECONDS,
)  # the first and the last day of times of day
TEXTS_TO_TRY, FEW_TEXTS = 200, 20

FORMAT_PATTERN = r"^(?:%[YmdybBHMSIpGVEaA]|[-/.:, 'TQWde]){0,32}\Z"

# How months are named: in another language than English, or by their quarter.
Months: TypeAlias = Literal["", "de", "es", "fr", "it", "quarter"]
Format: TypeAlias = Annotated[str, msgspec.Meta(pattern=FORMAT_PATTERN)]
Cycle: TypeAlias = Literal["hour", "weekday", "month"]  # a part that comes again

DAY_FIRST = "%d/%m/%Y,%d-%m-%Y,%d.%m.%Y,%d/%m/%y,%d-%m-%y,%d.%m.%y".split(",")
OTHER_ORDER = str.maketrans("dm", "md")
MONTH_FIRST = [date.translate(OTHER_ORDER) for date in DAY_FIRST]
OTHER_DATES = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d %b %Y",
    "%d. %b %Y",
    "%d %b, %Y",
    "%d. %b. %Y",
    "%d de %b de %Y",
    "%d%b%Y",
    "%a %d %b %Y",
    "%A, %b %d, %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%b %d, %Y",
    "%b %d %Y",
    "%b-%d-%Y",
    "%Y%m%d",
)
MONTHS = (
    "%Y-%m",
    "%Y/%m",
    "%m/%Y",
    "%b %Y",
    "%b-%Y",
    "%b-%y",
    "%Y %b",
    "%m/%y",
    "%Y Q%m",
    "%YQ%m",
    "%Y-Q%m",
    "Q%m %Y",
    "Q%m-%Y",
    "Q%m/%Y",
    "Q%m/%y",
    "Q%m'%y",
    "%G-W%V",
    "%G W%V",
    "%GW%V",
)
CLOCKS = ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p")
PARTS = (*CLOCKS, *MONTHS)  # of a date and time
DIGIT_CLOCK = "%H%M"
TIMES_OF_DAY = (*CLOCKS, DIGIT_CLOCK)
JOINED = [between + clock for between in ("T", " ", ", ") for clock in CLOCKS]
SERIAL = "%E"  # the days of a spreadsheet
FIRST_SERIAL = 25_569  # that of 1970
SERIAL_PLACES = 5  # about a second
MOST_FORMATS = 3
RARE = 0.01  # share of texts in another format than most, below which they are none
MONTH_NAMES: dict[Months, str] = {
    "": (
        "January February March April May June July August September October November"
        " December"
    ),
    "de": (
        "Januar Februar März April Mai Juni Juli August September Oktober November"
        " Dezember"
    ),
    "es": (
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre"
        " diciembre"
    ),
    "fr": (
        "janvier février mars avril mai juin juillet août septembre octobre novembre"
        " décembre"
    ),
    "it": (
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre"
        " novembre dicembre"
    ),
    "quarter": "Q1 Q1 Q1 Q2 Q2 Q2 Q3 Q3 Q3 Q4 Q4 Q4",
}
QUARTER_MONTHS = " ".join(f"Q{month:02}" for month in range(1, 13))
TIME_LOOK = (  # of what may be a time
    r"(?i)\d[-/.]\d|\d:\d\d|^\d{8}$|\d\W?q[1-4]|q[1-4]\D\d\d|w\d\d"
    r"|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|m[aä][ir]|okt|dez|ene|abr|ago"
    r"|dic|f[eé]v|avr|jui|aoû|déc|gen|mag|giu|lug|set|ott"
)
TO_AM, TO_PM = str.maketrans("pP", "aA"), str.maketrans("aA", "pP")
HALF = r"(?i)\b(?P<half>[ap]\.?m\b\.?)$"  # of the day, behind a time
CLOCK_TAIL = (
    r"(?P<seconds>:\d\d(?::\d\d)?)(?:[.,](?P<fraction>\d{1,9}))?"
    r"(?P<zone>\s?(?:Z|UTC|GMT|[-+]\d\d:?\d\d))?$"
)


class Times(Form, frozen=True, tag="times"):
    """Dates and times of one form."""

    kind: ClassVar[Kind] = Kind.time
    # how the text is written, as for `strftime`; empty if they are not text
    format: Format = ""
    # what they are otherwise: `"date"`, `"timestamp"` or `"time"`
    dtype: Literal["", "date", "timestamp", "time"] = ""
    # the zone that is written after the text, or that of the timestamps
    zone: str = ""
    places: Literal[0, 3, 6] = 0  # decimals of the seconds in the text
    padded: bool = True  # whether numbers below 10 are written with a zero
    # from this day on, since 1970, two digits are of a century before
    latest: float = NEVER
    months: Months = ""  # the language of their names, "quarter" for Q1; else English
    # how the half of the day before noon is written, if not AM
    am: Annotated[str, msgspec.Meta(pattern=r"^(?:[aA]\.?[mM]\.?)?\Z")] = ""
    # how some of the text is written instead
    other_formats: Annotated[
        tuple[Format, ...], msgspec.Meta(max_length=MOST_FORMATS - 1)
    ] = ()

    def __post_init__(self) -> None:
        self.write(np.zeros(1))  # raises for a zone that is none

    @property
    def description(self) -> str:
        """What they are, for people."""
        if self.is_clock:
            return "times of day"
        if self.dtype == "date" or (self.format and ":%M" not in self.format):
            return "dates"
        return "dates and times"

    @property
    def is_clock(self) -> bool:
        """Whether they are times of day."""
        return self.dtype == "time" or self.format in TIMES_OF_DAY

    @property
    def offset(self) -> float:
        """The days that the zone of the text is ahead."""
        return _find_offset(self.zone) / DAY_SECONDS if self.format else 0.0

    def parse(self, values: pa.Array) -> Array:
        """Return days since 1970, (n,) float64, with NaN where there is no time."""
        dtype = values.type
        if not types.is_string(dtype):
            unit = pa.timestamp("us", getattr(dtype, "tz", None))
            if types.is_time(dtype):
                unit = pa.time64("us")
            ticks = values.cast(unit, safe=False)
            return to_floats(ticks.cast(pa.int64())) / (DAY_SECONDS * 1e6)
        if not self.format:  # which Arrow cannot parse
            return np.full(len(values), np.nan)
        if re.fullmatch("(?:%[YmdyHM])+", self.format):  # digits, as 905 for 0905
            values = pc.replace_substring_regex(values, r"\.0+$", "")
            values = pc.utf8_lpad(values, len(self.format), "0")
        extra = np.zeros(1)
        if self.zone or self.places:
            extra = _parse_tail(values)
            values = _drop_tail(values)
        if "%p" in self.format:
            values = _drop_points(values)
        values = _translate(values, self.months)
        days = self._parse_format(values, self.format)
        for format in self.other_formats:
            days = np.where(np.isnan(days), self._parse_format(values, format), days)
        return days + extra

    def _parse_format(self, texts: pa.Array, format: str) -> Array:
        """Return the days of texts in one format."""
        days = _parse_text(texts, format)
        is_past = (days >= self.latest) & ("%y" in format)
        return np.where(is_past, days - CENTURY, days)

    def write(self, days: Array) -> pa.Array:
        """Return days since 1970, (n,) with NaN for a missing one, as in the table."""
        low, high = CLOCK_DAYS if self.is_clock else YEARS_1_TO_9999
        local = np.clip(days.astype(np.float64) + self.offset, low, high)
        if self.dtype == "date":
            return to_integers(local, pa.int32()).cast(pa.date32())
        seconds = local * DAY_SECONDS
        if not self.dtype:
            return self._write_text(seconds)
        # Single precision holds no more than hundredths of a second.
        hundredths = to_integers(seconds * 100, pa.int64())
        ticks = pc.multiply(hundredths, 10_000)
        if self.dtype == "time":
            return ticks.cast(pa.time64("us"))
        return ticks.cast(pa.timestamp("us", self.zone or None))

    def _write_text(self, seconds: Array) -> pa.Array:
        """Return seconds since 1970, in the zone of the text, as text."""
        if self.format == SERIAL:
            serials = np.round(seconds / DAY_SECONDS + FIRST_SERIAL, SERIAL_PLACES)
            return pa.array(serials, from_pandas=True).cast(pa.string())
        shortest: float = DAY_SECONDS  # what the text tells apart
        if "%M" in self.format:
            shortest = 60
        if "%S" in self.format:
            shortest = 10.0**-self.places
        rounded = np.rint(seconds / shortest) * shortest
        ticks = to_integers(rounded * 10**self.places, pa.int64())
        unit = {0: "s", 3: "ms", 6: "us"}[self.places]
        times = ticks.cast(pa.timestamp(unit))
        texts = pc.strftime(times, format=self.format)
        texts = _translate(texts, self.months, back=True)
        if self.am:
            texts = pc.replace_substring_regex(texts, "AM$", self.am)
            texts = pc.replace_substring_regex(texts, "PM$", self.am.translate(TO_PM))
        if not self.padded:
            texts = pc.replace_substring_regex(texts, r"(^|[-/. ,])0+(\d)", r"\1\2")
        return pc.binary_join_element_wise(texts, self.zone, "")


def find_cycles(days: Array) -> tuple[Cycle, ...]:
    """Return the cycles of which days, none of them missing, see more than one part."""
    phases = _find_phases(days)
    phases["hour"] = np.round(phases["hour"] * 24.0, 4)
    if are_monthly(np.floor(days)):
        del phases["weekday"]
    return tuple(cycle for cycle, parts in phases.items() if np.ptp(parts) > 0)


def are_monthly(days: Array) -> bool:
    """Whether days are the same of each month, such as the last."""
    return np.array_equal(snap_to_months(days, days.min()), days)


def snap_to_months(days: Array, origin: float) -> Array:
    """The nearest days that are the same of their months as the origin, or the last."""
    low, high = YEARS_1_TO_9999
    is_last = _begin_months(origin + 1) > origin
    place = np.where(is_last, -1, origin - _begin_months(origin))
    begins = _begin_months(np.clip(days, low, high) - place + MONTH / 2)
    return np.where(np.isnan(days), np.nan, begins + place)


def _begin_months(days: Array | float) -> Array:
    """The first days of the months that days lie in; that of NaN is in 1970."""
    dates = np.floor(np.nan_to_num(days)).astype("datetime64[D]")
    begins = dates.astype("datetime64[M]").astype("datetime64[D]")
    return np.asarray(begins.astype(np.float64))


def encode_cycles(days: Array, cycles: Sequence[Cycle]) -> list[Array]:
    """Return the sine and the cosine of each cycle."""
    waves = []
    phases = _find_phases(days) if cycles else {}
    for cycle in cycles:
        angle = 2.0 * np.pi * phases[cycle]
        waves += [np.sin(angle), np.cos(angle)]
    return waves


def _find_phases(days: Array) -> dict[Cycle, Array]:
    """Return which share of each cycle is over."""
    dates = np.floor(np.nan_to_num(days)).astype("datetime64[D]")
    months = dates.astype("datetime64[M]").astype(np.int64)
    return {
        "hour": days % 1.0,
        "weekday": np.floor(days + 3) % 7 / 7,  # the first day of 1970 was a Thursday
        "month": np.where(np.isnan(days), np.nan, months % 12 / 12),
    }


def decode_days(
    numbers: Array, cycles: Sequence[str], origin: float, is_clock: bool
) -> Array:
    """Return the days, (n,), for the numbers of times, (n, 1 + 2 for each cycle).

    The first are days since the origin. Single precision holds some days to seconds
    only, and the waves of the hour tell more. So they do of times of day, where days
    and waves are far apart: what is between 23:00 and 1:00 is not noon.
    """
    days = numbers[:, 0].astype(np.float64) + origin
    if "hour" not in cycles:
        return days
    sine, cosine = numbers[:, 1:3].T.astype(np.float64)  # they come first
    angle = np.arctan2(sine, cosine)
    time = angle / (2.0 * np.pi) % 1.0
    by_waves = np.rint(days - time) + time
    is_near = np.abs(days - by_waves) < MOST_APART
    return np.where(is_near, days, by_waves) if is_clock else by_waves


def decide_times(
    texts: pa.Array, day_first: bool | None
) -> tuple[Times | None, Remark | None]:
    """Return the form of times among texts, and a doubt about it.

    `day_first` is the order of day and month where they do not tell.
    """
    first_texts = texts[:TEXTS_TO_TRY]
    if measure_matches(first_texts, TIME_LOOK) < 0.5:
        return None, None
    months = _find_months(first_texts)
    plain = _drop_tail(_translate(_drop_points(texts), months))
    has_clock = measure_matches(plain, ":") > 0
    formats = _find_formats(plain, has_clock, day_first)
    if not formats:
        return None, None
    doubt = _find_doubt(texts, plain, formats, day_first)
    best, *others = formats
    plain = plain.filter(~np.isnan(_parse_text(plain, best)))
    if measure_matches(plain, r"\b[A-Za-z]{4}"):
        best = best.replace("%b", "%B")
    is_padded = measure_matches(plain, r"(?:^|[-/. ,])\d(?:[-/. :,]|$)") == 0
    zone, places = _decide_tail(texts)
    times = Times(
        best,
        "",
        zone,
        places,
        is_padded,
        months=months,
        am=_find_am(texts) if "%p" in best else "",
        other_formats=tuple(others),
    )
    return limit_century(times), doubt


def _find_months(texts: pa.Array) -> Months:
    """Return how most months in texts are named."""
    joined = " ".join(texts.to_pylist()).lower()
    counts = {}
    for language, names in MONTH_NAMES.items():
        months = set(names.lower().split())
        counts[language] = sum(map(joined.count, months))
    return max(counts, key=counts.__getitem__)


def _find_am(texts: pa.Array) -> str:
    """Return how most texts write the half of the day before noon."""
    halves = pc.struct_field(pc.extract_regex(texts, HALF), "half").drop_null()
    counts = count_values(halves)
    return max(counts, key=counts.__getitem__, default="").translate(TO_AM)


def _drop_points(texts: pa.Array) -> pa.Array:
    """Return text with am and pm for a.m. and p.m."""
    return pc.replace_substring_regex(texts, r"(?i)\b([ap])\.(m)\b\.?$", r"\1\2")


def list_months(months: Months) -> list[tuple[str, str]]:
    """Return how each month is written by `strftime`, and how it is named instead."""
    words = QUARTER_MONTHS if months == "quarter" else MONTH_NAMES[""]
    return list(zip(words.split(), MONTH_NAMES[months].split(), strict=True))


def find_first_hour(days: Array) -> float:
    """Return when the day of times of day begins: at the hour with the fewest around.

    Where times go past midnight, they are near those before it.
    """
    hours = (days * 24).astype(np.intp)
    counts = np.bincount(hours, minlength=24)
    around = sum(np.roll(counts, shift) for shift in range(-2, 3))
    return float(np.argmin(around)) / 24


def _translate(texts: pa.Array, months: Months, back: bool = False) -> pa.Array:
    """Return texts with the names of months in English, or back again."""
    if not months:
        return texts
    for word, name in list_months(months):
        old, new = (word, name) if back else (name, word)
        texts = pc.replace_substring_regex(texts, f"(?i){old}", new)
    return texts


def _find_format(formats: Sequence[str], texts: pa.Array) -> tuple[str, float]:
    """Return the format that reads the largest share of texts, and this share."""
    few = texts[:FEW_TEXTS]
    best, most = "", 0.0
    for form in formats:
        if np.isnan(_parse_text(few, form)).all():
            continue
        share = measure_present(_parse_text(texts, form))
        if share > most:
            best, most = form, share
        if share == 1.0:
            break
    return best, most


def _find_formats(
    texts: pa.Array, has_clock: bool, day_first: bool | None
) -> list[str]:
    """Return the formats of texts, that of the most first; all in one order of days.

    `day_first` is the order where they do not tell.
    """
    if day_first is None:
        day_first = measure_matches(texts, "/") == 0
    orders = [DAY_FIRST, MONTH_FIRST] if day_first else [MONTH_FIRST, DAY_FIRST]
    found: list[str] = []
    rest = texts
    while len(rest) and len(found) < MOST_FORMATS:
        dates = [*OTHER_DATES, *chain(*orders)]
        if has_clock:
            clocks = [date + clock for date in dates for clock in JOINED]
            dates = clocks + dates * bool(found)
        parts = [] if found else PARTS
        best, share = _find_format([*dates, *parts], rest)
        if not best or (found and share * len(rest) < max(2, RARE * len(texts))):
            break
        found.append(best)
        if best in PARTS:
            break
        rest = rest.filter(np.isnan(_parse_text(rest, best)))
        orders = [order for order in orders if best.startswith(tuple(order))] or orders
    return found


def _find_doubt(
    texts: pa.Array, plain: pa.Array, formats: Sequence[str], day_first: bool | None
) -> Remark | None:
    """Return what is doubtful about the formats of texts.

    `plain` are the same without what no format has.
    """
    are_read = [~np.isnan(_parse_text(plain, form)) for form in formats]
    examples = [texts.filter(is_read)[0].as_py() for is_read in are_read]
    swaps = {}
    for form, is_read, example in zip(formats, are_read, examples, strict=True):
        if re.match("%[dm].%[dm]", form):
            swapped = _parse_text(plain.filter(is_read), form.translate(OTHER_ORDER))
            swaps[example] = measure_present(swapped)
    if day_first is None and swaps and min(swaps.values()) == 1:
        return Remark(Topic.day_or_month, next(iter(swaps)))
    if formats[0] == "%m/%y":
        return Remark(Topic.month_or_fraction, examples[0])
    if len(formats) == 1:
        return None
    share = float(np.mean(np.any(are_read[1:], axis=0)))
    return Remark(Topic.formats, examples[1], examples[0], share=share)


def _decide_tail(texts: pa.Array) -> tuple[str, Literal[0, 3, 6]]:
    """Return the zone of most texts, and the decimals of their seconds."""
    tail = pc.extract_regex(texts, CLOCK_TAIL)
    zones = count_values(pc.struct_field(tail, "zone").drop_null())
    zones.pop("", None)
    zone = max(zones, key=zones.__getitem__, default="")
    n_digits = pc.utf8_length(pc.struct_field(tail, "fraction"))
    most = pc.max(n_digits).as_py() or 0
    if most > 3:
        return zone, 6
    return zone, 3 if most else 0


def limit_century(times: Times) -> Times:
    """Read years of two digits as of the last century where they are far ahead else."""
    if not any("%y" in format for format in (times.format, *times.other_formats)):
        return times
    today = np.datetime64("today", "D").astype(int)
    latest = float(today + YEARS_AHEAD * 365.25)
    return msgspec.structs.replace(times, latest=latest)


def _parse_text(texts: pa.Array, form: str) -> Array:
    """Return the days since 1970, or of times of day the part that is over."""
    if form == SERIAL:
        is_number = pc.match_substring_regex(texts, r"^\d{1,5}(?:\.\d+)?$")
        return to_floats(pc.if_else(is_number, texts, None)) - FIRST_SERIAL
    if form in TIMES_OF_DAY:  # the end of a day is the begin of the next
        texts = pc.replace_substring_regex(texts, r"^24(:?00)", r"00\1")
    if "%d" not in form and re.search("%[mbB]", form):
        texts = pc.binary_join_element_wise("01", texts, " ")
        form = f"%d {form}"
    if "%V" in form:
        times = _parse_weeks(texts)
    else:
        times = pc.strptime(texts, format=form, unit="s", error_is_null=True)
    days = to_floats(times.cast(pa.int64())) / DAY_SECONDS
    is_sound = days > YEAR_1000  # 26 is no year of four digits
    if not re.search("%[pbB]", form):
        # The 30th of February is parsed as the 2nd of March.
        again = pc.strftime(times, format=form)
        is_same = pc.equal(_drop_zeros(texts), _drop_zeros(again))
        is_sound &= np.asarray(is_same.fill_null(False))
    if "%y" in form and len(form) > 6:  # a version such as 1.2.3 is no date
        has_year = pc.match_substring_regex(texts, r"[-/. ']\d\d(?:$|[T ,])")
        is_sound &= np.asarray(has_year.fill_null(False))
    days = np.where(is_sound, days, np.nan)
    return days % 1.0 if form in TIMES_OF_DAY else days


def _parse_weeks(texts: pa.Array) -> pa.Array:
    """Return the Mondays of weeks such as 2023-W37, which are those of ISO 8601."""
    parts = pc.extract_regex(texts, r"^(?P<year>\d{4})\D{1,2}(?P<week>\d\d)$")
    fourths = pc.binary_join_element_wise(pc.struct_field(parts, "year"), "01-04", "-")
    days = _parse_text(fourths, "%Y-%m-%d")
    weeks = to_floats(pc.struct_field(parts, "week"))
    mondays = days - (days + 3) % 7 + 7 * (weeks - 1)
    ticks = pa.array(mondays * DAY_SECONDS, from_pandas=True)
    return ticks.cast(pa.int64()).cast(pa.timestamp("s"))


def _drop_zeros(texts: pa.Array) -> pa.Array:
    """Return text without the zeros before its numbers."""
    return pc.replace_substring_regex(texts, r"\b0(\d)", r"\1")


def _drop_tail(texts: pa.Array) -> pa.Array:
    """Return text without fractions of seconds and zones."""
    return pc.replace_substring_regex(texts, CLOCK_TAIL, r"\1")


def _parse_tail(texts: pa.Array) -> Array:
    """Return the days that fractions of seconds and zones add."""
    tail = pc.extract_regex(texts, CLOCK_TAIL)
    fraction = pc.struct_field(tail, "fraction")
    fraction = pc.binary_join_element_wise("0.", fraction, "0", "")
    zones = pc.struct_field(tail, "zone").fill_null("").dictionary_encode()
    offsets = np.array(list(map(_find_offset, zones.dictionary.to_pylist())))
    ahead = offsets[np.asarray(zones.indices)]
    seconds = np.nan_to_num(to_floats(fraction)) - ahead
    return seconds / DAY_SECONDS


def _find_offset(zone: str) -> float:
    """Return the seconds that a zone such as +05:30 is ahead, 0 for one by its name."""
    digits = zone.strip().replace(":", "")
    if digits[:1] not in ("+", "-"):
        return 0.0
    seconds = int(digits[1:3]) * 3600.0 + int(digits[3:]) * 60
    return -seconds if digits[0] == "-" else seconds
