"""The article's experiment: our compiled epochs, stock Keras and loops written by hand, in one run.

Prints seconds of training with validation after every epoch (compilation included, imports not)
and their ratios to ours, what the next model of the same make takes, whose program is compiled
already, and how far our cost curves and those of Keras are apart over the first 500 epochs.
PyTorch is left out where it is not installed.
"""

import argparse
import statistics
import time
from importlib.util import find_spec

import keras_tied  # settles the backend before Keras is imported

# isort: split
import keras
import numpy as np

from keras_tied.datasets import load_donuts, make_correlated_donuts, prepare
from keras_tied.experiment import DECAY, LEARNING_RATE, MOMENTUM, build_model, split
from keras_tied.reference import NumpyAutoencoder
from keras_tied.training import fit

KERNEL = np.random.default_rng(0).uniform(-1, 1, (4, 2)).astype("float32")


def options(train, validation, epochs):
    return {
        "x": train,
        "y": train,
        "batch_size": len(train),
        "epochs": epochs,
        "validation_data": (validation, validation),
        "validation_batch_size": len(validation),
        "shuffle": False,
        "verbose": 0,
    }


def stock(model, *data):
    return model.fit(**options(*data)).history


def ours(model, *data):
    if keras.backend.backend() == "jax":
        from keras_tied.training._jax import compile_cache

        compile_cache.programs.clear()  # each run shall compile anew, as in a new process
    return fit(model, **options(*data)).history


def ours_again(model, *data):
    """Another model of the same make: its program is compiled already."""
    return fit(model, **options(*data)).history


def numpy_loop(_, train, validation, epochs):
    """As it is written down from the formulas, rows first."""
    kernel, bias, output_bias = KERNEL.copy(), np.zeros(2, "float32"), np.zeros(4, "float32")
    velocities = [np.zeros_like(weight) for weight in (kernel, bias, output_bias)]
    history = {"loss": [], "val_loss": []}
    for epoch in range(epochs):
        code = 1 / (1 + np.exp(-(train @ kernel + bias)))
        residual = code @ kernel.T + output_bias - train
        history["loss"].append(np.mean(residual**2))
        outward = 2 * residual / residual.size
        inward = outward @ kernel * code * (1 - code)
        slopes = outward.T @ code + train.T @ inward, inward.sum(axis=0), outward.sum(axis=0)
        rate = np.float32(LEARNING_RATE / (1 + DECAY * epoch))
        for weight, velocity, slope in zip(
            (kernel, bias, output_bias), velocities, slopes, strict=True
        ):
            velocity *= np.float32(MOMENTUM)
            velocity -= rate * slope
            weight += velocity
        code = 1 / (1 + np.exp(-(validation @ kernel + bias)))
        history["val_loss"].append(np.mean((code @ kernel.T + output_bias - validation) ** 2))
    return history


def numpy_reference(_, train, validation, epochs):
    """Features first, in arrays that are written over."""
    autoencoder = NumpyAutoencoder(
        2, learning_rate=LEARNING_RATE, momentum=MOMENTUM, decay=DECAY, epochs=epochs
    )
    start = KERNEL, np.zeros(2, "float32"), np.zeros(4, "float32")
    return autoencoder.fit(train, validation, initial_weights=start).history_


def torch_loop(_, train, validation, epochs):
    import torch

    train, validation = torch.from_numpy(train), torch.from_numpy(validation)
    kernel, bias = torch.tensor(KERNEL, requires_grad=True), torch.zeros(2, requires_grad=True)
    output_bias = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.SGD([kernel, bias, output_bias], LEARNING_RATE, MOMENTUM)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + DECAY * step))
    history = {"loss": [], "val_loss": []}

    def loss(rows):
        code = torch.sigmoid(rows @ kernel + bias)
        return torch.nn.functional.mse_loss(code @ kernel.T + output_bias, rows)

    for _ in range(epochs):
        optimizer.zero_grad()
        cost = loss(train)
        cost.backward()
        optimizer.step()
        scheduler.step()
        with torch.no_grad():
            history["val_loss"].append(loss(validation).item())
        history["loss"].append(cost.item())
    return history


def timed(train_with, model, *data):
    start = time.perf_counter()
    history = train_with(model, *data)
    return time.perf_counter() - start, history


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="the article's .npy file; default: data made like it")
    parser.add_argument("--epochs", type=int, default=3000)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()

    X, y = load_donuts(given.data) if given.data else make_correlated_donuts(random_state=0)
    X, _ = prepare(X, y, random_state=0)
    data = *split(X), given.epochs
    ways = {
        "keras_tied.training.fit": ours,
        "keras_tied.training.fit, the next model": ours_again,
        "keras.Model.fit": stock,
        "NumPy, from the formulas": numpy_loop,
        "NumPy, keras_tied.reference": numpy_reference,
    }
    if find_spec("torch"):
        ways["PyTorch, a plain loop"] = torch_loop
    seconds = {name: [] for name in ways}
    histories = {}
    for _ in range(given.runs):
        for name, way in ways.items():
            model = build_model(KERNEL)
            duration, histories[name] = timed(way, model, *data)
            seconds[name].append(duration)

    print(f"Keras {keras.__version__} on {keras.backend.backend()}", end=", ")
    print(f"keras-tied {keras_tied.__version__}", end=", ")
    print(f"{given.epochs} epochs, {given.runs} runs in turn")
    medians = {name: statistics.median(durations) for name, durations in seconds.items()}
    for name, median in medians.items():
        print(f"{name:42} median {median:7.3f} s", end="")
        print(f"  {median / medians['keras_tied.training.fit']:6.2f} times ours")
    theirs = histories["keras.Model.fit"]
    for name in theirs:
        mine = np.array(histories["keras_tied.training.fit"][name][:500])
        apart = np.abs(mine / np.array(theirs[name][:500]) - 1)
        print(f"{name:<9} apart by at most {apart.max():.1e} (relative) over {len(apart)} epochs")


if __name__ == "__main__":
    main()
