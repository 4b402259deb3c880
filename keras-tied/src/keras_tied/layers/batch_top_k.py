"""A code of which the largest numbers of a whole batch remain."""

from typing import Any

from keras import ops

from keras_tied._serializable import serializable
from keras_tied._types import Shape
from keras_tied.layers._code_layer import CodeLayer, check_count, check_width


@serializable
class BatchTopK(CodeLayer):
    r"""Keeps the `k` times as many largest positive numbers of a batch as it has rows.

    In training, of a batch of n rows, the `k * n` largest numbers are kept, if they are
    positive, and the others become 0 (Bussmann et al., "BatchTopK sparse autoencoders",
    2024, arXiv 2412.06410): a row that is hard to describe may use more units than
    another. In inference, a row does not depend on others: numbers above `threshold`
    are kept, the running mean of the least number that was kept in each batch of
    training, and before training those above 0.

    Input and output shape: `(batch, ..., units)`, in the layer's compute dtype. Of more
    axes, each place counts as a row.

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

    SETTINGS = ("k", "momentum")

    def __init__(
        self,
        k: int,
        momentum: float = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_count(self, "k", k)
        if not 0 <= momentum <= 1:
            raise ValueError(
                f"BatchTopK '{self.name}' takes a momentum from 0 to 1; received "
                f"momentum={momentum!r}."
            )
        self.k = k
        self.momentum = momentum

    def build(self, input_shape: Shape) -> None:
        check_width(self, self.k, input_shape)
        self.threshold = self.add_weight((), "zeros", trainable=False, name="threshold")

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        zeros = ops.zeros_like(inputs)
        if not training:
            drop = inputs <= ops.cast(self.threshold, inputs.dtype)
            return ops.where(drop, zeros, inputs)
        numbers = ops.reshape(ops.stop_gradient(inputs), (-1,))
        count = ops.shape(numbers)[0]
        n_rows = count // inputs.shape[-1]
        largest, _ = ops.top_k(numbers, self.k * n_rows, sorted=False)
        least = ops.maximum(ops.min(largest), 0)
        # The least that is kept is positive.
        kept = ops.where(largest > 0, largest, ops.max(largest))
        new = ops.cast(ops.maximum(ops.min(kept), 0), self.threshold.dtype)
        mean = self.momentum * self.threshold + (1 - self.momentum) * new
        is_first = ops.equal(self.threshold, 0)
        self.threshold.assign(ops.where(is_first, new, mean))
        drop = ops.logical_or(inputs < least, inputs <= 0)  # not NaN, which must show
        return ops.where(drop, zeros, inputs)
