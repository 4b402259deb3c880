"""Small, linear and heavy-tailed tables, where little or nothing is gained over PCA."""

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks._case import SECONDS, Measure, Options
from benchmarks.cases import tables
from benchmarks.cases._tables import read_bundled

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
HOT = False


def draw_linear(random: np.random.Generator) -> np.ndarray:
    factors = random.normal(size=(1000, 4)) @ random.normal(size=(4, 16))
    return factors + 0.3 * random.normal(size=(1000, 16))


def draw_curved(tail: float, n: int, random: np.random.Generator) -> np.ndarray:
    surface = np.tanh(random.normal(size=(n, 4)) @ random.normal(size=(4, 16)))
    return surface + 0.1 * random.standard_t(tail, size=(n, 16))


TABLES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "wine, 178 rows": lambda _: read_bundled("wine"),
    "diabetes, 442 rows": lambda _: read_bundled("diabetes"),
    "curved, 100 rows": partial(draw_curved, 1e6, 100),
    "curved, 300 rows": partial(draw_curved, 1e6, 300),
    "curved, 1,000 rows": partial(draw_curved, 1e6, 1000),
    "linear, 1,000 rows": draw_linear,
    "curved, tails of t(3)": partial(draw_curved, 3.0, 1000),
    "curved, tails of t(1.5)": partial(draw_curved, 1.5, 1000),
}


def prepare(options: Options) -> dict[str, Callable[[], tables.Task]]:
    def draw(name: str) -> np.ndarray:
        return TABLES[name](np.random.default_rng(options.seed))

    names = list(TABLES)[:: 3 if options.quick else 1]
    return {name: partial(tables.split, partial(draw, name), options) for name in names}


def measure(
    task: tables.Task, reconstruction: np.ndarray, seconds: dict[str, float]
) -> dict[str, float]:
    assert np.isfinite(reconstruction).all()
    of_rows = np.mean((reconstruction - task.test) ** 2, axis=1)
    return {"error": float(of_rows.mean()), "median": float(np.median(of_rows))}


SYSTEMS = {name: tables.SYSTEMS[name] for name in ("TiedAutoencoder", "PCA")}
