"""How much a code changes with its row, and a layer that holds that down."""

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import keras
from keras import Layer, activations, ops

from keras_tied._keras_internals import inference_scope, layer_chain
from keras_tied._serializable import serializable
from keras_tied._types import Config, Shape
from keras_tied.layers.kernel import kernel_of

Function = Callable[[Any], Any]

# f'(z) from f(z)
SLOPES: dict[Function, Function] = {
    activations.linear: ops.ones_like,
    activations.sigmoid: lambda y: y * (1 - y),
    activations.tanh: lambda y: 1 - y**2,
    activations.relu: ops.sign,
}


def squared_jacobian_norm(encoder: Layer, x: Any) -> Any:
    r"""The squared norm of the Jacobian of each row's code by the row.

    $$\left\| \frac{\partial h}{\partial x} \right\|_F^2
        = \sum_{j} \sum_{i} \left( \frac{\partial h_j}{\partial x_i} \right)^2$$

    for the code $h$ of a row $x$, the penalty of the contractive autoencoder (Rifai et
    al., "Contractive auto-encoders: explicit invariance during feature extraction",
    ICML 2011). For one `Dense` layer with kernel $W$, pre-activation $z$ and activation
    $f$ (linear, sigmoid, tanh or relu) it is
    $\sum_j f'(z_j)^2 \sum_i W_{ij}^2$, and costs about as much as the layer. Of
    everything else the exact Jacobian is computed by automatic differentiation, in as
    many passes through the encoder as a row or a code has numbers, whichever are fewer.
    The encoder is taken as it is in inference, where rows do not depend on each other;
    its losses and its state stay untouched. The result can be differentiated by weights
    and by `x`.

    Args:
        encoder: a built layer or model with one input and one output, that maps each
            row by itself.
        x: the rows, `(batch, ...)`; cast to the encoder's compute dtype.

    Returns:
        A tensor of shape `(batch,)`; float32, also for an encoder that computes in half
        precision.

    Raises:
        ValueError: if the encoder is not built, or gives several outputs.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import squared_jacobian_norm
        >>> encoder = keras.layers.Dense(2, kernel_initializer="ones")
        >>> encoder.build((None, 3))
        >>> norms = squared_jacobian_norm(encoder, keras.ops.zeros((4, 3)))
        >>> keras.ops.convert_to_numpy(norms).tolist()  # six ones
        [6.0, 6.0, 6.0, 6.0]
    """
    if not encoder.built:
        raise ValueError(
            f"squared_jacobian_norm needs an encoder with weights; '{encoder.name}'"
            f" ({type(encoder).__name__}) is not built: build it, or call it on data,"
            " first."
        )
    layer: Any = encoder
    path = layer_chain(encoder) or []
    if len(path) == 1:
        (layer,) = path
    x = ops.cast(x, layer.compute_dtype)
    is_dense = type(layer).call is keras.layers.Dense.call
    if is_dense and layer.activation in SLOPES:
        return _sum_rows(_dense_norms(layer, x))
    lines = jacobians(lambda rows: _code(encoder, rows), x)
    return _sum_rows(ops.square(_precise(lines)))


@serializable
class Contractive(keras.layers.Wrapper):
    """An encoder whose code is held from changing with every small change of its input.

    It gives what the encoder gives, of its input and output shapes. In training it adds
    `factor` times the mean of `squared_jacobian_norm` over the batch to the loss, which
    makes an autoencoder of it a contractive one. In inference it adds nothing: a
    `val_loss` is the reconstruction error alone, and a `loss` is not. A decoder is tied
    to the encoder, or to a layer of it, and not to this wrapper. Masks reach the
    encoder, but not its Jacobian, in which masked steps count.

    Args:
        encoder: a layer or model with one input and one output, which maps each row by
            itself.
        factor: what the mean squared norm is multiplied by, 0 or more. Defaults to 0.1.
        **kwargs: `name` and `trainable` of `keras.layers.Layer`. The encoder computes
            in the dtype of its own policy, whatever `dtype` says.

    Raises:
        ValueError: if `encoder` is not a layer, or `factor` is negative.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import Contractive
        >>> encoder = Contractive(keras.layers.Dense(3, kernel_initializer="ones"))
        >>> _ = encoder(keras.ops.ones((4, 8)), training=True)
        >>> round(float(encoder.losses[0]), 6)  # 0.1 times 24 ones
        2.4
    """

    def __init__(
        self,
        encoder: Layer,
        factor: float = 0.1,
        **kwargs: Any,
    ) -> None:
        if not isinstance(encoder, Layer):
            raise ValueError(
                "Contractive takes a layer or model as its encoder; received"
                f" {encoder!r} ({type(encoder).__name__}): pass the layer object"
                " itself."
            )
        if not factor >= 0:
            raise ValueError(
                f"Contractive takes a factor of 0 or more; received factor={factor!r}:"
                " a negative one would reward a code that changes."
            )
        # The encoder casts for itself; the penalty is computed with the variables as
        # they are.
        super().__init__(encoder, autocast=False, **kwargs)
        self.factor = factor
        self.supports_masking = True

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        outputs = self.layer(inputs)
        if training and self.factor:
            norms = squared_jacobian_norm(self.layer, inputs)
            self.add_loss(ops.multiply(self.factor, ops.mean(norms)))
        return outputs

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self.layer.compute_mask(inputs, previous_mask)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(self.layer.compute_output_shape(input_shape))

    def compute_output_spec(self, inputs: Any, training: bool | None = False) -> Any:
        return self.layer.compute_output_spec(inputs)

    def get_config(self) -> Config:
        return {**super().get_config(), "factor": self.factor}


def _sum_rows(tensor: Any) -> Any:
    """The sum of each row, `(batch,)`."""
    axes = range(1, len(tensor.shape))
    return ops.sum(tensor, axis=tuple(axes))


def _dense_norms(layer: keras.layers.Dense, x: Any) -> Any:
    """The part of each unit in the norm, `(batch, ...)`."""
    kernel = kernel_of(layer)
    z = ops.matmul(x, ops.cast(kernel, x.dtype))
    if layer.bias is not None:
        bias = ops.cast(layer.bias, x.dtype)
        z = ops.add(z, bias)
    outputs = layer.activation(_precise(z))
    slopes = SLOPES[layer.activation](outputs)  # (batch, ..., units)
    kernel = ops.cast(kernel, slopes.dtype)
    weights = ops.sum(ops.square(kernel), axis=0)  # (units,)
    return ops.matmul(ops.square(slopes), weights)


def _precise(tensor: Any) -> Any:
    """In single precision at least: squares soon leave the range of half precision."""
    dtype = keras.backend.result_type(tensor.dtype, "float32")
    return ops.cast(tensor, dtype)


def _code(encoder: Layer, x: Any) -> Any:
    mapping = [(variable, variable) for variable in encoder.variables]
    with keras.StatelessScope(mapping), inference_scope():
        code = encoder(x)
    if not ops.is_tensor(code):
        raise ValueError(
            f"squared_jacobian_norm needs an encoder with one output; '{encoder.name}'"
            f" ({type(encoder).__name__}) gives a {type(code).__name__}: make a model"
            " of the part that gives the code."
        )
    return code


def jacobians(function: Function, x: Any) -> Any:
    """The Jacobian of each row, `(batch, lines, *row)`, or with columns, if fewer."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _differentiate_with_tensorflow(function, x)
    library: Any = import_module("jax" if backend == "jax" else "torch.func")
    code, backward = library.vjp(function, x)

    def pull(line: Any) -> Any:
        (gradient,) = backward(line)
        return gradient

    if not _is_narrower(x, code):
        return library.vmap(pull, 0, 1)(_directions(code))
    # The pass back is linear, and its transpose is the pass forward.
    _, forward = library.vjp(pull, ops.zeros_like(code))

    def push(column: Any) -> Any:
        (change,) = forward(column)
        return change

    return library.vmap(push, 0, 1)(_directions(x))


def _differentiate_with_tensorflow(function: Function, x: Any) -> Any:
    import tensorflow as tf

    zero = tf.UnconnectedGradients.ZERO
    with tf.GradientTape(watch_accessed_variables=False) as by_line:
        with tf.GradientTape(watch_accessed_variables=False) as by_row:
            by_row.watch(x)
            code = function(x)
            lines = _flatten_rows(code)
        if not _is_narrower(x, code):
            return by_row.batch_jacobian(lines, x, unconnected_gradients=zero)
        line = tf.zeros_like(code)
        by_line.watch(line)
        columns = by_row.gradient(code, x, line, unconnected_gradients=zero)
        columns = _flatten_rows(columns)
    return by_line.batch_jacobian(columns, line, unconnected_gradients=zero)


def _flatten_rows(tensor: Any) -> Any:
    n_rows = ops.shape(tensor)[0]
    return ops.reshape(tensor, (n_rows, -1))


def _is_narrower(x: Any, code: Any) -> bool:
    """Whether rows have fewer numbers than codes; an unknown length is a great one."""
    counts = []
    for tensor in (x, code):
        lengths = [length or math.inf for length in tensor.shape[1:]]
        counts.append(math.prod(lengths))
    return counts[0] < counts[1]


def _directions(rows: Any) -> Any:
    """The unit vectors along each number of a row, `(numbers, *rows.shape)`."""
    shape = tuple(rows.shape)
    width = math.prod(shape[1:])
    units = ops.eye(width, dtype=rows.dtype)
    units = ops.reshape(units, (width, 1, *shape[1:]))
    return ops.broadcast_to(units, (width, *shape))
