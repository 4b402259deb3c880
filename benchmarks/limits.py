"""Where `TiedAutoencoder` gains nothing over PCA, or little: small, linear and heavy-tailed tables.

Each table is split 70/30, and both learn from the larger part with a quarter of the features as
components. Printed are the held-out errors of the scaled columns, relative to PCA's: the mean over
rows, and the median over rows, each over the seeds; and the seconds of both.
"""

import argparse
import time
from collections.abc import Callable

import keras_tied  # settles the backend before Keras is imported

# isort: split
import numpy as np
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

Draw = Callable[[np.random.Generator], np.ndarray]


def bundled(name: str) -> Draw:
    return lambda rng: np.asarray(getattr(datasets, f"load_{name}")().data, dtype=float)


def draw_linear(rng: np.random.Generator) -> np.ndarray:
    """Four factors and noise in 16 columns."""
    return rng.normal(size=(3000, 4)) @ rng.normal(size=(4, 16)) + 0.3 * rng.normal(size=(3000, 16))


def draw_curved(tail: float, n: int) -> Draw:
    """A curved surface of four factors in 16 columns, with noise of Student's t."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        surface = np.tanh(rng.normal(size=(n, 4)) @ rng.normal(size=(4, 16)))
        return surface + 0.1 * rng.standard_t(tail, size=(n, 16))

    return draw


TABLES: dict[str, Draw] = {
    "wine (178 rows)": bundled("wine"),
    "diabetes (442 rows)": bundled("diabetes"),
    "curved, 100 rows": draw_curved(100, 100),
    "curved, 300 rows": draw_curved(100, 300),
    "curved, 3,000 rows": draw_curved(100, 3000),
    "linear, 3,000 rows": draw_linear,
    "curved, tails of t(3)": draw_curved(3, 3000),
    "curved, tails of t(1.5)": draw_curved(1.5, 3000),
}


def compare(X: np.ndarray, seed: int) -> tuple[float, float, float, float]:
    """The relative errors, mean and median, and the seconds of ours and of PCA."""
    train, test = train_test_split(X, test_size=0.3, random_state=seed)
    components = max(1, X.shape[1] // 4)
    begin = time.perf_counter()
    scaler = StandardScaler().fit(train)
    pca = PCA(components).fit(scaler.transform(train))
    middle = time.perf_counter()
    model = keras_tied.TiedAutoencoder(components, random_state=seed).fit(train)
    end = time.perf_counter()
    scaled = scaler.transform(test)
    of_pca = np.mean((pca.inverse_transform(pca.transform(scaled)) - scaled) ** 2, axis=1)
    ours = model.reconstruction_error(test)
    ratios = ours.mean() / of_pca.mean(), np.median(ours) / np.median(of_pca)
    return *map(float, ratios), end - middle, middle - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    print(f"{'table':<24}    mean  median  seconds  of PCA")
    for name, draw in TABLES.items():
        rows = [compare(draw(np.random.default_rng(seed)), seed) for seed in seeds]
        mean, median, ours, of_pca = np.median(rows, axis=0)
        print(f"{name:<24}  {mean:6.3f}  {median:6.3f}  {ours:7.2f}  {of_pca:6.3f}", flush=True)


if __name__ == "__main__":
    main()
