"""Durations, as text such as 2:10:30 or not, as seconds."""

from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Meta
from pyarrow import types

from tied_tables._types import Array
from tied_tables.columns._arrow import measure_matches, set_null, to_floats, to_integers
from tied_tables.columns._form import Form
from tied_tables.columns._kinds import Kind

END = r":(?P<seconds>[0-5]\d(?:\.(?P<fraction>\d{1,6}))?)$"
WITHOUT_HOURS = r"^(?P<minutes>\d{1,6})" + END
WITH_HOURS = r"^(?P<hours>\d{1,6}):(?P<minutes>\d{1,6})" + END
UNIT_SECONDS = {"hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
LONGER_THAN_A_DAY = r"^(?:24:(?:0[1-9]|[1-5]\d)|(?:2[5-9]|[3-9]\d|\d{3,}):[0-5]\d)"
TWO_DIGITS = r"^(?:0\d|\d\d+):"


class Durations(Form, frozen=True, tag="durations"):
    """Durations of one form: text with hours or not; Arrow's own, if not `is_text`."""

    kind: ClassVar[Kind] = Kind.number
    description: ClassVar[str] = "durations"  # what they are, for people
    is_text: bool = True
    hours: bool = True
    places: Annotated[int, Meta(ge=0, le=6)] = 0  # decimals of the seconds

    def parse(self, values: pa.Array) -> Array:
        """Return seconds, (n,) float64, with NaN where there is no duration."""
        if types.is_duration(values.type):
            ticks = values.cast(pa.duration("us"), safe=False)
            return to_floats(ticks.cast(pa.int64())) / 1e6
        if not self.hours:
            values = pc.binary_join_element_wise("0", values, ":")
        parts = pc.extract_regex(values, WITH_HOURS)
        total = np.zeros(len(values))
        for name, seconds in UNIT_SECONDS.items():
            total += seconds * to_floats(pc.struct_field(parts, name))
        return total

    def write(self, numbers: Array) -> pa.Array:
        """Return seconds, (n,) with NaN for a missing one, as in the table."""
        seconds = numbers.astype(np.float64)
        if not self.is_text:
            ticks = to_integers(seconds * 1e6, pa.int64())
            return ticks.cast(pa.duration("us"))
        texts = [self._write_text(value) for value in seconds.clip(0).tolist()]
        return set_null(pa.array(texts, pa.string()), np.isnan(numbers))

    def _write_text(self, seconds: float) -> str:
        rounded = round(seconds, self.places)
        minutes, remaining_seconds = divmod(rounded, 60)
        width = len("00.") + self.places if self.places else len("00")
        end = f"{remaining_seconds:0{width}.{self.places}f}"
        if not self.hours:
            return f"{minutes:.0f}:{end}"
        hours, minutes = divmod(minutes, 60)
        return f"{hours:.0f}:{minutes:02.0f}:{end}"


def decide_durations(texts: pa.Array) -> Durations | None:
    """Return the form of texts that are durations, and can be no times of day.

    Some are longer than a day, or all have hours, minutes and seconds, and less than
    ten hours.
    """
    has_hours = measure_matches(texts, WITH_HOURS) > 0
    if has_hours == (measure_matches(texts, WITHOUT_HOURS) > 0):  # none, or both
        return None
    is_padded = measure_matches(texts, TWO_DIGITS) > 0
    are_short = measure_matches(texts, LONGER_THAN_A_DAY) == 0
    if are_short and (is_padded or not has_hours):
        return None
    parts = pc.extract_regex(texts, WITH_HOURS if has_hours else WITHOUT_HOURS)
    lengths = pc.utf8_length(pc.struct_field(parts, "fraction"))
    return Durations(hours=has_hours, places=pc.max(lengths).as_py())
