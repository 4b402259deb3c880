"""Texts that are odd in how they are written."""

import re
from collections.abc import Iterator, Sequence
from operator import itemgetter

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from tied_tables.rules._doubt import Doubt
from tied_tables.rules.kinds import TextCodes, drop_suspects
from tied_tables.rules.numbers import LEAST_READ

REPLACEMENT = "\ufffd"  # what stands for bytes that could not be decoded
MOJIBAKE = "[\u00c2\u00c3\u00e2].?[\u0080-\u00bf\u2010-\u2122]"
PERCENTAGE = r"^[-+]?[\d.,]*\d\s*%$"
NUMBER = r"^[-+]?[\d.,]*[1-9][\d.,]*$"  # but 0
PATTERN_RATIO = 20  # of the rows with a usual pattern and with an odd one
MOST_UNUSUAL = 0.1  # of the rows; a column with more has no pattern
TEXT_WITH_SUFFIX = re.compile(r"(.*\S)[\s,(]+(\S+?)\)?")
FEWEST_SUFFIXED = 0.25  # of the rows in which the other column is empty
MOST_MODELS = 100  # frequent texts of which others may be misspellings
MOST_MISSPELT_ROWS = 5  # rows with the same misspelling
FEWEST_LETTERS = 8  # of a text that may be misspelt, where nothing else tells
MOST_LETTERS = 5  # of so many, one may be wrong
SHORTEST = 4  # letters of a word in which one may be wrong


def doubt_encoding(columns: Sequence[TextCodes]) -> Iterator[Doubt]:
    """Doubt texts that were decoded with the wrong encoding."""
    for column in columns:
        is_broken = pc.match_substring_regex(column.texts, f"{REPLACEMENT}|{MOJIBAKE}")
        for code in np.flatnonzero(is_broken).tolist():
            text = column.texts[code].as_py()
            suggestion = _decode_twice(text)
            reason = f"{column.name} {text} was read in the wrong encoding"
            if suggestion or REPLACEMENT in text:
                for row in _find_rows(column, code):
                    yield Doubt(row, column.name, text, suggestion, reason)


def _decode_twice(text: str) -> str | None:
    """Return UTF-8 that was read as Windows-1252 as it should be."""
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return None


def doubt_patterns(columns: Sequence[TextCodes]) -> Iterator[Doubt]:
    """Doubt texts with letters in places where many others have digits or letters.

    The pattern of a text is the text with 0 for each digit.
    """
    for column in columns:
        patterns = pc.replace_substring_regex(column.texts, "[0-9]", "0")
        encoded = patterns.dictionary_encode()
        pattern_codes = np.asarray(encoded.indices)  # of each text
        counts = np.bincount(pattern_codes, weights=column.counts)
        names = encoded.dictionary.to_pylist()
        is_usual = counts >= max(PATTERN_RATIO, 0.01 * column.n_present)
        n_unusual = counts[~is_usual].sum()
        if not is_usual.any() or n_unusual > MOST_UNUSUAL * column.n_present:
            continue
        models = [(counts[i], names[i]) for i in np.flatnonzero(is_usual)]
        for pattern in np.flatnonzero(~is_usual & (counts > 0)).tolist():
            model = _find_model(names[pattern], counts[pattern], models)
            if model is None:
                continue
            for code in np.flatnonzero(pattern_codes == pattern).tolist():
                text = column.texts[code].as_py()
                reason = f"{column.name} {text} is not written like the others: {model}"
                suggestion = _write_like(text, model)
                for row in _find_rows(column, code):
                    yield Doubt(row, column.name, text, suggestion, reason)


def _write_like(text: str, model: str) -> str | None:
    """Return a text with the letters of its pattern, if none of its digits is lost."""
    pairs = list(zip(text, model, strict=True))
    if not all(letter.isdigit() for letter, usual in pairs if usual == "0"):
        return None
    return "".join(letter if usual == "0" else usual for letter, usual in pairs)


def _find_model(
    pattern: str, count: float, models: Sequence[tuple[float, str]]
) -> str | None:
    """Return a usual pattern with digits, of which a pattern is a misspelling."""
    for model_count, model in models:
        if len(model) != len(pattern) or count * PATTERN_RATIO > model_count:
            continue
        is_open = [False] * len(model)
        for word in re.finditer(rf"0+|[^\W\d_]{{{SHORTEST},}}", model):
            is_open[word.start() : word.end()] = [True] * len(word[0])
        differing = [i for i, letter in enumerate(model) if letter != pattern[i]]
        if (
            "0" in model
            and 2 * len(differing) <= len(model)
            and MOST_LETTERS * sum(model[i] != "0" for i in differing) <= len(model)
            and all(pattern[i].isalpha() and is_open[i] for i in differing)
        ):
            return model
    return None


def doubt_percents(columns: Sequence[TextCodes]) -> Iterator[Doubt]:
    """Doubt numbers with a percent sign where more have none, or without one."""
    for column in columns:
        groups = []
        for pattern in (PERCENTAGE, NUMBER):
            is_match = pc.match_substring_regex(column.texts, pattern)
            codes = np.flatnonzero(is_match)
            groups.append((column.counts[codes].sum(), codes))
        (n_rarer, rarer), (n_usual, usual) = sorted(groups, key=itemgetter(0))
        if not n_rarer or n_rarer + n_usual < LEAST_READ * column.n_present:
            continue
        others = f"{n_usual:,} others such as {column.texts[int(usual[0])]}"
        for row in np.flatnonzero(np.isin(column.codes, rarer)).tolist():
            text = column.texts[int(column.codes[row])].as_py()
            reason = f"{column.name} {text} is not written like {others}"
            yield Doubt(row + 1, column.name, text, reason=reason)


def doubt_suffixes(columns: Sequence[TextCodes]) -> Iterator[Doubt]:
    """Doubt texts that end in a value of another column, which is empty there."""
    for b in columns:
        is_empty = b.codes < 0
        suffixes = {
            text
            for text, count in zip(b.texts.to_pylist(), b.counts, strict=True)
            if count > 1 and not text.isdigit()
        }
        for a in columns if is_empty.any() and suffixes else ():
            if a is not b:
                yield from _doubt_suffix(a, b, is_empty, suffixes)


def _doubt_suffix(
    a: TextCodes, b: TextCodes, is_empty: NDArray[np.bool_], suffixes: set[str]
) -> Iterator[Doubt]:
    """Doubt texts that end in a value of a column that is empty, if many do."""
    rows = np.flatnonzero(is_empty & (a.codes >= 0))
    without_suffix = {}
    never_with_value = np.setdiff1d(a.codes[rows], a.codes[~is_empty])
    for code in never_with_value.tolist():
        match = TEXT_WITH_SUFFIX.fullmatch(a.texts[code].as_py())
        if match and match[2] in suffixes:
            without_suffix[code] = match[1]
    doubtful = rows[np.isin(a.codes[rows], list(without_suffix))]
    if len(doubtful) < FEWEST_SUFFIXED * len(rows):
        return
    for row in doubtful.tolist():
        code = int(a.codes[row])
        text = a.texts[code].as_py()
        reason = f"{a.name} {text} ends in the {b.name}, which is empty"
        yield Doubt(row + 1, a.name, text, without_suffix[code], reason)


def doubt_misspellings(columns: Sequence[TextCodes]) -> Iterator[Doubt]:
    """Doubt texts that differ in few letters from one that is far more frequent.

    They have no digits, and no other column determines them.
    """
    for column, clean in zip(columns, drop_suspects(columns), strict=True):
        is_suspect = (column.counts > clean.counts) & (
            column.counts <= MOST_MISSPELT_ROWS
        )
        suspects = np.flatnonzero(is_suspect).tolist()
        order = np.argsort(-clean.counts, kind="stable")[:MOST_MODELS]
        models = column.texts.take(order).to_pylist()
        for code in suspects:
            text = column.texts[code].as_py()
            match = _find_near(text, models)
            if match is None:
                continue
            reason = f"{column.name} {text} may be a misspelling of {match}"
            for row in _find_rows(column, code):
                yield Doubt(row, column.name, text, match, reason)


def _find_near(text: str, models: Sequence[str]) -> str | None:
    """Return the nearest text that differs in one letter of six, or None."""
    from rapidfuzz.distance import OSA  # takes long to import

    distances = {}
    for model in models:
        if min(len(text), len(model)) >= FEWEST_LETTERS:
            most = max(1, len(model) // 6)
            distance = OSA.distance(text, model, score_cutoff=most)
            if 0 < distance <= most and not re.search(r"\d", text + model):
                distances[model] = distance
    return min(distances, key=distances.__getitem__, default=None)


def _find_rows(column: TextCodes, code: int) -> list[int]:
    """Return the rows with a text, counted from 1."""
    return (np.flatnonzero(column.codes == code) + 1).tolist()
