"""Planted rows in tables with columns of any kind: who finds them, and who names the column."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks._case import SECONDS, Measure, Options, System
from benchmarks.cases._tables import encode, find_mixed, make_detectors

TITLE = "Odd rows"
TEXT = """
Three of at most 500 rows get another value, other ones in each turn. *Marginal*: a number 5 to
10,000 spreads from the median, where a spread is at least a third of the largest distance of any
other value. *Joint*: an ordinary number that contradicts another column, with which it is
correlated by 0.7 or more. *Swapped*: another category. *Column named* is how often the column with
the largest share of the oddness is the one (of a contradiction one of the two). Detectors of
numbers see indicators of categories, and means where a value is missing.
"""
CHOSEN_ON = (
    "The form of the score was chosen on twenty other tables of these two kinds."
)
MEASURES = {
    "area": Measure("area under ROC", "more"),
    "top": Measure("in the ten oddest", "more", 0.01),
    "named": Measure("column named", "more"),
    "seconds": SECONDS,
}
PICTURE = ["area", "top"]
HOT = False
PLANTED = 3


class Task(NamedTuple):
    table: pd.DataFrame
    rows: list[int]
    names: list[tuple[str, ...]]


def prepare(options: Options) -> dict[str, Callable[[], Task]]:
    tasks = {}
    for name, load in find_mixed(options.quick, 300 if options.quick else 500).items():
        for kind in ("marginal", "joint", "swapped"):
            if plant(load(), kind, options.seed).rows:
                tasks[f"{kind}, {name}"] = partial(
                    load_planted, load, kind, options.seed
                )
    return tasks


def load_planted(load: Callable[[], pd.DataFrame], kind: str, seed: int) -> Task:
    return plant(load(), kind, seed)


def plant(table: pd.DataFrame, kind: str, seed: int) -> Task:
    """A table with planted values, their rows and columns; no rows where the kind cannot be."""
    rng, new, rows, names = np.random.default_rng(seed), table.copy(), [], []
    numbers = [n for n in table.select_dtypes("number") if table[n].nunique() > 15]
    new[numbers] = new[numbers].astype(float)
    ranks = table[numbers].rank(pct=True)
    correlations = table[numbers].corr("spearman").to_numpy()
    pairs = [(a, b) for a, b in np.argwhere(np.abs(correlations) >= 0.7) if a != b]
    words = [
        n
        for n in table.select_dtypes(exclude="number")
        if 2 <= table[n].nunique() <= 12
    ]
    if not {"marginal": numbers, "joint": pairs, "swapped": words}[kind]:
        return Task(new, [], [])
    for row in rng.choice(len(table), PLANTED, replace=False):
        if kind == "marginal":
            name = numbers[rng.integers(len(numbers))]
            deviations = table[name] - table[name].median()
            spread = max(table[name].std(), deviations.abs().max() / 3)
            sign, spreads = rng.choice([-1, 1]), 10 ** rng.uniform(np.log10(5), 4)
            value, of = table[name].median() + sign * spreads * spread, (name,)
        elif kind == "joint":
            a, b = pairs[rng.integers(len(pairs))]
            name, of = numbers[a], (numbers[a], numbers[b])
            high, low = (
                ranks.iloc[:, b].between(0.8, 0.95),
                ranks.iloc[:, b].between(0.05, 0.2),
            )
            row = rng.choice(np.flatnonzero(high | low))
            belongs_high = bool(high[row]) == (correlations[a, b] > 0)
            range_ = (0.05, 0.2) if belongs_high else (0.8, 0.95)
            value = rng.choice(table[name][ranks.iloc[:, a].between(*range_)])
        else:
            name = words[rng.integers(len(words))]
            shares = table[name].value_counts(normalize=True)
            others = [
                word
                for word in shares[shares >= 0.05].index
                if word != table.at[row, name]
            ]
            if not others:
                continue
            value, of = others[rng.integers(len(others))], (name,)
        new.loc[row, name] = value
        rows.append(int(row))
        names.append(of)
    return Task(new, rows, names)


def measure(
    task: Task, output: tuple[np.ndarray, list[str]], seconds: dict[str, float]
) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    scores, named = output
    top = np.argsort(-scores, kind="stable")[:10]
    area = roc_auc_score(np.isin(np.arange(len(scores)), task.rows), scores)
    numbers = {"area": float(area), "top": float(np.isin(task.rows, top).mean())}
    hits = [name in names for name, names in zip(named, task.names, strict=False)]
    return numbers | ({"named": float(np.mean(hits))} if hits else {})


def make_ours() -> Callable[[Task], tuple[np.ndarray, list[str]]]:
    from keras_tied import TiedAutoencoder

    def run(task: Task) -> tuple[np.ndarray, list[str]]:
        model = TiedAutoencoder(random_state=0).fit(task.table)
        shares = np.asarray(model.explain(task.table.iloc[task.rows]).shares)
        return -model.score_samples(task.table), list(
            task.table.columns[shares.argmax(axis=1)]
        )

    return run


def make_peer(
    make: Callable[[], Callable],
) -> Callable[[Task], tuple[np.ndarray, list[str]]]:
    score = make()

    def run(task: Task) -> tuple[np.ndarray, list[str]]:
        features = encode(task.table)
        return score(features.fillna(features.mean()).to_numpy()), []

    return run


SYSTEMS = {"TiedAutoencoder": System(make_ours, ours=True)} | {
    name: System(partial(make_peer, make), needs)
    for name, (make, needs) in make_detectors().items()
}
