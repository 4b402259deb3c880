"""What more workers and more machines give.

`rounds`: the error that data-parallel training of a table network reaches, with 256 rows a worker
in each round; the workers are simulated by their batches together, which is what the sum of their
gradients is. `costs`: the constants of the model in docs/guide/scale.md, measured on this machine,
and what follows for 1 to 1,024 machines.
"""

import argparse
import pickle
import time
from functools import reduce
from tempfile import TemporaryDirectory

import keras_tied  # noqa: F401  (settles the backend before Keras is imported)

# isort: split
import numpy as np
from sklearn.decomposition import PCA

from keras_tied import TiedAutoencoder
from keras_tied.distributed import load_transform
from keras_tied.estimator.internal import Moments, measure_moments

COLUMNS, HIDDEN, ROWS_OF_WORKER = 16, 4, 256
WORKERS = 1, 16, 128, 1024
LATENCY, BANDWIDTH = 50e-6, 1.25e9
"""Seconds of a hop and bytes a second of a network of 10 Gbit/s: not measured here."""


def draw_rows(n: int, seed: int) -> np.ndarray:
    mixing = np.random.default_rng(0).normal(size=(HIDDEN, COLUMNS))
    random = np.random.default_rng(seed)
    hidden = np.tanh(random.normal(size=(n, HIDDEN))) @ mixing
    return (hidden + 0.1 * random.normal(size=(n, COLUMNS))).astype(np.float32)


def rounds(most_rows: int) -> None:
    X, test = draw_rows(most_rows, 1), draw_rows(50_000, 2)
    scale = X.std(axis=0)
    pca = PCA(2).fit(X / scale)
    restored = pca.inverse_transform(pca.transform(test / scale))
    print(f"PCA {np.mean((restored - test / scale) ** 2):.4f}")
    print(f"{'workers':>8} {'rounds':>7} {'rows a round':>13} {'error':>7} {'seconds here':>13}")
    for n_rounds in (128, 1024, 8192):
        for workers in WORKERS:
            size = workers * ROWS_OF_WORKER
            if n_rounds * size > 2**25:
                continue  # takes minutes here
            rows = X[: n_rounds * size]
            begin = time.perf_counter()
            fitted = TiedAutoencoder(
                batch_size=size,
                max_iter=max(1, round(n_rounds * size / len(rows) / 0.9)),
                random_state=0,
            ).fit(rows)
            seconds = time.perf_counter() - begin
            error = fitted.reconstruction_error(test).mean()
            print(f"{workers:8,} {n_rounds:7,} {size:13,} {error:7.4f} {seconds:13.1f}", flush=True)


def costs() -> None:
    X = draw_rows(2**20, 1)
    begin = time.perf_counter()
    moments = measure_moments(X)
    measuring = len(X) / (time.perf_counter() - begin)
    begin = time.perf_counter()
    reduce(Moments.merge, [moments] * 1000)
    merging = (time.perf_counter() - begin) / 1000
    fitted = TiedAutoencoder(max_iter=10, random_state=0).fit(X[:50_000])
    begin = time.perf_counter()
    fitted.transform(X)
    encoding = len(X) / (time.perf_counter() - begin)
    with TemporaryDirectory() as folder:
        import pandas as pd

        names = [f"c{index}" for index in range(COLUMNS)]
        frame = pd.DataFrame(X[:50_000], columns=names)
        TiedAutoencoder(max_iter=10, random_state=0).fit(frame).save(f"{folder}/m.safetensors")
        n_bytes = len(pickle.dumps(load_transform(f"{folder}/m.safetensors")))
    weights = sum(kernel.size for kernel in fitted._fitted.network.kernels)
    begin = time.perf_counter()
    TiedAutoencoder(max_iter=10, random_state=0).fit(X[:50_000])
    step = (time.perf_counter() - begin) / (10 * 45_000 / 256)
    print(f"measuring {measuring:,.0f} rows a second, merging {merging * 1e6:.0f} us")
    print(f"encoding {encoding:,.0f} rows a second, {n_bytes:,} bytes of function")
    print(f"a step of {weights:,} weights: {step * 1e3:.2f} ms")
    print("machines  million rows an hour  a step's ms with all-reduce  efficiency")
    for machines in (1, 2, 4, 16, 64, 256, 1024):
        hops = 2 * np.ceil(np.log2(machines)) if machines > 1 else 0
        reducing = hops * LATENCY + (2 * 4 * weights / BANDWIDTH if machines > 1 else 0)
        print(
            f"{machines:8,} {encoding * 3600 * machines / 1e6:21,.0f} "
            f"{(step + reducing) * 1e3:28.2f} {step / (step + reducing):11.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["rounds", "costs"])
    parser.add_argument("--rows", type=int, default=2**21, help="at most, for rounds")
    arguments = parser.parse_args()
    if arguments.what == "rounds":
        rounds(arguments.rows)
    else:
        costs()


if __name__ == "__main__":
    main()
