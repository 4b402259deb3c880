"""Durations, as text such as 2:10:30 or not, as seconds."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from keras_tied._types import Array

_PATTERN = r"^(?:(?P<hours>\d{1,6}):)?(?P<minutes>\d{1,6}):(?P<seconds>[0-5]\d(?:\.\d{1,6})?)$"
_OVER_A_DAY, _OF_TWO_DIGITS = r"^(?:2[4-9]|[3-9]\d|\d{3,}):", r"^(?:0\d|\d\d+):"


class Durations(Struct, frozen=True, tag_field="form", tag="durations", forbid_unknown_fields=True):
    """Durations of one form: text with hours or without, or, with `is_text` off, Arrow's own."""

    is_text: bool = True
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
        hours, minutes, seconds = (_to_floats(parts, n) for n in ("hours", "minutes", "seconds"))
        is_so = pc.equal(pc.is_valid(hours), self.hours)
        total = pc.add(pc.multiply(pc.fill_null(hours, 0.0), 3600.0), pc.multiply(minutes, 60.0))
        return pc.if_else(is_so, pc.add(total, seconds), pa.scalar(None, pa.float64()))

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
        return f"{minutes // 60:.0f}:{minutes % 60:02.0f}:{end}"


def decide_durations(texts: pa.Array) -> Durations | None:
    """Return the form of durations among texts that are such, and can be no times of day.

    Some are longer than a day, or all have hours, minutes and seconds, of less than ten hours.
    """
    parts = pc.extract_regex(texts, _PATTERN)
    if not len(texts) or parts.null_count:
        return None
    with_hours = pc.struct_field(parts, "hours")
    with_hours = pc.greater(pc.utf8_length(with_hours), 0)
    count = pc.sum(with_hours).as_py() or 0
    is_long = pc.any(pc.match_substring_regex(texts, _OVER_A_DAY)).as_py()
    padded = pc.any(pc.match_substring_regex(texts, _OF_TWO_DIGITS)).as_py()
    if count not in (0, len(texts)) or not (is_long or (count and not padded)):
        return None
    seconds = pc.struct_field(parts, "seconds")
    places = max(0, pc.max(pc.utf8_length(seconds)).as_py() - 3)
    return Durations(hours=count > 0, places=places)


def _to_floats(parts: pa.Array, name: str) -> pa.Array:
    text = pc.struct_field(parts, name)
    return pc.if_else(pc.equal(text, ""), None, text).cast(pa.float64())
