"""Trains Keras models with many epochs compiled into one program."""

from keras_tied.training.loop import Watcher, fit

__all__ = ["Watcher", "fit"]
