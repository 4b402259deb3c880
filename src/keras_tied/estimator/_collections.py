"""Dask's arrays and frames: each block is a table of its own, which may be elsewhere."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._set_output import _get_output_config

from keras_tied.fitted.fences import Fences
from keras_tied.fitted.moments import Moments, measure_moments
from keras_tied.fitting.sample import choose_places, choose_sample_size

if TYPE_CHECKING:
    from keras_tied.columns import Columns

MERGED = 16  # so many moments are merged at a time, by a worker

Method = TypeVar("Method", bound=Callable[..., Any])


def is_collection(X: Any) -> bool:
    """Whether these are an array or a frame of Dask."""
    if not hasattr(X, "__dask_graph__") or not isinstance(
        getattr(X, "ndim", None), int
    ):
        return False
    if X.ndim != 2:
        raise ValueError(f"Expected 2D array, got {X.ndim}D array of Dask instead.")
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
        call = functools.partial(_call, method, self, args, kwargs)
        if hasattr(X, "map_partitions"):
            from dask.dataframe.utils import meta_nonempty

            with warnings.catch_warnings(action="ignore"):  # of what is made up
                example = call(meta_nonempty(X._meta))
            return X.map_partitions(call, of_none=example[:0], meta=example[:0])
        X = X.rechunk({1: -1})
        example = call(np.ones((1, X.shape[1]), X.dtype))
        if example.ndim == 1:
            return X.map_blocks(
                call, of_none=example[:0], drop_axis=1, meta=example[:0]
            )
        chunks = X.chunks[0], example.shape[1:]
        return X.map_blocks(call, of_none=example[:0], chunks=chunks, meta=example[:0])

    return cast(Method, apply)


def _call(
    method: Any, estimator: Any, args: Any, kwargs: Any, X: Any, of_none: Any = None
) -> Any:
    """Call a method with a block; one without rows, which a filter may leave, gives `of_none`."""
    if of_none is not None and not len(X):
        return of_none
    return method(estimator, X, *args, **kwargs)


def sample_collection(X: Any, random_state: Any) -> tuple[Any, list[Any]]:
    """All rows of Dask where they fit into memory; else a sample, and the blocks of all rows."""
    import dask

    is_frame = hasattr(X, "map_partitions")
    X = X if is_frame else X.rechunk({1: -1})
    blocks = np.ravel(X.to_delayed()).tolist()
    lengths: Any = [np.nan] if is_frame else X.chunks[0]
    if np.isnan(lengths).any():
        lengths = dask.compute(*[dask.delayed(len)(block) for block in blocks])
    n = choose_sample_size(X.shape[1])
    if sum(lengths) <= n:
        return X.compute(), []
    seed = check_random_state(random_state).randint(2**31 - 1)
    chosen = [
        dask.delayed(_select)(block, places)
        for block, places in zip(blocks, choose_places(lengths, n, seed), strict=True)
    ]
    if is_frame:
        from dask.dataframe.dispatch import concat
    else:
        concat = np.concatenate
    return concat(dask.compute(*chosen)), blocks


def measure_collection(
    blocks: list[Any], columns: Columns | None, ends: Fences
) -> Moments:
    """The moments of all rows of some blocks, with medians in place of values beyond ends."""
    import dask

    moments = [dask.delayed(_measure)(block, columns, ends) for block in blocks]
    merge = dask.delayed(_merge)
    while len(moments) > 1:
        moments = [
            merge(moments[i : i + MERGED]) for i in range(0, len(moments), MERGED)
        ]
    of_all: Moments = moments[0].compute()
    return of_all


def _select(block: Any, places: Any) -> Any:
    return block.iloc[places] if hasattr(block, "iloc") else block[places]


def _measure(block: Any, columns: Columns | None, ends: Fences) -> Moments | None:
    if columns is not None:
        from keras_tied.columns import read_rows

        block = columns.encode(read_rows(block))
    elif hasattr(block, "to_numpy"):
        block = block.to_numpy(np.float64, na_value=np.nan)
    if np.isinf(block).any():
        raise ValueError(
            "Input X contains infinity: leave these rows out, or make them missing."
        )
    return measure_moments(ends.trim(block)) if len(block) else None


def _merge(parts: list[Moments | None]) -> Moments | None:
    present = [part for part in parts if part is not None]
    return functools.reduce(Moments.merge, present) if present else None
