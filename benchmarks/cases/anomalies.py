"""Anomalies of labelled tables: who ranks them first."""

from functools import partial

import numpy as np

from benchmarks._case import SECONDS, System
from benchmarks.cases._arrays import change_each, list_paths, read_labelled, sample
from benchmarks.cases._detectors import AREA, PRECISION, list_detectors, measure_ranking
from benchmarks.cases._tables import read_table

TITLE = "Anomalies"
TEXT = """
The area under the ROC curve and the average precision of the scores of the rows that each learned
from, at most 1,000 rows of each table, other ones in each turn; labels are used for nothing but
these. The tables are ADBench's and OddBench's, and *others*, scikit-learn's and the numbers of R's,
where the anomalies are the rarest class, as a twentieth of the rows. Peers get standardised
columns.
"""
CHOSEN_ON = """
The form of the score was chosen on these tables of ADBench and OddBench and on planted rows, so a
part of its lead there is that choice. Nothing was chosen on the others.
"""
MEASURES = {"area": AREA, "precision": PRECISION, "seconds": SECONDS}
PICTURE = ["area", "precision"]
BY_GROUP = True
BUNDLED = ("breast_cancer", "digits", "iris")
CLASSES = {
    # table of R: its column of classes
    "DAAG/ais": "sex",
    "DAAG/leafshape": "arch",
    "DAAG/spam7": "yesno",
    "ISLR/College": "Private",
    "ISLR/Default": "default",
    "ISLR/OJ": "Purchase",
    "Stat2Data/Hawks": "Species",
    "carData/Arrests": "released",
    "dslabs/olive": "region",
    "modeldata/attrition": "Attrition",
    "modeldata/credit_data": "Status",
    "modeldata/hpc_data": "class",
    "modeldata/mlc_churn": "churn",
    "modeldata/penguins": "species",
    "openintro/email": "spam",
}


def prepare(options):
    tables = {}
    for folder in ("ADBench", "OddBench"):
        for name, path in list_paths(options, folder).items():
            tables[f"{folder}: {name}"] = partial(read_labelled, path)
    for name in BUNDLED:
        tables[f"others: {name}"] = partial(load_bundled, name)
    for name, column in CLASSES.items():
        _, _, short = name.partition("/")
        tables[f"others: {short}"] = partial(load_classes, name, column)
    return change_each(load_sample, tables, options.seed)


def load_bundled(name):
    from sklearn import datasets

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return thin_rarest(X, y)


def load_classes(name, column):
    table = read_table(name, 10_000)
    numbers = table.drop(columns=column).select_dtypes("number")
    X = numbers.fillna(numbers.mean()).to_numpy()
    return thin_rarest(X, table[column].to_numpy())


def thin_rarest(X, y):
    """Rows, of the rarest class a twentieth at most, with 1 for these."""
    _, places, counts = np.unique(y, return_inverse=True, return_counts=True)
    is_rare = places == counts.argmin()
    rare = np.flatnonzero(is_rare)[: max(2, len(X) // 20)]
    rows = np.append(np.flatnonzero(~is_rare), rare)
    return X[rows], is_rare[rows].astype(int)


def load_sample(load, seed):
    X, y = load()
    rows = sample(X, 1000, seed)
    if not 0 < y[rows].sum() < len(rows):  # the sample has none of the rarest
        rows = np.append(np.flatnonzero(y)[:10], rows[:990])
    return X[rows], y[rows]


def measure(task, scores, seconds):
    _, labels = task
    return measure_ranking(labels, scores)


def run_ours(task):
    from tied_tables import TiedAutoencoder

    X, _ = task
    return -TiedAutoencoder(0.9, random_state=0).fit(X).score_samples(X)


def run_peer(detect, task):
    X, _ = task
    return detect(X)


OURS = System(run_ours, "tied_tables.estimator", ours=True)
SYSTEMS = {"TiedAutoencoder": OURS, **list_detectors(run_peer)}
