"""A code of which a unit counts from a threshold on that it learns."""

import math
from typing import Any

import keras
from keras import ops

from keras_tied._serializable import serializable
from keras_tied._types import Shape
from keras_tied.layers._code_layer import CodeLayer


@serializable
class JumpReLU(CodeLayer):
    r"""Passes numbers above a learned threshold of each unit; the others become 0.

    $$y_j = x_j\,H(x_j - \theta_j)$$

    with the Heaviside step $H$ (Rajamanoharan et al., "Jumping ahead: improving
    reconstruction fidelity with JumpReLU sparse autoencoders", 2024, arXiv 2407.14435).
    A step has no gradient, so that of the threshold is estimated from the numbers near
    it:

    $$\frac{\partial y_j}{\partial \theta_j} \approx -\frac{\theta_j}{\varepsilon}
        \left[\,|x_j - \theta_j| < \tfrac{\varepsilon}{2}\right], \qquad
    \frac{\partial H(x_j - \theta_j)}{\partial \theta_j} \approx -\frac{1}{\varepsilon}
        \left[\,|x_j - \theta_j| < \tfrac{\varepsilon}{2}\right].$$

    Input and output shape: `(batch, ..., units)`, in the layer's compute dtype. Put
    behind a linear encoder, with `l0_coefficient`, it makes a sparse autoencoder that
    chooses by itself how many units describe a row.

    Args:
        threshold: the thresholds to begin with, above 0. Defaults to 0.001.
        bandwidth: $\varepsilon$, in the units of `x`: how near a number must be to move
            its threshold. Defaults to 0.001, for activations whose mean square is 1.
        l0_coefficient: factor of the penalty that is added to the loss, the number of
            units of a row that are not 0, averaged over the rows. Defaults to 0.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Raises:
        ValueError: if `threshold` or `bandwidth` is not positive, or `l0_coefficient`
            negative.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import JumpReLU
        >>> values = JumpReLU(threshold=1.0)(keras.ops.array([[-3.0, 0.5, 1.5]]))
        >>> keras.ops.convert_to_numpy(values).tolist()
        [[0.0, 0.0, 1.5]]
    """

    SETTINGS = ("threshold", "bandwidth", "l0_coefficient")

    def __init__(
        self,
        threshold: float = 0.001,
        bandwidth: float = 0.001,
        l0_coefficient: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not (threshold > 0 and bandwidth > 0 and l0_coefficient >= 0):
            raise ValueError(
                f"JumpReLU '{self.name}' takes a threshold and a bandwidth above 0 and"
                f" an l0_coefficient from 0 on; received threshold={threshold},"
                f" bandwidth={bandwidth} and l0_coefficient={l0_coefficient}."
            )
        self.threshold = threshold
        self.bandwidth = bandwidth
        self.l0_coefficient = l0_coefficient

    def build(self, input_shape: Shape) -> None:
        # Of the logarithm, as in the paper: a threshold stays positive.
        start = keras.initializers.Constant(math.log(self.threshold))
        units = input_shape[-1:]
        self.log_threshold = self.add_weight(units, start, name="log_threshold")

    def call(self, inputs: Any) -> Any:
        threshold = ops.exp(ops.cast(self.log_threshold, self.compute_dtype))
        is_closed = inputs <= threshold  # not of NaN, which must show
        near = ops.abs(inputs - threshold) < self.bandwidth / 2
        slope = ops.cast(near, self.compute_dtype) / self.bandwidth
        nothing = threshold - ops.stop_gradient(threshold)  # 0, with a gradient of 1
        if self.l0_coefficient:
            steps = ops.cast(inputs > threshold, self.compute_dtype)
            counts = ops.sum(steps - slope * nothing, axis=-1)
            self.add_loss(self.l0_coefficient * ops.mean(counts))
        outputs = ops.where(is_closed, ops.zeros_like(inputs), inputs)
        return outputs - ops.stop_gradient(threshold) * slope * nothing
