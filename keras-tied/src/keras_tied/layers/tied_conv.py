"""The reverse of a convolution: plain, separable, depthwise or transposed."""

from collections.abc import Sequence
from typing import Any

from keras import layers, ops

from keras_tied._serializable import serializable
from keras_tied._types import Shape
from keras_tied.layers._convolution import (
    Window,
    convolve,
    spread,
    spread_depthwise,
)
from keras_tied.layers.tied_layer import TiedLayer

PLAIN = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
CONVOLUTIONS = PLAIN + SEPARABLE + DEPTHWISE + TRANSPOSED


@serializable
class TiedConv(TiedLayer):
    r"""The adjoint of a convolution: it uses the kernel of another layer, backwards.

    A convolution layer computes $A x$, plus a bias, for a linear map $A$ that its
    kernel, strides, padding, dilation, groups and data format define; all of them are
    taken from the layer tied to. For gain $g$, one factor for each of that layer's
    output channels, and bias $b$, one for each of its input channels,

    $$y = \mathrm{activation}\left(A^\top (g \odot x) + b\right),
    \qquad \langle A u, x \rangle = \langle u, A^\top x \rangle .$$

    It is a transposed convolution if the layer tied to is a convolution, plain,
    depthwise or separable, and a convolution if that is a transposed one. The two
    kernels of a separable one are multiplied first: $A$ is a plain convolution by their
    product. Tied so, the layers of a
    convolutional autoencoder share their kernels (Masci et al., "Stacked convolutional
    auto-encoders for hierarchical feature extraction", ICANN 2011). With
    `transpose=False` it computes $g \odot A x$, as the other layer does, with a bias
    and an activation of its own.

    It takes the output of the layer tied to, floating point,
    `(batch, spatial..., channels)`, or `(batch, channels, spatial...)` for
    `"channels_first"`, and gives the shape of its input; the other way round if not
    transposed. The size is that of the inputs that the layer was built for: with a
    stride, several sizes of input give the same size of output, so it must be known.

    Args:
        tied_to: the convolution layer whose kernel is used. The kernel remains its
            variable.
        transpose: whether the adjoint is computed. Defaults to `True`.
        gain: whether to learn $g$, at first ones. Defaults to `False`.
        **kwargs: `activation`, `use_bias`, `bias_*` and Keras's own as in `TiedDense`.

    Raises:
        ValueError: where `tied_to` is not a convolution layer, the shapes do not fit,
            or the size of the output is not known.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import TiedConv
        >>> inputs = keras.Input((45, 37, 3))
        >>> encoder = keras.layers.Conv2D(8, 3, strides=2, padding="same")
        >>> decoder = TiedConv(encoder)
        >>> model = keras.Model(inputs, decoder(encoder(inputs)))
        >>> model.output_shape
        (None, 45, 37, 3)
    """

    PARTNERS = CONVOLUTIONS
    KEEPS_MASKS = False  # as in Keras: a mask has the size before the convolution

    def build(self, input_shape: Shape) -> None:
        settings = self.tied_settings()
        n_inputs, n_outputs = self._partner_channels()
        expected = n_outputs if self.transpose else n_inputs
        axis = self._channels_axis()
        ndim = settings.rank + 2
        if len(input_shape) != ndim or input_shape[axis] != expected:
            raise ValueError(
                f"{self.label} is tied to '{settings.name}' ({type(settings).__name__},"
                f" {settings.data_format}), so it takes inputs with {settings.rank}"
                f" spatial axes and {expected} channels; received an input of shape"
                f" {tuple(input_shape)}: feed it that shape, or tie it to another"
                " layer."
            )
        self.input_spec = layers.InputSpec(ndim=ndim, axes={axis: expected})
        units = n_inputs if self.transpose else n_outputs
        self.add_own_weights(gain=(n_outputs,), bias=(units,))

    def lay_gain(self, gain: Any, kernel: Any) -> Any:
        if isinstance(self.tied_settings(), TRANSPOSED):
            return ops.expand_dims(gain, -1)
        if isinstance(self.tied_settings(), DEPTHWISE):
            return ops.reshape(gain, kernel.shape[-2:])
        return gain

    def call(self, inputs: Any) -> Any:
        are_channels_first = self._channels_axis() == 1
        if self.transpose:
            self._output_sizes(self._sizes(inputs.shape))
        if are_channels_first:
            inputs = ops.moveaxis(inputs, 1, -1)
        if self.transpose:
            outputs = self._multiply(self.scale_code(inputs))
        else:
            outputs = self.scale_code(self._multiply(inputs))
        outputs = self.add_bias(outputs)
        if are_channels_first:
            outputs = ops.moveaxis(outputs, -1, 1)
        return self.activation(outputs)

    def _multiply(self, inputs: Any) -> Any:
        """Take images to codes, or codes to images, channels last."""
        settings, windows = self.tied_settings(), self._windows()
        is_depthwise = isinstance(settings, DEPTHWISE)
        if isinstance(settings, TRANSPOSED) == self.transpose:
            operation = ops.depthwise_conv if is_depthwise else ops.conv
            return convolve(inputs, self.tied_kernel(), windows, operation)
        if is_depthwise:
            return spread_depthwise(inputs, self.tied_kernel(), windows)
        return spread(inputs, self.tied_kernel(), windows, self._groups())

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if not self.transpose:
            return tuple(self.tied_settings().compute_output_shape(input_shape))
        channels, _ = self._partner_channels()
        shape = [input_shape[0], *self._output_sizes(self._sizes(input_shape))]
        shape.insert(self._channels_axis(), channels)
        return tuple(shape)

    def _channels_axis(self) -> int:
        settings = self.tied_settings()
        return settings.rank + 1 if settings.data_format == "channels_last" else 1

    def _partner_channels(self) -> tuple[int, int]:
        """How many the layer tied to reads, and writes."""
        settings = self.tied_settings()
        *_, first, second = self.tied_kernel_shape()
        if isinstance(settings, TRANSPOSED):
            return second, first
        if isinstance(settings, DEPTHWISE):
            return first, first * second
        return first * self._groups(), second

    def _groups(self) -> int:
        """How many groups of channels are convolved apart; 1 in a separable layer."""
        return getattr(self.tied_settings(), "groups", 1)

    def _sizes(self, shape: Sequence[int | None]) -> Shape:
        """The lengths of the spatial axes of a shape."""
        axis = self._channels_axis()
        return (*shape[1:axis], *shape[axis + 1 :])

    def _windows(self) -> list[Window]:
        """Along each spatial axis, the convolution between code and image."""
        settings = self.tied_settings()
        images = self._fixed_sizes()
        codes: Shape = (None,) * settings.rank
        if isinstance(settings, TRANSPOSED):
            # How much it cuts off its output is the same for every size, so one element
            # tells.
            unit = (1,) * (settings.rank + 2)
            images = self._sizes(settings.compute_output_shape(unit))
            codes = unit[2:]
        windows = []
        for axis in range(settings.rank):
            window = Window(
                settings.kernel_size[axis],
                settings.strides[axis],
                settings.dilation_rate[axis],
            )
            windows.append(window.fit(settings.padding, images[axis], codes[axis]))
        return windows

    def _fixed_sizes(self) -> Shape:
        """The sizes to reconstruct, None where the input leaves only one."""
        settings = self.tied_settings()
        sizes: Shape = (None,) * settings.rank
        if not self.transpose or isinstance(settings, TRANSPOSED):
            return sizes
        partner_sizes = self._sizes(self.tied_input_shape() or (None, None, *sizes))
        sizes_to_restore = []
        for size, stride in zip(partner_sizes, settings.strides, strict=True):
            sizes_to_restore.append(size if stride > 1 else None)
            if size is None and stride > 1:
                raise ValueError(
                    f"{self.label} is to reconstruct the input of '{settings.name}',"
                    f" which was built for inputs of size {partner_sizes} and has"
                    f" strides {settings.strides}, so that several sizes of input have"
                    f" the same size of output: build '{settings.name}' for inputs"
                    " of a fixed size."
                )
        return tuple(sizes_to_restore)

    def _output_sizes(self, input_sizes: Shape) -> Shape:
        """The spatial sizes of the adjoint's output, for an input of the given ones."""
        encodes = isinstance(self.tied_settings(), TRANSPOSED)
        back = Window.code_size if encodes else Window.image_size
        forth = Window.image_size if encodes else Window.code_size
        sizes, expected = [], []
        axes = zip(self._windows(), self._fixed_sizes(), input_sizes, strict=True)
        for window, image, size in axes:
            if image is None and size is not None:
                image = back(window, size)
            sizes.append(image)
            # A size may be unknown, or symbolic while a model is exported: then it is
            # not checked.
            if isinstance(size, int) and isinstance(image, int):
                size = forth(window, max(image, 1))
            expected.append(size)
        if tuple(expected) != tuple(input_sizes):
            raise ValueError(
                f"{self.label} takes outputs of '{self.tied_settings().name}', which"
                f" have size {tuple(expected)} for the inputs of size {tuple(sizes)}"
                " that are to be reconstructed; received an input of size"
                f" {input_sizes}: feed it outputs of that size."
            )
        return tuple(sizes)
