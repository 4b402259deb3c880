"""Reconstruction of rows held out, on tables on which no setting was chosen."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks._case import MEMORY, SECONDS, Measure, Options, System, mean_square
from benchmarks.cases._tables import BUNDLED, find_adbench, read_bundled, sample

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
HOT = False
LIMIT = 900
NAMES = "breastw fault letter pendigits shuttle thyroid celeba http mnist WPBC"


class Task(NamedTuple):
    train: np.ndarray
    test: np.ndarray
    width: int
    seed: int


def prepare(options: Options) -> dict[str, Callable[[], Task]]:
    adbench = find_adbench(options, NAMES) if options.data else {}
    bundled = ("breast_cancer", "linnerud") if adbench else BUNDLED
    loaders = {n: lambda load=load: load()[0] for n, load in adbench.items()}
    loaders |= {name: partial(read_bundled, name) for name in bundled}
    names = list(loaders)[:: 4 if options.quick else 1]
    return {name: partial(split, loaders[name], options) for name in names}


def split(load: Callable[[], np.ndarray], options: Options) -> Task:
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    X = load()
    X = X[sample(X, 300 if options.quick else 1000)]
    train, test = train_test_split(X, test_size=0.3, random_state=options.seed)
    scaler = StandardScaler().fit(train)
    width = max(1, X.shape[1] // 4)
    return Task(scaler.transform(train), scaler.transform(test), width, options.seed)


def measure(
    task: Task, reconstruction: np.ndarray, seconds: dict[str, float]
) -> dict[str, float]:
    assert reconstruction.shape == task.test.shape
    assert np.isfinite(reconstruction).all()
    return {"error": mean_square(reconstruction - task.test)}


def make_ours() -> Callable[[Task], np.ndarray]:
    from keras_tied import TiedAutoencoder

    def run(task: Task) -> np.ndarray:
        model = TiedAutoencoder(task.width, random_state=task.seed).fit(task.train)
        return model.reconstruct(task.test)

    return run


def make_transformer(
    module: str, name: str, **settings: Any
) -> Callable[[Task], np.ndarray]:
    from importlib import import_module

    transformer = getattr(import_module(module), name)

    def run(task: Task) -> np.ndarray:
        if name == "UMAP" and not 2 <= task.width <= 3:
            raise NotImplementedError("its inverse_transform triangulates the codes")
        model = transformer(n_components=task.width, random_state=task.seed, **settings)
        model.fit(task.train)
        return model.inverse_transform(model.transform(task.test))

    return run


def make_mlp() -> Callable[[Task], np.ndarray]:
    from sklearn.neural_network import MLPRegressor

    def run(task: Task) -> np.ndarray:
        kind = {"activation": "tanh", "early_stopping": True, "random_state": task.seed}
        units = min(max(64, 2 * task.train.shape[1]), 512)
        network = MLPRegressor(hidden_layer_sizes=(units, task.width, units), **kind)
        return (
            network.fit(task.train, task.train)
            .predict(task.test)
            .reshape(task.test.shape)
        )

    return run


def make_pyod() -> Callable[[Task], np.ndarray]:
    import torch
    from pyod.models.auto_encoder import AutoEncoder

    def run(task: Task) -> np.ndarray:
        settings = {"preprocessing": False, "random_state": task.seed, "verbose": 0}
        detector = AutoEncoder(hidden_neuron_list=[64, task.width], **settings)
        detector.fit(task.train.astype("f"))
        detector.model.eval()
        with torch.no_grad():
            rows = torch.as_tensor(task.test.astype("f"), device=detector.device)
            return detector.model(rows).cpu().numpy()

    return run


def make_encdr() -> Callable[[Task], np.ndarray]:
    import logging

    from encdr import ENCDR

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    quiet = {
        "enable_progress_bar": False,
        "logger": False,
        "enable_checkpointing": False,
    }

    def run(task: Task) -> np.ndarray:
        model = ENCDR(
            latent_dim=task.width, random_state=task.seed, trainer_kwargs=quiet
        )
        return model.fit(task.train.astype("f")).predict(task.test.astype("f"))

    return run


KERNEL_PCA = {"kernel": "rbf", "fit_inverse_transform": True}
SYSTEMS = {
    "TiedAutoencoder": System(make_ours, ours=True),
    "PCA": System(partial(make_transformer, "sklearn.decomposition", "PCA")),
    "KernelPCA, rbf": System(
        partial(make_transformer, "sklearn.decomposition", "KernelPCA", **KERNEL_PCA)
    ),
    "MLPRegressor": System(make_mlp),
    "UMAP": System(
        partial(make_transformer, "umap", "UMAP", n_jobs=1), ("umap",), repeats=2
    ),
    "PyOD AutoEncoder": System(make_pyod, ("pyod", "torch")),
    "ENCDR": System(make_encdr, ("encdr",), repeats=2),
}
