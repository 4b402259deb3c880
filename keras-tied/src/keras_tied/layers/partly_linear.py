"""An activation that lets some units pass."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_tied._serializable import serializable
from keras_tied._types import Config, Shape
from keras_tied.layers._code_layer import CodeLayer


@serializable
class PartlyLinear(CodeLayer):
    r"""Applies an activation to all units but the first few.

    $$y_j = \begin{cases} x_j & j < \text{linear\_units} \\
        f(x_j) & \text{otherwise} \end{cases}$$

    A hidden layer that passes as many units unchanged as the code has contains PCA:
    these units carry the principal components straight to the code and, mirrored, back
    again, and the others only have to learn what is not a straight line. It is a skip
    connection (Ripley, "Pattern Recognition and Neural Networks", 1996, section 5.1)
    without a second path, which can be tied. `mirror` repeats it in the decoder.

    Input and output shape: `(batch, ..., units)`, in the layer's compute dtype.

    Args:
        activation: what the other units go through, a name or a callable.
        linear_units: how many units pass unchanged, at least 0 and at most `units`.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Raises:
        ValueError: when built, if `linear_units` is not from 0 to `units`.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import PartlyLinear
        >>> rows = keras.ops.array([[-1.0, -2.0, 3.0]])
        >>> values = PartlyLinear("relu", linear_units=1)(rows)
        >>> keras.ops.convert_to_numpy(values).tolist()
        [[-1.0, 0.0, 3.0]]
    """

    SETTINGS = ("linear_units",)

    def __init__(
        self,
        activation: Any,
        linear_units: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)
        self.linear_units = linear_units

    def build(self, input_shape: Shape) -> None:
        units = input_shape[-1]
        if units is None or not 0 <= self.linear_units <= units:
            raise ValueError(
                f"PartlyLinear '{self.name}' passes the first"
                f" linear_units={self.linear_units} along the last axis; received an"
                f" input of shape {tuple(input_shape)}: feed it that many units, or"
                " lower linear_units."
            )

    def call(self, inputs: Any) -> Any:
        # Of NumPy, a constant: converters to ONNX trace with numbers of their own.
        passes = np.arange(inputs.shape[-1]) < self.linear_units
        others = ops.where(passes, 0, inputs)  # else gradients of 0 may be NaN
        return ops.where(passes, inputs, self.activation(others))

    def get_config(self) -> Config:
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "activation": activation}
