"""What all forms of values have in common."""

from msgspec import Struct


class Form(Struct, frozen=True, tag_field="form", forbid_unknown_fields=True):
    """How the values of a column are written; a model's file holds its attributes."""
