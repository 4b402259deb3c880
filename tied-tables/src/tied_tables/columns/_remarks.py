"""What there is to say of a column, as data; each face puts it in words."""

from enum import StrEnum

from msgspec import Struct


class Role(StrEnum):
    """What becomes of a column."""

    used = "used"
    id = "id"  # its values name rows
    row_number = "row number"
    constant = "constant"
    copy = "copy"
    determined = "determined"
    excluded = "excluded"
    unusable = "unusable"


class Topic(StrEnum):
    """What a remark is about; braces name the attributes that it has."""

    # Why a column is not used: the topics in ROLES.
    all_different = "all different"  # text of {n} kinds in {total} rows
    all_rare = "all rare"  # text of {n} kinds
    constant = "constant"  # always {value}
    copy = "copy"  # of the column {text}
    determined = "determined"  # by the column {text}
    empty = "empty"  # no value in {n} rows
    excluded = "excluded"
    id = "id"  # chosen as such
    ids = "ids"  # by its name
    label = "label"
    long_text = "long text"  # over {n} characters
    mixed = "mixed"  # {text} in a {share} of its values, and {n} such as {value}
    numeric_text = "numeric text"
    other_type = "other type"  # {text}
    row_numbers = "row numbers"
    times_off = "times off"  # dates and times are not wanted
    unasked = "unasked"  # not among the columns that were asked for
    # What its values may be instead.
    maybe_kinds = "maybe kinds"  # whole numbers from 1 to {n}
    maybe_names = "maybe names"
    maybe_numeric = "maybe numeric"  # {text}, if {value} is a missing value
    other = "other"  # (other) holds a {share} of the values
    # What else to look at.
    bounds = "bounds"  # a {share} such as {value}, read as {text}
    day_or_month = "day or month"  # either may come first in {value}
    formats = "formats"  # {value} in a {share} of the values, {text} in most
    far = "far"  # {text}, while the median is {value}
    irregular = "irregular"  # such as {value}: neither numbers nor times of one form
    marks = "marks"  # {texts} beside {text}, a {share} of the values
    misspelt = "misspelt"  # {value} {n} times, and {text} {total} times
    month_or_fraction = "month or fraction"  # {value} is read as a month
    mostly_rare = "mostly rare"  # {n} kinds but {total} are a {share} of the values
    partly_missing = "partly missing"  # {value} or missing
    percent = "percent"  # a sign on {n} of {total} numbers
    scale = "scale"  # {value} beside a {share} of its numbers, read as {text}
    sentinel = "sentinel"  # {value} in {n} of {total} rows, far from other values
    spellings = "spellings"  # {n} of {total} categories
    thousands = "thousands"  # {value} is read as such
    unit = "unit"  # {value} beside a {share} of its numbers
    unit_spelling = "unit spelling"  # {value} {n} times


ROLES = {
    Topic.all_different: Role.unusable,
    Topic.all_rare: Role.unusable,
    Topic.constant: Role.constant,
    Topic.copy: Role.copy,
    Topic.determined: Role.determined,
    Topic.empty: Role.unusable,
    Topic.excluded: Role.excluded,
    Topic.id: Role.id,
    Topic.ids: Role.id,
    Topic.label: Role.excluded,
    Topic.long_text: Role.unusable,
    Topic.mixed: Role.unusable,
    Topic.numeric_text: Role.unusable,
    Topic.other_type: Role.unusable,
    Topic.row_numbers: Role.row_number,
    Topic.times_off: Role.excluded,
    Topic.unasked: Role.excluded,
}
DATE = "date"


class Remark(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Something to know of a column; a model's file holds those on why one is not used.

    Attributes:
        topic: what it is about, with the meaning of the others.
        value: a value of the column.
        text, texts: a name, a unit, a kind or type of values; several of its texts. The
            text `"date"` of a constant says that its value is one.
        n, total, share: how many, of how many, and which part.
    """

    topic: Topic
    value: str | int | float | bool | None = None
    text: str = ""
    texts: tuple[str, ...] = ()
    n: int = 0
    total: int = 0
    share: float = 0.0

    @property
    def role(self) -> Role:
        """What becomes of a column for this reason."""
        return ROLES[self.topic]
