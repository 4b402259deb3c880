"""Trains Keras models with many epochs compiled into one program."""

from keras_tied.training._callbacks import Watcher, interrupts
from keras_tied.training.lbfgs import LBFGS
from keras_tied.training.loop import fit

__all__ = ["LBFGS", "Watcher", "fit", "interrupts"]
