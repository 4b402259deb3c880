"""Values of Arrow in the types of others."""

from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from tied_tables.columns._arrow import to_floats, to_integers, to_text

# Microseconds from 1970, of which nanoseconds hold no more.
MOST_MICROSECONDS = 2**63 // 1000 - 1
EARLIEST_IN_NANOSECONDS = np.datetime64(-MOST_MICROSECONDS, "us")
LATEST_IN_NANOSECONDS = np.datetime64(MOST_MICROSECONDS, "us")


def make_alike(values: pa.Array, like: pa.Array) -> pa.Array:
    """Values in the type of others, with new levels, and whole where these are."""
    dtype = like.type
    if types.is_dictionary(dtype):
        words = values.cast(dtype.value_type)
        known = cast_like(values, like)
        known = known.cast(dtype.value_type)
        words = pc.coalesce(known, words)
        return words.dictionary_encode().cast(dtype)
    are_floating = types.is_floating(dtype) and types.is_floating(values.type)
    if are_floating and _are_whole(like):
        values = pc.round(values)
    return cast_like(values, like)


def _are_whole(values: pa.Array) -> bool:
    """Whether there are numbers, and all of them are whole."""
    numbers = to_floats(values)
    present = numbers[~np.isnan(numbers)]
    return len(present) > 0 and np.array_equal(present, np.rint(present))


def cast_like(values: pa.Array, like: pa.Array) -> pa.Array:
    """Values in the type of others; numbers and times too large become its largest."""
    dtype = like.type
    if types.is_dictionary(dtype):
        words = values.cast(dtype.value_type)
        levels = to_text(like.dictionary)
        places = pc.index_in(to_text(words), levels)
        places = places.cast(dtype.index_type)
        return pa.DictionaryArray.from_arrays(
            places,
            like.dictionary,
            ordered=dtype.ordered,
        )
    if not types.is_floating(values.type):  # in full, unless out of the type's range
        with suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return values.cast(dtype)
    if types.is_integer(dtype):
        return to_integers(to_floats(values), dtype)
    if types.is_decimal(dtype):
        return _cast_to_decimals(values, dtype)
    are_moments = types.is_timestamp(values.type) and types.is_timestamp(dtype)
    if are_moments and dtype.unit == "ns":
        values = _limit_time(values, dtype.tz)
    if types.is_time(dtype) and types.is_string(values.type):  # a constant
        moments = pc.binary_join_element_wise("1970-01-01", values, " ")
        values = moments.cast(pa.timestamp("us"))
    return values.cast(dtype, safe=False)


def _cast_to_decimals(values: pa.Array, dtype: pa.DataType) -> pa.Array:
    n_digits = dtype.precision - dtype.scale
    step = 10.0**-dtype.scale
    high = np.nextafter(10.0**n_digits - step, 0)
    numbers = to_floats(values)
    within = np.clip(numbers, -high, high)
    decimals = pa.array(within, from_pandas=True)
    return decimals.cast(dtype)


def _limit_time(values: pa.Array, zone: str | None) -> pa.Array:
    """Times that nanoseconds hold, of those that may be any, in a time zone."""
    times = np.asarray(values)
    times = times.astype(EARLIEST_IN_NANOSECONDS.dtype)
    within = np.clip(times, EARLIEST_IN_NANOSECONDS, LATEST_IN_NANOSECONDS)
    return pa.array(within, pa.timestamp("us", zone))
