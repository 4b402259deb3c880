"""Durations, as text such as 2:10:30 or not, as seconds."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from keras_tied._types import Array
from keras_tied.columns._kinds import to_floats

PATTERN = (
    r"^(?:(?P<hours>\d{1,6}):)?(?P<minutes>\d{1,6}):(?P<seconds>[0-5]\d(?:\.\d{1,6})?)$"
)
UNITS = {"hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
LONGER_THAN_A_DAY = r"^(?:2[4-9]|[3-9]\d|\d{3,}):"
TWO_DIGITS = r"^(?:0\d|\d\d+):"


class Durations(
    Struct, frozen=True, tag_field="form", tag="durations", forbid_unknown_fields=True
):
    """Durations of one form: text with hours or not; Arrow's own, if not `is_text`."""

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

    def parse(self, values: pa.Array) -> Array:
        """Return seconds, (n,) float64, with NaN where there is no duration."""
        if pa.types.is_duration(values.type):
            ticks = values.cast(pa.duration("us"), safe=False).cast(pa.int64())
            return to_floats(ticks) / 1e6
        parts = pc.extract_regex(values, PATTERN)
        total = np.zeros(len(values))
        for name, seconds in UNITS.items():
            text = pc.struct_field(parts, name)
            total += seconds * to_floats(pc.if_else(pc.equal(text, ""), "0", text))
        has_hours = pc.not_equal(pc.struct_field(parts, "hours"), "")
        is_alike = pc.equal(has_hours, self.hours).fill_null(False)
        return np.where(is_alike, total, np.nan)

    def write(self, numbers: Array) -> pa.Array:
        """Return seconds, (n,) with NaN for a missing one, as in the table."""
        is_missing = np.isnan(numbers)
        seconds = np.where(is_missing, 0.0, numbers.astype(np.float64))
        if not self.is_text:
            ticks = np.rint(seconds * 1e6).astype(np.int64)
            return pa.array(ticks, mask=is_missing).cast(pa.duration("us"))
        texts = [self._write_text(max(value, 0.0)) for value in seconds.tolist()]
        return pc.if_else(pa.array(is_missing), None, pa.array(texts, pa.string()))

    def _write_text(self, seconds: float) -> str:
        minutes, rest = divmod(round(seconds, self.places), 60)
        width = self.places + 3 if self.places else 2
        end = f"{rest:0{width}.{self.places}f}"
        if not self.hours:
            return f"{minutes:.0f}:{end}"
        return f"{minutes // 60:.0f}:{minutes % 60:02.0f}:{end}"


def decide_durations(texts: pa.Array) -> Durations | None:
    """Return the form of texts that are durations, and can be no times of day.

    Some are longer than a day, or all have hours, minutes and seconds, and less than
    ten hours.
    """
    parts = pc.extract_regex(texts, PATTERN)
    if not len(texts) or parts.null_count:
        return None
    has_hours = pc.not_equal(pc.struct_field(parts, "hours"), "")
    hours = pc.any(has_hours).as_py()
    is_long = pc.any(pc.match_substring_regex(texts, LONGER_THAN_A_DAY)).as_py()
    is_padded = pc.any(pc.match_substring_regex(texts, TWO_DIGITS)).as_py()
    if hours and not pc.all(has_hours).as_py():
        return None
    if not is_long and (is_padded or not hours):
        return None
    longest = pc.max(pc.utf8_length(pc.struct_field(parts, "seconds"))).as_py()
    return Durations(hours=hours, places=max(0, longest - len("00.")))
