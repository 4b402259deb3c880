"""Write one small model file of each kind, and what it gives for some rows.

Run it only when the format of files changes on purpose, from the root of the
repository, once the old files are removed:

    python tests/pinned/make.py tests/pinned/files

`test_files.py` compares what the files give with the results beside them. For each kind
the folder gets a model file and `KIND.npz`, the rows and the results; for `text`, which
`keras-tied fit` writes, also the table and what the other commands make of it, as CSV.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas
from keras import layers

from keras_tied import TiedAutoencoder
from keras_tied.columns import Columns
from keras_tied.fitted.file import read
from keras_tied.tables import open_table

FIT = (
    "fit text.csv -o text.safetensors --hidden 6 --epochs 30 --validation 0 --dates off"
    " --id name --label taste --quiet"
)
COMMANDS = {
    "encode": "encode text.safetensors text.csv -o text.encode.csv --quiet",
    "decode": "decode text.safetensors text.encode.csv -o text.decode.csv --quiet",
    "reconstruct": (
        "reconstruct text.safetensors text.csv -o text.reconstruct.csv --quiet"
    ),
    "score": "score text.safetensors text.csv -o text.score.csv --quiet",
}
LEARNED = ("n_iter_", "is_pca_", "reconstruction_r2_", "offset_", "loss_curve_")
MARGIN = 0.05
"""So far the scores are from the threshold: rounding must not make an outlier an
inlier.
"""


def text_table() -> str:
    """CSV with an id of digits, text, a missing number, whole numbers, dates and a
    label.
    """
    rng = np.random.default_rng(0)
    lines = ["name,kind,weight,length,count,ripe,day,taste"]
    for row, size in enumerate(rng.normal(size=60)):
        kind = ("apple", "pear", "plum")[int(size > -0.4) + int(size > 0.4)]
        weight = "" if row == 7 else f"{100 + 20 * size + rng.normal():.2f}"
        length, count = f"{size**2 + 0.1 * rng.normal():.3f}", round(10 * size)
        ripe, taste = ("true", "false")[int(size > 0)], ("good", "bad")[rng.integers(2)]
        lines.append(
            f"{row:04},{kind},{weight},{length},{count},{ripe},2026-01-{1 + row % 28:02},{taste}"
        )
    return "\n".join(lines) + "\n"


def bent_rows(n: int) -> np.ndarray:
    """Rows of 5 numbers on a bent surface, with noise, that a network restores better
    than PCA.
    """
    rng = np.random.default_rng(1)
    z = rng.normal(size=(n, 2))
    return np.column_stack([z, z**2, z.prod(axis=1)]) + 0.05 * rng.normal(size=(n, 5))


def missing() -> tuple[TiedAutoencoder, Any]:
    """A fifth of the numbers is missing, so a normal distribution fills them in."""
    frame = pandas.DataFrame(bent_rows(60), columns=list("abcde"))
    frame = frame.mask(np.random.default_rng(2).uniform(size=frame.shape) < 0.2)
    estimator = TiedAutoencoder(
        hidden_layer_sizes=6,
        max_iter=20,
        early_stopping=False,
        trim=False,
        random_state=0,
    )
    return estimator.fit(frame), frame


def imputation() -> tuple[TiedAutoencoder, Any]:
    """A network takes part in filling in, and numbers have pieces."""
    X = bent_rows(900)
    X[np.random.default_rng(2).uniform(size=X.shape) < 0.2] = np.nan
    estimator = TiedAutoencoder(hidden_layer_sizes=(16, 16), random_state=0).fit(X)
    return estimator, X[:40]


def pca() -> tuple[TiedAutoencoder, Any]:
    """There are too few rows for anything but PCA, whose width is a
    share of variance.
    """
    X = bent_rows(30)
    return TiedAutoencoder(0.7, scaler=None, random_state=0).fit(X), X


def encoder() -> tuple[TiedAutoencoder, Any]:
    """The encoder is the user's own, of images."""
    rng = np.random.default_rng(3)
    X = np.einsum("ni,nj->nij", *rng.uniform(size=(2, 30, 5))).reshape(30, -1)
    given = keras.Sequential(
        [
            keras.Input((5, 5, 1), name="pixels"),
            layers.Conv2D(
                2, 3, strides=2, padding="same", activation="relu", name="filters"
            ),
            layers.Flatten(name="flat"),
            layers.Dense(3, name="code"),
        ],
        name="images",
    )
    return TiedAutoencoder(encoder=given, max_iter=9, random_state=0).fit(X), X


def deep() -> tuple[TiedAutoencoder, Any]:
    """There are two hidden layers, and rows in single precision."""
    X = bent_rows(80).astype(np.float32)
    estimator = TiedAutoencoder(
        hidden_layer_sizes=(8, 4),
        activation="silu",
        scaler="minmax",
        weight_decay=1e-4,
        max_iter=40,
        early_stopping=False,
        trim=False,
        random_state=0,
    )
    return estimator.fit(X), X


def partial() -> tuple[TiedAutoencoder, Any]:
    """Training may go on, so the file keeps the state of Nadam."""
    X = bent_rows(120)
    estimator = TiedAutoencoder(hidden_layer_sizes=6, batch_size=15, random_state=0)
    for batch in np.split(X, 2):
        estimator.partial_fit(batch)
    return estimator, X


def objectives() -> tuple[TiedAutoencoder, Any]:
    """The network minimises more than its error."""
    X = bent_rows(60)
    estimator = TiedAutoencoder(
        hidden_layer_sizes=6,
        activation="elu",
        noise=0.1,
        sparsity=1e-3,
        weight_decay=1e-4,
        max_iter=5,
        trim=False,
        random_state=0,
    )
    return estimator.fit(X), X


FITTED: dict[str, Callable[[], tuple[TiedAutoencoder, Any]]] = {
    "missing": missing,
    "imputation": imputation,
    "pca": pca,
    "encoder": encoder,
    "deep": deep,
    "partial": partial,
    "objectives": objectives,
}
"""By kind: an estimator that has been trained, and its rows."""


def results(estimator: TiedAutoencoder, X: Any) -> dict[str, Any]:
    """What an estimator gives for some rows, and what it has learned."""
    codes = estimator.transform(X)
    assert np.abs(estimator.decision_function(X)).min() > MARGIN
    return {
        "rows": np.asarray(X),
        "transform": codes,
        "inverse_transform": estimator.inverse_transform(codes),
        "reconstruct": estimator.reconstruct(X),
        "reconstruction_error": estimator.reconstruction_error(X),
        "reconstruction_error_per_feature": estimator.reconstruction_error(
            X, per_feature=True
        ),
        "score_samples": estimator.score_samples(X),
        "predict": estimator.predict(X),
        "score": estimator.score(X),
        **{name: getattr(estimator, name) for name in LEARNED},
    }


def run(folder: Path, command: str) -> None:
    """Run the command in a folder, so that the file notes no path of this machine."""
    subprocess.run(
        [sys.executable, "-m", "keras_tied", *command.split()],
        cwd=folder,
        check=True,
    )


def write_text(folder: Path) -> None:
    """Write what the command makes of a table."""
    (folder / "text.csv").write_text(text_table())
    for command in (FIT, *COMMANDS.values()):
        run(folder, command)
    columns = Columns.from_json(read(folder / "text.safetensors").fitted.columns_json)
    (batch,) = open_table(str(folder / "text.csv"), text=columns.text).batches()
    X = columns.encode(batch)
    np.savez_compressed(
        folder / "text.npz",
        **results(TiedAutoencoder.load(folder / "text.safetensors"), X),
    )


def write(folder: Path) -> None:
    """Write the files of all kinds."""
    folder.mkdir(parents=True)
    write_text(folder)
    for kind, fit in FITTED.items():
        estimator, X = fit()
        estimator.save(
            folder / f"{kind}{'.keras' if kind == 'encoder' else '.safetensors'}"
        )
        np.savez_compressed(folder / f"{kind}.npz", **results(estimator, X))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
