"""Values of Arrow in the types of others."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from keras_tied.columns._kinds import to_floats

# Microseconds from 1970, of which nanoseconds hold no more.
MOST_MICROSECONDS = 2**63 // 1000 - 1


def make_alike(values: pa.Array, like: pa.Array) -> pa.Array:
    """Values in the type of others, with more levels if need be, whole where these are."""
    dtype = like.type
    if types.is_dictionary(dtype):
        return values.cast(dtype.value_type).dictionary_encode().cast(dtype)
    if types.is_floating(dtype) and types.is_floating(values.type):
        present = like.filter(pc.invert(like.is_null(nan_is_null=True)))
        if len(present) and pc.all(pc.equal(present, pc.round(present))).as_py():
            values = pc.round(values)
    return cast_like(values, like)


def cast_like(values: pa.Array, like: pa.Array) -> pa.Array:
    """Values in the type of others; numbers and times too large become its largest."""
    dtype = like.type
    if types.is_dictionary(dtype):
        places = pc.index_in(values.cast(dtype.value_type), like.dictionary)
        return pa.DictionaryArray.from_arrays(
            places.cast(dtype.index_type), like.dictionary, ordered=dtype.ordered
        )
    if types.is_integer(dtype):
        limits = np.iinfo(dtype.to_pandas_dtype())
        most = min(float(limits.max), float(limits.max) * (1 - 2**-52))
        numbers = np.rint(np.clip(to_floats(values), float(limits.min), most))
        return pa.array(numbers, from_pandas=True).cast(dtype, safe=False)
    if types.is_decimal(dtype):
        most = 10.0 ** min(15, dtype.precision - dtype.scale) * (1 - 1e-15) - 1
        numbers = np.clip(to_floats(values), -most, most)
        places = max(0, dtype.scale)
        texts = [None if np.isnan(x) else f"{x:.{places}f}" for x in numbers]
        return pa.array(texts, pa.string()).cast(dtype)
    if types.is_timestamp(dtype) and types.is_timestamp(values.type):
        if dtype.unit == "ns":
            values = values.cast(pa.timestamp("us", values.type.tz)).cast(pa.int64())
            values = pc.max_element_wise(values, -MOST_MICROSECONDS, skip_nulls=False)
            values = pc.min_element_wise(values, MOST_MICROSECONDS, skip_nulls=False)
            values = values.cast(pa.timestamp("us", dtype.tz))
        return values.cast(dtype, safe=False)
    if types.is_time(dtype) and types.is_string(values.type):  # a constant
        moments = pc.binary_join_element_wise("1970-01-01", values, " ")
        values = moments.cast(pa.timestamp("us")).cast(pa.time64("us"))
    return values.cast(dtype, safe=False)
