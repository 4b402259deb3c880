"""A code of which the largest numbers of a whole batch remain."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_tied")
class BatchTopK(keras.Layer):
    r"""Keeps the `k` times as many largest positive numbers of a batch as it has rows.

    In training, of a batch of n rows, the `k * n` largest numbers are kept, if they are
    positive, and the others become 0 (Bussmann et al., "BatchTopK sparse autoencoders",
    2024, arXiv 2412.06410): a row that is hard to describe may use more units than
    another. In inference, a row does not depend on others: numbers above `threshold`
    are kept, the running mean of the least
    number that was kept in each batch of training, and before training those above 0.

    Input and output shape: `(batch, ..., units)`, in the layer's compute dtype. Of more
    axes, each
    place counts as a row.

    Args:
        k: how many numbers are kept for each row, on average, from 1 to `units`.
        momentum: of the running mean. Defaults to 0.99.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Raises:
        ValueError: if `k` is not an integer from 1 to `units`, or `momentum` not from 0
            to 1.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import BatchTopK
        >>> rows = keras.ops.array([[5.0, 4.0, -1.0], [3.0, 2.0, 1.0]])
        >>> keras.ops.convert_to_numpy(BatchTopK(1)(rows, training=True)).tolist()
        [[5.0, 4.0, 0.0], [0.0, 0.0, 0.0]]
    """

    def __init__(self, k: int, momentum: float = 0.99, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(k, int) or k < 1:
            raise ValueError(
                f"BatchTopK '{self.name}' takes as k a number of units, an integer from"
                f" 1 on; received k={k!r}."
            )
        if not 0 <= momentum <= 1:
            raise ValueError(
                f"BatchTopK '{self.name}' takes a momentum from 0 to 1; received "
                f"momentum={momentum!r}."
            )
        self.k, self.momentum = k, momentum
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        units = input_shape[-1]
        if units is None or self.k > units:
            raise ValueError(
                f"BatchTopK '{self.name}' keeps k={self.k} numbers a row along the last"
                f" axis; received an input of shape {tuple(input_shape)}: feed it codes"
                f" of {self.k} or more units, or choose a smaller k."
            )
        self.threshold = self.add_weight((), "zeros", trainable=False, name="threshold")

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        if not training:
            least = ops.cast(self.threshold, inputs.dtype)
            return ops.where(inputs <= least, ops.zeros_like(inputs), inputs)
        numbers = ops.reshape(inputs, (-1,))
        kept = self.k * (ops.shape(numbers)[0] // inputs.shape[-1])
        least = ops.min(ops.top_k(ops.stop_gradient(numbers), kept, sorted=False)[0])
        least = ops.maximum(least, 0)
        before, new = self.threshold, ops.cast(least, self.threshold.dtype)
        mean = self.momentum * before + (1 - self.momentum) * new
        before.assign(
            ops.where(ops.equal(before, 0), new, mean)
        )  # the first batch sets it
        drop = ops.logical_or(inputs < least, inputs <= 0)  # not NaN, which must show
        return ops.where(drop, ops.zeros_like(inputs), inputs)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k, "momentum": self.momentum}
