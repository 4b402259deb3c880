"""Missing pixels of scikit-learn's digits, filled in by `TiedAutoencoder` and by its imputers.

A fifth of the pixels is missing at random; printed are the root mean squared error on these, in
shades from 0 to 16, and the seconds.
"""

import argparse
import time

import keras_tied  # settles the backend before Keras is imported

# isort: split
import numpy as np
from sklearn.datasets import load_digits
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer


def ours(width: int, scaler: str | None, seed: int, X: np.ndarray) -> np.ndarray:
    model = keras_tied.TiedAutoencoder(width, scaler=scaler, random_state=seed).fit(X)
    return np.where(np.isnan(X), model.reconstruct(X), X)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    X, _ = load_digits(return_X_y=True)
    missing = np.random.default_rng(seed).uniform(size=X.shape) < 0.2
    holes = np.where(missing, np.nan, X)
    methods = {
        "mean of the column": lambda: SimpleImputer(keep_empty_features=True).fit_transform(holes),
        "KNNImputer()": lambda: KNNImputer(keep_empty_features=True).fit_transform(holes),
        "IterativeImputer()": lambda: IterativeImputer(
            keep_empty_features=True, random_state=seed
        ).fit_transform(holes),
        "TiedAutoencoder(16)": lambda: ours(16, "standard", seed, holes),
        "TiedAutoencoder(16, scaler=None)": lambda: ours(16, None, seed, holes),
        "TiedAutoencoder(32, scaler=None)": lambda: ours(32, None, seed, holes),
    }
    for name, fill in methods.items():
        begin = time.perf_counter()
        filled = fill()
        seconds = time.perf_counter() - begin
        error = np.sqrt(np.mean((filled - X)[missing] ** 2))
        print(f"{name:<34} {error:6.3f}  {seconds:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
