"""The kinds of a column: its different texts, as they are in the file."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

from tied_tables._types import Array
from tied_tables.columns import MISSING

MISSING_CODE = -1
FRACTION = r"^[-+]?\d*\.\d*[1-9]\d*$"  # a number that is not whole
MIN_GROUP_ROWS = 3  # of a group that tells what its rows have in common
MISSPELLING_RATIO = 20  # of the rows with a text and with its misspelling, at least
SIMILAR = 0.8  # the share of the letters that are the same
MOST_COMPARED_PAIRS = 1_000_000  # of texts that are compared


class TextCodes(NamedTuple):
    """A column as codes of its different texts.

    Attributes:
        name: the name of the column.
        codes: the place of the text of each row, (rows,) int32; -1 for a missing one.
        texts: the different texts, (texts,), in the order of their first rows.
        counts: how many rows have each text, (texts,) int64.
    """

    name: str
    codes: NDArray[np.int32]
    texts: pa.Array
    counts: Array

    @property
    def n_present(self) -> int:
        """The number of rows with a text."""
        return int(self.counts.sum())

    @property
    def is_measured(self) -> bool:
        """Whether most of the texts are numbers with decimals."""
        if not len(self.texts):
            return False
        has_decimals = pc.match_substring_regex(self.texts, FRACTION)
        return bool(pc.mean(has_decimals).as_py() > 0.5)

    def get_text(self, row: int) -> str | None:
        """The text of a row, or None for a missing one."""
        code = int(self.codes[row])
        return None if code == MISSING_CODE else str(self.texts[code])

    def shares(self) -> Array:
        """The share of each text among the rows that have one, (texts,)."""
        return self.counts / max(1, self.n_present)

    def keep(self, codes: Array) -> Self:
        """Return some of the texts and their counts, without the rows."""
        return self._replace(
            codes=np.empty(0, np.int32),
            texts=self.texts.take(pa.array(codes)),
            counts=self.counts[codes],
        )


def find_kinds(table: pa.Table) -> list[TextCodes]:
    """Return the kinds of each column that can be written as text."""
    found = []
    for name, values in zip(table.column_names, table.columns, strict=True):
        try:
            texts = _drop_midnights(values).cast(pa.string())
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # lists, bytes
            continue
        found.append(encode_texts(name, texts))
    return found


def _drop_midnights(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return timestamps as dates if no time of day differs from the others."""
    if not types.is_timestamp(values.type) or values.type.tz:
        return values
    dates = values.cast(pa.date32(), safe=False)
    is_midnight = pc.equal(dates.cast(values.type), values)
    return dates if pc.all(is_midnight).as_py() else values


def encode_texts(name: str, texts: pa.ChunkedArray) -> TextCodes:
    """Return a column of text as codes of its different texts."""
    encoded = texts.combine_chunks().dictionary_encode()
    different = encoded.dictionary
    codes = np.asarray(encoded.indices.fill_null(MISSING_CODE))
    marks = pa.array(MISSING, pa.string())
    is_mark = pc.is_in(pc.utf8_trim_whitespace(different), marks)
    if missing_codes := np.flatnonzero(is_mark).tolist():
        is_missing = np.isin(codes, missing_codes)
        codes = np.where(is_missing, MISSING_CODE, codes)
    present = codes[codes >= 0]
    counts = np.bincount(present, minlength=len(different))
    return TextCodes(name, codes.astype(np.int32), different, counts)


def align_codes(column: TextCodes, known: TextCodes) -> TextCodes:
    """Return a column with the codes of another, and new ones for its new texts."""
    n_known = len(known.texts)
    known_texts = _write_like(known.texts, column.texts)
    known_places = pc.index_in(column.texts, known_texts)
    is_new = np.asarray(known_places.is_null())
    new_texts = column.texts.filter(pa.array(is_new))
    new_places = n_known + np.cumsum(is_new) - 1
    known_places = np.asarray(known_places.fill_null(0))
    places = np.where(is_new, new_places, known_places)
    texts = pa.concat_arrays([known_texts, new_texts])
    counts = np.zeros(len(texts), np.int64)
    counts[places] = column.counts
    counts[:n_known] = np.maximum(known.counts, counts[:n_known])
    codes = np.append(places, MISSING_CODE)[column.codes].astype(np.int32)
    return TextCodes(column.name, codes, texts, counts)


def _write_like(known: pa.Array, texts: pa.Array) -> pa.Array:
    """Return whole numbers with a decimal where others have one, as pandas writes gaps.

    Those of a table in memory have none.
    """
    has_decimal = pc.match_substring_regex(texts, r"^[-+]?\d+\.0$")
    has_none = pc.match_substring_regex(texts, r"^[-+]?\d+$")
    if pc.any(has_none).as_py() or not pc.any(has_decimal).as_py():
        return known
    return pc.replace_substring_regex(known, r"^([-+]?\d+)$", r"\1.0")


def find_suspects(column: TextCodes) -> NDArray[np.bool_]:
    """Return which texts may be misspellings of one that is far more frequent."""
    texts = column.texts
    counts = column.counts
    is_suspect = np.zeros(len(counts), bool)
    largest = counts.max(initial=0)
    is_rare = (counts > 0) & (counts * MISSPELLING_RATIO <= largest)
    # Two numbers that look alike are no misspellings.
    numerals = pc.match_substring_regex(texts, r"^[\d.]+$")
    is_numeral = np.asarray(numerals.fill_null(False))
    rare = np.flatnonzero(is_rare & ~is_numeral)
    most_frequent = MOST_COMPARED_PAIRS // max(1, len(rare))
    order = np.argsort(-counts, kind="stable")[:most_frequent]
    frequent = order[counts[order] >= MISSPELLING_RATIO]
    if not len(rare) or not len(frequent):
        return is_suspect
    rare_texts = texts.take(rare).to_pylist()
    frequent_texts = texts.take(frequent).to_pylist()
    is_near = _are_similar(rare_texts, frequent_texts)
    is_far_rarer = counts[rare][:, None] * MISSPELLING_RATIO <= counts[frequent]
    is_suspect[rare] = (is_near & is_far_rarer).any(axis=1)
    return is_suspect


def _are_similar(texts: list[str], others: list[str]) -> Array:
    """Return which of two lists of texts differ in few letters, (texts, others)."""
    from rapidfuzz.distance import OSA  # takes long to import
    from rapidfuzz.process import cdist

    similarity = cdist(texts, others, scorer=OSA.normalized_similarity)
    lengths = list(map(len, texts))
    other_lengths = list(map(len, others))
    longer = np.maximum.outer(lengths, other_lengths)
    edits = np.rint((1 - similarity) * longer)
    is_one_edit = (edits <= 1) & (longer > 1)
    are_similar: Array = is_one_edit | (similarity >= SIMILAR)
    return are_similar


def drop_suspects(columns: Sequence[TextCodes]) -> list[TextCodes]:
    """Return columns without texts that may be misspelt, unless others determine them.

    A text is determined if most rows with some text of another column have it.
    """
    cleaned = []
    for b in columns:
        is_suspect = find_suspects(b)
        rows = np.flatnonzero(np.append(is_suspect, False)[b.codes])
        for a in columns if len(rows) else ():
            if a is not b:
                majority_codes = _find_majority_texts(a, b, rows)
                is_suspect[majority_codes] = False
        cleaned.append(_drop_texts(b, is_suspect))
    return cleaned


def _find_majority_texts(a: TextCodes, b: TextCodes, rows: Array) -> Array:
    """Return the codes of b, in some rows, that most rows with a text of a have."""
    rows = rows[a.codes[rows] >= 0]
    n_b = len(b.counts)
    pairs = a.codes[rows] * np.int64(n_b) + b.codes[rows]
    pairs, counts = np.unique(pairs, return_counts=True)
    sizes = a.counts[pairs // n_b]
    is_majority = (sizes >= MIN_GROUP_ROWS) & (2 * counts > sizes)
    majority_codes: Array = pairs[is_majority] % n_b
    return majority_codes


def _drop_texts(column: TextCodes, is_dropped: NDArray[np.bool_]) -> TextCodes:
    """Return a column in which some of its texts are missing."""
    is_missing = np.append(is_dropped, False)[column.codes]
    codes = np.where(is_missing, MISSING_CODE, column.codes).astype(np.int32)
    counts = np.where(is_dropped, 0, column.counts)
    return column._replace(codes=codes, counts=counts)
