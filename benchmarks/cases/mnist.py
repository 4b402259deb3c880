"""The deep tied network on MNIST: error of test images against time, in a few epochs."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks._case import MEMORY, SECONDS, Measure, Options, System, mean_square
from benchmarks.cases._networks import load_images, make_network, make_torch_network

TITLE = "MNIST, deep"
TEXT = """
The tied network 784-1000-500-250-30 with SiLU and gains on 10,000 images of MNIST (without `--data`
a smaller one on scikit-learn's digits), Adam with batches of 256, 4 epochs, an error after each:
the squared error of a test image, summed over its pixels. *Seconds* have compilation in them;
*seconds an epoch* do not. bfloat16 gains where the processor multiplies it.
"""
CHOSEN_ON = "Nothing was chosen on the test images."
MEASURES = {
    "seconds": SECONDS,
    "epoch_seconds": Measure("seconds an epoch"),
    "error": Measure("test error"),
    "memory": MEMORY,
}
PICTURE = ["error"]
HOT = False
BATCH = 256


class Task(NamedTuple):
    train: np.ndarray
    test: np.ndarray
    epochs: int
    seed: int


class Curve(NamedTuple):
    seconds: list[float]  # at the end of each epoch
    errors: list[float]
    reconstruct: Callable[[np.ndarray], np.ndarray]


def prepare(options: Options) -> dict[str, Callable[[], Task]]:
    n, epochs = (2000, 3) if options.quick else (10_000, 4)
    return {
        "images": lambda: Task(*load_images(options, n, 2000), epochs, options.seed)
    }


def measure(task: Task, curve: Curve, seconds: dict[str, float]) -> dict[str, float]:
    error = task.test.shape[1] * mean_square(curve.reconstruct(task.test) - task.test)
    assert len(curve.errors) == task.epochs
    assert abs(error / curve.errors[-1] - 1) < 0.02, (
        f"{error}, and {curve.errors[-1]} was said"
    )
    numbers = {
        "error": error,
        "epoch_seconds": float(np.median(np.diff(curve.seconds))),
    }
    for epoch, (at, value) in enumerate(
        zip(curve.seconds, curve.errors, strict=True), 1
    ):
        numbers |= {f"seconds_{epoch}": at, f"error_{epoch}": value}
    return numbers


def make_keras(policy: str = "float32", stock: bool = False) -> Callable[[Task], Curve]:
    import keras_tied  # settles the backend before Keras is imported

    # isort: split
    import keras

    def run(task: Task) -> Curve:
        begin, curve = time.perf_counter(), ([], [])
        features = task.train.shape[1]

        class KeepErrors(
            keras.callbacks.Callback if stock else keras_tied.training.Watcher
        ):
            def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
                curve[0].append(time.perf_counter() - begin)
                curve[1].append(features * logs["val_loss"])

        model = make_network(features, policy, task.seed)
        model.compile(keras.optimizers.Adam(1e-3))
        sizes = {
            "batch_size": BATCH,
            "validation_batch_size": 1000,
            "epochs": task.epochs,
        }
        fit = partial(keras.Model.fit, model) if stock else model.fit
        fit(
            task.train,
            validation_data=(task.test,),
            callbacks=[KeepErrors()],
            verbose=0,
            **sizes,
        )
        return Curve(
            *curve, lambda X: np.asarray(model.predict(X, verbose=0), dtype="float32")
        )

    return run


def make_torch() -> Callable[[Task], Curve]:
    import torch

    def run(task: Task) -> Curve:
        begin, curve = time.perf_counter(), ([], [])
        weights, reconstruct = make_torch_network(task.train.shape[1], task.seed)
        optimizer = torch.optim.Adam(weights, 1e-3)
        rows, test = torch.from_numpy(task.train), torch.from_numpy(task.test)
        for _ in range(task.epochs):
            for places in torch.randperm(len(rows)).split(BATCH):
                batch = rows[places]
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(reconstruct(batch), batch).backward()
                optimizer.step()
            with torch.no_grad():
                error = torch.nn.functional.mse_loss(reconstruct(test), test).item()
            curve[0].append(time.perf_counter() - begin)
            curve[1].append(rows.shape[1] * error)
        return Curve(
            *curve, lambda X: reconstruct(torch.from_numpy(X)).detach().numpy()
        )

    return run


SYSTEMS = {
    "Autoencoder.fit": System(make_keras, ours=True),
    "Autoencoder.fit, mixed_bfloat16": System(
        partial(make_keras, "mixed_bfloat16"), ours=True
    ),
    "keras.Model.fit": System(partial(make_keras, stock=True)),
    "PyTorch, a loop": System(make_torch, ("torch",)),
}


def draw_result(result: Any, measure: str, axis: Any) -> None:
    """The error after each epoch against the seconds until then."""
    for system in result.runs:
        epochs = [n for n in range(1, 100) if result.list_values(system, f"error_{n}")]
        points = [
            [result.compute_value(system, f"{what}_{n}") for n in epochs]
            for what in ("seconds", "error")
        ]
        axis.plot(*points, "o-", label=system)
    axis.set_title(result.measures[measure].title)
    axis.set_xlabel("seconds")
    axis.set_yscale("log")
    axis.legend(fontsize=8)
