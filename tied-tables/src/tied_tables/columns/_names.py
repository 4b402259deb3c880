"""What names and order tell of columns of whole numbers that are no quantities."""

import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tied_tables._types import Array
from tied_tables.columns._arrow import to_floats
from tied_tables.columns._kinds import NUMERIC_KINDS, find_kind
from tied_tables.columns._remarks import Remark, Topic

ROW_NUMBERS, IDS = str(Topic.row_numbers), str(Topic.ids)
CATEGORIES = "categories"
FEWEST_COUNTED = 8  # fewer can be counted by chance
FEWEST_KINDS, MOST_KINDS = 3, 9  # numbers from 1 to so many may name kinds
MANY_DIGITS = 10**8  # numbers from here on may be names
WORD_OF_NAME = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


class NameRule(NamedTuple):
    """What the last word of a column's name tells of its whole numbers.

    `words` are its patterns. The numbers are categories if each is in `n_rows` or more
    on average, and the `most` most frequent are in a `share` of the rows, unless
    `repeated` says that they are quantities then. Else they are ids.
    """

    words: str
    most: int
    share: float
    n_rows: float
    repeated: str | None = CATEGORIES


# Words on "id" that are no ids, by what is before it.
NOT_IDS = (
    "(?:[a-z]*(?:ac|cov|dro|flu|gr|k|lip|liqu|pa|ro|sol)"
    "|l?w|[abdhlmt]|hum|hybr|ra|rap|sa|val|vo)id"
)
OF_IDS = NameRule(
    "account acct asin barcode cpf cusip ean fax gtin gvkey household ids identifier"
    " idcase idno idnr idnum imei isbn isin issn key mrn npi participant patient patnr"
    " permno person phone pidp respondent seqn serial siren siret sku ssn subj subject"
    rf" telephone upc vin (?!{NOT_IDS}$)[a-z]*id",
    most=12,
    share=1.0,
    n_rows=5,
)
OF_KINDS = NameRule(
    "batch block brand breed category cell cent(?:er|re) class clinic cluster"
    " [a-z]*code colou?r country county [a-z]*countyfp department dept distcod district"
    " ethnic ethnicity farm [a-z]*fips? firm gender genotype group herd hospital icd"
    " industry kind language machine marital naics nation nationality nr occupation"
    " operator party plot plz postal precinct province race region religion sector sex"
    " ship sic site species state [a-z]*statefp station status strain strata stratum"
    " style tract treat treatment trt type variety ward zip zone",
    most=40,
    share=0.5,
    n_rows=1.25,
)
# Behind another word; they may also be quantities.
OF_NUMBERS = NameRule(
    "[a-z]+_?(?:nr|num|number) [a-z]+_?no",
    most=2**62,
    share=1.0,
    n_rows=2,
    repeated=None,
)
ROW_NAME = re.compile(
    r"(?i)(?:unnamed: ?\d+|column1|row[ _.]?(?:names?|no|nr|num|number)|index"
    r"|__index_level_\d+__)"
)
GROWING = (  # what may grow by one from row to row, and is a quantity
    "a age ages congress count counts day days distance dose doses epoch epochs"
    " generation generations hour hours iteration iterations lag lags level levels"
    " minute minutes month months n period periods place position quarter quarters rank"
    " ranks round rounds score scores second seconds step steps t temp temperature term"
    " terms tick ticks time times trial trials week weeks x y year years z"
)


def find_meaning(name: str, values: pa.Array, first_values: pa.Array) -> str | None:
    """What the numbers of a column are, or None if they are quantities.

    Row numbers count from 0 or 1 in the first rows of a table, or are all different
    where their name is one of row names, such as pandas gives. Ids and categories are
    told by their name, and how often they are there.
    """
    if find_kind(values.type) not in NUMERIC_KINDS:
        return None
    present = values.drop_null()
    if ROW_NAME.fullmatch(name) and len(present.unique()) == len(values):
        return ROW_NUMBERS
    if not has_word(name, GROWING) and _counts_rows(first_values):
        return ROW_NUMBERS
    return _judge_name(name, present)


def _judge_name(name: str, numbers: pa.Array) -> str | None:
    """What its name tells of a column: ids, categories, or None for quantities."""
    rule = _find_rule(name)
    if rule is None or (rule is OF_NUMBERS and len(numbers) <= FEWEST_COUNTED):
        return None
    different = to_floats(numbers.unique())
    is_whole = np.isfinite(different) & (different == np.rint(different))
    is_truth = sorted(different) == [0, 1]
    if is_truth or not len(different) or not is_whole.all():
        return None
    counts = np.sort(numbers.value_counts().field("counts"))[::-1]
    n_common = counts[: rule.most].sum()
    is_common = n_common >= rule.share * len(numbers)
    if is_common and len(numbers) >= rule.n_rows * len(counts):
        return rule.repeated
    return IDS


def names_rows(name: str) -> bool:
    """Whether the name of a column of text is that of ids."""
    return _find_rule(name) is OF_IDS


def has_word(name: str, words: str) -> bool:
    """Whether the name of a column holds one of some words."""
    return not set(words.split()).isdisjoint(_split(name))


def find_doubt(name: str, numbers: Array) -> Remark | None:
    """What different whole numbers may be after all; None for quantities."""
    n = len(numbers)
    if FEWEST_KINDS <= n <= MOST_KINDS and np.array_equal(numbers, range(1, n + 1)):
        return Remark(Topic.maybe_kinds, n=n)
    are_numbered = _find_rule(name) is OF_NUMBERS or np.max(numbers) >= MANY_DIGITS
    is_doubtful = n > MOST_KINDS and are_numbered
    return Remark(Topic.maybe_names) if is_doubtful else None


def _find_rule(name: str) -> NameRule | None:
    """The rule for the last word of a name."""
    words = "_".join(_split(name))
    for rule in (OF_IDS, OF_KINDS, OF_NUMBERS):
        patterns = "|".join(rule.words.split())
        if re.fullmatch(f"(?:.*_)?(?:{patterns})", words):
            return rule
    return None


def _split(name: str) -> list[str]:
    """The words of a name, in lower case."""
    return [word.lower() for word in WORD_OF_NAME.findall(name)]


def _counts_rows(values: pa.Array) -> bool:
    """Whether the first values of a column are the numbers of their rows."""
    begins = to_floats(values) - np.arange(len(values))
    is_counted = len(values) >= FEWEST_COUNTED and begins[0] in (0, 1)
    return is_counted and bool(np.all(begins == begins[0]))
