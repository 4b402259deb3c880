"""The different spellings of a unit."""

import re

SAME_UNITS = (  # the last word of each line stands for all
    "oz Oz ounce",
    "lb Lb lbs pound",
    "kgs Kg kg",
    "Km km",
    "mL ml",
    "h hr hrs hour",
    "min minute",
)
SYNONYMS = {word: words.split()[-1] for words in SAME_UNITS for word in words.split()}
SHORTEST_WORD = 3  # characters; Mb is not MB
SHORTEST_PLURAL = 4  # ms is no plural of m
NAME = re.compile(r"\s+[A-Z][a-z].*")  # after a unit, as of a can in "oz. Silo Can"


def fold_unit(unit: str) -> str:
    """Return what all spellings of a unit have in common.

    Case, a point and a plural make no difference, but short units such as Mb, mW and M
    keep their case.
    """
    word = " ".join(unit.split()).removesuffix(".")
    is_title = word.istitle() and len(word) >= SHORTEST_WORD
    if is_title or (word.isupper() and len(word) > 1):
        word = word.lower()
    if len(word) >= SHORTEST_PLURAL:
        word = word.removesuffix("s")
    return SYNONYMS.get(word, word)


def is_spelling(text: str, unit: str) -> bool:
    """Return whether a text spells a unit, maybe with a name after it."""
    return fold_unit(unit) in (fold_unit(text), fold_unit(NAME.sub("", text)))
