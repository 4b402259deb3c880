"""The different spellings of a unit."""

import re

SYNONYMS = {
    spelling: words.split()[-1]
    for words in ("oz ounce", "lb lbs pound", "kg kgs", "h hr hrs hour", "min minute")
    for spelling in words.split()
}
SHORTEST_PLURAL = 4  # characters; ms is no plural of m
NAME = re.compile(r"\s+[A-Z][a-z].*")  # after a unit, as of a can in "oz. Silo Can"


def fold_unit(unit: str) -> str:
    """Return what all spellings of a unit have in common.

    Case, a point and a plural make no difference. Units such as mW keep their case.
    """
    word = " ".join(unit.split()).removesuffix(".")
    if len(word) > 1 and (word.isupper() or word.istitle()):
        word = word.lower()
    if len(word) >= SHORTEST_PLURAL:
        word = word.removesuffix("s")
    return SYNONYMS.get(word, word)


def is_spelling(text: str, unit: str) -> bool:
    """Return whether a text spells a unit, maybe with a name after it."""
    return fold_unit(unit) in (fold_unit(text), fold_unit(NAME.sub("", text)))
