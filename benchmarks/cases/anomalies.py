"""Anomalies of ADBench's tables: who ranks them first."""

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks._case import SECONDS, Measure, Options, System
from benchmarks.cases._tables import find_adbench, make_detectors, sample

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
MEASURES = {
    "area": Measure("area under ROC", "more"),
    "precision": Measure("average precision", "more"),
    "seconds": SECONDS,
}
PICTURE = ["area", "seconds"]
HOT = False
Task = tuple[np.ndarray, np.ndarray]


def prepare(options: Options) -> dict[str, Callable[[], Task]]:
    tables = find_adbench(options)
    names = list(tables)[:: 8 if options.quick else 1]
    return {name: partial(load_sample, tables[name], options) for name in names}


def load_sample(load: Callable[[], Task], options: Options) -> Task:
    X, y = load()
    most = 300 if options.quick else 1000
    rows = sample(X, most, options.seed)
    if (
        not 0 < y[rows].sum() < len(rows)
    ):  # of the rarest anomalies none may be in the sample
        rows = np.append(np.flatnonzero(y)[:10], rows[: most - 10])
    return X[rows], y[rows]


def measure(
    task: Task, scores: np.ndarray, seconds: dict[str, float]
) -> dict[str, float]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    labels = task[1]
    area, precision = (
        roc_auc_score(labels, scores),
        average_precision_score(labels, scores),
    )
    return {"area": float(area), "precision": float(precision)}


def make_ours() -> Callable[[Task], np.ndarray]:
    from keras_tied import TiedAutoencoder

    return lambda task: (
        -TiedAutoencoder(0.9, random_state=0).fit(task[0]).score_samples(task[0])
    )


def make_peer(make: Callable[[], Callable]) -> Callable[[Task], np.ndarray]:
    score = make()
    return lambda task: score(task[0])


SYSTEMS = {"TiedAutoencoder": System(make_ours, ours=True)} | {
    name: System(partial(make_peer, make), needs)
    for name, (make, needs) in make_detectors().items()
}
