"""One process that fits, encodes and scores for a long time: its memory, files and latency.

Fits tables of 50 shapes, with `transform`, `score_samples`, `partial_fit` and single
rows in between, also from threads. Prints resident memory, open files and compiled
programs after each tenth of the fits, and how long single rows take. After the first
tenth, memory shall not grow.
"""

import argparse
import gc
import os
import threading
import time
from pathlib import Path

import numpy as np

from keras_tied import TiedAutoencoder


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def make_table(shape: int, random: np.random.Generator) -> np.ndarray:
    n_rows, n_features = 60 + 37 * (shape % 10), 3 + 2 * (shape // 10)
    sources = random.normal(size=(n_rows, 2))
    return np.tanh(sources @ random.normal(size=(2, n_features))) + 0.1 * random.normal(
        size=(n_rows, n_features)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=2000)
    parser.add_argument(
        "--rows", type=int, default=50, help="single rows after each fit"
    )
    given = parser.parse_args()

    random, seconds, begin = np.random.default_rng(0), [], time.perf_counter()
    for fit in range(given.fits):
        rows = make_table(fit % 50, random)
        autoencoder = TiedAutoencoder(2, random_state=fit, max_iter=20).fit(rows)
        for _ in range(5):
            autoencoder.transform(rows)
        autoencoder.score_samples(rows)
        if fit % 20 == 0:
            autoencoder.partial_fit(rows)
            threads = [
                threading.Thread(target=autoencoder.transform, args=[rows])
                for _ in "abcd"
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for row in rows[: given.rows]:
            start = time.perf_counter()
            autoencoder.transform(row[None])
            seconds.append(time.perf_counter() - start)
        if (fit + 1) % (given.fits // 10) == 0:
            gc.collect()
            n_files = len(os.listdir("/proc/self/fd"))
            print(f"{fit + 1:5} fits  {resident_megabytes():7.1f} MB", end="  ")
            print(
                f"{n_files:3} files  {time.perf_counter() - begin:6.0f} s", flush=True
            )
    middle, late = np.percentile(seconds, [50, 99]) * 1e6
    print(f"{len(seconds):,} single rows: p50 {middle:.0f}, p99 {late:.0f}", end=", ")
    print(f"largest {max(seconds) * 1e6:,.0f} microseconds")


if __name__ == "__main__":
    main()
