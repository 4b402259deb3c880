"""Progress on the standard error: a bar on a terminal, else lines."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keras_tied._signals import clean_up_at_signal
from keras_tied.cli._lazy import tables
from keras_tied.cli._messages import say

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS_TO_FIRST_LINE, SECONDS_BETWEEN_LINES = 1, 10


def is_visible(quiet: bool) -> bool:
    """Whether a bar would be visible."""
    return not quiet and sys.stderr.isatty()


@contextmanager
def _say_states(what: str) -> Iterator[Callable[[str], None]]:
    """Print how far the work has come, after a second and then every ten, however long a step is.

    Yields the function that tells the state.
    """
    state, is_over = "at work", threading.Event()

    def say_often() -> None:
        wait = SECONDS_TO_FIRST_LINE
        while not is_over.wait(wait):
            wait = SECONDS_BETWEEN_LINES
            say(f"{what}: {state}" if what else state)

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
def _show_bar(text_format: str = "") -> Iterator[Progress]:
    """Show a bar with a text beside it, in a format of Rich; without one, a spinner."""
    from rich import progress
    from rich.console import Console

    columns: Any = progress.SpinnerColumn(), "{task.description}", progress.TimeElapsedColumn()
    if text_format:
        time_left = progress.TimeRemainingColumn()
        columns = "{task.description}", progress.BarColumn(), text_format, time_left
    bar = progress.Progress(*columns, console=Console(stderr=True), transient=True)
    with bar, clean_up_at_signal(bar.stop):  # which shows the cursor again
        yield bar


@contextmanager
def show_training(
    what: str, quiet: bool
) -> Iterator[Callable[[int, int, Mapping[str, float]], None] | None]:
    """Show epochs, anew with each training; yield what moves them, or None."""
    if quiet:
        yield None
    elif not is_visible(quiet):
        with _say_states(what) as note:
            yield lambda epoch, epochs, logs: note(f"epoch {epoch:,} of {epochs:,}")
    else:
        with _show_bar("{task.fields[epoch]}") as bar:
            task = bar.add_task(what, total=None, epoch="")

            def on_epoch(epoch: int, epochs: int, logs: Mapping[str, float]) -> None:
                if epoch == 1:
                    bar.reset(task, total=epochs)
                text = f"epoch {epoch} of {epochs}  loss {logs['loss']:.2e}"
                bar.update(task, completed=epoch, epoch=text)

            yield on_epoch


@contextmanager
def show_rows(what: str, rows: tables.Scan, quiet: bool) -> Iterator[tables.Scan]:
    """Show how many rows were read; yield the rows that move the bar, with the same tallies."""
    n_rows = rows.source.n_rows
    if quiet:
        yield rows
    elif not is_visible(quiet):
        n_done = 0

        def advance(more: int) -> None:
            nonlocal n_done
            n_done += more
            note(f"{n_done:,} of {n_rows:,} rows")

        with _say_states(what) as note:
            yield replace(rows, advance=advance)
    else:
        with _show_bar("{task.completed:,.0f} of {task.total:,.0f} rows") as bar:
            task = bar.add_task(what, total=n_rows)
            yield replace(rows, advance=lambda more: bar.advance(task, more))


@contextmanager
def show_stages(first: str, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show a spinner with the name of a stage; yield the function that renames it."""
    if quiet:
        yield lambda _: None
        return
    if not is_visible(quiet):
        with _say_states("") as note:
            note(first)
            yield note
        return
    from rich.markup import escape

    with _show_bar() as bar:
        task = bar.add_task(first, total=None)
        yield lambda what: bar.update(task, description=escape(what))
