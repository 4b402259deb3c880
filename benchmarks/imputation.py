"""Missing numbers, filled in by `TiedAutoencoder` and by scikit-learn's imputers.

`digits`: a fifth of the pixels of scikit-learn's digits is missing at random; printed are the root
mean squared error on these, in shades from 0 to 16, and the seconds. `tables`: a tenth and three
tenths of the numbers of ten tables (at most 2,000 rows of each) are missing at random; printed are
the mean squared errors of the scaled columns on these, relative to those of the conditional means
in the estimator's own normal distribution, which are printed first. The width is a quarter of the
features. The tables had no part in the choice of any setting of the imputation.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import keras_tied  # settles the backend before Keras is imported

# isort: split
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from tables import DATA, tables

NAMES = """
    breastw fault letter pendigits shuttle thyroid WBC WPBC breast_cancer diabetes
    """.split()
SHARES = (0.1, 0.3)
MOST_ROWS = 2000

Impute = Callable[[np.ndarray], np.ndarray]


def fill(model: keras_tied.TiedAutoencoder, X: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(X), model.reconstruct(X), X)


def imputers(seed: int) -> dict[str, Impute]:
    return {
        "KNNImputer": KNNImputer(keep_empty_features=True).fit_transform,
        "IterativeImputer": IterativeImputer(
            keep_empty_features=True, random_state=seed
        ).fit_transform,
    }


def digits(_: Path, seed: int, __: bool) -> None:
    def ours(width: int, scaler: str | None) -> Impute:
        model = keras_tied.TiedAutoencoder(width, scaler=scaler, random_state=seed)
        return lambda X: fill(model.fit(X), X)

    X, _ = load_digits(return_X_y=True)
    missing = np.random.default_rng(seed).uniform(size=X.shape) < 0.2
    holes = np.where(missing, np.nan, X)
    methods = {
        "mean of the column": SimpleImputer(keep_empty_features=True).fit_transform,
        **imputers(seed),
        "TiedAutoencoder(16)": ours(16, "standard"),
        "TiedAutoencoder(16, scaler=None)": ours(16, None),
        "TiedAutoencoder(32, scaler=None)": ours(32, None),
    }
    for name, impute in methods.items():
        begin = time.perf_counter()
        filled = impute(holes)
        seconds = time.perf_counter() - begin
        error = np.sqrt(np.mean((filled - X)[missing] ** 2))
        print(f"{name:<34} {error:6.3f}  {seconds:6.1f} s", flush=True)


def scaled_tables(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The tables, without constant columns, in standard deviations."""
    for name, X in tables(folder):
        if name in NAMES:
            if len(X) > MOST_ROWS:
                X = X[np.random.default_rng(0).choice(len(X), MOST_ROWS, replace=False)]
            X = X[:, X.std(axis=0) > 0]
            yield name, (X - X.mean(axis=0)) / X.std(axis=0)


def impute_by_all(holes: np.ndarray, seed: int, trees: bool) -> dict[str, np.ndarray]:
    """What each method makes of a table; the conditional means come first."""
    width = max(1, holes.shape[1] // 4)
    model = keras_tied.TiedAutoencoder(width, random_state=seed).fit(holes)
    filled = {"TiedAutoencoder": model.reconstruct(holes)}
    no_network = np.zeros(holes.shape[1])
    model._fitted = replace(model._fitted, imputation_weights=no_network)
    filled = {"conditional means": model.reconstruct(holes), **filled}
    filled |= {name: impute(holes) for name, impute in imputers(seed).items()}
    if trees:
        regressor = ExtraTreesRegressor(n_estimators=10, random_state=seed)
        filled["with ExtraTrees"] = IterativeImputer(regressor, random_state=seed).fit_transform(
            holes
        )
    return filled


def ratios_on_tables(folder: Path, seed: int, trees: bool) -> None:
    rows = []
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name, X in scaled_tables(folder):
        for share in SHARES:
            missing = np.random.default_rng(seed).uniform(size=X.shape) < share
            filled = impute_by_all(np.where(missing, np.nan, X), seed, trees)
            errors = {n: float(np.mean((F - X)[missing] ** 2)) for n, F in filled.items()}
            first, *others = errors.values()
            if not rows:
                print(f"{'table':<14} missing" + "".join(f"{n:>18}" for n in errors))
            rows.append([error / first for error in others])
            numbers = "".join(f"{number:18.3f}" for number in (first, *rows[-1]))
            print(f"{name:<14} {share:7}{numbers}", flush=True)
    for what, function in (("mean", np.mean), ("largest", np.max)):
        print(f"{what:<40}" + "".join(f"{number:18.3f}" for number in function(rows, 0)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["digits", "tables"])
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of ADBench's files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--trees", action="store_true", help="IterativeImputer with ExtraTreesRegressor, too"
    )
    arguments = parser.parse_args()
    run = {"digits": digits, "tables": ratios_on_tables}[arguments.what]
    run(arguments.data, arguments.seed, arguments.trees)


if __name__ == "__main__":
    main()
