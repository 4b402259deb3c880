"""Trains Keras models with many epochs compiled into one program."""

from keras_tied.training._callbacks import CountUnits, Watcher
from keras_tied.training._fit import fit
from keras_tied.training._interrupts import interrupts
from keras_tied.training.lbfgs import LBFGS

__all__ = [
    "LBFGS",
    "CountUnits",
    "Watcher",
    "fit",
    "interrupts",
]
