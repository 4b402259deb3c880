"""Missing numbers, filled in."""

from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks._case import (
    SECONDS,
    Array,
    Measure,
    System,
    mean_square,
)
from benchmarks.cases._arrays import change_each, find_rows, read_bundled, sample
from benchmarks.cases._imputers import IMPORTS, make_imputer

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
ADBENCH = "breastw fault letter pendigits shuttle thyroid WBC WPBC"
BUNDLED = ("breast_cancer", "diabetes", "digits")


class Task(NamedTuple):
    truth: Array
    holes: Array
    seed: int


def prepare(options):
    tables = find_rows(options, ADBENCH)
    tables |= {name: partial(read_bundled, name) for name in BUNDLED}
    return change_each(hide, tables, options.seed)


def hide(load, seed):
    X = load()
    X = X[sample(X, 500)]
    X = X[:, X.std(axis=0) > 0]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    missing = np.random.default_rng(seed).uniform(size=X.shape) < 0.2
    return Task(X, np.where(missing, np.nan, X), seed)


def measure(task, filled, seconds):
    missing = np.isnan(task.holes)
    difference = filled - task.truth
    assert np.isfinite(filled).all()
    assert np.abs(difference[~missing]).max() < 1e-4, "values were changed"
    return {"error": mean_square(difference[missing])}


def run_ours(task):
    from keras_tied import TiedAutoencoder

    width = max(1, task.holes.shape[1] // 4)
    model = TiedAutoencoder(width, random_state=task.seed).fit(task.holes)
    return np.where(np.isnan(task.holes), model.impute(task.holes), task.holes)


def run_imputer(name, task):
    return make_imputer(name).fit_transform(task.holes)


def run_trees(task):
    from sklearn.ensemble import ExtraTreesRegressor

    trees = ExtraTreesRegressor(10, random_state=task.seed)
    imputer = make_imputer("IterativeImputer", estimator=trees, random_state=task.seed)
    return imputer.fit_transform(task.holes)


SYSTEMS = {
    "TiedAutoencoder": System(run_ours, "keras_tied.estimator", ours=True),
    "mean of the column": System(partial(run_imputer, "SimpleImputer"), IMPORTS),
    "KNNImputer": System(partial(run_imputer, "KNNImputer"), IMPORTS),
    "IterativeImputer": System(partial(run_imputer, "IterativeImputer"), IMPORTS),
    "IterativeImputer, ExtraTrees": System(run_trees, IMPORTS, repeats=1),
}
