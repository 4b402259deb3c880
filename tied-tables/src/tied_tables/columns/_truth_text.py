"""Truth values as people write them."""

from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tied_tables._types import Array
from tied_tables.columns._arrow import count_values, set_null, to_floats
from tied_tables.columns._form import Form
from tied_tables.columns._kinds import Kind
from tied_tables.columns._missing import MOST_MISREAD
from tied_tables.columns._number_text import ROWS_TO_DECIDE

MOST_SPELLINGS = 30
PAIRS = tuple(
    tuple(pair.split("="))
    for pair in (
        "true=false yes=no y=n t=f on=off ja=nein j=n oui=non vrai=faux sí=no si=no"
        " sim=não wahr=falsch sì=no да=нет tak=nie +=-"
    ).split()
)
SIGNS = ("+", "-")
# Of later tables, numbers are truth values, too.
READ_PAIRS = (*PAIRS, ("1", "0"), ("1.0", "0.0"))
INITIALS = frozenset("ynjtf")


class TruthText(Form, frozen=True, tag="truth"):
    """Truth values as text: how true and false are written."""

    kind: ClassVar[Kind] = Kind.boolean
    true: str
    false: str

    @property
    def description(self) -> str:
        """What the values are, for people."""
        return f"{self.true} or {self.false}"

    @property
    def has_signs(self) -> bool:
        """Whether a dash is false; it is a missing value beside other words."""
        return (self.true, self.false) == SIGNS

    def parse(self, texts: pa.Array) -> Array:
        """Return 1 and 0, (n,) float64, with NaN where there is neither."""
        pairs = [pair for pair in READ_PAIRS if pair != SIGNS or self.has_signs]
        true, false = zip(*pairs, strict=True)
        folded = pc.utf8_lower(texts)
        is_true = pc.is_in(folded, pa.array(true))
        is_false = pc.is_in(folded, pa.array(false))
        is_known = pc.or_(is_true, is_false)
        return to_floats(pc.if_else(is_known, is_true, None))

    def write(self, numbers: Array) -> pa.Array:
        """Return numbers, (n,), as text: true from 0.5 on, and null for NaN."""
        is_true = numbers >= 0.5
        texts = pc.if_else(is_true, self.true, self.false)
        return set_null(texts, np.isnan(numbers))


def decide_truth_text(texts: pa.Array) -> TruthText | None:
    """Return the form of truth values, if nearly all texts are those of some pairs."""
    if len(texts[:ROWS_TO_DECIDE].unique()) > MOST_SPELLINGS:
        return None
    counts = count_values(texts)
    words = {text.lower() for text in counts}
    pairs = [pair for pair in PAIRS if words.issuperset(pair)]
    known = {word for pair in pairs for word in pair}
    known |= {word[0] for word in known} & INITIALS
    n_known = sum(counts[text] for text in counts if text.lower() in known)
    if n_known < (1 - MOST_MISREAD) * len(texts) or not pairs:
        return None
    spellings = []
    for side in zip(*pairs, strict=True):
        words_of_side = [text for text in counts if text.lower() in side]
        spellings.append(max(words_of_side, key=lambda text: (counts[text], text)))
    return TruthText(*spellings)
