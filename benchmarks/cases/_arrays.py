"""Rows of numbers that several cases take. Imports nothing that takes much memory."""

import gzip
from functools import partial
from pathlib import Path

import numpy as np


def list_paths(options, folder="ADBench"):
    """ADBench's or OddBench's tables of `--data`, by name."""
    paths = sorted(Path(options.data, folder.lower()).glob("*.npz"))
    return {path.stem.lstrip("_0123456789"): path for path in paths}


def find_rows(options, names):
    """The rows of some of ADBench's tables, where `--data` has them."""
    chosen = names.split()
    paths = list_paths(options).items()
    return {name: partial(read_rows, path) for name, path in paths if name in chosen}


def read_rows(path):
    rows, _ = read_labelled(path)
    return rows


def read_labelled(path):
    """Rows, and labels, 1 for an anomaly."""
    with np.load(path, allow_pickle=False) as file:
        return file["X"].astype(float), file["y"]


def read_bundled(name):
    from sklearn import datasets

    return np.asarray(getattr(datasets, f"load_{name}")().data, dtype=float)


def change_each(change, loaders, seed):
    """Loaders of the same tables, each changed by a function of its own loader and the seed."""
    return {name: partial(change, load, seed) for name, load in loaders.items()}


def sample(X, most, seed=0):
    """The places of at most so many rows, in random order."""
    return np.random.default_rng(seed).permutation(len(X))[:most]


def draw_curved(random, n_rows, n_hidden, n_columns):
    """Rows on a curved surface."""
    hidden = random.normal(size=(n_rows, n_hidden))
    mixing = random.normal(size=(n_hidden, n_columns))
    return np.tanh(hidden @ mixing).astype("float32")


def read_images(path):
    """The images of a file of MNIST in [0, 1], `(rows, 784)`."""
    content = gzip.decompress(path.read_bytes())
    pixels = np.frombuffer(content, np.uint8, offset=16)
    return pixels.reshape(-1, 784).astype("float32") / 255


def load_images(options, n, n_test):
    """Training and test images: MNIST's where `--data` has them, else scikit-learn's digits."""
    folder = Path(options.data, "mnist")
    if folder.exists():
        train = read_images(folder / "train-images-idx3-ubyte.gz")
        test = read_images(folder / "t10k-images-idx3-ubyte.gz")
        return train[:n], test[:n_test]
    from sklearn.datasets import load_digits

    X = (load_digits().data / 16).astype("float32")
    return X[:-360][:n], X[-360:]
