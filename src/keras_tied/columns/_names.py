"""What names and order tell of columns of whole numbers that are no quantities."""

import re

import pyarrow as pa
import pyarrow.compute as pc

from keras_tied._types import Array
from keras_tied.columns._kinds import Kind, find_kind

ROW_NUMBERS, IDS = "row numbers", "ids"
FEWEST_ROWS = 8  # fewer can be counted by chance
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_IDS = frozenset(
    "gid id identifier ids pid uid uuid household participant patient patnr person"
    " respondent subj subject".split()
)
_THINGS = (
    "acc account case child choice city class client county cust customer dist district"
    " emp fam family firm game hh horse house household item mov movie obs order part"
    " participant pat patient person plot prod product rec record resp respondent row"
    " sch school sid store student study subj subject teacher town trans transaction"
    " unit user"
)
_ID = re.compile(
    rf"(?i)(?:.*[^a-z])?(?:{'|'.join(_THINGS.split())})ids?|id(?:case|code|no|nr|num)"
)
_KINDS = frozenset(
    "batch block brand breed category cell centre center class clinic cluster code"
    " color colour country county department dept distcod district ethnic ethnicity"
    " farm firm gender genotype group herd hospital industry kind language machine"
    " marital nation nationality nr occupation operator party plot postal postcode"
    " province race region religion sector sex ship site species state station status"
    " strain strata stratum style tract treat treatment trt type variety zip zipcode"
    " zone".split()
)
_MOMENTS = frozenset(
    "at created date epoch modified stamp time timestamp ts updated".split()
)
_DIGITS = {"date": ("%y%m%d", "%m%d%y"), "time": ("%H%M",)}
_ROW_NAME = re.compile(
    r"(?i)(?:unnamed: ?\d+|column1|row[ _.]?(?:names?|no|nr|num|number)|index)"
)
_GROWING = frozenset(  # what may grow by one from row to row, and is a quantity
    "a age ages congress count counts day days distance dose doses epoch epochs"
    " generation generations hour hours iteration iterations lag lags level levels"
    " minute minutes month months n period periods place position quarter quarters rank"
    " ranks round rounds score scores second seconds step steps t temp temperature term"
    " terms tick ticks time times trial trials week weeks x y year years z".split()
)


def find_names(
    sample: pa.RecordBatch, begin: pa.RecordBatch, most: int
) -> dict[str, str]:
    """The columns of numbers that are row numbers, ids, or categories, by what they are.

    Row numbers count from 0 or 1 in the first rows of a table, or are all different
    where their name is one of row names, such as pandas gives. Others are told by the
    words of their names; categories have at most so many values.
    """
    names = {}
    for name, values in zip(sample.schema.names, sample.columns, strict=True):
        kind, words = find_kind(values.type), _split(name)
        names_rows = _ROW_NAME.fullmatch(name) is not None and not values.null_count
        if kind not in (Kind.integer, Kind.number):
            continue
        if names_rows and len(values.unique()) == len(values):
            names[name] = ROW_NUMBERS
        elif kind is Kind.number:
            continue
        elif _GROWING.isdisjoint(words) and _counts_rows(begin.column(name)):
            names[name] = ROW_NUMBERS
        elif is_id(name):
            names[name] = IDS
        elif words[-1] in _KINDS:
            different = values.unique().drop_null()
            if len(different) > most:
                names[name] = IDS
            elif different.to_pylist() not in ([0, 1], [1, 0]):
                names[name] = "categories"
    return names


def list_digit_formats(name: str) -> tuple[str, ...]:
    """How whole numbers may write a date or time that the name of their column tells of."""
    words = _split(name)
    return tuple(
        form for word, forms in _DIGITS.items() if word in words for form in forms
    )


def counts_seconds(name: str, numbers: Array) -> bool:
    """Whether whole numbers may be seconds, or thousandths, since 1970, by their column's name."""
    least, most = numbers.min(), numbers.max()
    in_range = any(5e8 * unit <= least <= most < 2.2e9 * unit for unit in (1, 1000))
    return in_range and not _MOMENTS.isdisjoint(_split(name))


def is_id(name: str) -> bool:
    """Whether a name is one of ids."""
    return _split(name)[-1] in _IDS or _ID.fullmatch(name) is not None


def _split(name: str) -> list[str]:
    """The words of a name, in lower case; one at least."""
    return [word.lower() for word in _WORD.findall(name)] or [""]


def _counts_rows(values: pa.Array) -> bool:
    """Whether the first values of a column are the numbers of their rows."""
    if (
        len(values) < FEWEST_ROWS
        or values.null_count
        or values[0].as_py() not in (0, 1)
    ):
        return False
    least, most = pc.min_max(
        pc.pairwise_diff(values.cast(pa.int64(), safe=False))
    ).values()
    return bool(least.as_py() == most.as_py() == 1)
