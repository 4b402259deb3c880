"""The losses of training, for the pictures."""

from __future__ import annotations

from typing import Any


def find_history(estimator: Any) -> dict[str, list[float]]:
    """Return the losses by epoch, named as those of `keras.callbacks.History`.

    There are none where the model is PCA: a network that was rejected has losses too.

    Args:
        estimator: a fitted `TiedAutoencoder`, or an object with some of its attributes.

    Examples:
        >>> from types import SimpleNamespace
        >>> find_history(SimpleNamespace(is_pca_=False, loss_curve_=[0.5, 0.4]))
        {'loss': [0.5, 0.4], 'val_loss': []}
    """
    if getattr(estimator, "is_pca_", False):
        return {}
    return {
        "loss": list(getattr(estimator, "loss_curve_", [])),
        "val_loss": list(getattr(estimator, "validation_curve_", [])),
    }
