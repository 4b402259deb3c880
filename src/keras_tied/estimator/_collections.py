"""Dask's arrays and frames: each block is a table of its own, maybe elsewhere."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from sklearn.utils._set_output import _get_output_config

from keras_tied.fitted.fences import Fences
from keras_tied.fitted.moments import Moments, measure_moments
from keras_tied.fitting.plan import make_generator
from keras_tied.fitting.sample import choose_places, choose_sample_size

if TYPE_CHECKING:
    from keras_tied.columns import Columns

MERGED = 16  # so many moments are merged at a time, by a worker

Method = TypeVar("Method", bound=Callable[..., Any])


def is_collection(X: Any) -> bool:
    """Whether these are an array or a frame of Dask."""
    n_axes = getattr(X, "ndim", None)
    if not hasattr(X, "__dask_graph__") or not isinstance(n_axes, int):
        return False
    if n_axes != 2:
        raise ValueError(f"Expected 2D array, got {n_axes}D array of Dask instead.")
    return True


def map_collections(method: Method) -> Method:
    """Let a method of rows also take those of Dask, and return a lazy Dask array.

    Each block is computed by itself, where it is. The number of rows of a frame is not
    known.
    """

    @functools.wraps(method)
    def apply(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_collection(X):
            return method(self, X, *args, **kwargs)
        if _get_output_config("transform", self)["dense"] != "default":
            raise ValueError(
                "set_output does not reach rows of Dask: call"
                " set_output(transform='default')."
            )

        def call(block: Any) -> Any:
            return method(self, block, *args, **kwargs)

        is_frame = hasattr(X, "map_partitions")
        if is_frame:
            from dask.dataframe.utils import meta_nonempty

            some = meta_nonempty(X._meta)
        else:
            X = X.rechunk({1: -1})
            some = np.ones((1, X.shape[1]), X.dtype)
        with warnings.catch_warnings(action="ignore"):  # of what is made up
            empty = call(some)[:0]

        def call_or_none(block: Any) -> Any:
            """One without rows, as a filter leaves, is none."""
            return call(block) if len(block) else empty

        if is_frame:
            return X.map_partitions(call_or_none, meta=empty)
        if empty.ndim == 1:
            return X.map_blocks(call_or_none, drop_axis=1, meta=empty)
        chunks = (X.chunks[0], empty.shape[1:])
        return X.map_blocks(call_or_none, chunks=chunks, meta=empty)

    return cast(Method, apply)


def sample_collection(X: Any, random_state: Any) -> tuple[Any, list[Any]]:
    """All rows of Dask where they fit into memory; else a sample, and all blocks."""
    import dask

    is_frame = hasattr(X, "map_partitions")
    lengths: Any = [np.nan]
    if not is_frame:
        X = X.rechunk({1: -1})
        lengths = X.chunks[0]
    blocks = np.ravel(X.to_delayed()).tolist()
    if np.isnan(lengths).any():
        measure = dask.delayed(len)
        lengths = dask.compute(*map(measure, blocks))
    n = choose_sample_size(X.shape[1])
    if sum(lengths) <= n:
        return X.compute(), []
    _, seed = make_generator(random_state)
    places = choose_places(lengths, n, seed)
    chosen = list(map(dask.delayed(_select), blocks, places))
    if is_frame:
        from dask.dataframe.dispatch import concat
    else:
        concat = np.concatenate
    return concat(dask.compute(*chosen)), blocks


def measure_collection(
    blocks: list[Any],
    columns: Columns | None,
    ends: Fences,
) -> Moments:
    """The moments of all rows of blocks, medians in place of values beyond ends."""
    import dask

    measure, merge = dask.delayed(_measure), dask.delayed(_merge)
    moments = [measure(block, columns, ends) for block in blocks]
    while len(moments) > 1:
        begins = range(0, len(moments), MERGED)
        moments = [merge(moments[begin : begin + MERGED]) for begin in begins]
    return moments[0].compute()


def _select(block: Any, places: Any) -> Any:
    rows = getattr(block, "iloc", block)
    return rows[places]


def _measure(
    block: Any,
    columns: Columns | None,
    ends: Fences,
) -> Moments | None:
    if columns is not None:
        from keras_tied.columns import read_rows

        block = columns.encode(read_rows(block))
    elif hasattr(block, "to_numpy"):
        block = block.to_numpy(np.float64, na_value=np.nan)
    if np.isinf(block).any():
        raise ValueError(
            "Input X contains infinity: leave these rows out, or make them missing."
        )
    if not len(block):
        return None
    return measure_moments(ends.trim(block))


def _merge(parts: list[Moments | None]) -> Moments | None:
    present = [part for part in parts if part is not None]
    return functools.reduce(Moments.merge, present) if present else None
