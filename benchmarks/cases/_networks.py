"""MNIST's images, and the deep network that several cases train on them."""

import gzip
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._case import Options

WIDTHS = 1000, 500, 250, 30
SMALL_WIDTHS = 100, 50, 10  # for scikit-learn's digits, which take the place of MNIST


def read_images(folder: Path, part: str) -> np.ndarray:
    """The images of a part of MNIST, "train" or "t10k", in [0, 1], `(rows, 784)`."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        raw = file.read()
    return (
        np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784).astype("float32") / 255
    )


def load_images(options: Options, n: int, n_test: int) -> tuple[np.ndarray, np.ndarray]:
    """Training and test images: MNIST's where `--data` has them, else scikit-learn's digits."""
    folder = options.data / "mnist" if options.data else None
    if folder and folder.exists():
        return read_images(folder, "train")[:n], read_images(folder, "t10k")[:n_test]
    from sklearn.datasets import load_digits

    X = (load_digits().data / 16).astype("float32")
    return X[:-360][:n], X[-360:]


def get_widths(features: int) -> tuple[int, ...]:
    return WIDTHS if features == 784 else SMALL_WIDTHS


def make_network(features: int, policy: str, seed: int) -> Any:
    """The tied network, SiLU and gains, as `keras_tied.Autoencoder`."""
    import keras_tied

    # isort: split
    import keras

    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(policy)
    *hidden, width = get_widths(features)
    stack = [
        *(keras.layers.Dense(units, "silu") for units in hidden),
        keras.layers.Dense(width),
    ]
    encoder = keras.Sequential([keras.Input((features,)), *stack])
    decoder = keras_tied.mirror(encoder, output_activation="sigmoid")
    autoencoder = keras_tied.Autoencoder(encoder, decoder)
    keras.config.set_dtype_policy("float32")
    return autoencoder


def make_torch_network(features: int, seed: int) -> tuple[list, Any]:
    """The weights of the same network in PyTorch, and its function."""
    import torch

    torch.manual_seed(seed)
    widths = (features, *get_widths(features))
    kernels = [torch.empty(shape) for shape in pairwise(widths)]
    for kernel in kernels:
        torch.nn.init.xavier_uniform_(kernel)
    biases = [torch.zeros(width) for width in widths[1:]]
    gains = [torch.ones(width) for width in widths[1:]]
    output_biases = [torch.zeros(width) for width in widths[:-1]]
    weights = [*kernels, *biases, *gains, *output_biases]
    for weight in weights:
        weight.requires_grad_()
    silu = torch.nn.functional.silu

    def reconstruct(x: torch.Tensor) -> torch.Tensor:
        for level, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
            x = x @ kernel + bias
            x = silu(x) if level < len(kernels) - 1 else x
        for level in reversed(range(len(kernels))):
            x = (x * gains[level]) @ kernels[level].T + output_biases[level]
            x = silu(x) if level else torch.sigmoid(x)
        return x

    return weights, reconstruct
