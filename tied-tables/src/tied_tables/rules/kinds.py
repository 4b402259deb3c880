"""The kinds of a column: its different texts, as they are in the file."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tied_tables._types import Array
from tied_tables.columns import MISSING

MISSING_CODE = -1
FEWEST_ROWS = 3  # of a group that tells what its rows have in common
RARE_RATIO = 20  # of the rows with a text and with its misspelling, at least
SIMILAR = 0.8  # the share of the letters that are the same
MOST_PAIRS = 1_000_000  # of texts that are compared


class Kinds(NamedTuple):
    """A column as codes of its different texts.

    Attributes:
        name: the name of the column.
        codes: the place of the text of each row, (rows,) int32; -1 for a missing one.
        texts: the different texts, (kinds,), in the order of their first rows.
        counts: how many rows have each text, (kinds,) int64.
    """

    name: str
    codes: NDArray[np.int32]
    texts: pa.Array
    counts: Array

    @property
    def n_present(self) -> int:
        """The number of rows with a text."""
        return int(self.counts.sum())

    def shares(self) -> Array:
        """The share of each text among the rows that have one, (kinds,)."""
        return self.counts / max(1, self.n_present)

    def keep(self, codes: Array) -> Self:
        """Return some of the texts and their counts, without the rows."""
        return self._replace(
            codes=np.empty(0, np.int32),
            texts=self.texts.take(pa.array(codes)),
            counts=self.counts[codes],
        )


def find_kinds(table: pa.Table) -> list[Kinds]:
    """Return the kinds of each column that can be written as text."""
    found = []
    for name, values in zip(table.column_names, table.columns, strict=True):
        try:
            texts = values.cast(pa.string())
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # lists, bytes
            continue
        found.append(encode_kinds(name, texts))
    return found


def encode_kinds(name: str, texts: pa.ChunkedArray) -> Kinds:
    """Return the kinds of a column of text."""
    encoded = texts.combine_chunks().dictionary_encode()
    codes = np.asarray(encoded.indices.fill_null(MISSING_CODE))
    marks = pa.array(MISSING, pa.string())
    is_missing = pc.is_in(pc.utf8_trim_whitespace(encoded.dictionary), marks)
    if gone := np.flatnonzero(is_missing).tolist():
        codes = np.where(np.isin(codes, gone), MISSING_CODE, codes)
    counts = np.bincount(codes[codes >= 0], minlength=len(encoded.dictionary))
    return Kinds(name, codes.astype(np.int32), encoded.dictionary, counts)


def align_kinds(kinds: Kinds, known: Kinds) -> Kinds:
    """Return a column with the codes of another, and new ones for its new texts."""
    known_texts = _write_like(known.texts, kinds.texts)
    places = pc.index_in(kinds.texts, known_texts)
    is_new = np.asarray(places.is_null())
    new_places = np.cumsum(is_new) - 1 + len(known.texts)
    places = np.where(is_new, new_places, np.asarray(places.fill_null(0)))
    texts = pa.concat_arrays([known_texts, kinds.texts.filter(pa.array(is_new))])
    counts = np.zeros(len(texts), np.int64)
    counts[places] = kinds.counts
    counts[: len(known.counts)] = np.maximum(known.counts, counts[: len(known.counts)])
    codes = np.append(places, MISSING_CODE)[kinds.codes].astype(np.int32)
    return Kinds(kinds.name, codes, texts, counts)


def _write_like(known: pa.Array, texts: pa.Array) -> pa.Array:
    """Return whole numbers with a decimal where others have one, as pandas writes gaps.

    Those of a table in memory have none.
    """
    has_decimal = pc.match_substring_regex(texts, r"^[-+]?\d+\.0$")
    has_none = pc.match_substring_regex(texts, r"^[-+]?\d+$")
    if pc.any(has_none).as_py() or not pc.any(has_decimal).as_py():
        return known
    return pc.replace_substring_regex(known, r"^([-+]?\d+)$", r"\1.0")


def find_suspects(kinds: Kinds) -> NDArray[np.bool_]:
    """Return which texts may be misspellings of one that is far more frequent."""
    is_suspect = np.zeros(len(kinds.counts), bool)
    largest = kinds.counts.max(initial=0)
    is_rare = (kinds.counts > 0) & (kinds.counts * RARE_RATIO <= largest)
    # Two numbers that look alike are no misspellings.
    is_numeral = pc.match_substring_regex(kinds.texts, r"^[\d.]+$")
    rare = np.flatnonzero(is_rare & ~np.asarray(is_numeral.fill_null(False)))
    order = np.argsort(-kinds.counts, kind="stable")[: MOST_PAIRS // max(1, len(rare))]
    frequent = order[kinds.counts[order] >= RARE_RATIO]
    if not len(rare) or not len(frequent):
        return is_suspect
    from rapidfuzz.distance import OSA  # takes long to import
    from rapidfuzz.process import cdist

    rare_texts = kinds.texts.take(rare).to_pylist()
    frequent_texts = kinds.texts.take(frequent).to_pylist()
    similarity = cdist(rare_texts, frequent_texts, scorer=OSA.normalized_similarity)
    lengths = np.maximum.outer(
        list(map(len, rare_texts)), list(map(len, frequent_texts))
    )
    edits = np.rint((1 - similarity) * lengths)
    is_near = (edits <= 1) & (lengths > 1) | (similarity >= SIMILAR)
    is_far_rarer = kinds.counts[rare][:, None] * RARE_RATIO <= kinds.counts[frequent]
    is_suspect[rare] = (is_near & is_far_rarer).any(axis=1)
    return is_suspect


def drop_suspects(columns: Sequence[Kinds]) -> list[Kinds]:
    """Return columns without texts that may be misspelt and are at home nowhere.

    A text is at home if most of the rows with some text of another column have it.
    """
    cleaned = []
    for b in columns:
        is_suspect = find_suspects(b)
        rows = np.flatnonzero(np.append(is_suspect, False)[b.codes])
        for a in columns if len(rows) else ():
            if a is not b:
                is_suspect[_find_at_home(a, b, rows)] = False
        cleaned.append(_drop_kinds(b, is_suspect))
    return cleaned


def _find_at_home(a: Kinds, b: Kinds, rows: Array) -> Array:
    """Return the codes of b, in some rows, that most rows with a text of a have."""
    rows = rows[a.codes[rows] >= 0]
    n_b = len(b.counts)
    pairs = a.codes[rows] * np.int64(n_b) + b.codes[rows]
    pairs, counts = np.unique(pairs, return_counts=True)
    sizes = a.counts[pairs // n_b]
    is_home = (sizes >= FEWEST_ROWS) & (2 * counts > sizes)
    at_home: Array = pairs[is_home] % n_b
    return at_home


def _drop_kinds(kinds: Kinds, is_dropped: NDArray[np.bool_]) -> Kinds:
    """Return a column in which some of its texts are missing."""
    is_gone = np.append(is_dropped, False)[kinds.codes]
    codes = np.where(is_gone, MISSING_CODE, kinds.codes).astype(np.int32)
    return kinds._replace(codes=codes, counts=np.where(is_dropped, 0, kinds.counts))
