"""A code of which only the largest numbers remain."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_tied")
class KSparse(keras.Layer):
    r"""Keeps the `k` largest numbers of each code and sets the others to 0.

    $$y_j = \begin{cases} x_j & \text{if } x_j \text{ is among the } k \text{ largest of } x \\
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

    def __init__(self, k: int, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(k, int) or k < 1:
            raise ValueError(
                f"KSparse '{self.name}' takes as k a number of units, an integer from 1"
                f" on; received k={k!r}."
            )
        if not round(alpha * k) >= 1:
            raise ValueError(
                f"KSparse '{self.name}' would keep round(alpha * k) ="
                f" {round(alpha * k)} numbers in inference; received k={k} and"
                f" alpha={alpha!r}: an alpha of 1 or somewhat more is usual."
            )
        self.k, self.alpha = k, alpha
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        units = input_shape[-1]
        if units is None or self.k > units:
            raise ValueError(
                f"KSparse '{self.name}' keeps the k={self.k} largest numbers along the"
                f" last axis; received an input of shape {tuple(input_shape)}: feed it"
                f" codes of {self.k} or more units, or choose a smaller k."
            )
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: units})

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        kept = self.k if training else min(round(self.alpha * self.k), inputs.shape[-1])
        # Not the last of them, for which XLA sorts all on a CPU.
        least = ops.min(ops.top_k(inputs, kept)[0], axis=-1, keepdims=True)
        larger, equal = inputs > least, inputs == least
        room = kept - ops.sum(ops.cast(larger, "int32"), axis=-1, keepdims=True)
        first = ops.cumsum(ops.cast(equal, "int32"), axis=-1) <= room
        later = ops.logical_and(equal, ops.logical_not(first))
        drop = ops.logical_or(inputs < least, later)  # not NaN, which must show
        return ops.where(drop, ops.zeros_like(inputs), inputs)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k, "alpha": self.alpha}
