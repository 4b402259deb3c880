"""Write one small model file of each kind, and what it gives for some rows.

Run it only when the format of files changes on purpose, from the root of the
repository:

    python tied-tables/tests/pinned/make.py

`test_files.py` compares what the files give with the results beside them. For each kind
`files` has a model file and `KIND.npz`, the rows and the results; for `text`, which
`tied-tables fit` writes, also a table, and what the other commands make of it, as CSV.
The rows and the table are there already.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas

from tied_tables import TiedAutoencoder
from tied_tables.io import open_table
from tied_tables.model.file import read

FOLDER = Path(__file__).parent / "files"
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


ALL_ROWS = {"early_stopping": False, "trim": False}
SETTINGS = {
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
"""By kind: the parameters, but for the seed."""


def read_results(kind):
    """Some rows of a kind, and what its file gave for them."""
    with np.load(FOLDER / f"{kind}.npz") as stored:
        given = dict(stored)
    X = given.pop("rows")
    if kind == "missing":
        X = pandas.DataFrame(X, columns=list("abcde"))
    return X, given


def read_rows(kind):
    """The rows that a kind is fitted to, if they are not a table."""
    file = FOLDER / f"{kind}.npy"
    return np.load(file) if file.exists() else read_results(kind)[0]


def name_file(kind):
    return f"{kind}.safetensors"


def fit(kind):
    """An estimator that has been trained."""
    estimator = TiedAutoencoder(random_state=0, **SETTINGS[kind])
    X = read_rows(kind)
    if kind == "partial":
        for batch in np.split(X, 2):
            estimator.partial_fit(batch)
        return estimator
    return estimator.fit(X)


def results(estimator, X):
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


def write_results(kind, estimator, X):
    assert np.abs(estimator.decision_function(X)).min() > MARGIN
    file = FOLDER / f"{kind}.npz"
    np.savez_compressed(file, rows=np.asarray(X), **results(estimator, X))


def write_text():
    """Write what the command makes of the table, in its folder: so the file notes no
    path of this machine.
    """
    for command in (FIT, *COMMANDS.values()):
        arguments = [sys.executable, "-m", "tied_tables", *command.split()]
        subprocess.run(arguments, cwd=FOLDER, check=True)
    file = FOLDER / name_file("text")
    columns = read(file).model.columns
    table = open_table(str(FOLDER / "text.csv"), text=columns.text)
    (batch,) = table.batches()
    write_results("text", TiedAutoencoder.load(file), columns.encode(batch))


if __name__ == "__main__":
    write_text()
    for kind in list(SETTINGS)[1:]:
        estimator = fit(kind)
        estimator.save(FOLDER / name_file(kind))
        write_results(kind, estimator, read_rows(kind)[:120])
