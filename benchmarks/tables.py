"""`TiedAutoencoder` on many tables, beside PCA and anomaly detectors.

`reconstruction`: each table is split 70/30, and both learn from the larger part with a quarter of
the features as width. Printed are the errors of the scaled columns, relative to PCA's, and the
seconds of a second fit, for which everything is compiled already. `anomalies`: the area under the
ROC curve of `score_samples` on tables with known anomalies (at most 10,000 rows), which are not
shown to anybody before, and the mean average precision, beside scikit-learn's IsolationForest and
PyOD's AutoEncoder, COPOD and ECOD.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import keras_tied  # settles the backend before Keras is imported

# isort: split
import numpy as np
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

DATA = Path(__file__).parents[2] / "shared" / "data" / "adbench"
BUNDLED = ("digits", "breast_cancer", "wine", "diabetes", "iris", "linnerud")
MOST_ROWS = 10_000


def adbench(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Names, rows and labels (1 for an anomaly) of the tables in a folder."""
    for path in sorted(folder.glob("*.npz"), key=lambda path: int(path.name.split("_")[0])):
        with np.load(path, allow_pickle=False) as file:
            yield path.stem.split("_", 1)[1], file["X"].astype(float), file["y"]


def tables(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    for name, X, _ in adbench(folder):
        yield name, X
    for name in BUNDLED:
        yield name, np.asarray(getattr(datasets, f"load_{name}")().data, dtype=float)


def pca_errors(train: np.ndarray, test: np.ndarray, width: int) -> tuple[float, float]:
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    pca = PCA(width, svd_solver="full").fit(train)
    restored = (pca.inverse_transform(pca.transform(part)) for part in (train, test))
    errors = [np.mean((r - part) ** 2) for r, part in zip(restored, (train, test), strict=True)]
    return float(errors[0]), float(errors[1])


def reconstruction(folder: Path, seed: int) -> None:
    print(f"{'table':<14}   rows  features  width     PCA  training  held out   seconds  chosen")
    ratios, seconds = [], []
    for name, X in tables(folder):
        train, test = train_test_split(X, test_size=0.3, random_state=seed)
        width = max(1, X.shape[1] // 4)
        of_pca = pca_errors(train, test, width)
        for _ in range(2):  # the first compiles
            begin = time.perf_counter()
            model = keras_tied.TiedAutoencoder(width, random_state=seed).fit(train)
            took = time.perf_counter() - begin
        errors = (model.reconstruction_error(part).mean() for part in (train, test))
        ratios.append([error / pca for error, pca in zip(errors, of_pca, strict=True)])
        seconds.append(took)
        print(
            f"{name:<14} {len(train):6d}  {X.shape[1]:8d}  {width:5d}  {of_pca[1]:6.4f}  "
            f"{ratios[-1][0]:8.4f}  {ratios[-1][1]:8.4f}  {took:8.2f}  "
            f"{'PCA' if model.is_pca_ else 'network'}",
            flush=True,
        )
    (train_ratio, ratio), (worst_train, worst) = np.median(ratios, 0), np.max(ratios, 0)
    print(f"median: training {train_ratio:.4f}, held out {ratio:.4f}, {np.median(seconds):.2f} s")
    print(f"largest: training {worst_train:.4f}, held out {worst:.4f}, {max(seconds):.2f} s")


def detectors() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What gives scores, the higher the odder, to the rows it has learned from."""

    def ours(X: np.ndarray) -> np.ndarray:
        model = keras_tied.TiedAutoencoder(0.9, random_state=0).fit(X)
        return -model.score_samples(X)

    def forest(X: np.ndarray) -> np.ndarray:
        return -IsolationForest(random_state=0).fit(X).score_samples(X)

    found = {"TiedAutoencoder": ours, "IsolationForest": forest}
    if find_spec("pyod"):
        from pyod.models.auto_encoder import AutoEncoder
        from pyod.models.copod import COPOD
        from pyod.models.ecod import ECOD

        found["PyOD AutoEncoder"] = lambda X: AutoEncoder(verbose=0).fit(X).decision_scores_
        found["COPOD"] = lambda X: COPOD().fit(X).decision_scores_
        found["ECOD"] = lambda X: ECOD().fit(X).decision_scores_
    return found


def anomalies(folder: Path, seed: int) -> None:
    found = detectors()
    print(f"{'table':<14}" + "".join(f"{name:>18}" for name in found))
    areas, precisions, seconds = [], [], []
    for name, X, y in adbench(folder):
        rows = np.arange(len(X))
        if len(X) > MOST_ROWS:
            rows = np.random.default_rng(seed).choice(len(X), MOST_ROWS, replace=False)
        row, precision, took = [], [], []
        for scores_of in found.values():
            begin = time.perf_counter()
            scores = scores_of(X[rows])
            took.append(time.perf_counter() - begin)
            row.append(roc_auc_score(y[rows], scores))
            precision.append(average_precision_score(y[rows], scores))
        areas.append(row)
        precisions.append(precision)
        seconds.append(took)
        print(f"{name:<14}" + "".join(f"{area:18.4f}" for area in row), flush=True)
    print(f"{'mean':<14}" + "".join(f"{area:18.4f}" for area in np.mean(areas, 0)))
    print(f"{'precision':<14}" + "".join(f"{value:18.4f}" for value in np.mean(precisions, 0)))
    print(f"{'seconds':<14}" + "".join(f"{total:18.1f}" for total in np.sum(seconds, 0)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["reconstruction", "anomalies"])
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of ADBench's files")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    {"reconstruction": reconstruction, "anomalies": anomalies}[arguments.what](
        arguments.data, arguments.seed
    )


if __name__ == "__main__":
    main()
