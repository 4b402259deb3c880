"""Planted rows in tables with columns of any kind: who finds them, and who names the column."""

from functools import partial
from typing import NamedTuple

import numpy as np
from pandas import DataFrame

from benchmarks._case import SECONDS, Measure, System
from benchmarks.cases._detectors import AREA, PRECISION, list_detectors, measure_ranking
from benchmarks.cases._tables import encode, find_tables

TITLE = "Odd rows"
TEXT = """
Three of at most 500 rows of R's tables get another value, other ones in each turn. *Marginal*: a
number 5 to 10,000 spreads from the median, where a spread is at least a third of the largest
distance of any other value. *Joint*: an ordinary number that contradicts another column, with which
it is correlated by 0.7 or more. *Swapped*: another category. *Column named* is for how many of
those in the ten oddest the column with the largest share of the oddness is the one (of a
contradiction one of the two); of the isolation forest that with the largest sum of SHAP values.
Detectors of numbers see standardised columns, indicators of categories, and means where a value is
missing.
"""
CHOSEN_ON = """
Nothing was chosen on these tables. The form of the score was chosen on values planted in other
tables of R, and in made ones.
"""
MEASURES = {
    "area": AREA,
    "precision": PRECISION,
    "top": Measure("in the ten oddest", "more", 0.01),
    "named": Measure("column named", "more", 0.01),
    "seconds": SECONDS,
}
PICTURE = ["area", "precision"]
BY_GROUP = True
N_PLANTED = 3


class Task(NamedTuple):
    table: DataFrame
    rows: list[int]
    columns: list[list[str]]
    "Of each of the rows, those that may be named."


def prepare(options):
    tasks = {}
    for kind, plant_value in KINDS.items():
        for name, load in find_tables(500).items():
            try_task = partial(plant, load(), plant_value, options.seed)
            if try_task().rows:
                tasks[f"{kind}: {name}"] = try_task
    return tasks


def plant(table, plant_value, seed):
    """A table with planted values; none where the kind cannot be."""
    rng = np.random.default_rng(seed)
    task = Task(table.copy(), [], [])
    numbers = list_numbers(table)
    task.table[numbers] = table[numbers].astype(float)
    for row in rng.choice(len(table), N_PLANTED, replace=False):
        planted = plant_value(table, row, rng)
        if planted:
            row, columns, value = planted
            task.table.loc[row, columns[0]] = value
            task.rows.append(row)
            task.columns.append(columns)
    return task


def list_numbers(table):
    counts = table.select_dtypes("number").nunique()
    return list(counts.index[counts > 15])


def pick(items, rng):
    return items[rng.integers(len(items))]


def plant_marginal(table, row, rng):
    """A number 5 to 10,000 spreads from the median.

    The row, the columns that may be named, and the value of the first of them, or None.
    """
    numbers = list_numbers(table)
    if not numbers:
        return None
    name = pick(numbers, rng)
    median = table[name].median()
    farthest = (table[name] - median).abs().max()
    spread = max(table[name].std(), farthest / 3)
    sign = rng.choice([-1, 1])
    spreads = 10 ** rng.uniform(np.log10(5), 4)
    return row, [name], median + sign * spreads * spread


def plant_joint(table, row, rng):
    """A high number where a correlated one is low, or the other way round."""
    numbers = list_numbers(table)
    correlations = table[numbers].corr("spearman").stack()
    strong = correlations.index[correlations.abs() >= 0.7]
    pairs = [pair for pair in strong if len({*pair}) == 2]
    if not pairs:
        return None
    one, other = pick(pairs, rng)
    ranks = table[numbers].rank(pct=True)
    is_high = (ranks >= 0.8) & (ranks <= 0.95)
    is_low = (ranks >= 0.05) & (ranks <= 0.2)
    row = rng.choice(np.flatnonzero(is_high[other] | is_low[other]))
    belongs_high = is_high[other][row] == (correlations[one, other] > 0)
    is_contrary = (is_low if belongs_high else is_high)[one]
    return row, [one, other], rng.choice(table[one][is_contrary])


def plant_swapped(table, row, rng):
    """Another category that is not rare."""
    counts = table.select_dtypes(exclude="number").nunique()
    words = counts.index[counts.between(2, 12)]
    if words.empty:
        return None
    name = pick(words, rng)
    shares = table[name].value_counts(normalize=True)
    frequent = shares[shares >= 0.05].index
    others = [word for word in frequent if word != table.at[row, name]]
    return (row, [name], pick(others, rng)) if others else None


KINDS = {
    "marginal": plant_marginal,
    "joint": plant_joint,
    "swapped": plant_swapped,
}


def measure(task, output, seconds):
    scores, named = output
    is_odd = np.isin(np.arange(len(scores)), task.rows)
    top = np.argsort(-scores, kind="stable")[:10]
    is_top = np.isin(task.rows, top)
    numbers = measure_ranking(is_odd, scores) | {"top": is_top.mean()}
    if named and is_top.any():
        hits = [one in of for one, of in zip(named, task.columns, strict=True)]
        numbers["named"] = np.mean(np.array(hits)[is_top])
    return numbers


def run_ours(task):
    from tied_tables import TiedAutoencoder

    model = TiedAutoencoder(random_state=0).fit(task.table)
    shares = np.asarray(model.explain(task.table.iloc[task.rows]).shares)
    named = task.table.columns[shares.argmax(axis=1)]
    return -model.score_samples(task.table), list(named)


def run_peer(detect, task):
    return detect(complete(task.table).to_numpy()), []


def complete(table):
    features = encode(table)
    return features.fillna(features.mean())


def run_forest(task):
    """The reasons are SHAP values, in which an odd row has less than others."""
    from shap import TreeExplainer
    from sklearn.ensemble import IsolationForest

    features = complete(task.table)
    X = features.to_numpy()
    forest = IsolationForest(random_state=0).fit(X)
    values = TreeExplainer(forest).shap_values(X[task.rows])
    columns = features.columns.get_level_values(0)
    shares = DataFrame(values, columns=columns).T.groupby(level=0).sum().T
    return -forest.score_samples(X), list(shares.idxmin(axis=1))


OURS = System(run_ours, "tied_tables.estimator", ours=True)
FOREST = System(run_forest, "shap sklearn.ensemble")
DETECTORS = list_detectors(run_peer) | {"isolation forest": FOREST}
SYSTEMS = {"TiedAutoencoder": OURS, **DETECTORS}
