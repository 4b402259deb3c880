"""Misspellings: texts that differ from a category by one letter of a word."""

import re
from collections.abc import Sequence

import numpy as np

SHORTEST_WORD = 4  # letters of a word in which one of them may be wrong
LONGEST_COMPARED = 64  # characters: the time grows with their square
WORD_PATTERN = re.compile(r"[^\W\d_]+|\S")


def find_similar(
    texts: Sequence[str],
    names: Sequence[str],
) -> list[tuple[int, int]]:
    """Return the places of texts, and of names of which they may be misspellings.

    In a misspelling a letter of a word of four letters or more is wrong, missing or one
    too many, or two beside each other are swapped: the optimal string alignment
    distance is 1. Digits and short words are no misspellings: they tell kinds apart.
    """
    if not texts or not names:
        return []
    try:
        from rapidfuzz.distance import OSA  # takes long to import
        from rapidfuzz.process import cdist
    except ImportError as error:
        raise ImportError(
            'columns of text need rapidfuzz; run pip install "tied-tables[cli]".',
            name="rapidfuzz",
        ) from error

    texts = list(map(_fold_case, texts))
    names = list(map(_fold_case, names))
    distances = cdist(texts, names, scorer=OSA.distance, score_cutoff=1, dtype=np.uint8)
    return [
        (place, name_place)
        for place, name_place in np.argwhere(distances == 1).tolist()
        if _differ_in_long_word(texts[place], names[name_place])
    ]


def _fold_case(text: str) -> str:
    """The text whatever its case; nothing of one that is too long to be compared."""
    return text.lower() if len(text) <= LONGEST_COMPARED else ""


def _differ_in_long_word(text: str, name: str) -> bool:
    """Whether two texts differ in a long word, and in nothing else."""
    words, name_words = WORD_PATTERN.findall(text), WORD_PATTERN.findall(name)
    if len(words) != len(name_words):
        return False
    for word, name_word in zip(words, name_words, strict=True):
        if word != name_word:
            return max(len(word), len(name_word)) >= SHORTEST_WORD
    return False  # they differ in spaces
