"""Numbers and truth values as people write them."""

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from keras_tied._types import Array

MISSING = (  # the texts of a missing value, in quotes or without
    *(
        "",
        "NA",
        "N/A",
        "n/a",
        "<NA>",
        "#N/A",
        "#NA",
        "NaN",
        "nan",
        "NAN",
        "-NaN",
        "-nan",
    ),
    *(
        "NULL",
        "Null",
        "null",
        "None",
        "none",
        "?",
        "#DIV/0!",
        "#VALUE!",
        "#REF!",
        "n.a.",
    ),
)
# of a missing value too, but where `+` and `-` are the values of a column
DASHES = ("-", "--", "---", "–", "—", ".", "..", "...")  # noqa: RUF001
ROWS_TO_DECIDE = 1_000
RAREST_UNIT, FEWEST_WITH_UNIT = 0.1, 0.95
"""A unit of a smaller share of numbers is a typing error, or is said to be missing beside some."""
MOST_SPELLINGS, MOST_TRUTHS = 30, 20  # with and without those of a missing value
LONG_NUMERAL = (  # digits that name something, as they are no plain number
    r"^(?:0\d+|\d{20,})$"
)

_CURRENCIES = "$€£¥₹₽₩₺₪₫฿₴₦₱₵₸₿¢"
_PREFIX = (
    rf"[A-Za-z]{{0,3}}[{_CURRENCIES}]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|NZD|SEK|NOK|DKK|PLN|"
    r"CZK|HUF|BRL|RUB|TRY|ZAR|KRW|MXN|SGD|HKD|kr|Kr|Fr|Rs)\.?"
)
_SUFFIX = r"/?[^\d\s.,()+\-'_:/](?:[^\d,():]{0,11}|[a-zA-Z]{0,2}[23])"
_EXPONENT = r"(?:[eE][-+]?\d+)?"
_MINUS = "\u2212\ufe63\uff0d"  # a minus sign, a small and a wide hyphen
_SPACES = "\u00a0\u2007\u2009\u202f"
_APOSTROPHES = "\u2019`\u00b4"
_SIGN = f"[-+{_MINUS}]"
_LOOK = re.compile(  # what looks like a number, with any unit
    rf"\(?\s*{_SIGN}?\s*(?P<prefix>(?:{_PREFIX})\s*)?(?:{_SIGN}|\()?\s*"
    rf"(?P<number>\d(?:[\d.,'{_APOSTROPHES}"
    rf" {_SPACES}_]*\d)?[.,]?{_EXPONENT}|[.,]\d+{_EXPONENT})"
    rf"(?:\.[-–])?[-)]?(?P<suffix>\s*(?:{_SUFFIX}))?\s*[-)]?"  # noqa: RUF001
)
_LONGEST = 64
_GROUPING = {
    ".": ",' _",
    ",": ".' _",
}  # what may stand between thousands, by the decimal mark
_MOST_PLACES = 6


def drop_missing(
    texts: pa.Array, marks: Iterable[str] = (*MISSING, *DASHES)
) -> pa.Array:
    """Return text without the space around it, and without the marks of a missing value."""
    cells = pc.utf8_trim_whitespace(texts.cast(pa.string()))
    is_mark = pc.is_in(cells, pa.array(list(marks), pa.string()))
    return pc.if_else(is_mark, pa.scalar(None, pa.string()), cells)


def is_number(text: str) -> bool:
    """Return whether text is a number as Python reads it."""
    try:
        float(text)
    except ValueError:
        return False
    return True


class NumberText(
    Struct, frozen=True, tag_field="form", tag="number", forbid_unknown_fields=True
):
    """Numbers as text of one form."""

    decimal: str = "."  # what is written before the decimals, and between thousands
    separator: str = ""
    prefix: str = ""  # what may stand around the digits, such as `"$"` and `" kg"`
    suffix: str = ""
    places: int | None = (
        None  # how many decimals are written; as many as there are, if it is None
    )
    parentheses: bool = False  # whether these are written around negative numbers

    def __post_init__(self) -> None:
        if self.decimal not in _GROUPING or not 0 <= (self.places or 0) <= _MOST_PLACES:
            raise ValueError("not a form of numbers")

    @property
    def description(self) -> str:
        """What the numbers are, for people."""
        if self.is_whole:
            return "integers"
        parts = [f"in {unit.strip()}" for unit in (self.prefix, self.suffix) if unit]
        if self.decimal == ",":
            parts.append("with a decimal comma")
        return " ".join(["numbers", *parts])

    @property
    def is_whole(self) -> bool:
        """Whether the text is digits alone, and is decoded as whole numbers."""
        return self == NumberText(self.decimal, places=0)

    @property
    def unit(self) -> str:
        """The unit, wherever it stands."""
        return f"{self.prefix}{self.suffix}".strip()

    @property
    def _units(self) -> tuple[str, str]:
        """The patterns of what may stand before and after the digits."""
        prefix, suffix = (
            re.escape(unit.strip()) for unit in (self.prefix, self.suffix)
        )
        return f"(?:{prefix})?", f"(?:{suffix})?"

    @property
    def _pattern(self) -> str:
        prefix, suffix = self._units
        group, mark = f"[{_GROUPING[self.decimal]}]", f"[{self.decimal}]"
        pair = (
            rf"(?:{group}\d{{2,3}})*"
            if self.decimal == "."
            else rf"(?:{group}\d{{3}})*"
        )
        return (
            rf"^(?P<open>\(?)\s*(?P<sign>[-+]?)\s*{prefix}\s*(?P<inner>[-+(]?)\s*(?P<number>"
            rf"[1-9]\d{{0,2}}{pair}{group}\d{{3}}(?:{mark}\d*)?|\d+(?:{mark}\d*)?{_EXPONENT}|"
            rf"{mark}\d+{_EXPONENT}|(?i:inf(?:inity)?))\s*"
            rf"(?P<close>[-)]?)\s*{suffix}\s*(?P<end>[-)]?)$"
        )

    def count(self, texts: pa.Array) -> int:
        """Count the texts that are such numbers."""
        return int(
            pc.sum(pc.match_substring_regex(_to_plain(texts), self._pattern)).as_py()
            or 0
        )

    def drop_missing(self, texts: pa.Array) -> pa.Array:
        """Return text without what is a unit and a dash, as in tables of accounts."""
        if not (self.prefix or self.suffix):
            return texts
        dash = r"\s*[-–—]+\s*".join(self._units)  # noqa: RUF001
        is_dash = pc.match_substring_regex(texts, f"^{dash}$")
        return pc.if_else(is_dash, pa.scalar(None, pa.string()), texts)

    def parse(self, texts: pa.Array) -> pa.Array:
        """Return the numbers, float64, with a null where there is none."""
        parts = pc.extract_regex(_to_plain(texts), self._pattern)
        number = pc.struct_field(parts, "number")
        number = pc.replace_substring_regex(number, f"[{_GROUPING[self.decimal]}]", "")
        values = pc.cast(pc.replace_substring(number, self.decimal, "."), pa.float64())
        marks = [
            pc.struct_field(parts, of)
            for of in ("open", "sign", "inner", "close", "end")
        ]
        is_negative = pc.match_substring_regex(
            pc.binary_join_element_wise(*marks, ""), "[-(]"
        )
        return pc.if_else(is_negative, pc.negate(values), values)

    def format(self, numbers: Array) -> pa.Array:
        """Return numbers, (n,) float with NaN for a missing one, as text of this form."""
        is_missing = np.isnan(numbers)
        values = np.where(is_missing, 0.0, numbers.astype(np.float64))
        negative = values < 0
        if (
            self.places is None
            or np.abs(values).max(initial=0.0) * 10.0**self.places >= 2**62
        ):
            digits = pc.cast(pa.array(np.abs(numbers)), pa.string())
            digits = pc.replace_substring(digits, ".", self.decimal)
        else:
            scaled = np.rint(np.abs(values) * 10.0**self.places).astype(np.int64)
            negative &= scaled > 0
            whole, rest = np.divmod(scaled, 10**self.places)
            digits = pa.array(whole).cast(pa.string())
            if self.separator:
                grouped = pa.array(
                    list(map("{:,}".format, whole.tolist())), pa.string()
                )
                digits = pc.replace_substring(grouped, ",", self.separator)
            if self.places:
                decimals = pc.utf8_lpad(
                    pa.array(rest).cast(pa.string()), self.places, "0"
                )
                digits = pc.binary_join_element_wise(digits, decimals, self.decimal)
        begin, end = ("(", ")") if self.parentheses else ("-", "")
        signs, ends = (
            pa.array(np.where(negative, of, "").astype(object), pa.string())
            for of in (begin, end)
        )
        inside = self.prefix.endswith(" ") and not self.parentheses  # CHF -5, but -$5
        before = (self.prefix, signs) if inside else (signs, self.prefix)
        texts = pc.binary_join_element_wise(*before, digits, self.suffix, ends, "")
        return pc.if_else(pa.array(is_missing), pa.scalar(None, pa.string()), texts)


def _to_plain(texts: pa.Array) -> pa.Array:
    """Write minus signs, spaces and apostrophes in one way."""
    for marks, plain in ((_MINUS, "-"), (_SPACES, " "), (_APOSTROPHES, "'")):
        texts = pc.replace_substring_regex(texts, f"[{marks}]", plain)
    return pc.replace_substring_regex(texts, r"\.[-–]$", "")  # noqa: RUF001


def looks_numeric(texts: pa.Array) -> float:
    """Return the share of texts that look like numbers, whatever their units."""
    return len(_find_numbers(texts)) / max(1, len(texts))


def count_digits(texts: pa.Array) -> float:
    """Return the share of texts that begin with no letter, and of which 40 % are digits."""
    characters = pc.utf8_length(pc.replace_substring_regex(texts, r"\s", ""))
    digits = pc.utf8_length(pc.replace_substring_regex(texts, r"\D", ""))
    many = pc.greater_equal(pc.multiply(digits, 5), pc.multiply(characters, 2))
    begins = pc.match_substring_regex(texts, r"^[^\pL]")
    return float(pc.mean(pc.and_(many, begins)).as_py() or 0.0)


def _find_numbers(texts: pa.Array) -> list[re.Match[str]]:
    short = (text for text in texts.to_pylist() if len(text) <= _LONGEST)
    return [match for text in short if (match := _LOOK.fullmatch(text))]


def _find_units(numbers: list[re.Match[str]]) -> tuple[str, str]:
    """Return the most frequent prefix and suffix of numbers."""
    units = []
    for name in ("prefix", "suffix"):
        counts = Counter(match[name] for match in numbers if match[name])
        unit, times = counts.most_common(1)[0] if counts else ("", 0)
        units.append(unit if times >= RAREST_UNIT * len(numbers) else "")
    return units[0], units[1]


def _decide_decimal(texts: pa.Array) -> str | None:
    """Return the decimal mark of some texts, or None if they do not tell."""
    if not (numbers := _find_numbers(texts)):
        return None
    units = _find_units(numbers)
    dots, commas = (NumberText(mark, "", *units).count(texts) for mark in ".,")
    return None if dots == commas else "." if dots > commas else ","


def find_decimal(columns: Iterable[pa.Array]) -> str | None:
    """Return the decimal mark of most columns of text that tell, or None."""
    some = (
        drop_missing(texts.slice(0, ROWS_TO_DECIDE)).drop_null() for texts in columns
    )
    marks = Counter(mark for texts in some if (mark := _decide_decimal(texts)))
    return marks.most_common(1)[0][0] if marks else None


def decide_number_text(texts: pa.Array, decimal: str | None) -> tuple[NumberText, str]:
    """Return the form of the numbers among texts, which may not tell their mark, and a doubt."""
    cells, own_mark = _find_numbers(texts), _decide_decimal(texts)
    mark = own_mark or decimal or "."
    numbers = [match["number"] for match in cells]
    separators = Counter(
        between
        for of in numbers
        for between in re.findall(rf"\d([^\d{mark}e])(?=\d)", of)
    )
    places = max((len(number.partition(mark)[2]) for number in numbers), default=0)
    free = places > _MOST_PLACES or any("e" in number.lower() for number in numbers)
    prefix, suffix = _find_units(cells)
    separator = separators.most_common(1)[0][0] if separators else ""
    parentheses = any(match[0].startswith("(") for match in cells)
    form = NumberText(
        mark, separator, prefix, suffix, None if free else places, parentheses
    )
    warning = ""
    commas = texts.filter(pc.match_substring(texts, ","))
    if len(commas) and decimal is None and own_mark is None:
        warning = (
            f"holds {commas[0].as_py()!r}, which is read as thousands; say --decimal ,"
            " if the comma stands before decimals"
        )
    with_unit = [bool(match["prefix"] or match["suffix"]) for match in cells]
    if (unit := prefix.strip() or suffix.strip()) and np.mean(
        with_unit
    ) < FEWEST_WITH_UNIT:
        share = f"{np.mean(with_unit):.0%}"
        warning = (
            f"has {unit} beside {share} of its numbers, and is read as if all had it"
        )
    return form, warning


_PAIRS = tuple(
    pair.split("=")
    for pair in (
        "true=false yes=no y=n t=f on=off ja=nein j=n oui=non vrai=faux sí=no si=no"
        " sim=não wahr=falsch sì=no да=нет tak=nie +=-"
    ).split()
)
_INITIALS = frozenset("ynjtf")
_TRUE, _FALSE = ([pair[side] for pair in _PAIRS] for side in (0, 1))


class TruthText(
    Struct, frozen=True, tag_field="form", tag="truth", forbid_unknown_fields=True
):
    """Truth values as text: how true and false are written."""

    true: str
    false: str

    @property
    def description(self) -> str:
        """What the values are, for people."""
        return f"{self.true} or {self.false}"

    def parse(self, texts: pa.Array) -> pa.Array:
        """Return 1 and 0, float64, with a null where there is neither."""
        folded = pc.utf8_lower(texts)
        is_true = pc.or_(pc.is_in(folded, pa.array(_TRUE)), pc.equal(texts, self.true))
        known = pc.or_(is_true, pc.is_in(folded, pa.array(_FALSE)))
        null = pa.scalar(None, pa.float64())
        return pc.if_else(
            pc.and_(known, texts.is_valid()), is_true.cast(pa.float64()), null
        )

    def format(self, numbers: Array) -> pa.Array:
        """Return numbers, true from 0.5 on, as text."""
        texts = np.where(numbers >= 0.5, self.true, self.false)
        return pa.array(texts.astype(object), pa.string(), mask=np.isnan(numbers))


def decide_truth_text(values: pa.Array) -> TruthText | None:
    """Return the form of truth values if all are such or missing; `-` is missing without `+`."""
    if len(values.slice(0, ROWS_TO_DECIDE).unique()) > MOST_SPELLINGS:
        return None
    every = count_values(pc.utf8_trim_whitespace(values.cast(pa.string())).drop_null())
    for marks in ((*MISSING, *DASHES), MISSING):
        counts = {text: times for text, times in every.items() if text not in marks}
        texts = {text.lower() for text in counts}
        pairs = [pair for pair in _PAIRS if texts >= set(pair)]
        words = {word for pair in pairs for word in pair}
        initials = {word[0] for word in words} & _INITIALS
        if pairs and texts <= words | initials and 2 <= len(counts) <= MOST_TRUTHS:
            true, false = (
                max(
                    (t for t in counts if t.lower() in side),
                    key=lambda text: (counts[text], text),
                )
                for side in zip(*pairs, strict=True)
            )
            return TruthText(true, false)
    return None


def count_values(texts: pa.Array) -> dict[str, int]:
    """Return how often each value is there."""
    pairs = pc.value_counts(texts)
    return dict(
        zip(pairs.field(0).to_pylist(), pairs.field(1).to_pylist(), strict=True)
    )
