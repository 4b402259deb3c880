"""Numbers whose decimal mark is in the wrong place."""

from collections.abc import Iterator, Sequence

import numpy as np

from tied_tables._types import Array
from tied_tables.rules._doubt import Doubt
from tied_tables.rules.kinds import TextCodes
from tied_tables.rules.numbers import SHIFTS, Numbers, read_numbers

FEWEST_NUMBERS = 30  # of a column
LEAST_POSITIVE = 0.9  # of them; the others are 0
MOST_NUMBERS = 0.8  # of which say what is usual: those in the middle
FENCE = 2.0  # times their width, beyond which a number is far
MOST_SHIFTED = 0.02  # of the numbers; if there are more, none is doubted


def doubt_decimals(columns: Sequence[TextCodes]) -> Iterator[Doubt]:
    """Doubt numbers far from the others that are usual with another decimal mark."""
    for column in columns:
        numbers = read_numbers(column)
        if numbers is None or len(numbers.values) < FEWEST_NUMBERS:
            continue
        low, high = _find_usual(numbers)
        rows, suggestions = _find_shifted(numbers, low, high)
        for row, value in zip(rows.tolist(), suggestions.tolist(), strict=True):
            text = column.texts[int(column.codes[row])].as_py()
            suggestion = numbers.format(value)
            reason = (
                f"{column.name} {text} is far outside its other values (most are"
                f" {numbers.format(low)} to {numbers.format(high)}); with the decimal"
                f" mark elsewhere it is {suggestion}"
            )
            yield Doubt(row + 1, column.name, text, suggestion, reason)


def _find_usual(numbers: Numbers) -> tuple[float, float]:
    """Return between which numbers most are; NaN if one is negative, or many are 0."""
    values = numbers.values
    positive = values[values > 0]
    n_numbers = np.count_nonzero(~np.isnan(values))
    n_negative = np.count_nonzero(values < 0)
    enough = max(FEWEST_NUMBERS, LEAST_POSITIVE * n_numbers)
    if n_negative or len(positive) < enough:
        return np.nan, np.nan
    margin = (1 - MOST_NUMBERS) / 2
    low, high = np.quantile(positive, [margin, 1 - margin]).tolist()
    return low, high


def _find_shifted(numbers: Numbers, low: float, high: float) -> tuple[Array, Array]:
    """Return the rows of numbers with a wrong decimal mark, and what they should be.

    Usual numbers have to differ by so little that a tenth of them is none.
    """
    values = numbers.values
    width, ratio = high - low, high / low
    if not 1 < ratio**3 <= 10:
        return np.empty(0, int), np.empty(0)
    is_low = values < min(low / ratio, low - FENCE * width)
    is_high = values > max(high * ratio, high + FENCE * width)
    far = np.flatnonzero((is_low | is_high) & (values > 0))
    exact = values[far][:, None] * SHIFTS
    shifted = np.round(exact, numbers.places)
    is_usual = (shifted >= low / np.sqrt(ratio)) & (shifted <= high * np.sqrt(ratio))
    is_usual &= np.isclose(shifted, exact, rtol=1e-9, atol=0)
    is_shifted = is_usual.any(axis=1)
    n_shifted = is_shifted.sum()
    if 2 * n_shifted < len(far) or n_shifted > MOST_SHIFTED * len(values):
        is_shifted[:] = False
    suggestions = shifted[np.arange(len(far)), is_usual.argmax(axis=1)]
    return far[is_shifted], suggestions[is_shifted]
