"""Workers of Dask: a scheduler that runs already, or processes of this machine."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tied_tables._processors import count_processors
from tied_tables._signals import clean_up_at_signal
from tied_tables._version import __version__

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 20  # to wait for a scheduler, and for a first worker
# Of workers here, without Dask's own: these make glibc give back each array, which
# takes long.
ALLOCATION = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
TASKS_AT_ONCE = 64  # that are sent in one message


class ClusterError(Exception):
    """The workers cannot be reached, or were lost; the message is one sentence."""


@dataclass
class DaskWorkers:
    """Runs functions that can be pickled on the workers of a `Client`."""

    client: Client

    def map(
        self, function: Callable[..., Any], items: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Any]]:
        """Call a function with each item; yield index and result when done."""
        from concurrent.futures import CancelledError

        from distributed import as_completed
        from distributed.scheduler import KilledWorker

        arguments = zip(*items, strict=True)
        try:
            futures = self.client.map(
                function, *arguments, pure=False, batch_size=TASKS_AT_ONCE
            )
            places = {future.key: place for place, future in enumerate(futures)}
            running = as_completed(futures, loop=self.client.loop)
            del futures  # so that each result is let go of once it was used
            for future in running:
                yield places[future.key], future.result()
        except KilledWorker as error:
            raise ClusterError(
                "a part of the table made several workers exit, perhaps for lack of"
                " memory; give them more, and run the command again."
            ) from error
        except (CancelledError, OSError) as error:
            raise ClusterError(
                "the connection to the scheduler was lost; start one, and run the"
                " command again, which keeps finished parts."
            ) from error


@contextmanager
def connect(address: str, n_workers: int | None = None) -> Iterator[DaskWorkers]:
    """Connect to a scheduler of Dask, or start workers on this machine.

    Args:
        address: such as `"tcp://10.0.0.1:8786"`, or `"local"`.
        n_workers: the processes of `"local"`, one thread each. Defaults to one for each
            processor that this process may use.

    Raises:
        ImportError: if `dask.distributed` is not installed.
        ClusterError: if no scheduler answers, or its workers lack this version of
            tied-tables.
    """
    import logging

    try:
        from dask import config
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError(
            'a cluster needs Dask; run pip install "tied-tables[cli,dask]".',
            name="distributed",
        ) from error
    if address != "local" and not re.fullmatch(r"(tcp|tls|wss?|ucx)://.+:\d+", address):
        raise ClusterError(
            f"{address!r} is not an address such as tcp://10.0.0.1:8786; give one."
        )
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(
            logging.CRITICAL
        )  # a `ClusterError` says it once
    cluster: Any = None
    with ExitStack() as stack:
        if address == "local":
            environment = {"distributed.nanny.pre-spawn-environ": ALLOCATION}
            with config.set(environment), _block_interrupts():
                cluster = LocalCluster(
                    n_workers=n_workers or count_processors(),
                    threads_per_worker=1,
                    dashboard_address=None,
                    # The usual port may be that of another command.
                    scheduler_kwargs={"dashboard_address": ":0"},
                    silence_logs=logging.CRITICAL,
                )
            stack.callback(cluster.close)
            stack.enter_context(clean_up_at_signal(partial(_kill_workers, cluster)))
        try:
            client = Client(
                cluster or address, timeout=CONNECT_SECONDS, set_as_default=False
            )
        except (OSError, ValueError) as error:
            reason = str(error) or f"within {CONNECT_SECONDS} s"
            raise ClusterError(
                f"no Dask scheduler answers at {address!r} ({reason}); start one, or"
                " use `cluster=local`."
            ) from error
        stack.enter_context(client)
        _check_workers(client, address)
        yield DaskWorkers(client)


def _kill_workers(cluster: Any) -> None:
    """End the processes of workers here at once; what they hold is free then."""
    from multiprocessing import active_children

    for nanny in cluster.workers.values():
        nanny.close_gracefully()  # or it starts another, which finds no parent
    for process in active_children():
        process.kill()
        process.join()


@contextmanager
def _block_interrupts() -> Iterator[None]:
    """Start processes that are deaf to signals of the terminal, which end this one.

    At Ctrl-C each would print a traceback.
    """
    from multiprocessing import resource_tracker

    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    signals = {signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    # Its start, by the first process, unblocks; and it warns of what is left after a
    # signal.
    warnings = os.environ.get("PYTHONWARNINGS", "")
    os.environ["PYTHONWARNINGS"] = f"{warnings},ignore:resource_tracker".lstrip(",")
    resource_tracker.ensure_running()
    os.environ["PYTHONWARNINGS"] = warnings
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _check_workers(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        versions = client.run(_get_version, on_error="return")
    except TimeoutError as error:
        raise ClusterError(
            f"the scheduler at {address!r} has no worker; start some."
        ) from error
    except OSError as error:
        raise ClusterError(
            f"the connection to {address!r} was lost; try again."
        ) from error
    # or errors; a worker that was lost gives an OSError
    for version in versions.values():
        if isinstance(version, ImportError):
            lack = f"a worker of {address!r} cannot import tied-tables ({version})"
            raise ClusterError(f"{lack}; install version {__version__} there.")
        if version != __version__ and isinstance(version, str):
            raise ClusterError(
                f"a worker of {address!r} has version {version} of tied-tables, and"
                f" this is {__version__}; install the same version everywhere."
            )


def _get_version() -> str:
    return __version__
