"""The deep network on one process and on two, of one thread each."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks._case import Measure, Options, System
from benchmarks.cases._networks import load_images, make_network

TITLE = "Several processes"
TEXT = """
The deep network of [MNIST](#mnist-deep) trains on several processes, as under *Training on several
processes* in the guide. Each has one thread on a core of its own and 256 rows of a batch, and they
meet on the loopback interface. An epoch compiles, and two are measured, of 60 steps each.
"""
CHOSEN_ON = "Nothing was chosen on these images."
MEASURES = {"rows_per_second": Measure("rows a second", "more")}
PICTURE = ["rows_per_second"]
HOT = False
REPEATS = 3
BATCH, EPOCHS, MOST = 256, 2, 2


def setup(options: Options) -> None:
    images, _ = load_images(options, MOST * BATCH * (5 if options.quick else 60), 1)
    np.save(options.folder / "images.npy", images)


def prepare(options: Options) -> dict[str, Callable[[], int]]:
    images = np.load(options.folder / "images.npy", mmap_mode="r")
    return {"images": lambda: len(images) // (MOST * BATCH) * BATCH}  # rows of each process


def measure(task: int, walls: list[float], seconds: dict[str, float]) -> dict[str, float]:
    return {"rows_per_second": len(walls) * task * EPOCHS / max(walls)}


def make(processes: int) -> Callable[[int], list[float]]:
    def run(rows: int) -> list[float]:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{listener.getsockname()[1]}"
        environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, "-m", "benchmarks.cases.processes", address, str(processes)]
        workers = [
            subprocess.Popen(
                [*command, str(process), str(rows)],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
            for process in range(processes)
        ]
        outputs = [worker.communicate()[0] for worker in workers]
        assert not any(worker.returncode for worker in workers), "a process failed"
        return [float(output.split()[-1]) for output in outputs]

    return run


def train(address: str, processes: int, process: int, rows: int) -> None:
    """What each process does; prints seconds."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[process]})
    import jax

    if processes > 1:
        jax.distributed.initialize(address, processes, process, heartbeat_timeout_seconds=10)

    import keras_tied  # noqa: F401  settles the backend before Keras is imported

    # isort: split
    import keras

    if processes > 1:
        parallel = keras.distribution.DataParallel(auto_shard_dataset=False)
        keras.distribution.set_distribution(parallel)
    images = np.load("images.npy")[process::processes][:rows]
    model = make_network(images.shape[1], "float32", seed=0)
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(images, batch_size=BATCH, verbose=0)
    begin = time.perf_counter()
    model.fit(images, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    print(time.perf_counter() - begin)


SYSTEMS = {
    f"{name} process{'es' * (n > 1)}": System(partial(make, n), ours=True)
    for n, name in enumerate(("one", "two"), 1)
}

if __name__ == "__main__":
    train(sys.argv[1], *map(int, sys.argv[2:]))
