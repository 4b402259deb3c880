"""``--cluster``: the work of a command on workers of Dask."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from keras_tied.cli._messages import FailedError, UsageError
from keras_tied.cli._model import Rows
from keras_tied.cli._progress import show_rows
from keras_tied.cli._show import print_json
from keras_tied.cli._table import say_misread, say_unseen

if TYPE_CHECKING:
    from keras_tied.distributed import BatchTransform, Workers


@contextmanager
def open_workers(cluster: str | None, n_workers: int | None) -> Iterator[Workers]:
    """Connect to the workers of a cluster; without one, work in this process."""
    from keras_tied.distributed import ClusterError, Here, connect

    if cluster is None:
        if n_workers is not None:
            raise UsageError("--workers is for --cluster local; give that too.")
        yield Here()
        return
    if n_workers is not None and cluster != "local":
        raise UsageError(f"--workers is for --cluster local, and {cluster!r} has its own.")
    try:
        with connect(cluster, n_workers) as workers:
            yield workers
    except ImportError as error:
        raise UsageError(str(error)) from error
    except ClusterError as error:
        raise FailedError(str(error)) from error


def require_folder(output: str) -> None:
    """Raise if an output is a file, before any work is done."""
    from keras_tied.tables import ENDINGS

    if output == "-" or output.lower().endswith(tuple(f".{ending}" for ending in ENDINGS)):
        raise UsageError(
            f"--cluster writes a folder of Parquet files, and {output!r} is a file; name a folder."
        )


def write_on_cluster(
    verb: str,
    transform: BatchTransform,
    rows: Rows,
    output: str,
    workers: Workers,
    json: bool,
    quiet: bool,
) -> None:
    """Transform the rows of a table on workers, into a folder, and print a summary."""
    from keras_tied.distributed import OutputFolder, transform_table

    start = time.perf_counter()
    with show_rows(verb, rows.source.n_rows, quiet) as advance:
        written = transform_table(workers, rows.source, transform, OutputFolder(output), advance)
    seconds = time.perf_counter() - start
    say_unseen(written.unseen, quiet)
    say_misread(written.misread, quiet)
    if json:
        facts = {verb: written.n_rows, "output": output, "seconds": seconds}
        print_json(facts | {"unseen": written.unseen})
    elif not quiet:
        rate = written.n_rows / max(seconds, 1e-9)
        print(
            f"{verb} {written.n_rows:,} rows to {output} in {seconds:.1f} s, {rate:,.0f} a second"
        )
