"""How often the number of components that a table was made of is found."""

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks._case import SECONDS, Measure, Options, System

TITLE = "The number of components"
TEXT = """
Tables of 500 rows are made of 2, 3 or 5 components and noise, six columns for each, linear ones and
curved ones. Their number is chosen as `keras-tied fit --components 1..8` does, by hidden values,
and by the share of the variance that PCA keeps. *Right* is how often it is the number.
"""
CHOSEN_ON = "The way to choose was chosen on tables of other seeds."
MEASURES = {
    "right": Measure("right", "more"),
    "off": Measure("off by", None),
    "seconds": SECONDS,
}
PICTURE = ["right"]
HOT = False
REPEATS = 4


def prepare(options: Options) -> dict[str, Callable[[], list[tuple[int, np.ndarray]]]]:
    def make(curve: Callable[[np.ndarray], np.ndarray]) -> list[tuple[int, np.ndarray]]:
        tables = []
        for n in (2,) if options.quick else (2, 3, 5):
            for noise in (0.1, 0.3):
                random = np.random.default_rng(200 + options.seed)
                code = random.uniform(-1, 1, size=(500, n))
                X = curve(1.5 * code @ random.normal(size=(n, 6 * n)))
                tables.append((n, X + noise * random.normal(size=X.shape)))
        return tables

    return {
        "linear": partial(make, lambda values: values),
        "curved": partial(make, np.tanh),
    }


def measure(
    task: list, numbers: list[int], seconds: dict[str, float]
) -> dict[str, float]:
    off = np.abs(np.array(numbers) - [n for n, _ in task])
    return {"right": float((off == 0).mean()), "off": float(off.mean())}


def make_ours() -> Callable[[list], list[int]]:
    from keras_tied.comparison import choose_width, compare_widths

    return lambda task: [choose_width(compare_widths(X, range(1, 9))) for _, X in task]


def make_share(share: float) -> Callable[[list], list[int]]:
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    def choose(X: np.ndarray) -> int:
        return int(PCA(share).fit(StandardScaler().fit_transform(X)).n_components_)

    return lambda task: [choose(X) for _, X in task]


SYSTEMS = {
    "hidden values": System(make_ours, ours=True),
    "80 % of PCA's variance": System(partial(make_share, 0.8)),
    "90 % of PCA's variance": System(partial(make_share, 0.9)),
}
