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
METHODS = (
    "transform reconstruct reconstruction_error score_samples predict score".split()
)
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
        length = f"{size**2 + 0.1 * rng.normal():.3f}"
        ripe = ("true", "false")[int(size > 0)]
        taste = ("good", "bad")[rng.integers(2)]
        day = f"2026-01-{1 + row % 28:02}"
        count = round(10 * size)
        lines.append(f"{row:04},{kind},{weight},{length},{count},{ripe},{day},{taste}")
    return "\n".join(lines) + "\n"


def bent_rows(n: int) -> np.ndarray:
    """Rows of 5 numbers on a bent surface, with noise, that a network restores better
    than PCA.
    """
    rng = np.random.default_rng(1)
    z = rng.normal(size=(n, 2))
    surface = np.column_stack([z, z**2, z.prod(axis=1)])
    return surface + 0.05 * rng.normal(size=(n, 5))


def rows_with_gaps(n: int) -> np.ndarray:
    """Such rows, of which a fifth of the numbers is missing."""
    X = bent_rows(n)
    X[np.random.default_rng(2).uniform(size=X.shape) < 0.2] = np.nan
    return X


def frame_with_gaps() -> pandas.DataFrame:
    return pandas.DataFrame(rows_with_gaps(60), columns=list("abcde"))


def rows_with_classes() -> np.ndarray:
    """Rows of which the first column is one of three classes."""
    X = bent_rows(60)
    X[:, 0] = np.digitize(X[:, 0], [-0.4, 0.4])
    return X


def images() -> np.ndarray:
    uniform = np.random.default_rng(3).uniform(size=(2, 30, 5))
    return np.einsum("ni,nj->nij", *uniform).reshape(30, -1)


def make_encoder() -> keras.Model:
    """An encoder of the user's own, of images."""
    return keras.Sequential(
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


ALL_ROWS = {"early_stopping": False, "trim": False}
SETTINGS: dict[str, dict[str, Any]] = {
    "text": {
        "hidden_layer_sizes": (6,),
        "max_iter": 30,
        "early_stopping": False,
    },
    # A normal distribution fills the gaps in.
    "missing": {"hidden_layer_sizes": 6, "max_iter": 20, **ALL_ROWS},
    # A network takes part in filling in, and numbers have pieces.
    "imputation": {"hidden_layer_sizes": (16, 16)},
    # There are too few rows for anything else.
    "pca": {"n_components": 0.7, "scaler": None},
    "encoder": {"max_iter": 9},
    "deep": {
        "hidden_layer_sizes": (8, 4),
        "activation": "silu",
        "scaler": "minmax",
        "weight_decay": 1e-4,
        "max_iter": 40,
        **ALL_ROWS,
    },
    # Training may go on, so the file keeps the state of Nadam.
    "partial": {"hidden_layer_sizes": 6, "batch_size": 15},
    # The network minimises more than its error.
    "objectives": {
        "hidden_layer_sizes": 6,
        "activation": "elu",
        "noise": 0.1,
        "sparsity": 1e-3,
        "weight_decay": 1e-4,
        "max_iter": 5,
        "trim": False,
    },
    # Classes have probabilities.
    "classes": {
        "hidden_layer_sizes": 6,
        "categorical_features": (0,),
        "sparsity": 1e-6,
        "max_iter": 20,
        "trim": False,
    },
}
"""By kind: the parameters, but for the seed and the encoder."""
ROWS = {
    "missing": frame_with_gaps,
    "imputation": lambda: rows_with_gaps(900),
    "pca": lambda: bent_rows(30),
    "encoder": images,
    "deep": lambda: bent_rows(80).astype(np.float32),
    "partial": lambda: bent_rows(120),
    "objectives": lambda: bent_rows(60),
    "classes": rows_with_classes,
}
"""By kind: a function that makes the rows; those of `text` are in a table."""


def name_file(kind: str) -> str:
    return f"{kind}.keras" if kind == "encoder" else f"{kind}.safetensors"


def fit(kind: str) -> TiedAutoencoder:
    """An estimator that has been trained."""
    estimator = TiedAutoencoder(random_state=0, **SETTINGS[kind])
    X = ROWS[kind]()
    if kind == "partial":
        for batch in np.split(X, 2):
            estimator.partial_fit(batch)
        return estimator
    if kind == "encoder":
        estimator.set_params(encoder=make_encoder())
    return estimator.fit(X)


def results(estimator: TiedAutoencoder, X: Any) -> dict[str, Any]:
    """What an estimator gives for some rows, and what it has learned."""
    of_rows = {name: getattr(estimator, name)(X) for name in METHODS}
    codes = of_rows["transform"]
    return {
        **of_rows,
        "inverse_transform": estimator.inverse_transform(codes),
        "reconstruction_error_per_feature": estimator.reconstruction_error(
            X, per_feature=True
        ),
        **{name: getattr(estimator, name) for name in LEARNED},
    }


def write_results(folder: Path, kind: str, estimator: TiedAutoencoder, X: Any) -> None:
    assert np.abs(estimator.decision_function(X)).min() > MARGIN
    np.savez_compressed(
        folder / f"{kind}.npz", rows=np.asarray(X), **results(estimator, X)
    )


def write_text(folder: Path) -> None:
    """Write what the command makes of a table, in the folder itself: so the file notes
    no path of this machine.
    """
    (folder / "text.csv").write_text(text_table())
    for command in (FIT, *COMMANDS.values()):
        arguments = [sys.executable, "-m", "keras_tied", *command.split()]
        subprocess.run(arguments, cwd=folder, check=True)
    file = folder / name_file("text")
    columns = Columns.from_json(read(file).fitted.columns_json)
    (batch,) = open_table(str(folder / "text.csv"), text=columns.text).batches()
    X = columns.encode(batch)
    write_results(folder, "text", TiedAutoencoder.load(file), X)


def write(folder: Path) -> None:
    """Write the files of all kinds."""
    folder.mkdir(parents=True)
    write_text(folder)
    for kind, make_rows in ROWS.items():
        estimator = fit(kind)
        estimator.save(folder / name_file(kind))
        rows = make_rows()
        write_results(folder, kind, estimator, rows[:40] if len(rows) > 120 else rows)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
