"""The article's experiment: our compiled epochs and stock Keras, in one run.

Prints seconds of training alone (compilation included, imports not), their ratio, and how far the
two cost curves are apart over the first 500 epochs.
"""

import argparse
import statistics
import time

import keras_tied  # settles the backend before Keras is imported

# isort: split
import keras
import numpy as np

from keras_tied.datasets import load_donuts, make_correlated_donuts, prepare
from keras_tied.experiment import build_model, split
from keras_tied.training import fit

KERNEL = np.random.default_rng(0).uniform(-1, 1, (4, 2))


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
    return model.fit(**options(*data))


def ours(model, *data):
    return fit(model, **options(*data))


def timed(train_with, *data):
    model = build_model(KERNEL)
    start = time.perf_counter()
    history = train_with(model, *data).history
    return time.perf_counter() - start, history


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="the article's .npy file; default: data made like it")
    parser.add_argument("--epochs", type=int, default=3000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()

    X, y = load_donuts(options.data) if options.data else make_correlated_donuts(random_state=0)
    X, _ = prepare(X, y, random_state=0)
    data = *split(X), options.epochs
    runs = [(timed(stock, *data), timed(ours, *data)) for _ in range(options.runs)]

    seconds = [statistics.median(run[which][0] for run in runs) for which in (0, 1)]
    print(f"Keras {keras.__version__} on {keras.backend.backend()}", end=", ")
    print(f"keras-tied {keras_tied.__version__}", end=", ")
    print(f"{options.epochs} epochs, {options.runs} runs in turn")
    print(f"keras.Model.fit            median {seconds[0]:.3f} s")
    print(f"keras_tied.training.fit    median {seconds[1]:.3f} s, compilation included")
    print(f"ratio of medians           {seconds[0] / seconds[1]:.1f}")
    (_, theirs), (_, mine) = runs[0]
    for name in theirs:
        apart = np.abs(np.array(mine[name][:500]) / np.array(theirs[name][:500]) - 1)
        print(f"{name:<9} apart by at most {apart.max():.1e} (relative) over {len(apart)} epochs")


if __name__ == "__main__":
    main()
