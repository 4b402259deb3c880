"""Small steps with Arrow's arrays."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tied_tables._types import Array


def to_floats(values: pa.Array) -> Array:
    """Return numbers, or their text, as float64, with NaN for a missing one."""
    numbers = values.cast(pa.float64(), safe=False)
    return np.asarray(numbers)


def to_integers(numbers: Array, dtype: pa.DataType) -> pa.Array:
    """Return the nearest whole numbers that a type has, with a null for NaN."""
    limits = np.iinfo(dtype.to_pandas_dtype())
    high = np.nextafter(float(limits.max), 0)  # a double that does not round beyond
    within = np.clip(numbers.astype(np.float64), float(limits.min), high)
    rounded = pa.array(np.rint(within), from_pandas=True)
    return rounded.cast(dtype, safe=False)


def to_text(values: pa.Array) -> pa.Array:
    """Return values as text without the space around it."""
    texts = values.cast(pa.string())
    return pc.utf8_trim_whitespace(texts)


def count_values(texts: pa.Array) -> dict[str, int]:
    """Return how often each text is there."""
    pairs = pc.value_counts(texts).to_pylist()
    return {pair["values"]: pair["counts"] for pair in pairs}


def measure_matches(texts: pa.Array, pattern: str) -> float:
    """Return the share of texts, none of which is missing, that match a pattern."""
    is_match = pc.match_substring_regex(texts, pattern)
    share = pc.mean(is_match).as_py()
    return share or 0.0


def measure_present(numbers: Array) -> float:
    """Return the share of numbers that are not missing; NaN of none."""
    return float(np.mean(~np.isnan(numbers)))


def set_null(values: pa.Array, is_missing: Array) -> pa.Array:
    """Return values, with a null where they are missing."""
    return pc.if_else(is_missing, None, values)
