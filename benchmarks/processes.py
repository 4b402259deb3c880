"""MNIST's deep tied autoencoder on one process and on several: rows a second, and where time goes.

Each process has one thread on a core of its own and 256 rows of a batch; the processes meet on the
loopback interface. One process and several are measured in turn, each anew. A run trains an epoch
to compile, and then measures; it also measures the sum of the gradients over the processes alone.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

BATCH = 256
FLAGS = "--xla_cpu_multi_thread_eigen=false --xla_force_host_platform_device_count=1"


def train(process: int, processes: int, address: str, given: argparse.Namespace) -> None:
    """What each process does; prints rows and seconds as JSON."""
    import jax

    if processes > 1:
        jax.distributed.initialize(address, processes, process, heartbeat_timeout_seconds=10)

    import keras_tied  # settles the backend before Keras is imported

    # isort: split
    import keras

    from benchmarks.cases._networks import make_network, read_images

    if processes > 1:
        parallel = keras.distribution.DataParallel(auto_shard_dataset=False)
        keras.distribution.set_distribution(parallel)
    rows = read_images(given.data, "train")[process::processes][: given.steps * BATCH]
    model = make_network(784, "float32", seed=0)
    model.compile(keras.optimizers.Adam(1e-3))
    model.fit(rows, batch_size=BATCH, verbose=0)
    wall, cpu = time.perf_counter(), time.process_time()
    model.fit(rows, batch_size=BATCH, epochs=given.epochs, verbose=0)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    n_steps = given.steps * given.epochs
    weights = [variable.value for variable in model.trainable_variables]
    figures = {"rows": n_steps * BATCH, "wall": wall, "cpu": cpu, "steps": n_steps}
    assert isinstance(model, keras_tied.Autoencoder)
    print(json.dumps(figures | {"sum": measure_sum(weights, processes)}))


def measure_sum(weights: list, processes: int) -> float:
    """Seconds of one sum over the processes of numbers as many as the weights."""
    if processes == 1:
        return 0.0
    import jax
    import numpy as np
    from jax.sharding import NamedSharding, PartitionSpec

    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("batch",))
    sharding = NamedSharding(mesh, PartitionSpec("batch"))
    parts = [
        jax.make_array_from_process_local_data(sharding, np.ones((1, weight.size), np.float32))
        for weight in weights
    ]
    everywhere = NamedSharding(mesh, PartitionSpec())
    add = jax.jit(lambda parts: [part.sum(axis=0) for part in parts], out_shardings=everywhere)
    jax.block_until_ready(add(parts))
    start = time.perf_counter()
    for _ in range(20):
        jax.block_until_ready(add(parts))
    return (time.perf_counter() - start) / 20


def measure(processes: int, given: argparse.Namespace) -> list[dict[str, float]]:
    """The figures of each process."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    environment = {**os.environ, "XLA_FLAGS": FLAGS, "JAX_PLATFORMS": "cpu"}
    runs = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.processes",
                *sys.argv[1:],
                "--worker",
                str(process),
                str(processes),
                address,
            ],
            env={**environment, "KERAS_BACKEND": "jax"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for process in range(processes)
    ]
    outputs = [run.communicate()[0] for run in runs]
    if any(run.returncode for run in runs):
        sys.exit(f"A process failed: {outputs}")
    return [json.loads(output.splitlines()[-1]) for output in outputs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of MNIST's files")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=60, help="steps of an epoch")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        process, processes, address = given.worker
        train(int(process), int(processes), address, given)
        return
    speeds = {1: [], given.processes: []}
    for round_ in range(given.rounds):
        for processes in speeds:
            figures = measure(processes, given)
            speed = sum(each["rows"] for each in figures) / max(each["wall"] for each in figures)
            speeds[processes].append(speed)
            wall, cpu = (
                1000 * max(each[name] / each["steps"] for each in figures)
                for name in ("wall", "cpu")
            )
            print(
                f"round {round_ + 1}, {processes} processes: {speed:7.0f} rows a second", end=", "
            )
            print(f"{wall:6.1f} ms a step ({cpu:6.1f} of CPU in the busiest process)", end=", ")
            print(f"{1000 * figures[0]['sum']:5.1f} ms a sum of the gradients alone", flush=True)
    medians = [statistics.median(each) for each in speeds.values()]
    print(f"medians: {medians[0]:.0f} and {medians[-1]:.0f} rows a second, ", end="")
    print(f"{medians[-1] / medians[0]:.2f} times")


if __name__ == "__main__":
    main()
