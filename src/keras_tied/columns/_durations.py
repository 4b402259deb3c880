"""Durations, as text such as 2:10:30 or not, as seconds."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from keras_tied._types import Array

_PATTERN = (
    r"^(?:(?P<days>\d{1,6}) days? )?(?:(?P<hours>\d{1,6}):)?(?P<minutes>\d{1,6})"
    r":(?P<seconds>[0-5]\d(?:\.\d{1,6})?)$"
)
_OVER_A_DAY, _OF_TWO_DIGITS = r"^(?:2[4-9]|[3-9]\d|\d{3,}):", r"^(?:0\d|\d\d+):"


class Durations(
    Struct, frozen=True, tag_field="form", tag="durations", forbid_unknown_fields=True
):
    """Durations of one form: text with days, hours or neither; Arrow's own, if not `is_text`."""

    is_text: bool = True
    days: bool = False  # as pandas writes them: 0 days 02:10:30
    hours: bool = True
    places: int = 0  # decimals of the seconds

    def __post_init__(self) -> None:
        if not 0 <= self.places <= 6:
            raise ValueError("not a form of durations")

    @property
    def description(self) -> str:
        """What they are, for people."""
        return "durations"

    def parse(self, values: pa.Array) -> pa.Array:
        """Return seconds, float64, with a null where there is no duration."""
        if pa.types.is_duration(values.type):
            ticks = values.cast(pa.duration("us"), safe=False).cast(pa.int64())
            return pc.divide(ticks.cast(pa.float64()), 1e6)
        parts = pc.extract_regex(values, _PATTERN)
        days, hours, total = (
            _to_floats(parts, name) for name in ("days", "hours", "seconds")
        )
        is_so = pc.and_(
            pc.equal(pc.is_valid(days), self.days),
            pc.equal(pc.is_valid(hours), self.hours),
        )
        minutes = _to_floats(parts, "minutes")
        for count, unit in ((days, 86_400.0), (hours, 3600.0), (minutes, 60.0)):
            total = pc.add(total, pc.multiply(pc.fill_null(count, 0.0), unit))
        return pc.if_else(is_so, total, pa.scalar(None, pa.float64()))

    def format(self, numbers: Array) -> pa.Array:
        """Return seconds, (n,) float with NaN for a missing one, as in the table."""
        is_missing = np.isnan(numbers)
        seconds = np.where(is_missing, 0.0, numbers.astype(np.float64))
        if not self.is_text:
            ticks = pa.array(np.rint(seconds * 1e6).astype(np.int64), mask=is_missing)
            return ticks.cast(pa.duration("us"))
        texts: list[Any] = [self._write(max(value, 0.0)) for value in seconds.tolist()]
        return pa.array(np.array(texts, object), pa.string(), mask=is_missing)

    def _write(self, seconds: float) -> str:
        minutes, rest = divmod(round(seconds, self.places), 60)
        width = self.places + 3 if self.places else 2
        end = f"{rest:0{width}.{self.places}f}"
        if not self.hours:
            return f"{minutes:.0f}:{end}"
        if self.days:
            days, minutes = divmod(minutes, 1440)
            return f"{days:.0f} days {minutes // 60:02.0f}:{minutes % 60:02.0f}:{end}"
        return f"{minutes // 60:.0f}:{minutes % 60:02.0f}:{end}"


def decide_durations(texts: pa.Array) -> Durations | None:
    """Return the form of durations among texts that are such, and can be no times of day.

    Some are longer than a day, or all have days, or hours, minutes and seconds, of less
    than ten hours.
    """
    parts = pc.extract_regex(texts, _PATTERN)
    if not len(texts) or parts.null_count:
        return None
    of_days, of_hours = (
        pc.sum(pc.greater(pc.utf8_length(pc.struct_field(parts, name)), 0)).as_py() or 0
        for name in ("days", "hours")
    )
    is_long = of_days or pc.any(pc.match_substring_regex(texts, _OVER_A_DAY)).as_py()
    padded = pc.any(pc.match_substring_regex(texts, _OF_TWO_DIGITS)).as_py()
    if not {of_days, of_hours} <= {0, len(texts)} or not (
        is_long or (of_hours and not padded)
    ):
        return None
    seconds = pc.struct_field(parts, "seconds")
    places = max(0, pc.max(pc.utf8_length(seconds)).as_py() - 3)
    return Durations(days=of_days > 0, hours=of_hours > 0, places=places)


def _to_floats(parts: pa.Array, name: str) -> pa.Array:
    text = pc.struct_field(parts, name)
    return pc.if_else(pc.equal(text, ""), None, text).cast(pa.float64())
