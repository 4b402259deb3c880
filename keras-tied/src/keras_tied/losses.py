"""Losses for autoencoders."""

from typing import Any

import keras
from keras import ops

from keras_tied._serializable import serializable


@serializable
class NanMeanSquaredError(keras.losses.Loss):
    r"""Mean squared error that leaves out what is missing in the target.

    $$\mathrm{loss}(y, \hat y) = \frac{1}{d}
        \sum_{j:\; y_j \text{ is not NaN}} (y_j - \hat y_j)^2$$

    The sum is divided by the number of all features, `d`: each present number has the
    same weight, however many its row lacks. Without a NaN this is Keras's
    `MeanSquaredError`.

    Args:
        reduction, name, dtype: as in `keras.losses.Loss`.

    Examples:
        >>> import numpy as np
        >>> from keras_tied.losses import NanMeanSquaredError
        >>> y = np.array([[1.0, np.nan], [0.0, 2.0]])
        >>> float(NanMeanSquaredError()(y, np.zeros((2, 2))))
        1.25
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "nan_mean_squared_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_pred = ops.convert_to_tensor(y_pred)
        y_true = ops.cast(y_true, y_pred.dtype)
        # What is missing counts as predicted: it has no loss, and a gradient of 0.
        present = ops.where(ops.isnan(y_true), y_pred, y_true)
        return ops.mean(ops.square(y_pred - present), axis=-1)
