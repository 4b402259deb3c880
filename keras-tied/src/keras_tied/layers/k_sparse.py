"""A code of which only the largest numbers remain."""

from typing import Any

import keras
from keras import ops

from keras_tied._serializable import serializable
from keras_tied._types import Shape
from keras_tied.layers._code_layer import CodeLayer, check_count, check_width


@serializable
class KSparse(CodeLayer):
    r"""Keeps the `k` largest numbers of each code and sets the others to 0.

    $$y_j = \begin{cases}
        x_j & \text{if } x_j \text{ is among the } k \text{ largest of } x \\
        0 & \text{otherwise} \end{cases}$$

    Put behind a linear encoder, it makes a k-sparse autoencoder (Makhzani & Frey,
    "k-sparse autoencoders", 2013, arXiv 1312.5663). The largest numbers are kept, not
    those of largest magnitude; of equal numbers, those that come first. The gradient
    flows through the numbers that are kept. In inference, `round(alpha * k)` are kept:
    the paper finds that somewhat more than in training make better features. Input and
    output are `(batch, ..., units)`, in the compute dtype.

    Args:
        k: how many numbers of a code are kept in training, from 1 to `units`.
        alpha: how many times as many are kept in inference, at most all. Defaults to 1.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Raises:
        ValueError: if `k` is not an integer from 1 to `units`, or `round(alpha * k)`
            below 1.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import KSparse
        >>> kept = KSparse(2)(keras.ops.array([[0.5, -3.0, 2.0, 1.0]]))
        >>> keras.ops.convert_to_numpy(kept).tolist()
        [[0.0, 0.0, 2.0, 1.0]]
    """

    SETTINGS = ("k", "alpha")

    def __init__(self, k: int, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_count(self, "k", k)
        if not round(alpha * k) >= 1:
            raise ValueError(
                f"KSparse '{self.name}' would keep round(alpha * k) ="
                f" {round(alpha * k)} numbers in inference; received k={k} and"
                f" alpha={alpha!r}: an alpha of 1 or somewhat more is usual."
            )
        self.k = k
        self.alpha = alpha

    def build(self, input_shape: Shape) -> None:
        check_width(self, self.k, input_shape)
        axes = {-1: input_shape[-1]}
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes=axes)

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        units = inputs.shape[-1]
        count = self.k
        if not training:
            count = min(round(self.alpha * self.k), units)
        # Not the last of them, for which XLA sorts all on a CPU.
        largest, _ = ops.top_k(inputs, count)
        least = ops.min(largest, axis=-1, keepdims=True)
        larger = ops.cast(inputs > least, "int32")
        room = count - ops.sum(larger, axis=-1, keepdims=True)
        equal = inputs == least
        rank = ops.cumsum(ops.cast(equal, "int32"), axis=-1)
        later = ops.logical_and(equal, rank > room)
        drop = ops.logical_or(inputs < least, later)  # not NaN, which must show
        return ops.where(drop, ops.zeros_like(inputs), inputs)
