"""Reconstruction of rows held out, on tables on which no setting was chosen."""

from functools import partial
from pkgutil import resolve_name
from typing import NamedTuple

import numpy as np

from benchmarks._case import (
    MEMORY,
    SECONDS,
    Array,
    Measure,
    System,
)
from benchmarks.cases._arrays import change_each, find_rows, read_bundled, sample

TITLE = "Reconstruction of tables"
TEXT = """
Each table (at most 1,000 rows) is split 70/30 and scaled, with another split in each turn. All
systems learn from the larger part, with a quarter as many components as features and their default
settings else, and reconstruct the rows held out. The *error* is the mean squared one, 1 for the
mean of the columns. *Seconds* are those of the fit and the reconstruction. UMAP's inverse takes 2
or 3 components here, and is compared on those tables alone.
"""
CHOSEN_ON = """
No setting was chosen on these tables; layers, activations and the learning rate were chosen on ten
others of ADBench and six small ones, the size of batches, the number of steps and the weight decay
on a hundred of R's, made ones and MNIST's images. Without `--data`, the tables are scikit-learn's
own, of which some had a part.
"""
MEASURES = {"error": Measure("error"), "seconds": SECONDS, "memory": MEMORY}
PICTURE = ["error", "seconds"]
ADBENCH = "breastw fault letter pendigits shuttle thyroid celeba http mnist WPBC"
QUIET = {"enable_progress_bar": False, "logger": False, "enable_checkpointing": False}
BUNDLED = "breast_cancer linnerud digits wine diabetes iris".split()


class Task(NamedTuple):
    train: Array
    test: Array
    width: int
    seed: int


def prepare(options):
    tables = find_rows(options, ADBENCH)
    bundled = BUNDLED[:2] if tables else BUNDLED
    tables |= {name: partial(read_bundled, name) for name in bundled}
    return change_each(split, tables, options.seed)


def split(load, seed):
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    X = load()
    X = X[sample(X, 1000)]
    train, test = train_test_split(X, test_size=0.3, random_state=seed)
    scaler = StandardScaler().fit(train)
    width = max(1, X.shape[1] // 4)
    return Task(scaler.transform(train), scaler.transform(test), width, seed)


def measure(task, reconstruction, seconds):
    assert reconstruction.shape == task.test.shape
    assert np.isfinite(reconstruction).all()
    of_rows = np.mean((reconstruction - task.test) ** 2, axis=1)
    return {"error": of_rows.mean(), "median": np.median(of_rows)}


def run_ours(task):
    from tied_tables import TiedAutoencoder

    model = TiedAutoencoder(task.width, random_state=task.seed).fit(task.train)
    return model.reconstruct(task.test)


def run_transformer(path, settings, task):
    settings = settings | {"n_components": task.width, "random_state": task.seed}
    model = resolve_name(path)(**settings).fit(task.train)
    return model.inverse_transform(model.transform(task.test))


def run_umap(task):
    if not 2 <= task.width <= 3:
        raise NotImplementedError("its inverse_transform triangulates the codes")
    return run_transformer("umap.UMAP", {"n_jobs": 1}, task)


def run_mlp(task):
    from sklearn.neural_network import MLPRegressor

    units = min(max(64, 2 * task.train.shape[1]), 512)
    network = MLPRegressor(
        hidden_layer_sizes=(units, task.width, units),
        activation="tanh",
        early_stopping=True,
        random_state=task.seed,
    )
    rows = network.fit(task.train, task.train).predict(task.test)
    return rows.reshape(task.test.shape)


def run_pyod(task):
    import torch
    from pyod.models.auto_encoder import AutoEncoder

    detector = AutoEncoder(
        hidden_neuron_list=[64, task.width],
        preprocessing=False,
        random_state=task.seed,
        verbose=0,
    )
    detector.fit(task.train.astype("f"))
    detector.model.eval()
    with torch.no_grad():
        rows = torch.as_tensor(task.test.astype("f"), device=detector.device)
        return detector.model(rows).cpu().numpy()


def run_encdr(task):
    from encdr import ENCDR

    model = ENCDR(
        latent_dim=task.width,
        random_state=task.seed,
        trainer_kwargs=QUIET,
    )
    return model.fit(task.train.astype("f")).predict(task.test.astype("f"))


RBF = {"kernel": "rbf", "fit_inverse_transform": True}
run_pca = partial(run_transformer, "sklearn.decomposition.PCA", {})
run_kernel_pca = partial(run_transformer, "sklearn.decomposition.KernelPCA", RBF)
SYSTEMS = {
    "TiedAutoencoder": System(run_ours, "tied_tables.estimator", ours=True),
    "PCA": System(run_pca, "sklearn.decomposition"),
    "KernelPCA, rbf": System(run_kernel_pca, "sklearn.decomposition"),
    "MLPRegressor": System(run_mlp, "sklearn.neural_network"),
    "UMAP": System(run_umap, "umap", repeats=2),
    "PyOD AutoEncoder": System(run_pyod, "torch pyod.models.auto_encoder"),
    "ENCDR": System(run_encdr, "encdr", repeats=2),
}
