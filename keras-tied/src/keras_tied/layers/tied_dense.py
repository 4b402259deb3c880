"""The reverse of a Dense layer."""

from typing import Any

import keras
from keras import Layer, backend, ops

from keras_tied._serializable import serializable
from keras_tied._types import Config, Shape
from keras_tied.layers.tied_layer import TiedLayer


@serializable
class TiedDense(TiedLayer):
    r"""A dense layer that uses the kernel of another layer, transposed.

    For a layer tied to with kernel $W$ of shape `(features, units)`, gain $g$ and bias
    $b$,

    $$y = \mathrm{activation}\left(x\,(W \operatorname{diag} g)^\top + b\right)$$

    maps `(batch, ..., units)`, floating point, back to `(batch, ..., features)`. Tied
    weights halve an autoencoder's parameters and regularise it (Vincent et al.,
    "Extracting and composing robust features with denoising autoencoders", ICML 2008);
    the gain frees the scale of each unit of the code, which plain tying couples to the
    scale of its weights. Tied to an `Embedding`, whose embeddings have shape
    `(vocabulary, dimension)`, it gives the logits over the vocabulary (Press & Wolf,
    "Using the output embedding to improve language models", EACL 2017). With
    `transpose=False` it computes $x\,W \operatorname{diag} g$, of shape
    `(batch, ..., units)`, as the other layer does, with a bias and an activation of its
    own.

    Args:
        tied_to: the `Dense`, `Embedding` or other layer with a kernel of two axes,
            which remains that layer's variable.
        transpose: whether the kernel is transposed. Defaults to `True`.
        gain: whether to learn one factor, at first 1, per unit of the code. Defaults to
            `False`.
        activation: a name or a callable. Defaults to none.
        use_bias: whether to add a bias, which is this layer's own. Defaults to `True`.
        bias_initializer, bias_regularizer, bias_constraint: default to `"zeros"` and
            none.
        logit_soft_cap: c in $c \tanh(y / c)$, which bounds the outputs $y$ before the
            activation, as in `keras.layers.ReversibleEmbedding`. Defaults to none.
        **kwargs: `name`, `dtype`, `trainable` and `activity_regularizer` of
            `keras.layers.Layer`.

    Raises:
        ValueError: where `tied_to` has no kernel of two axes, or the shapes do not fit.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import TiedDense
        >>> inputs = keras.Input((4,))
        >>> encoder = keras.layers.Dense(2, activation="sigmoid", name="encoder")
        >>> decoder = TiedDense(encoder, name="decoder")
        >>> model = keras.Model(inputs, decoder(encoder(inputs)))
        >>> model.output_shape
        (None, 4)
        >>> model.count_params()  # 4 * 2 + 2 in the encoder, 4 in the decoder
        14
    """

    def __init__(
        self,
        tied_to: Layer,
        transpose: bool = True,
        gain: bool = False,
        activation: Any = None,
        use_bias: bool = True,
        bias_initializer: Any = "zeros",
        bias_regularizer: Any = None,
        bias_constraint: Any = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ) -> None:
        bias = (use_bias, bias_initializer, bias_regularizer, bias_constraint)
        super().__init__(tied_to, transpose, gain, activation, *bias, **kwargs)
        if logit_soft_cap is not None and not logit_soft_cap > 0:
            raise ValueError(
                f"{self.label} bounds its outputs by a positive number; received "
                f"logit_soft_cap={logit_soft_cap}: leave it out for no bound."
            )
        self.logit_soft_cap = logit_soft_cap

    def build(self, input_shape: Shape) -> None:
        shape = self._matrix_shape()
        expected, units = reversed(shape) if self.transpose else shape
        if input_shape[-1] != expected:
            raise ValueError(
                f"{self.label} is tied to '{self._link.partner.name}', whose kernel has"
                f" shape {shape}, so it takes inputs whose last axis is"
                f" {expected}{', transposed' if self.transpose else ''}; received an"
                f" input of shape {tuple(input_shape)}: feed it {expected} features, or"
                " tie it to another layer."
            )
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: expected})
        self.add_own_weights(gain=(shape[1],), bias=(units,))

    def _matrix_shape(self) -> tuple[int, int]:
        shape = self.tied_kernel_shape()
        if len(shape) != 2:
            raise ValueError(
                f"{self.label} is tied to '{self._link.partner.name}', whose kernel has"
                f" shape {shape}; it needs a kernel of two axes, as Dense and Embedding"
                " have."
            )
        return shape[0], shape[1]

    @property
    def kernel(self) -> Any:
        """The matrix that inputs are multiplied by, `(inputs, units)`, gain and all."""
        return ops.transpose(super().kernel) if self.transpose else super().kernel

    def call(self, inputs: Any) -> Any:
        if self.transpose:
            code = self.scale_code(inputs)
            outputs = multiply_by_transpose(code, self.tied_kernel())
        else:
            outputs = self.scale_code(ops.matmul(inputs, self.tied_kernel()))
        outputs = self.add_bias(outputs)
        if (cap := self.logit_soft_cap) is not None:
            outputs = ops.multiply(ops.tanh(ops.divide(outputs, cap)), cap)
        return self.activation(outputs)

    def get_config(self) -> Config:
        return {**super().get_config(), "logit_soft_cap": self.logit_soft_cap}

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        features, units = self._matrix_shape()
        return (*input_shape[:-1], features if self.transpose else units)


def multiply_by_transpose(inputs: Any, kernel: Any) -> Any:
    """The product of `(batch, ..., units)` and the transpose of `(features, units)`.

    The exporters to ONNX of PyTorch and TensorFlow replace the transpose of a constant
    by its values, which are a second kernel in the file. They find none here.
    """
    name = backend.backend()
    if name not in ("tensorflow", "torch"):
        return ops.matmul(inputs, ops.transpose(kernel))
    *batch, units = ops.shape(inputs)
    rows = ops.reshape(inputs, (-1, units))
    if name == "torch":
        import torch

        # Exported as a `Gemm`, which reads a kernel transposed; `ops.matmul` is not.
        rows = ops.cast(rows, backend.standardize_dtype(kernel.dtype))
        products = torch.mm(rows, ops.transpose(kernel))
    else:
        products = ops.transpose(ops.matmul(kernel, ops.transpose(rows)))
    return ops.reshape(products, (*batch, kernel.shape[0]))
