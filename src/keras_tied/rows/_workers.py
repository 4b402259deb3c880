"""What runs a function on the parts of a table: this process, or workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from keras_tied.tables import MisreadValues, Scan, TableError

Result = TypeVar("Result")


class Workers(Protocol):
    """What runs a function on several items: this process, or workers of Dask."""

    def map(
        self, function: Callable[..., Any], items: Sequence[tuple[Any, ...]]
    ) -> Iterable[tuple[int, Any]]:
        """Yield the index of each item and the result of the function, in any order."""


class Here:
    """Runs functions in this process, one after the other."""

    def map(
        self, function: Callable[..., Any], items: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Any]]:
        """Call a function with the arguments of each item; yield index and result."""
        for index, arguments in enumerate(items):
            yield index, function(*arguments)


def fold(
    workers: Workers,
    rows: Scan,
    function: Callable[..., Result],
    items: Sequence[tuple[Any, ...]],
) -> Iterator[tuple[int, Result]]:
    """Yield index and result of a function of each item, which begins with a part, in any order.

    What is unseen and misread in the parts becomes that of the rows, in the order of
    the items.
    """
    tallies = {}
    tasks = [(function, *item) for item in items]
    for index, (result, *tally) in workers.map(_fold_part, tasks):
        tallies[index] = tally
        yield index, result
    for _, (unseen, misread) in sorted(tallies.items()):
        rows.unseen.update(unseen)
        rows.misread.update(misread)


def _fold_part(
    function: Callable[..., Result], part: Scan, *more: Any
) -> tuple[Result, MisreadValues, MisreadValues]:
    """Call a function with a part, in the process of a worker; its errors name the file."""
    try:
        return function(part, *more), part.unseen, part.misread
    except TableError as error:
        name, message = repr(part.source.name), str(error)
        raise TableError(
            message if name in message else f"{name}: {message}"
        ) from error
