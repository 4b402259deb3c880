"""The reverse of a convolution: plain, separable, depthwise or transposed."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from keras_tied.layers._convolution import (
    Window,
    conv,
    convolve,
    pad,
    spread,
    spread_depthwise,
)
from keras_tied.layers.tied_layer import TiedLayer

PLAIN = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
CONVOLUTIONS = PLAIN + SEPARABLE + DEPTHWISE + TRANSPOSED


@keras.saving.register_keras_serializable(package="keras_tied")
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
    transposed. The size is that of the inputs that the layer was built for. With a
    stride, several sizes of input give the same size of output: where that layer's axes
    were
    `None`, `output_size` has to say which.

    Args:
        tied_to: the convolution layer whose kernel is used. The kernel remains its
            variable.
        transpose: whether the adjoint is computed. Defaults to `True`.
        gain: whether to learn $g$, at first ones. Defaults to `False`.
        output_size: the size of the output along each spatial axis, an integer for all
            or one for each. Only for the adjoint of a convolution. Defaults to that of
            the layer's inputs.
        **kwargs: `activation`, `use_bias`, `bias_*` and Keras's own as in `TiedDense`.

    Raises:
        ValueError: where `tied_to` is not a convolution layer, the shapes do not fit,
            or the size of the output is not known.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import TiedConv
        >>> inputs = keras.Input((45, 37, 3))
        >>> encoder = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="encoder")
        >>> model = keras.Model(inputs, TiedConv(encoder, name="decoder")(encoder(inputs)))
        >>> model.output_shape
        (None, 45, 37, 3)
    """

    PARTNERS = CONVOLUTIONS

    def __init__(
        self,
        tied_to: keras.Layer,
        transpose: bool = True,
        gain: bool = False,
        output_size: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(tied_to, transpose, gain, **kwargs)
        self.output_size = output_size
        self.supports_masking = (
            False  # as in Keras: a mask has the size before the convolution
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        settings = self.tied_settings()
        read, written = self._partner_channels()
        expected = written if self.transpose else read
        axis = self._channels_axis()
        if len(input_shape) != settings.rank + 2 or input_shape[axis] != expected:
            raise ValueError(
                f"{self.label} is tied to '{settings.name}' ({type(settings).__name__},"
                f" {settings.data_format}), so it takes inputs with {settings.rank}"
                f" spatial axes and {expected} channels; received an input of shape"
                f" {tuple(input_shape)}: feed it that shape, or tie it to another"
                " layer."
            )
        if self.transpose or self.output_size is not None:
            self._output_sizes(self._spatial(input_shape))
        self.input_spec = layers.InputSpec(
            ndim=settings.rank + 2, axes={axis: expected}
        )
        self.add_own_weights(
            gain=(written,), bias=(read if self.transpose else written,)
        )

    def lay_gain(self, gain: Any, kernel: Any) -> Any:
        if isinstance(self.tied_settings(), TRANSPOSED):
            return ops.expand_dims(gain, -1)
        if isinstance(self.tied_settings(), DEPTHWISE):
            return ops.reshape(gain, kernel.shape[-2:])
        return gain

    def call(self, inputs: Any) -> Any:
        outputs = self._adjoint(inputs) if self.transpose else self._forward(inputs)
        if self.bias is not None:
            spatial_after = self.tied_settings().rank + 1 - self._channels_axis()
            outputs = ops.add(
                outputs, ops.reshape(self.bias, (-1, *[1] * spatial_after))
            )
        return self.activation(outputs)

    def _adjoint(self, inputs: Any) -> Any:
        settings = self.tied_settings()
        self._output_sizes(self._spatial(inputs.shape))
        place = self.kernel, self._windows(), settings.data_format
        if isinstance(settings, TRANSPOSED):
            return convolve(inputs, *place)
        if isinstance(settings, DEPTHWISE):
            return spread_depthwise(inputs, *place)
        return spread(inputs, *place, self._groups())

    def _forward(self, inputs: Any) -> Any:
        settings, kernel = self.tied_settings(), self.kernel
        if isinstance(settings, TRANSPOSED):
            return spread(inputs, kernel, self._windows(), settings.data_format)
        padding = settings.padding
        if padding == "causal":  # known to Keras's layer, not to its operation
            before = settings.dilation_rate[0] * (settings.kernel_size[0] - 1)
            inputs, padding = pad(inputs, [(before, 0)], settings.data_format), "valid"
        convolution = ops.depthwise_conv if isinstance(settings, DEPTHWISE) else conv
        return convolution(
            inputs,
            kernel,
            data_format=settings.data_format,
            strides=settings.strides,
            padding=padding,
            dilation_rate=settings.dilation_rate,
        )

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        settings = self.tied_settings()
        if not self.transpose:
            return tuple(settings.compute_output_shape(input_shape))
        shape = [input_shape[0], *self._output_sizes(self._spatial(input_shape))]
        shape.insert(self._channels_axis(), self._partner_channels()[0])
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
        """How many groups of channels the layer tied to convolves apart; a separable one has 1."""
        return getattr(self.tied_settings(), "groups", 1)

    def _spatial(self, shape: Sequence[int | None]) -> tuple[int | None, ...]:
        axis = self._channels_axis()
        return (*shape[1:axis], *shape[axis + 1 :])

    def _windows(self) -> list[Window]:
        """Along each spatial axis, the convolution between code and image."""
        settings = self.tied_settings()
        images, codes = self._fixed_sizes(), [None] * settings.rank
        if isinstance(settings, TRANSPOSED):
            # How much it cuts off its output is the same for every size, so one element
            # tells.
            unit = (1,) * (settings.rank + 2)
            images, codes = self._spatial(settings.compute_output_shape(unit)), unit[2:]
        axes = zip(
            settings.kernel_size, settings.strides, settings.dilation_rate, strict=True
        )
        return [
            Window(*axis).fit(settings.padding, image, code)
            for axis, image, code in zip(axes, images, codes, strict=True)
        ]

    def _fixed_sizes(self) -> tuple[int | None, ...]:
        """The sizes to reconstruct, None where the size of the input leaves only one."""
        settings = self.tied_settings()
        sizes: tuple[int | None, ...] = (None,) * settings.rank
        if self.output_size is not None:
            return self._given_sizes(self.output_size)
        if isinstance(settings, TRANSPOSED):
            return sizes
        built = self._spatial(self.tied_input_shape() or (None, None, *sizes))
        strided = list(zip(built, settings.strides, strict=True))
        if any(size is None and stride > 1 for size, stride in strided):
            raise ValueError(
                f"{self.label} is to reconstruct the input of '{settings.name}', which"
                f" was built for inputs of size {built} and has strides"
                f" {settings.strides}, so that several sizes of input have the same"
                " size of output: pass the one to reconstruct as `output_size`, or"
                f" build '{settings.name}' for inputs of a fixed size."
            )
        return tuple([size if stride > 1 else None for size, stride in strided])

    def _given_sizes(self, sizes: int | Sequence[int]) -> tuple[int, ...]:
        settings = self.tied_settings()
        if not self.transpose or isinstance(settings, TRANSPOSED):
            raise ValueError(
                f"{self.label} received output_size={sizes!r}, but the size of its"
                " output follows from that of its input, as it is"
                f" {'the adjoint of' if self.transpose else 'the same map as'}"
                f" '{settings.name}' ({type(settings).__name__}): leave `output_size`"
                " out."
            )
        each = (sizes,) * settings.rank if isinstance(sizes, int) else tuple(sizes)
        if len(each) != settings.rank:
            raise ValueError(
                f"{self.label} received output_size={sizes!r}, but '{settings.name}' "
                f"({type(settings).__name__}) has {settings.rank} spatial axes: pass "
                f"{settings.rank} sizes, or one integer for all."
            )
        return each

    def _output_sizes(self, given: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The spatial sizes of the adjoint's output, for an input of the given ones."""
        encodes = isinstance(self.tied_settings(), TRANSPOSED)
        back = Window.code_size if encodes else Window.image_size
        forth = Window.image_size if encodes else Window.code_size
        sizes, expected, fits = [], [], True
        for window, size, fixed in zip(
            self._windows(), given, self._fixed_sizes(), strict=True
        ):
            image = back(window, size) if fixed is None and size is not None else fixed
            sizes.append(image)
            # A size may be unknown, or symbolic while a model is exported: then it is
            # not checked.
            if isinstance(size, int) and isinstance(image, int):
                expected.append(forth(window, image))
                fits = fits and expected[-1] == size and image >= 1
        if not fits:
            raise ValueError(
                f"{self.label} takes outputs of '{self.tied_settings().name}', which"
                f" have size {tuple(expected)} for the inputs of size {tuple(sizes)}"
                f" that are to be reconstructed; received an input of size {given}:"
                " feed it outputs of that size, or pass the size to reconstruct as"
                " `output_size`."
            )
        return tuple(sizes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output_size": self.output_size}
