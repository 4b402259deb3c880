"""Peers that fill gaps: scikit-learn's, and trees for each column."""

from pkgutil import resolve_name

import numpy as np
import pandas as pd
from pandas import DataFrame

from benchmarks.cases._tables import encode

IMPORTS = "sklearn.experimental.enable_iterative_imputer sklearn.impute"


def make_imputer(name, **settings):
    return resolve_name(f"sklearn.impute.{name}")(keep_empty_features=True, **settings)


def impute_encoded(imputer, holes):
    """Fill numbers and indicators, of which the largest wins.

    The first of a column is 1 less the others: with it, a regression would find a gap
    in one from the gaps in the others.
    """
    features = encode(holes)
    names, levels = map(features.columns.get_level_values, (0, 1))
    is_first = ~names.duplicated() & (levels != "number")
    features = features.loc[:, ~is_first]
    mean = features.mean()
    spread = features.std().replace(0, 1)
    scaled = (features - mean) / spread
    filled = DataFrame(imputer.fit_transform(scaled.to_numpy(copy=True)))
    filled = filled.set_axis(features.columns, axis=1) * spread + mean
    values = {}
    for name in holes:
        first = levels[names == name][0]
        own = filled.columns.get_level_values(0) == name
        block = filled.loc[:, own].droplevel(0, axis=1)
        if first == "number":
            values[name] = block["number"]
        else:
            block[first] = 1 - block.sum(axis=1)
            values[name] = block.idxmax(axis=1)
    return holes.fillna(DataFrame(values))


def impute_with_forests(holes, seed):
    """As missForest: a forest for each column, anew until the changes grow."""
    gaps = holes.isna()
    order = gaps.sum()[gaps.any()].sort_values(kind="stable").index
    filled = impute_encoded(make_imputer("SimpleImputer"), holes)
    last = np.full(2, np.inf)
    for _ in range(10):
        new = filled.copy()
        for name in order:
            gap = gaps[name].to_numpy()
            new.loc[gap, name] = predict_gaps(new, name, gap, holes[name][~gap], seed)
        changes = measure_changes(filled, new)
        if (changes >= last).all():
            break
        filled = new
        last = changes
    return filled


def predict_gaps(table, name, gap, known, seed):
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    is_number = pd.api.types.is_numeric_dtype(known)
    kind = RandomForestRegressor if is_number else RandomForestClassifier
    forest = kind(100, max_features="sqrt", random_state=seed)
    X = encode(table.drop(columns=name)).to_numpy()
    return forest.fit(X[~gap], known).predict(X[gap])


def impute_by_mice(holes, seed):
    """Boosted trees for each column, five times, which predict means and classes."""
    from miceforest import ImputationKernel

    words = holes.select_dtypes(exclude="number").columns
    kernel = ImputationKernel(
        holes.astype(dict.fromkeys(words, "category")),
        mean_match_candidates=0,
        random_state=seed,
    )
    kernel.mice(5)
    return kernel.complete_data().astype(dict.fromkeys(words, object))


def measure_changes(old, new):
    """Of the numbers the relative square, of the categories how many."""
    numbers = new.select_dtypes("number").columns
    words = new.columns.difference(numbers)
    squares = ((new[numbers] - old[numbers]) ** 2).sum().sum()
    squares /= (new[numbers] ** 2).sum().sum()
    flips = (new[words] != old[words]).sum().sum()
    return np.array([squares, flips])
