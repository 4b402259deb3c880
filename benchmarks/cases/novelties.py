"""Anomalies of labelled tables, of which normal rows alone were learned."""

from typing import NamedTuple

import numpy as np

from benchmarks._case import SECONDS, System
from benchmarks.cases import anomalies
from benchmarks.cases._arrays import change_each
from benchmarks.cases._detectors import AREA, PRECISION, list_detectors, measure_ranking

TITLE = "Anomalies, learned from normal rows"
TEXT = """
The tables and samples of the anomalies above, but each system learns from half of the normal rows,
other ones in each turn, and scores all other rows. Where anomalies are among the rows that are
learned from, methods that describe most rows roughly are ahead; where they are not, those that
describe them closely.
"""
CHOSEN_ON = anomalies.CHOSEN_ON
MEASURES = {"area": AREA, "precision": PRECISION, "seconds": SECONDS}
PICTURE = ["area", "precision"]
BY_GROUP = True


class Task(NamedTuple):
    normal: np.ndarray
    others: np.ndarray
    labels: np.ndarray
    "Of the others, 1 for an anomaly."


def prepare(options):
    return change_each(split, anomalies.prepare(options), options.seed)


def split(load, seed):
    X, y = load()
    order = np.random.default_rng(seed).permutation(np.flatnonzero(y == 0))
    others = np.setdiff1d(np.arange(len(X)), order[: len(order) // 2])
    return Task(X[order[: len(order) // 2]], X[others], y[others])


def measure(task, scores, seconds):
    return measure_ranking(task.labels, scores)


def run_ours(task):
    from tied_tables import TiedAutoencoder

    fitted = TiedAutoencoder(0.9, random_state=0).fit(task.normal)
    return -fitted.score_samples(task.others)


def run_peer(detect, task):
    return detect(task.normal, task.others)


OURS = System(run_ours, "tied_tables.estimator", ours=True)
SYSTEMS = {"TiedAutoencoder": OURS, **list_detectors(run_peer)}
