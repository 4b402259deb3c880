"""Progress on the standard error: a bar on a terminal, else lines."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from tied_tables._signals import clean_up_at_signal
from tied_tables.cli._messages import is_quiet

if TYPE_CHECKING:
    from tied_tables.columns import Doubts
    from tied_tables.rows import Batch, Scan

Result = TypeVar("Result")
SECONDS_TO_FIRST_LINE, SECONDS_BETWEEN_LINES = 0.5, 10
SHORTEST_STAGE = 0.3  # seconds of work before it is printed
_last_line = time.monotonic() + SECONDS_TO_FIRST_LINE - SECONDS_BETWEEN_LINES


@contextmanager
def _say_states(what: str) -> Iterator[Callable[[str], None]]:
    """Print how far the work has come every ten seconds, however long a step is.

    Yields the function that tells the state.
    """
    state, is_over = "", threading.Event()

    def find_pause() -> float:
        next_line = _last_line + SECONDS_BETWEEN_LINES
        return max(SHORTEST_STAGE, next_line - time.monotonic())

    def say_often() -> None:
        global _last_line
        while not is_over.wait(find_pause()):
            _last_line = time.monotonic()
            text = ": ".join(filter(None, [what, state]))
            with suppress(OSError):  # nobody misses this line
                os.write(2, f"tied-tables: {text}\n".encode())

    def note(now: str) -> None:
        nonlocal state
        state = now

    thread = threading.Thread(target=say_often, daemon=True)
    thread.start()
    try:
        yield note
    finally:
        is_over.set()
        thread.join()


@contextmanager
def _show(what: str) -> Iterator[Callable[..., object]]:
    """Show a bar of the work on a terminal, and else lines.

    Yields the function that tells how far the work has come, as text; the bar also
    takes the total and what is completed.
    """
    if is_quiet():
        yield lambda text, **now: None
        return
    if not sys.stderr.isatty():
        with _say_states(what) as note:
            yield lambda text, **now: note(text)
        return
    from rich import progress
    from rich.console import Console

    bar = progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[text]}", markup=False),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar, clean_up_at_signal(bar.stop):  # which shows the cursor again
        task = bar.add_task(what, total=None, text="")
        yield lambda text, **now: bar.update(task, text=text, **now)


@contextmanager
def show_training(
    what: str,
) -> Iterator[Callable[[int, int, Mapping[str, float]], None]]:
    """Show epochs, from the first of each training; yield what moves them."""
    with _show(what) as tell:

        def on_epoch(epoch: int, epochs: int, logs: Mapping[str, float]) -> None:
            text = f"epoch {epoch} of {epochs}  loss {logs['loss']:.2e}"
            tell(text, total=epochs, completed=epoch)

        yield on_epoch


@contextmanager
def show_rows(what: str, rows: Scan) -> Iterator[Scan]:
    """Show how many rows were read; yield the rows that move the bar."""
    n_rows, n_done = rows.source.n_rows, 0
    with _show(what) as tell:

        def advance(more: int) -> None:
            nonlocal n_done
            n_done += more
            text = f"{n_done:,} of {n_rows:,} rows"
            tell(text, total=n_rows, completed=n_done)

        yield replace(rows, advance=advance)


def fold_rows(
    what: str,
    rows: Scan,
    function: Callable[[Iterator[Batch]], Result],
) -> tuple[Result, Doubts]:
    """Fold rows by a function, as `tied_tables.rows.fold` does, and show how many."""
    from tied_tables.rows import fold

    with show_rows(what, rows) as shown_rows:
        return fold(shown_rows, function)


@contextmanager
def show_stages(first: str) -> Iterator[Callable[[str], object]]:
    """Show what is worked at; yield the function that tells of another stage."""
    with _show("") as tell:
        tell(first)
        yield tell
