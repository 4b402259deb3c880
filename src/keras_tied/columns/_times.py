"""Dates and times, as text or not, as days and as parts of cycles."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keras_tied._types import Array

SECONDS = 86_400
CENTURY = 36_525  # days, from one of 1901 to 1999 to the same of the next century
Cycle: TypeAlias = Literal[
    "hour", "weekday", "month"
]  # a part of a time that comes again

_DAY_FIRST = ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%d/%m/%y", "%d-%m-%y", "%d.%m.%y")
_MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y", "%m.%d.%Y", "%m/%d/%y", "%m-%d-%y", "%m.%d.%y")
_OTHERS = (
    *(
        "%Y-%m-%d",
        "%Y/%m/%d",
        "%Y.%m.%d",
        "%d %b %Y",
        "%d-%b-%Y",
        "%d-%b-%y",
        "%d %b %y",
    ),
    *(
        "%d. %b %Y",
        "%d/%b/%Y",
        "%b %d, %Y",
        "%b %d %Y",
        "%b-%d-%Y",
        "%a, %d %b %Y",
        "%a %b %d %Y",
        "%Y%m%d",
    ),
)
_FORMAT = r"^(?:%[YmdybBaHMSIpq]|[-/.:, TQ]){0,32}\Z"
YEARS_AHEAD = 5  # that a date of two digits may lie in the future
_TEXTS_TO_TRY, _FEW_TEXTS = 200, 20
_YEAR_1000 = -354_286
_NEVER = 3e6
_YEARS_1_TO_9999 = (-719_162.0, 2_932_896.0)
_QUARTERS = ("%Y Q%q", "%YQ%q", "%Y-Q%q", "Q%q %Y", "Q%q-%Y", "Q%q/%Y")
_MONTHS = (
    *(
        "%Y-%m",
        "%Y/%m",
        "%m/%Y",
        "%b %Y",
        "%b-%Y",
        "%b-%y",
        "%Y %b",
        "%Y-%b",
        "%Y:%m",
        "%m/%y",
    ),
    *_QUARTERS,
)
_CLOCKS = ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p")
_DIGIT_CLOCK = "%H%M"
_JOINED = [(between, clock) for between in ("T", " ", ", ", ":") for clock in _CLOCKS]
_LOOK = (
    r"^(?:\w{2,9},? )?\w{1,9}(?:[-/ ]|\. ?)\w{1,9}(?:[-/. ]|, ?)\d{1,4}(?:,?[T"
    r" :].*)?$|^\d{8}$|"
    r"^\d{4}[-/:]\d\d?$|^\d{1,2}/(?:\d\d){1,2}$|^\w{3,9}[- ]\d{2,4}$|^\d{4}[-"
    r" ]\w{3,9}$|"
    r"^\d{4}[- ]?Q[1-4]$|^Q[1-4][-/ ]\d{4}$|"
    r"^\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?(?: ?[AaPp]\.?[Mm]\.?)?$"
)
_TAIL = (
    r"(?P<seconds>:\d\d(?::\d\d)?)(?:[.,](?P<fraction>\d{1,9}))?"
    r"(?P<zone>\s?(?:Z|UTC|GMT|[-+]\d\d:?\d\d))?$"
)
_OFFSET = r"^\s?(?P<sign>[-+])(?P<hours>\d\d):?(?P<minutes>\d\d)$"


class Times(
    msgspec.Struct,
    frozen=True,
    tag_field="form",
    tag="times",
    forbid_unknown_fields=True,
):
    """Dates and times of one form."""

    # how the text is written, as for `strftime`; empty if they are not text
    format: Annotated[str, msgspec.Meta(pattern=_FORMAT)] = ""
    # what they are otherwise: `"date"`, `"timestamp"` or `"time"`
    dtype: Literal["", "date", "timestamp", "time"] = ""
    zone: str = (
        ""  # the time zone that is written after the text, or that of the timestamps
    )
    places: Literal[0, 3, 6] = 0  # decimals of the seconds in the text
    padded: bool = (
        True  # whether days, months and hours below 10 are written with a zero
    )
    latest: float = (
        _NEVER  # from this day on, since 1970, two digits are of a century before
    )

    def __post_init__(self) -> None:
        self.format_days(np.zeros(1))  # raises for a zone that is none

    @property
    def description(self) -> str:
        """What they are, for people."""
        if not self.format:
            return {"date": "dates", "time": "times of day"}.get(
                self.dtype, "dates and times"
            )
        if self.is_clock:
            return "times of day"
        return "dates and times" if ":%M" in self.format else "dates"

    @property
    def is_clock(self) -> bool:
        """Whether the text is a time of day."""
        return self.format in (*_CLOCKS, _DIGIT_CLOCK)

    @property
    def offset(self) -> float:
        """The days that the zone of the text is ahead."""
        zone = self.zone.strip().replace(":", "")
        if not self.format or zone[:1] not in ("+", "-"):
            return 0.0
        days = (int(zone[1:3]) * 60 + int(zone[3:])) / 1440
        return -days if zone[0] == "-" else days

    def parse(self, values: pa.Array) -> Array:
        """Return days since 1970, (n,) float64, with NaN where there is no time."""
        if pa.types.is_temporal(values.type):
            is_clock, zone = (
                pa.types.is_time(values.type),
                getattr(values.type, "tz", None),
            )
            unit = pa.time64("us") if is_clock else pa.timestamp("us", zone)
            return _to_floats(values.cast(unit, safe=False).cast(pa.int64())) / (
                SECONDS * 1e6
            )
        if "%" in self.format and not set(self.format) & set(
            "-/.:, bB"
        ):  # digits, as 905 for 0905
            values = pc.utf8_lpad(values, len(self.format), "0")
        extra: Array | float = 0.0
        if self.zone or self.places:
            extra = _parse_tail(pc.extract_regex(values, _TAIL))
            values = pc.replace_substring_regex(values, _TAIL, r"\1")
        days: Array = _parse_text(values, self.format) + extra
        return np.where(days >= self.latest, days - CENTURY, days)

    def format_days(self, days: Array) -> pa.Array:
        """Return days since 1970, (n,) float with NaN for a missing one, as in the table."""
        is_missing = np.isnan(days)
        local = np.where(is_missing, 0.0, days.astype(np.float64)) + self.offset
        local = np.clip(local, *_YEARS_1_TO_9999)
        if self.dtype == "date":
            return pa.array(np.rint(local).astype(np.int32), mask=is_missing).cast(
                pa.date32()
            )
        if self.dtype == "time" or self.is_clock:
            local = np.clip(local, 0.0, 1.0 - 1e-6 / SECONDS)
        if self.dtype:
            # Single precision holds no more than hundredths of a second.
            hundredths = np.rint(local * SECONDS * 100).astype(np.int64)
            is_date = self.dtype == "timestamp"
            dtype = (
                pa.timestamp("us", self.zone or None) if is_date else pa.time64("us")
            )
            return pa.array(hundredths * 10_000, mask=is_missing).cast(dtype)
        step = 10**self.places if "%S" in self.format else 1 / 60
        step = step if "%M" in self.format else 1 / SECONDS
        ticks = np.rint(local * SECONDS * step) / step
        unit = {0: "s", 3: "ms", 6: "us"}[self.places]
        times = pa.array((ticks * 10**self.places).astype(np.int64), mask=is_missing)
        texts = pc.strftime(
            times.cast(pa.timestamp(unit)), format=self.format.replace("%q", "%m")
        )
        if "%q" in self.format:
            for month in range(1, 13):
                texts = pc.replace_substring(
                    texts, f"Q{month:02}", f"Q{(month + 2) // 3}"
                )
        if not self.padded:
            texts = pc.replace_substring_regex(texts, r"(^|[-/. ,])0(\d)", r"\1\2")
        return pc.binary_join_element_wise(texts, self.zone, "")


def find_cycles(days: Array) -> tuple[Cycle, ...]:
    """Return the cycles of which a column of times sees more than one part."""
    present = days[~np.isnan(days)]
    phases, dates = _find_phases(present), np.floor(present).astype("datetime64[D]")
    phases["hour"] = np.round(phases["hour"] * 24.0, 4)
    if (dates == dates.astype("datetime64[M]")).all():  # the first of each month
        del phases["weekday"]
    return tuple(cycle for cycle, parts in phases.items() if np.ptp(parts) > 0)


def encode_cycles(days: Array, cycles: Sequence[Cycle]) -> list[Array]:
    """Return the sine and the cosine of each cycle."""
    phases = _find_phases(days) if cycles else {}
    return [
        wave(2.0 * np.pi * phases[cycle])
        for cycle in cycles
        for wave in (np.sin, np.cos)
    ]


def _find_phases(days: Array) -> dict[Cycle, Array]:
    """Return which share of each cycle is over."""
    dates = np.floor(np.nan_to_num(days)).astype("datetime64[D]")
    months = dates.astype("datetime64[M]").astype(np.int64)
    return {
        "hour": days % 1.0,
        "weekday": np.floor(days + 3) % 7 / 7,  # the first day of 1970 was a Thursday
        "month": np.where(np.isnan(days), np.nan, months % 12 / 12),
    }


def decode_days(numbers: Array, cycles: Sequence[str]) -> Array:
    """Return the days, (n,), for the numbers of times, (n, 1 + 2 for each cycle)."""
    days = numbers[:, 0].astype(np.float64)
    if "hour" not in cycles:
        return days
    # Single precision holds some days to seconds only; the waves of the hour tell more.
    column = 1 + 2 * cycles.index("hour")
    sine, cosine = numbers[:, column : column + 2].T.astype(np.float64)
    time: Array = np.arctan2(sine, cosine) / (2.0 * np.pi) % 1.0
    return np.rint(days - time) + time


def decide_times(
    texts: pa.Array, day_first: bool | None
) -> tuple[Times | None, float, str]:
    """Return the form of times among texts, with days first or not if in doubt; share, doubt."""
    looks = (
        pc.mean(pc.match_substring_regex(texts, _LOOK).cast(pa.float64())).as_py()
        or 0.0
    )
    if looks < 0.5:
        return None, 0.0, ""
    tail = pc.extract_regex(texts, _TAIL)
    zones = Counter(filter(None, pc.struct_field(tail, "zone").to_pylist()))
    zone = zones.most_common(1)[0][0] if zones else ""
    fractions = pc.max(pc.utf8_length(pc.struct_field(tail, "fraction"))).as_py() or 0
    places: Literal[0, 3, 6] = 0 if not fractions else 3 if fractions <= 3 else 6
    some = pc.replace_substring_regex(texts.slice(0, _TEXTS_TO_TRY), _TAIL, r"\1")
    few = some.slice(0, _FEW_TEXTS)
    has_clock = bool(pc.any(pc.match_substring(some, ":")).as_py())
    if (first := day_first) is None:
        first = not pc.any(pc.match_substring(some, "/")).as_py()
    orders = (_DAY_FIRST, _MONTH_FIRST) if first else (_MONTH_FIRST, _DAY_FIRST)
    best, most, shares = "", 0.0, [0.0, 0.0, 0.0]
    for order, dates in enumerate((_OTHERS, *orders)):
        formats = list(dates)
        if has_clock:
            formats = [
                f"{date}{between}{clock}"
                for date in dates
                for between, clock in _JOINED
            ]
        if not order:
            formats += (*_CLOCKS, *_MONTHS) if has_clock else _MONTHS
        for form in formats:
            if np.isnan(_parse_text(few, form)).all():
                continue
            share = float(np.mean(~np.isnan(_parse_text(some, form))))
            shares[order] = max(shares[order], share)
            if share > most:
                best, most = form, share
            if share == 1.0:
                break
    if not best:
        return None, 0.0, ""
    doubt = ""
    if day_first is None and shares[0] < shares[1] == shares[2] == most:
        doubt = (
            f"holds {texts[0].as_py()!r}, of which day and month are not clear; say"
            " --dates dmy or --dates mdy"
        )
    if best == "%m/%y":
        doubt = (
            f"holds {texts[0].as_py()!r}, which is read as a month; else say"
            " --categorical"
        )
    if pc.any(pc.match_substring_regex(some, r"\b[A-Za-z]{4}")).as_py():
        best = best.replace("%b", "%B")
    short = pc.any(
        pc.match_substring_regex(some, r"(?:^|[-/. ,])\d(?:[-/. :,]|$)")
    ).as_py()
    return limit_century(Times(best, "", zone, places, not short)), most, doubt


def limit_century(times: Times) -> Times:
    """Read years of two digits as of the last century where they are in the future else."""
    if "%y" not in times.format:
        return times
    soon = np.datetime64("today", "D").astype(int) + YEARS_AHEAD * 365.25
    return msgspec.structs.replace(times, latest=float(soon))


def _parse_text(texts: pa.Array, form: str) -> Array:
    """Return the days since 1970, or of a time of day the part of a day that is over."""
    if is_quarter := "%q" in form:
        for quarter in range(1, 5):
            texts = pc.replace_substring(texts, f"Q{quarter}", f"Q{3 * quarter - 2:02}")
    if is_quarter or form in _MONTHS:
        texts = pc.binary_join_element_wise("01", texts, " ")
        form = f"%d {form.replace('%q', '%m')}"
    times = pc.strptime(texts, format=form, unit="s", error_is_null=True)
    days = _to_floats(times.cast(pa.int64())) / SECONDS
    if not set("pbB") & set(form):
        # The 30th of February is parsed as the 2nd of March.
        short, again = (
            pc.replace_substring_regex(of, r"\b0(\d)", r"\1")
            for of in (texts, pc.strftime(times, format=form))
        )
        days = np.where(
            np.asarray(pc.equal(short, again).fill_null(False)), days, np.nan
        )
    if "%y" in form and len(form) > 6:  # a version such as 1.2.3 is no date
        two = pc.match_substring_regex(texts, r"[-/. ]\d\d(?:$|[T ,])")
        days = np.where(np.asarray(two.fill_null(False)), days, np.nan)
    days = np.where(days > _YEAR_1000, days, np.nan)  # 26 is no year of four digits
    return days % 1.0 if form in (*_CLOCKS, _DIGIT_CLOCK) else days


def _parse_tail(tail: pa.Array) -> Array:
    """Return the days that fractions of seconds and zones add."""
    fraction = pc.binary_join_element_wise(
        "0.", pc.struct_field(tail, "fraction"), "0", ""
    )
    zone = pc.extract_regex(pc.struct_field(tail, "zone"), _OFFSET)
    texts = [fraction, pc.struct_field(zone, "hours"), pc.struct_field(zone, "minutes")]
    seconds, hours, minutes = (
        np.nan_to_num(_to_floats(pc.cast(of, pa.float64()))) for of in texts
    )
    is_minus = pc.equal(pc.struct_field(zone, "sign"), "-").fill_null(False)
    sign = np.where(is_minus, -1.0, 1.0)
    days: Array = (seconds - sign * (hours * 3600 + minutes * 60)) / SECONDS
    return days


def _to_floats(values: pa.Array) -> Array:
    return np.asarray(values.cast(pa.float64(), safe=False))
