"""How often the number of components that a table was made of is found."""

from functools import partial
from itertools import product

import numpy as np

from benchmarks._case import SECONDS, Measure, System

TITLE = "The number of components"
TEXT = """
Tables of 500 rows are made of 2, 3 or 5 components and noise, six columns for each, linear ones and
curved ones. Their number is chosen as `tied-tables fit --components 1..8` does, by hidden values,
and by the share of the variance that PCA keeps. *Right* is how often it is the number.
"""
CHOSEN_ON = "The way to choose was chosen on tables of other seeds."
MEASURES = {
    "right": Measure("right", "more"),
    "off": Measure("off by", None),
    "seconds": SECONDS,
}
PICTURE = ["right"]
NUMBERS = (2, 3, 5)


def prepare(options):
    return {
        "linear": partial(load, np.positive, options.seed),
        "curved": partial(load, np.tanh, options.seed),
    }


def load(curve, seed):
    tables = []
    for n, noise in product(NUMBERS, (0.1, 0.3)):
        random = np.random.default_rng(200 + seed)
        code = random.uniform(-1, 1, size=(500, n))
        X = curve(1.5 * code @ random.normal(size=(n, 6 * n)))
        tables.append(X + noise * random.normal(size=X.shape))
    return tables


def measure(task, numbers, seconds):
    off = np.abs(np.subtract(numbers, np.repeat(NUMBERS, 2)))
    return {"right": (off == 0).mean(), "off": off.mean()}


def run_ours(task):
    from tied_tables.comparison import choose_width, compare_widths

    return [choose_width(compare_widths(X, range(1, 9))) for X in task]


def run_share(share, task):
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    scaled = [StandardScaler().fit_transform(X) for X in task]
    return [int(PCA(share).fit(X).n_components_) for X in scaled]


PCA = "sklearn.decomposition sklearn.preprocessing"
SYSTEMS = {
    "hidden values": System(run_ours, "tied_tables.comparison", ours=True),
    "80 % of PCA's variance": System(partial(run_share, 0.8), PCA),
    "90 % of PCA's variance": System(partial(run_share, 0.9), PCA),
}
