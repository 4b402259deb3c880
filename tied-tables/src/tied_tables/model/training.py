"""What training has found besides the model, and where it can go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tied_tables._types import Array


class NadamState(NamedTuple):
    """What `partial_fit` goes on from."""

    averages: Array  # of the gradients of all weights, (n,) float32
    squares: Array  # the averages of their squares, (n,) float32
    step: int  # the number of steps taken


class Training(NamedTuple):
    """How a model was trained, and what it was trained on.

    A file has all but what is known after a fit alone: the last six.

    Attributes:
        n_iter: iterations of L-BFGS or passes of Nadam over the rows.
        is_pca: whether the network is PCA.
        loss_curve: the loss after each iteration or epoch.
        validation_curve: the errors on held-out rows, as long as `loss_curve`; empty
            without such rows.
        reconstruction_r2: the share of the variance of the training rows that is
            reconstructed.
        weight_decay: of the network.
        nadam: the state that `partial_fit` goes on from; None after `fit`.
        feature_r2: `reconstruction_r2` of each feature, `(d,)`.
        n_trimmed: the number of absurd values, for which the fit took medians.
        trimmed: the columns of these, by their names or places.
        empty: the columns without values, by their names or places.
        held_out_errors: the mean errors of the model and of PCA on rows that neither
            has learned from, if any were.
        interrupted: whether Ctrl-C ended training, and no caller reports it.
    """

    n_iter: int = 1
    is_pca: bool = False
    loss_curve: Sequence[float] = ()
    validation_curve: Sequence[float] = ()
    reconstruction_r2: float = 0.0
    weight_decay: float = 0.0
    nadam: NadamState | None = None
    feature_r2: Array | None = None
    n_trimmed: int = 0
    trimmed: Sequence[str | int] = ()
    empty: Sequence[str | int] = ()
    held_out_errors: tuple[float, float] | None = None
    interrupted: bool = False

    def select(self, features: Array) -> Training:
        """That on all features in another order."""
        if self.feature_r2 is None:
            return self
        return self._replace(feature_r2=self.feature_r2[features])
