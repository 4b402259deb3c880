"""What runs a function on the parts of a table: this process, or workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from tied_tables.columns import Doubts
from tied_tables.io import TableError
from tied_tables.rows._scan import Scan, fold, ignore

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


def fold_parts(
    workers: Workers,
    function: Callable[..., Result],
    items: Sequence[tuple[Any, ...]],
    use: Callable[[int, Result], object] = ignore,
) -> tuple[list[Result], Doubts]:
    """Call a function with the batches of each part of a table, in any order.

    Args:
        workers: what runs the function.
        function: takes the batches of a part, and the other arguments of an item.
        items: of each part, its `Scan` and the other arguments.
        use: is called with the index of an item and its result when there is one.

    Returns:
        The results, and what is doubtful in all parts, in the order of the items.
    """
    outcomes = {}
    tasks = [(function, *item) for item in items]
    for index, outcome in workers.map(_fold_part, tasks):
        outcomes[index] = outcome
        use(index, outcome[0])
    results, doubts = [], Doubts()
    for index in range(len(items)):
        result, part_doubts = outcomes[index]
        results.append(result)
        doubts.update(part_doubts)
    return results, doubts


def _fold_part(
    function: Callable[..., Result], part: Scan, *arguments: Any
) -> tuple[Result, Doubts]:
    """Fold a part, in the process of a worker; its errors name the file."""
    try:
        return fold(part, lambda batches: function(batches, *arguments))
    except TableError as error:
        name, message = repr(part.source.name), str(error)
        if name not in message:
            message = f"{name}: {message}"
        raise TableError(message) from error
