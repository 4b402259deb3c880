"""The 2017 article "Autoencoder in Keras": its data, networks, training and figure."""

from keras_tied.article._donuts import make_correlated_donuts, prepare
from keras_tied.article._experiment import (
    Experiment,
    build_model,
    run,
    run_from_pca,
    split,
)
from keras_tied.article._figure import draw
from keras_tied.article._numpy import NumpyDescent, Weights, loss_and_gradient
from keras_tied.article._pytensor import PyTensorDescent

__all__ = [
    "Experiment",
    "NumpyDescent",
    "PyTensorDescent",
    "Weights",
    "build_model",
    "draw",
    "loss_and_gradient",
    "make_correlated_donuts",
    "prepare",
    "run",
    "run_from_pca",
    "split",
]
