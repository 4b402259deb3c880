"""Missing numbers, filled in."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks._case import SECONDS, Measure, Options, System, mean_square
from benchmarks.cases._tables import find_adbench, read_bundled, sample

TITLE = "Missing values"
TEXT = """
A fifth of the numbers of a table (at most 500 rows) is missing at random, others in each turn; so
is a fifth of the pixels of scikit-learn's digits. The *error* is the mean
squared one of the scaled values that were hidden. The code is a quarter as wide as the table.
"""
CHOSEN_ON = (
    "The settings of the imputation were chosen on other tables, and on the digits."
)
MEASURES = {"error": Measure("error"), "seconds": SECONDS}
PICTURE = ["error", "seconds"]
HOT = False
LIMIT = 900
NAMES = "breastw fault letter pendigits shuttle thyroid WBC WPBC"


class Task(NamedTuple):
    truth: np.ndarray
    holes: np.ndarray
    seed: int


def prepare(options: Options) -> dict[str, Callable[[], Task]]:
    adbench = find_adbench(options, NAMES) if options.data else {}
    tables = {name: lambda load=load: load()[0] for name, load in adbench.items()}
    tables |= {
        name: partial(read_bundled, name) for name in ("breast_cancer", "diabetes")
    }
    tables |= {"digits": partial(read_bundled, "digits")}
    names = list(tables)[:: 5 if options.quick else 1]
    return {name: partial(hide, tables[name], options) for name in names}


def hide(load: Callable[[], np.ndarray], options: Options) -> Task:
    X = load()
    X = X[sample(X, 200 if options.quick else 500)]
    X = X[:, X.std(axis=0) > 0]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    missing = np.random.default_rng(options.seed).uniform(size=X.shape) < 0.2
    return Task(X, np.where(missing, np.nan, X), options.seed)


def measure(
    task: Task, filled: np.ndarray, seconds: dict[str, float]
) -> dict[str, float]:
    missing = np.isnan(task.holes)
    assert np.isfinite(filled).all()
    assert np.allclose(filled[~missing], task.truth[~missing], atol=1e-4), (
        "values were changed"
    )
    return {"error": mean_square((filled - task.truth)[missing])}


def make_ours(what: str) -> Callable[[Task], np.ndarray]:
    from keras_tied import TiedAutoencoder

    def run(task: Task) -> np.ndarray:
        width = max(1, task.holes.shape[1] // 4)
        model = TiedAutoencoder(width, random_state=task.seed).fit(task.holes)
        return np.where(
            np.isnan(task.holes), getattr(model, what)(task.holes), task.holes
        )

    return run


def make_imputer(
    name: str, trees: bool = False, **settings: Any
) -> Callable[[Task], np.ndarray]:
    from sklearn import impute
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401

    def run(task: Task) -> np.ndarray:
        seed = (
            {}
            if name in ("KNNImputer", "SimpleImputer")
            else {"random_state": task.seed}
        )
        estimator = {"estimator": ExtraTreesRegressor(10, **seed)} if trees else {}
        imputer = getattr(impute, name)(
            keep_empty_features=True, **seed, **estimator, **settings
        )
        return imputer.fit_transform(task.holes)

    return run


SYSTEMS = {
    "TiedAutoencoder": System(partial(make_ours, "impute"), ours=True),
    "mean of the column": System(partial(make_imputer, "SimpleImputer")),
    "KNNImputer": System(partial(make_imputer, "KNNImputer")),
    "IterativeImputer": System(partial(make_imputer, "IterativeImputer")),
    "IterativeImputer, ExtraTrees": System(
        partial(make_imputer, "IterativeImputer", True), repeats=1
    ),
}
