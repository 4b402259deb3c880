"""Numbers as people write them."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Meta, structs

from tied_tables._types import Array
from tied_tables.columns._arrow import set_null, to_floats, to_integers
from tied_tables.columns._form import Form
from tied_tables.columns._kinds import Kind, find_kind
from tied_tables.columns._missing import drop_missing
from tied_tables.columns._remarks import Remark, Topic
from tied_tables.columns._unit_names import fold_unit, is_spelling

ROWS_TO_DECIDE = 1_000
# A unit of a smaller share of numbers is a typing error.
RAREST_UNIT = 0.1
# A unit of a smaller share of numbers is reported.
FEWEST_WITH_UNIT = 0.95
# Digits that name something, as they are no plain number.
LONG_NUMERAL = r"^(?:0\d+|\d{20,})$"
# What may stand between thousands, by the decimal mark.
GROUPING = {".": ",' _", ",": ".' _"}
# How numbers are written with digits, a decimal mark and a minus alone.
PLAIN = {".": r"^-?\d+(?:\.\d*)?$", ",": r"^-?\d+$"}
MOST_PLACES = 6
LONGEST_NUMERAL = 64  # characters of a number

CURRENCIES = "$€£¥₹₽₩₺₪₫฿₴₦₱₵₸₿¢"
PREFIX = (
    rf"[A-Za-z]{{0,3}}[{CURRENCIES}]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|NZD|SEK|NOK"
    r"|DKK|PLN|CZK|HUF|BRL|RUB|TRY|ZAR|KRW|MXN|SGD|HKD|kr|Kr|Fr|Rs)\.?"
)
UNIT_SUFFIX = r"/?[^\d\s.,()+\-'_:/](?:[^\d,():]{0,11}|[a-zA-Z]{0,2}[23])"
ANY_SUFFIX, PERCENT = r"[^\d\s.,()+-][^(),:]{0,31}?", "%"
EXPONENT = r"(?:[eE][-+]?\d+)?"
MINUS = "\u2212\ufe63\uff0d"  # a minus sign, a small and a wide hyphen
SPACES = "\u00a0\u2007\u2009\u202f"
APOSTROPHES = "\u2019`\u00b4"
SIGN = f"[-+{MINUS}]"
# What may stand before a number that is only about, or bounds, a value, and behind one.
BOUND, AT_LEAST = r"(?:[<>≤≥~≈]=?|ca\.)\s*", r"\+"
SCALES = {"": "", "k": "e3", "K": "e3", "M": "e6", "B": "e9", "T": "e12"}
NUMBER_LOOK = re.compile(  # what looks like a number, with any unit
    rf"(?P<bound>{BOUND})?\(?\s*{SIGN}?\s*(?P<prefix>(?:{PREFIX})\s*)?(?:{SIGN}|\()?\s*"
    rf"(?P<number>\d(?:[\d.,'{APOSTROPHES} {SPACES}_]*\d)?[.,]?{EXPONENT}"
    rf"|[.,]\d+{EXPONENT})"
    rf"(?:\.[-–])?[-)]?(?P<suffix>\s*(?:{UNIT_SUFFIX}))?\s*[-)]?"  # noqa: RUF001
    rf"(?P<least>{AT_LEAST})?"
)


class NumberText(Form, frozen=True, tag="number"):
    """Numbers as text of one form."""

    # what is written before the decimals
    decimal: Annotated[str, Meta(pattern=r"^[.,]\Z")] = "."
    separator: str = ""  # and between thousands
    prefix: str = ""  # what may stand around the digits, such as `"$"` and `" kg"`
    suffix: str = ""
    # how many decimals are written; as many as there are, if it is None
    places: Annotated[int, Meta(ge=0, le=MOST_PLACES)] | None = None
    parentheses: bool = False  # whether these are written around negative numbers
    scales: bool = False  # whether K or M behind some is a thousand or a million
    bounds: bool = False  # whether some stand behind a sign such as < or ~
    percents: bool = False  # whether a percent sign stands behind some, but not most

    @property
    def kind(self) -> Kind:
        """What the numbers are."""
        return Kind.integer if self.places == 0 else Kind.number

    @property
    def description(self) -> str:
        """What the numbers are, for people."""
        if self.is_whole:
            return "integers"
        words = ["numbers"]
        for unit in (self.prefix, self.suffix):
            words += ["in", unit.strip()] if unit else []
        if self.decimal == ",":
            words.append("with a decimal comma")
        return " ".join(words)

    @property
    def is_whole(self) -> bool:
        """Whether the text is digits alone, and is decoded as whole numbers."""
        return self == NumberText(self.decimal, places=0)

    @property
    def unit(self) -> str:
        """The unit, wherever it stands, in one spelling."""
        return fold_unit(f"{self.prefix}{self.suffix}")

    @property
    def _pattern(self) -> str:
        prefix = re.escape(self.prefix.strip())
        unit = ANY_SUFFIX if self.suffix else PERCENT * self.percents
        group, mark = f"[{GROUPING[self.decimal]}]", f"[{self.decimal}]"
        times = "?" if self.bounds else "{0}"  # that a bound may stand there
        return (
            rf"^(?:{BOUND}){times}(?P<open>\(?)\s*(?P<sign>[-+]?)\s*(?:{prefix})?\s*(?P<inner>[-+(]?)\s*"
            rf"(?P<number>[1-9]\d{{0,2}}(?:{group}\d\d)*(?:{group}\d{{3}})+(?:{mark}\d*)?"
            rf"|\d+(?:{mark}\d*)?{EXPONENT}|{mark}\d+{EXPONENT}"
            r"|(?i:inf(?:inity)?))\s*"
            rf"(?P<close>[-)]?)\s*(?P<unit>{unit})?\s*(?P<end>[-)]?){AT_LEAST}{times}$"
        )

    def parse(self, texts: pa.Array) -> Array:
        """Return the numbers, (n,) float64, with NaN where there is none."""
        is_plain = pc.match_substring_regex(texts, PLAIN[self.decimal])
        if pc.all(is_plain).as_py() is not False:  # as of most columns, and quicker
            return to_floats(texts)
        for letter, power in SCALES.items() if self.scales else ():
            texts = pc.replace_substring_regex(
                texts, rf"(\d)\s*{letter}$", rf"\1{power}"
            )
        parts = pc.extract_regex(_to_plain(texts), self._pattern)
        digits = pc.struct_field(parts, "number")
        digits = pc.replace_substring_regex(digits, f"[{GROUPING[self.decimal]}]", "")
        sizes = to_floats(pc.replace_substring(digits, self.decimal, "."))
        marks = [
            pc.struct_field(parts, place)
            for place in ("open", "sign", "inner", "close", "end")
        ]
        signs = pc.binary_join_element_wise(*marks, "")
        is_negative = pc.match_substring_regex(signs, "[-(]").fill_null(False)
        numbers = np.where(is_negative, -sizes, sizes)
        units = pc.struct_field(parts, "unit")
        different = set(units.unique().to_pylist()) - {None, ""}
        unit = self.suffix or PERCENT
        others = [text for text in different if not is_spelling(text, unit)]
        is_other = pc.is_in(units, pa.array(others, pa.string()))
        return np.where(is_other, np.nan, numbers)

    def extract_units(self, texts: pa.Array) -> pa.Array:
        """Return what stands behind each number as its unit, "" for none."""
        parts = pc.extract_regex(_to_plain(texts), self._pattern)
        return pc.struct_field(parts, "unit")

    def write(self, numbers: Array) -> pa.Array:
        """Return numbers, (n,) with NaN for a missing one, as text of this form."""
        if self.is_whole:
            return to_integers(numbers, pa.int64())
        sizes = np.abs(numbers)
        if self.places is None:
            plain = pa.array(sizes).cast(pa.string()).to_pylist()
        else:
            plain = [f"{size:,.{self.places}f}" for size in sizes.tolist()]
        texts = map(self._write_text, plain, (numbers < 0).tolist())
        return set_null(pa.array(texts, pa.string()), np.isnan(numbers))

    def write_short(self, number: float) -> str | None:
        """Return a number as text of this form, without zeros after its decimals."""
        form = self
        if self.places is not None:
            digits = f"{number:.{self.places}f}".rstrip("0")
            _, _, decimals = digits.partition(".")
            form = structs.replace(self, places=len(decimals))
        [text] = form.write(np.array([number]))
        return None if text.as_py() is None else str(text)

    def _write_text(self, plain: str, is_negative: bool) -> str:
        """Return digits such as 1,234.50 in this form."""
        marks = str.maketrans({",": self.separator, ".": self.decimal})
        digits = plain.translate(marks)
        text = f"{self.prefix}{digits}{self.suffix}"
        if not is_negative or not re.search("[1-9]", digits):  # as in -0.00
            return text
        if self.parentheses:
            return f"({text})"
        if self.prefix.endswith(" "):
            return f"{self.prefix}-{digits}{self.suffix}"  # CHF -5, but -$5
        return f"-{text}"


def is_number(text: str) -> bool:
    """Return whether text is a number as Python reads it."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def measure_numeric(texts: pa.Array) -> float:
    """Return the share of texts that look like numbers, whatever their units."""
    return len(_find_numbers(texts)) / max(1, len(texts))


def find_decimal(columns: Iterable[pa.Array]) -> str | None:
    """Return the decimal mark of most columns of text that tell, or None."""
    marks: Counter[str] = Counter()
    for values in columns:
        if find_kind(values.type) is Kind.text:
            cells = drop_missing(values[:ROWS_TO_DECIDE]).drop_null()
            marks.update(_decide_decimal(cells) or "")
    return marks.most_common(1)[0][0] if marks else None


def decide_number_text(
    texts: pa.Array, decimal: str | None
) -> tuple[NumberText, Remark | None]:
    """Return the form of the numbers among texts, and a doubt about it.

    `decimal` is the mark where they do not tell.
    """
    matches = _find_numbers(texts)
    own_mark = _decide_decimal(texts)
    mark = own_mark or decimal or "."
    lines = "\n".join(match["number"] for match in matches)
    separators = Counter(re.findall(rf"\d([^\d{mark}e\n])(?=\d)", lines))
    has_exponents = "e" in lines.lower()
    suffixes = {(match["suffix"] or "").strip() for match in matches}
    has_scales = len(suffixes) > 1 and suffixes <= set(SCALES)
    suffix = "" if has_scales else _find_unit(matches, "suffix")
    # Those with another unit are no numbers of the column.
    own_units = {"", fold_unit(suffix)}
    numbers = [
        match["number"]
        for match in matches
        if fold_unit(match["suffix"] or "") in own_units
    ]
    n_with_suffix = sum(bool(match["suffix"]) for match in matches)
    has_few_percents = suffix.strip() == PERCENT and 2 * n_with_suffix < len(matches)
    decimals = [number.partition(mark)[2] for number in numbers]
    places = max(map(len, decimals), default=0)
    form = NumberText(
        decimal=mark,
        separator=max(separators, key=separators.__getitem__, default=""),
        prefix=_find_unit(matches, "prefix"),
        suffix="" if has_few_percents else suffix,
        places=None if has_exponents or places > MOST_PLACES else places,
        parentheses=any(match[0].startswith("(") for match in matches),
        scales=has_scales,
        bounds=any(map(_is_bound, matches)),
        percents=has_few_percents,
    )
    doubt = _find_doubt(matches, has_scales)
    if doubt is None and decimal is None and own_mark is None:
        commas = texts.filter(pc.match_substring(texts, ","))
        if len(commas):
            doubt = Remark(Topic.thousands, commas[0].as_py())
    return form, doubt


def _find_doubt(matches: list[re.Match[str]], has_scales: bool) -> Remark | None:
    """Return what is doubtful about bounds, or units, of numbers."""
    bounds = list(filter(_is_bound, matches))
    if bounds:
        share = len(bounds) / len(matches)
        example = bounds[0]
        return Remark(Topic.bounds, example[0], example["number"], share=share)
    places = ("suffix",) if has_scales else ("prefix", "suffix")
    units = [_find_unit(matches, place).strip() for place in places]
    unit = next(filter(None, units), "")
    n_with_unit = sum(any(map(match.group, places)) for match in matches)
    if unit in ("", PERCENT) or n_with_unit >= FEWEST_WITH_UNIT * len(matches):
        return None
    share = n_with_unit / len(matches)
    if has_scales:
        return Remark(Topic.scale, unit, f"1{SCALES[unit]}", share=share)
    return Remark(Topic.unit, unit, share=share)


def _is_bound(match: re.Match[str]) -> bool:
    """Whether a number only bounds a value, or is about it."""
    return bool(match["bound"] or match["least"])


def _to_plain(texts: pa.Array) -> pa.Array:
    """Write minus signs, spaces and apostrophes in one way."""
    for marks, plain in ((MINUS, "-"), (SPACES, " "), (APOSTROPHES, "'")):
        texts = pc.replace_substring_regex(texts, f"[{marks}]", plain)
    return pc.replace_substring_regex(texts, r"\.[-–]$", "")  # noqa: RUF001


def _find_numbers(texts: pa.Array) -> list[re.Match[str]]:
    """Return matches of the texts that look like numbers."""
    short = [text for text in texts.to_pylist() if len(text) <= LONGEST_NUMERAL]
    return list(filter(None, map(NUMBER_LOOK.fullmatch, short)))


def _find_unit(numbers: list[re.Match[str]], place: str) -> str:
    """Return the most frequent prefix or suffix of numbers, "" if it is rare.

    Its spellings are counted together.
    """
    spellings = Counter(match[place] for match in numbers if match[place])
    units = Counter(map(fold_unit, spellings.elements()))
    unit = max(units, key=units.__getitem__, default="")
    alike = [spelling for spelling in spellings if fold_unit(spelling) == unit]
    frequent = max(alike, key=spellings.__getitem__, default="")
    return frequent if units[unit] >= RAREST_UNIT * len(numbers) else ""


def _decide_decimal(texts: pa.Array) -> str | None:
    """Return the decimal mark of some texts, or None if they do not tell."""
    numbers = _find_numbers(texts)
    if not numbers:
        return None
    prefix, suffix = _find_unit(numbers, "prefix"), _find_unit(numbers, "suffix")
    n_read = {}
    for mark in GROUPING:
        form = NumberText(mark, prefix=prefix, suffix=suffix, bounds=True)
        is_read = ~np.isnan(form.parse(texts))
        n_read[mark] = is_read.sum()
    if n_read["."] == n_read[","]:
        return None
    return max(GROUPING, key=n_read.__getitem__)
