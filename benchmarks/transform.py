"""Rows a second of `TiedAutoencoder.transform`, beside the `predict` of the same Keras encoder.

2,000,000 x 32 float32 rows to codes of 8; each is called once before, for what is compiled then.
Printed are the seconds, their ratio, and the most memory that was in use during `transform`,
relative to the input and the output together.
"""

import argparse
import os
import resource
import time

import keras_tied  # settles the backend before Keras is imported

# isort: split
import keras
import numpy as np


def peak() -> int:
    """The most memory of this process so far, in bytes."""
    with open("/proc/self/status") as status:
        line = next((line for line in status if line.startswith("VmHWM")), None)
    if line is None:
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 1024 * int(line.split()[1])


def resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(8, 32)).astype("float32")
    train = np.tanh(rng.normal(size=(5000, 8)).astype("float32") @ mixing)
    model = keras_tied.TiedAutoencoder(8, random_state=0).fit(train)
    assert not model.is_pca_
    X = np.resize(train, (arguments.rows, 32))
    scaled = ((X - train.mean(axis=0)) / train.std(axis=0)).astype("float32")
    model.transform(X)
    ours, theirs = [], []
    for run in range(arguments.runs):
        before = resident() - X.nbytes  # what is there without the call
        begin = time.perf_counter()
        codes = model.transform(X)
        ours.append(time.perf_counter() - begin)
        if run == 0:
            share = (peak() - before) / (X.nbytes + codes.nbytes)
        begin = time.perf_counter()
        predicted = model.encoder_.predict(scaled, verbose=0)
        theirs.append(time.perf_counter() - begin)
        assert np.abs(codes - predicted).max() < 1e-4
    seconds, others = float(np.median(ours)), float(np.median(theirs))
    print(f"backend: {keras.backend.backend()}, {len(X):,} x 32 float32 rows to {codes.shape[1]}")
    print(f"transform:      {seconds:7.2f} s, {len(X) / seconds:12,.0f} rows/s")
    print(f"Keras predict:  {others:7.2f} s, {len(X) / others:12,.0f} rows/s")
    print(f"transform is {others / seconds:.1f} times as fast")
    print(f"peak memory during transform: {share:.2f} of input and output")


if __name__ == "__main__":
    main()
