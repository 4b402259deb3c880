"""The losses by epoch of a fitted estimator."""

from typing import Any

CURVES = {"loss": "loss_curve_", "val_loss": "validation_curve_"}
"""Keras's name of a loss, and the estimator's."""


def collect_history(estimator: Any) -> dict[str, list[float]]:
    """Return the losses by epoch under Keras's names, and none of a network that was rejected.

    Args:
        estimator: any object with learned attributes of `TiedAutoencoder`.

    Examples:
        >>> from types import SimpleNamespace
        >>> collect_history(SimpleNamespace(is_pca_=False, loss_curve_=[0.2, 0.1]))
        {'loss': [0.2, 0.1]}
        >>> collect_history(SimpleNamespace(is_pca_=True, loss_curve_=[0.2, 0.1]))
        {}
    """
    if getattr(estimator, "is_pca_", False):
        return {}
    curves = {key: getattr(estimator, name, None) for key, name in CURVES.items()}
    return {key: list(curve) for key, curve in curves.items() if curve is not None}
