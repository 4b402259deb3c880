"""Anomalies of ADBench's tables: who ranks them first."""

from functools import partial

import numpy as np

from benchmarks._case import SECONDS, System
from benchmarks.cases._arrays import change_each, list_paths, read_labelled, sample
from benchmarks.cases._detectors import AREA, PRECISION, list_detectors, measure_ranking

TITLE = "Anomalies"
TEXT = """
The area under the ROC curve and the average precision of the scores of the rows that each learned
from, on ADBench's tables, at most 1,000 rows of each, other ones in each turn; labels are used for
nothing but these. Without `--data` the tables are scikit-learn's, with a twentieth of a class as
anomalies.
"""
CHOSEN_ON = """
The form of the score was chosen by its mean on these same tables and on planted rows, so a part of
its lead is that choice.
"""
MEASURES = {"area": AREA, "precision": PRECISION, "seconds": SECONDS}
PICTURE = ["area", "seconds"]
CLASSES = ("digits", "breast_cancer", "wine", "iris")


def prepare(options):
    paths = list_paths(options)
    tables = {name: partial(read_labelled, path) for name, path in paths.items()}
    tables = tables or {name: partial(make_anomalies, name) for name in CLASSES}
    return change_each(load_sample, tables, options.seed)


def make_anomalies(name):
    """A table of scikit-learn's, with a twentieth of its last class as anomalies."""
    from sklearn import datasets

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    is_rare = y == y.max()
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
    from keras_tied import TiedAutoencoder

    X, _ = task
    return -TiedAutoencoder(0.9, random_state=0).fit(X).score_samples(X)


def run_peer(detect, task):
    X, _ = task
    return detect(X)


OURS = System(run_ours, "keras_tied.estimator", ours=True)
SYSTEMS = {"TiedAutoencoder": OURS, **list_detectors(run_peer)}
