"""The deep tied network on MNIST: error of test images against time, in a few epochs."""

import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pkgutil import resolve_name
from typing import NamedTuple

import numpy as np

from benchmarks._case import (
    MEMORY,
    SECONDS,
    Array,
    Measure,
    System,
    mean_square,
)
from benchmarks.cases._arrays import load_images

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
BATCH = 256
EPOCHS = 4


class Task(NamedTuple):
    train: Array
    test: Array
    seed: int

    @property
    def widths(self):
        """Of the layers: smaller ones for scikit-learn's digits."""
        n_pixels = self.train.shape[1]
        hidden = (1000, 500, 250, 30) if n_pixels == 784 else (100, 50, 10)
        return (n_pixels, *hidden)


class Curve(NamedTuple):
    seconds: list[float]  # at the end of each epoch
    errors: list[float]
    reconstruct: Callable[[Array], Array]


def prepare(options):
    return {"images": partial(load, options)}


def load(options):
    return Task(*load_images(options, 10_000, 2000), options.seed)


def measure(task, curve, seconds):
    assert len(curve.errors) == EPOCHS
    last = mean_square(curve.reconstruct(task.test) - task.test)
    assert abs(last / curve.errors[-1] - 1) < 0.02, f"{last}, not {curve.errors[-1]}"
    errors = np.multiply(curve.errors, task.test.shape[1])
    numbers = {"error": errors[-1], "epoch_seconds": np.median(np.diff(curve.seconds))}
    for epoch, error in enumerate(errors):
        numbers[f"error_{epoch + 1}"] = error
        numbers[f"seconds_{epoch + 1}"] = curve.seconds[epoch]
    return numbers


def run_keras(fit, policy, task):
    from keras_tied.training import Watcher

    begin = time.perf_counter()
    times = []

    class KeepTime(Watcher):
        def on_epoch_end(self, epoch, logs):
            times.append(time.perf_counter() - begin)

    model = make_network(task, policy)
    history = resolve_name(fit)(
        model,
        task.train,
        validation_data=(task.test,),
        callbacks=[KeepTime()],
        batch_size=BATCH,
        validation_batch_size=1000,
        epochs=EPOCHS,
        verbose=0,
    )

    def reconstruct(X):
        return np.asarray(model.predict(X, verbose=0), dtype="float32")

    return Curve(times, history.history["val_loss"], reconstruct)


def make_network(task, policy):
    """The tied network, SiLU and gains, as `keras_tied.Autoencoder`."""
    import keras

    import keras_tied

    keras.utils.set_random_seed(task.seed)
    keras.config.set_dtype_policy(policy)
    n_pixels, *hidden, width = task.widths
    stack = [keras.layers.Dense(units, "silu") for units in hidden]
    encoder = keras.Sequential(
        [keras.Input((n_pixels,)), *stack, keras.layers.Dense(width)]
    )
    decoder = keras_tied.mirror(encoder, output_activation="sigmoid")
    model = keras_tied.Autoencoder(encoder, decoder)
    model.compile(keras.optimizers.Adam(1e-3))
    return model


def run_torch(task):
    """The same network in a loop."""
    import torch
    from torch import nn
    from torch.nn.functional import mse_loss, silu

    begin = time.perf_counter()
    times = []
    errors = []
    torch.manual_seed(task.seed)
    layers = [nn.Linear(*widths) for widths in pairwise(task.widths)]
    gains = [nn.Parameter(torch.ones(layer.out_features)) for layer in layers]
    biases = [nn.Parameter(torch.zeros(layer.in_features)) for layer in layers]
    weights = [*gains, *biases]
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
        weights += layer.parameters()

    def reconstruct(x):
        *hidden, last = layers
        for layer in hidden:
            x = silu(layer(x))
        x = last(x)
        for level in reversed(range(len(layers))):
            x = (x * gains[level]) @ layers[level].weight + biases[level]
            x = silu(x) if level else torch.sigmoid(x)
        return x

    optimizer = torch.optim.Adam(weights, 1e-3)
    rows = torch.tensor(task.train)
    test = torch.tensor(task.test)
    for _ in range(EPOCHS):
        for places in torch.randperm(len(rows)).split(BATCH):
            batch = rows[places]
            optimizer.zero_grad()
            mse_loss(reconstruct(batch), batch).backward()
            optimizer.step()
        with torch.no_grad():
            errors.append(mse_loss(reconstruct(test), test).item())
        times.append(time.perf_counter() - begin)
    return Curve(times, errors, lambda X: reconstruct(torch.tensor(X)).detach().numpy())


KERAS = "keras_tied.training keras_tied.autoencoder keras"
run_ours = partial(run_keras, "keras_tied.Autoencoder.fit")
run_stock = partial(run_keras, "keras.Model.fit")
SYSTEMS = {
    "Autoencoder.fit": System(partial(run_ours, "float32"), KERAS, ours=True),
    "Autoencoder.fit, mixed_bfloat16": System(
        partial(run_ours, "mixed_bfloat16"), KERAS, ours=True
    ),
    "keras.Model.fit": System(partial(run_stock, "float32"), KERAS),
    "PyTorch, a loop": System(run_torch, "torch"),
}


def draw_result(result, column, axis):
    """The error after each epoch against the seconds until then."""
    for system in result.runs:
        points = []
        for epoch in range(1, EPOCHS + 1):
            names = f"seconds_{epoch}", f"error_{epoch}"
            points.append([result.compute_value(system, name) for name in names])
        axis.plot(*zip(*points, strict=True), "o-", label=system)
    axis.set_title(column.title)
    axis.set_xlabel("seconds")
    axis.set_yscale("log")
    axis.legend(fontsize=8)
