"""The losses by epoch of a fitted estimator."""

from typing import Any

CURVES = {"loss": "loss_curve_", "val_loss": "validation_curve_"}
"""Keras's name of a loss, and the estimator's."""


def collect_history(estimator: Any) -> dict[str, list[float]]:
    """Return the losses by epoch under Keras's names, and none of a network that was rejected.

    `estimator` is any object with learned attributes of `TiedAutoencoder`.
    """
    if getattr(estimator, "is_pca_", False):
        return {}
    curves = {key: getattr(estimator, name, None) for key, name in CURVES.items()}
    return {key: list(curve) for key, curve in curves.items() if curve is not None}
