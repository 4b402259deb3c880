"""Gaps in columns of any kind, filled in."""

from functools import partial
from typing import NamedTuple

import numpy as np
from pandas import DataFrame

from benchmarks._case import SECONDS, Measure, System
from benchmarks.cases._imputers import (
    IMPORTS,
    impute_by_mice,
    impute_encoded,
    impute_with_forests,
    make_imputer,
)
from benchmarks.cases._tables import find_tables

TITLE = "Gaps"
TEXT = """
About a fifth of the cells of R's tables, at most 400 rows of each, is hidden, other ones in each
turn: *at random*; the more, the higher *another column* is, in all columns but this one; the more,
the higher *the value itself* is, by its rank, of categories by the alphabet. *Numbers* is the root
mean squared error in spreads of the column, *categories* the share of wrong ones. Imputers of
numbers see an indicator for each category but the first, and the largest wins. missForest
(Stekhoven and Bühlmann, 2012) is a loop of scikit-learn's forests for each column. miceforest is
without its matching of means, which draws values.
"""
CHOSEN_ON = """
Nothing was chosen on these tables: they were named before anything was measured on them. The form
of the imputation was chosen on other tables of R, and on made ones.
"""
MEASURES = {
    "numbers": Measure("numbers"),
    "categories": Measure("categories wrong", floor=0.01),
    "seconds": SECONDS,
}
PICTURE = ["numbers", "categories"]
BY_GROUP = True
MOST_ROWS = 400
SHARE = 0.2  # of the cells


class Task(NamedTuple):
    truth: DataFrame
    holes: DataFrame
    seed: int


def prepare(options):
    tasks = {}
    for mechanism, find_chances in MECHANISMS.items():
        for name, load in find_tables(MOST_ROWS).items():
            task = partial(hide, load, find_chances, options.seed)
            tasks[f"{mechanism}: {name}"] = task
    return tasks


def hide(load, find_chances, seed):
    table = load()
    rng = np.random.default_rng(seed)
    hidden = rng.random(table.shape) < find_chances(table.rank(pct=True), rng)
    return Task(table, table.mask(table.notna() & hidden), seed)


def hide_anywhere(ranks, rng):
    return SHARE


def hide_by_another(ranks, rng):
    """Chances that rise with a column, in all others."""
    complete = ranks.columns[ranks.notna().all()]
    driver = rng.choice(complete)
    chances = 2 * SHARE * ranks[[driver]].to_numpy()
    return chances * (ranks.columns != driver)


def hide_by_itself(ranks, rng):
    return 2 * SHARE * ranks.to_numpy()


MECHANISMS = {
    "at random": hide_anywhere,
    "by another column": hide_by_another,
    "by the value itself": hide_by_itself,
}


def measure(task, filled, seconds):
    gaps = task.holes.isna() & task.truth.notna()
    assert filled.shape == task.truth.shape
    assert filled[gaps].notna().sum().sum() == gaps.sum().sum(), "gaps are left"
    truth = task.truth.select_dtypes("number")
    errors = (filled[truth.columns].astype(float) - truth) / truth.std()
    results = {"numbers": np.sqrt((errors[gaps] ** 2).stack().mean())}
    words = task.truth.columns.difference(truth.columns)
    if len(words):
        is_wrong = (filled[words] != task.truth[words]).to_numpy()
        results["categories"] = is_wrong[gaps[words].to_numpy()].mean()
    return results


def run_ours(task):
    from tied_tables import TiedAutoencoder

    return TiedAutoencoder(random_state=task.seed).fit(task.holes).impute(task.holes)


def run_imputer(name, task):
    return impute_encoded(make_imputer(name), task.holes)


def run_seeded(impute, task):
    return impute(task.holes, task.seed)


FORESTS = f"{IMPORTS} sklearn.ensemble"
SYSTEMS = {
    "TiedAutoencoder": System(run_ours, "tied_tables.estimator", ours=True),
    "means and most frequent": System(partial(run_imputer, "SimpleImputer"), IMPORTS),
    "KNNImputer": System(partial(run_imputer, "KNNImputer"), IMPORTS),
    "IterativeImputer": System(partial(run_imputer, "IterativeImputer"), IMPORTS),
    "missForest": System(partial(run_seeded, impute_with_forests), FORESTS, repeats=1),
    "miceforest": System(partial(run_seeded, impute_by_mice), "miceforest", repeats=1),
}
