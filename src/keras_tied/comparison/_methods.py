"""The methods that are compared, each imported when it is used."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPRegressor

from keras_tied._interrupts import interrupts
from keras_tied._types import Array
from keras_tied.estimator import TiedAutoencoder

Reconstruct = Callable[[Array, Array], Array]
"""Learns from the first rows, and reconstructs the second."""

UNITS, MOST_UNITS = 64, 512
MOST_FOR_UMAP = 3


def list_methods(n_components: int, seed: int) -> dict[str, Callable[[], Reconstruct]]:
    """Return the installed methods; each is imported when it is called."""
    methods: dict[str, Callable[[], Reconstruct]] = {
        "tied autoencoder": lambda: partial(_reconstruct_tied, n_components, seed),
        "PCA": lambda: partial(transform_back, PCA(n_components, random_state=seed)),
        "MLPRegressor": lambda: partial(_reconstruct_mlp, n_components, seed),
        "UMAP": lambda: _make_umap(n_components, seed),
        "PyOD AutoEncoder": lambda: _make_pyod(n_components, seed),
    }
    modules = {"UMAP": "umap", "PyOD AutoEncoder": "pyod"}
    missing = {name for name, module in modules.items() if find_spec(module) is None}
    return {name: make for name, make in methods.items() if name not in missing}


def transform_back(transformer: Any, train: Array, test: Array) -> Array:
    """Reconstruct rows by a scikit-learn transformer, which is cloned."""
    if not hasattr(transformer, "inverse_transform"):
        raise TypeError("it has no inverse_transform, which would reconstruct rows")
    model = clone(transformer).fit(_impute_means(train))
    return np.asarray(model.inverse_transform(model.transform(_impute_means(test))))


def fit_autoencoder(n_components: int, seed: int, train: Array) -> TiedAutoencoder:
    """Fit an autoencoder to some rows; Ctrl-C raises."""
    estimator = TiedAutoencoder(n_components, random_state=seed)
    with interrupts() as is_interrupted:
        estimator.fit(train)
    if is_interrupted():
        raise KeyboardInterrupt
    return estimator


def _reconstruct_tied(n_components: int, seed: int, train: Array, test: Array) -> Array:
    return np.asarray(fit_autoencoder(n_components, seed, train).reconstruct(test))


def _reconstruct_mlp(n_components: int, seed: int, train: Array, test: Array) -> Array:
    units = min(max(UNITS, 2 * train.shape[1]), MOST_UNITS)
    network = MLPRegressor(
        hidden_layer_sizes=(units, n_components, units),
        activation="tanh",
        early_stopping=True,
        random_state=seed,
    )
    rows = _impute_means(train)
    return np.asarray(network.fit(rows, rows).predict(_impute_means(test)))


def _make_umap(n_components: int, seed: int) -> Reconstruct:
    if n_components > MOST_FOR_UMAP:
        raise ValueError(
            f"its inverse_transform triangulates the codes, for at most {MOST_FOR_UMAP} components"
        )
    from umap import UMAP

    return partial(transform_back, UMAP(n_components=n_components, random_state=seed, n_jobs=1))


def _make_pyod(n_components: int, seed: int) -> Reconstruct:
    import torch
    from pyod.models.auto_encoder import AutoEncoder

    def reconstruct(train: Array, test: Array) -> Array:
        settings = {"preprocessing": False, "random_state": seed, "verbose": 0}
        detector = AutoEncoder(hidden_neuron_list=[UNITS, n_components], **settings)
        detector.fit(_impute_means(train).astype(np.float32))
        detector.model.eval()
        rows = torch.as_tensor(_impute_means(test).astype(np.float32), device=detector.device)
        with torch.no_grad():
            return np.asarray(detector.model(rows).cpu().numpy())

    return reconstruct


def _impute_means(rows: Array) -> Array:
    """Replace missing values by the mean, which is 0 here."""
    return np.nan_to_num(rows, nan=0.0)
