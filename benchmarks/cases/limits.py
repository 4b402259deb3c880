"""Small, linear and heavy-tailed tables, where little or nothing is gained over PCA."""

from functools import partial

import numpy as np

from benchmarks._case import SECONDS, Measure
from benchmarks.cases import tables
from benchmarks.cases._arrays import change_each, read_bundled
from benchmarks.cases.tables import measure, split  # noqa: F401  measure is the case's

TITLE = "Where nothing is gained"
TEXT = """
The comparison of the tables above on tables that are small, linear or have heavy tails: wine and
diabetes of scikit-learn, and made ones of 16 columns, of which four factors are behind, with noise;
curved ones with noise of Student's t, whose degrees of freedom are named. *Median error* is that of
the median row.
"""
CHOSEN_ON = "Nothing was chosen on these tables but for wine and diabetes."
MEASURES = {
    "error": Measure("error"),
    "median": Measure("median error"),
    "seconds": SECONDS,
}
PICTURE = ["error"]
MADE = {
    # name: number of rows, and degrees of freedom of the noise
    "curved, 100 rows": (100, 1e6),
    "curved, 300 rows": (300, 1e6),
    "curved, 1,000 rows": (1000, 1e6),
    "linear, 1,000 rows": (1000, None),
    "curved, tails of t(3)": (1000, 3.0),
    "curved, tails of t(1.5)": (1000, 1.5),
}


def draw(n, freedom, seed):
    """Linear rows where no degrees of freedom are named."""
    random = np.random.default_rng(seed)
    factors = random.normal(size=(n, 4)) @ random.normal(size=(4, 16))
    if freedom is None:
        return factors + 0.3 * random.normal(size=(n, 16))
    return np.tanh(factors) + 0.1 * random.standard_t(freedom, size=(n, 16))


def prepare(options):
    loaders = {
        "wine, 178 rows": partial(read_bundled, "wine"),
        "diabetes, 442 rows": partial(read_bundled, "diabetes"),
    }
    for name, about in MADE.items():
        loaders[name] = partial(draw, *about, options.seed)
    return change_each(split, loaders, options.seed)


SYSTEMS = {name: tables.SYSTEMS[name] for name in ("TiedAutoencoder", "PCA")}
