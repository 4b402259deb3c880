"""What names and order tell of columns of whole numbers that are no quantities."""

import re

import pyarrow as pa

from keras_tied.columns._kinds import Kind, find_kind

ROW_NUMBERS, IDS = "row numbers", "ids"
FEWEST_ROWS = 8  # fewer can be counted by chance
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
ID_WORDS = frozenset(
    "gid id identifier ids pid uid uuid household participant patient patnr person"
    " respondent subj subject".split()
)
THINGS = (
    "acc account case child choice city class client county cust customer dist district"
    " emp fam family firm game hh horse house household item mov movie obs order part"
    " participant pat patient person plot prod product rec record resp respondent row"
    " sch school sid store student study subj subject teacher town trans transaction"
    " unit user"
)
ID = re.compile(
    rf"(?i)(?:.*[^a-z])?(?:{'|'.join(THINGS.split())})ids?|id(?:case|code|no|nr|num)"
)
KINDS = frozenset(
    "batch block brand breed category cell centre center class clinic cluster code"
    " color colour country county department dept distcod district ethnic ethnicity"
    " farm firm gender genotype group herd hospital industry kind language machine"
    " marital nation nationality nr occupation operator party plot postal postcode"
    " province race region religion sector sex ship site species state station status"
    " strain strata stratum style tract treat treatment trt type variety zip zipcode"
    " zone".split()
)
ROW_NAME = re.compile(
    r"(?i)(?:unnamed: ?\d+|column1|row[ _.]?(?:names?|no|nr|num|number)|index)"
)
GROWING = frozenset(  # what may grow by one from row to row, and is a quantity
    "a age ages congress count counts day days distance dose doses epoch epochs"
    " generation generations hour hours iteration iterations lag lags level levels"
    " minute minutes month months n period periods place position quarter quarters rank"
    " ranks round rounds score scores second seconds step steps t temp temperature term"
    " terms tick ticks time times trial trials week weeks x y year years z".split()
)


def find_names(
    sample: pa.RecordBatch,
    begin: pa.RecordBatch,
    most: int,
) -> dict[str, str]:
    """What columns are whose numbers are row numbers, ids or categories, by name.

    Row numbers count from 0 or 1 in the first rows of a table, or are all different
    where their name is one of row names, such as pandas gives. Others are told by the
    words of their names; categories have at most so many values.
    """
    names = {}
    for name, values in zip(sample.schema.names, sample.columns, strict=True):
        meaning = _find_meaning(name, values, begin.column(name), most)
        if meaning is not None:
            names[name] = meaning
    return names


def _find_meaning(
    name: str,
    values: pa.Array,
    begin: pa.Array,
    most: int,
) -> str | None:
    """What the numbers of a column are, or None if they are quantities."""
    kind = find_kind(values.type)
    if kind not in (Kind.integer, Kind.number):
        return None
    if ROW_NAME.fullmatch(name) and len(values.drop_null().unique()) == len(values):
        return ROW_NUMBERS
    if kind is Kind.number:
        return None
    words = _split(name)
    if GROWING.isdisjoint(words) and _counts_rows(begin):
        return ROW_NUMBERS
    if is_id(name):
        return IDS
    if words[-1] not in KINDS:
        return None
    different = values.drop_null().unique().to_pylist()
    if len(different) > most:
        return IDS
    return None if sorted(different) == [0, 1] else "categories"


def is_id(name: str) -> bool:
    """Whether a name is one of ids."""
    return _split(name)[-1] in ID_WORDS or ID.fullmatch(name) is not None


def is_clock(name: str) -> bool:
    """Whether the name of a column tells of numbers such as 1430, half past two."""
    return "time" in _split(name)


def _split(name: str) -> list[str]:
    """The words of a name, in lower case; one at least."""
    return [word.lower() for word in WORD.findall(name)] or [""]


def _counts_rows(values: pa.Array) -> bool:
    """Whether the first values of a column are the numbers of their rows."""
    first = values[0].as_py() if len(values) >= FEWEST_ROWS else None
    if first not in (0, 1):
        return False
    counted = pa.array(range(first, first + len(values)))
    return bool(values.cast(pa.int64(), safe=False).equals(counted))
