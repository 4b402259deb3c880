"""``--cluster``: the work of a command on workers of Dask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tied_tables._files import keep_tidy
from tied_tables.cli._messages import FailedError, UsageError
from tied_tables.cli._options import STANDARD_OUTPUT, option
from tied_tables.cli._table import require_output

if TYPE_CHECKING:
    from tied_tables.columns import Doubts
    from tied_tables.rows import BatchTransform, Scan, Workers

    Write = Callable[[Scan], tuple[int, Doubts]]


@dataclass(frozen=True)
class ClusterOptions:
    """The options of where the work is done."""

    cluster: str | None = option(
        "Address of a Dask scheduler whose workers do the work, such as"
        " tcp://10.0.0.1:8786, or local for processes of this machine. Tables are then"
        " written as folders of Parquet files.",
        metavar="ADDRESS",
    )
    workers: int | None = option(
        "Number of processes of --cluster local (default: one for each processor).",
        metavar="N",
        min=1,
    )

    def require_output(self, output: str, json: bool, data: str) -> None:
        """Raise if a table, or the folder of workers, could not be written."""
        from tied_tables.io import ENDINGS

        endings = tuple(f".{ending}" for ending in ENDINGS)
        if self.cluster is None:
            require_output(output, json, data)
        elif output == STANDARD_OUTPUT or output.lower().endswith(endings):
            raise UsageError(
                f"--cluster writes a folder of Parquet files, but {output!r} is a file;"
                " choose a folder."
            )

    @contextmanager
    def connect(self) -> Iterator[Workers | None]:
        """Connect to the workers of a cluster; without one, yield None."""
        from tied_tables.rows import ClusterError, connect

        if self.workers is not None and self.cluster != "local":
            raise UsageError(
                "--workers needs --cluster local; add it, or drop --workers."
            )
        if self.cluster is None:
            yield None
            return
        try:
            with connect(self.cluster, self.workers) as workers:
                yield workers
        except ClusterError as error:
            raise FailedError(str(error)) from error

    @contextmanager
    def connect_writer(
        self, transform: BatchTransform, output: str
    ) -> Iterator[Write | None]:
        """Connect to the workers; yield what writes a table there, or None."""
        from tied_tables.rows import OutputFolder, transform_table

        with keep_tidy(Path(output)), self.connect() as workers:
            if workers is None:
                yield None
                return
            folder = OutputFolder(output)
            yield partial(transform_table, workers, transform=transform, folder=folder)
