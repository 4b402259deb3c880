"""What all forms of values have in common."""

import pyarrow as pa
from msgspec import Struct

from keras_tied._types import Array


class Form(Struct, frozen=True, tag_field="form", forbid_unknown_fields=True):
    """How the values of a column are written; a model's file holds its attributes."""

    @property
    def description(self) -> str:
        """What the values are, for people."""
        raise NotImplementedError

    def parse(self, values: pa.Array) -> Array:
        """Return numbers, (n,) float64, with NaN where there is none."""
        raise NotImplementedError

    def write(self, numbers: Array) -> pa.Array:
        """Return the values for numbers, (n,) with NaN for a missing one."""
        raise NotImplementedError
