"""Fit ever new numbers of rows in one process, and print what it holds (on Linux).

    python tools/fuzz/shapes.py estimator --fits 2000
    python tools/fuzz/shapes.py training --fits 200

prints the memory of the process, and its memory maps, after the first tenth of the fits
and at the end. `estimator` is `TiedAutoencoder`; `training` is `training.fit` of a new
Keras model for each number of rows, and `model` of the same one, on the backend that
KERAS_BACKEND names.
"""

import argparse
import gc
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np


def fit_estimator(X: np.ndarray) -> None:
    from tied_tables import TiedAutoencoder

    TiedAutoencoder(2, max_iter=2, random_state=0).fit(X)


@cache
def build_model() -> Any:
    import keras

    from keras_tied import tie

    encoder = keras.layers.Dense(3, "relu")
    model = keras.Sequential([keras.Input((5,)), encoder, tie(encoder)])
    model.compile("adam", "mse")
    return model


def fit_model(X: np.ndarray) -> None:
    from keras_tied import training

    training.fit(build_model(), X, X, epochs=2, verbose=0)


def fit_new_model(X: np.ndarray) -> None:
    build_model.cache_clear()
    fit_model(X)


FITS = {"estimator": fit_estimator, "training": fit_new_model, "model": fit_model}
MOST_MAPS = 200
MOST_MEBIBYTES = {"estimator": 10, "training": 80, "model": 80}
"""What may be added after the first tenth: JAX keeps what it has traced, to a limit."""


def measure() -> tuple[float, int]:
    """The resident memory in MiB, and the number of memory maps."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    kibibytes = int(status.split("VmRSS:")[1].split()[0])
    maps = Path("/proc/self/maps").read_text()
    return kibibytes / 1024, len(maps.splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=FITS)
    parser.add_argument("--fits", type=int, default=200)
    options = parser.parse_args()
    X = np.random.default_rng(0).normal(size=(40 + options.fits, 5))
    for count in range(1, options.fits + 1):
        FITS[options.kind](X[: 40 + count])
        if count == options.fits // 10:
            first = measure()
            print(f"after {count} fits: {first[0]:.0f} MiB, {first[1]} maps")
    last = measure()
    print(f"after {options.fits} fits: {last[0]:.0f} MiB, {last[1]} maps", flush=True)
    assert last[0] - first[0] <= MOST_MEBIBYTES[options.kind]
    assert last[1] - first[1] <= MOST_MAPS


if __name__ == "__main__":
    main()
