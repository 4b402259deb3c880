"""Convolutions of images to codes, and their adjoints. See README.md here."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple, Self

from keras import backend, ops


class Window(NamedTuple):
    """A convolution along one spatial axis; a negative `left` or `right` cuts the image off."""

    taps: int
    stride: int
    dilation: int
    left: int = 0
    right: int = 0

    def fit(
        self, padding: str, image_size: int | None, code_size: int | None = None
    ) -> Self:
        """The convolution as Keras pads it; `image_size` may be None where the stride is one."""
        image_size = self.reach + 1 if image_size is None else image_size
        if code_size is None:
            reach = self.reach if padding == "valid" else 0
            code_size = (image_size - 1 - reach) // self.stride + 1
        missing = self.image_size(code_size) - image_size
        left = {"valid": 0, "same": max(missing, 0) // 2, "causal": self.reach}[padding]
        return self._replace(left=left, right=missing - left)

    @property
    def reach(self) -> int:
        return (self.taps - 1) * self.dilation

    @property
    def is_same(self) -> bool:
        """Whether Keras's "same" pads so, whatever the size."""
        missing = self.left + self.right
        code_is_fixed = 0 <= self.reach - missing < self.stride
        return code_is_fixed and self.left == max(missing, 0) // 2

    def phase(self) -> Self:
        """The convolution of stride one of the code that gives a phase of the image."""
        before = self.reach // self.stride - self.left // self.stride
        after = (self.reach - self.right) // self.stride
        if self.stride == 1:
            return self._replace(left=before, right=after)
        # The kernel is written out, so that no dilation is left.
        taps = self.reach // self.stride + 1
        return self._replace(taps=taps, stride=1, dilation=1, left=before, right=after)

    def image_size(self, code_size: int) -> int:
        return (code_size - 1) * self.stride + self.reach + 1 - self.left - self.right

    def code_size(self, image_size: int) -> int:
        return (image_size + self.left + self.right - self.reach - 1) // self.stride + 1


def convolve(
    image: Any,
    kernel: Any,
    windows: Sequence[Window],
    data_format: str,
    operation: Callable[..., Any] = ops.conv,
) -> Any:
    """The code of an image, by a kernel `(taps..., image channels, code channels)`."""
    padding = "same"
    if not all(window.is_same for window in windows):
        padding = "valid"
        image = pad(image, [(w.left, w.right) for w in windows], data_format)
    return conv(
        image,
        kernel,
        data_format,
        operation,
        strides=tuple(window.stride for window in windows),
        padding=padding,
        dilation_rate=tuple(window.dilation for window in windows),
    )


def spread(
    code: Any, kernel: Any, windows: Sequence[Window], data_format: str, groups: int = 1
) -> Any:
    """The adjoint of a convolution by `(taps..., image channels / groups, code channels)`."""
    spread_group = _transpose if _has_fast_transpose(windows) else _sum_phases
    if groups == 1:
        return spread_group(code, kernel, windows, data_format)
    # One convolution a group: Keras has no transposed one with groups, and XLA is slow
    # at the gradients of a single one.
    axis = _channels_axis(code, data_format)
    codes = ops.split(code, groups, axis=axis)
    kernels = ops.split(kernel, groups, axis=-1)
    images = [
        spread_group(*part, windows, data_format)
        for part in zip(codes, kernels, strict=True)
    ]
    return ops.concatenate(images, axis=axis)


def spread_depthwise(
    code: Any, kernel: Any, windows: Sequence[Window], data_format: str
) -> Any:
    """The adjoint of a depthwise convolution by `(taps..., image channels, multiplier)`."""
    phases = _phases(kernel, windows)
    *taps, channels, multiplier, count = phases.shape
    weights = ops.reshape(phases, (*taps, channels * multiplier, count))
    phase_windows = [window.phase() for window in windows]
    image = convolve(code, weights, phase_windows, data_format, ops.depthwise_conv)
    if multiplier > 1:
        # Each image channel gathers from all the code channels that it was multiplied
        # into.
        axis = _channels_axis(code, data_format)
        sizes = ops.shape(image)
        before = (-1, *sizes[1:axis])
        after = sizes[axis + 1 :]
        image = ops.reshape(image, (*before, channels, multiplier, count, *after))
        image = ops.sum(image, axis=axis + 1)
        image = ops.reshape(image, (*before, channels * count, *after))
    return _interleave(image, windows, data_format)


def _has_fast_transpose(windows: Sequence[Window]) -> bool:
    """Whether the backend's own transposed convolution is used: where it is fast."""
    if backend.backend() == "jax":  # XLA is many times slower at its gradients
        return all(window.stride == 1 for window in windows)
    if backend.backend() == "tensorflow":  # has no dilation on a CPU without oneDNN
        return all(window.dilation == 1 for window in windows)
    return True


def _transpose(
    code: Any, kernel: Any, windows: Sequence[Window], data_format: str
) -> Any:
    """The image of a code, by the backend's own transposed convolution."""
    padding = "same"
    # Beyond the last code, Keras's shortest image holds one element, or none.
    beyond = [window.image_size(1) - (window.reach + 1) % 2 for window in windows]
    cut = [0] * len(windows)
    if not all(window.is_same for window in windows):
        padding = "valid"
        beyond = [-window.right for window in windows]
        cut = [window.left for window in windows]
    image = conv(
        code,
        kernel,
        data_format,
        ops.conv_transpose,
        strides=tuple(window.stride for window in windows),
        padding=padding,
        output_padding=tuple(beyond),
        dilation_rate=tuple(window.dilation for window in windows),
    )
    return pad(image, [(-left, 0) for left in cut], data_format)


def _sum_phases(
    code: Any, kernel: Any, windows: Sequence[Window], data_format: str
) -> Any:
    """The image of a code, by a convolution of stride one."""
    weights = ops.swapaxes(_phases(kernel, windows), -3, -2)
    weights = ops.reshape(weights, (*weights.shape[:-2], -1))
    phase_windows = [window.phase() for window in windows]
    phases = convolve(code, weights, phase_windows, data_format)
    return _interleave(phases, windows, data_format)


def conv(
    image: Any,
    kernel: Any,
    data_format: str,
    operation: Callable[..., Any] = ops.conv,
    **settings: Any,
) -> Any:
    """`operation`, also where TensorFlow takes no channels first: on a CPU without oneDNN."""
    if data_format == "channels_last" or backend.backend() != "tensorflow":
        return operation(image, kernel, data_format=data_format, **settings)
    image = ops.moveaxis(image, 1, -1)
    image = operation(image, kernel, data_format="channels_last", **settings)
    return ops.moveaxis(image, -1, 1)


def _channels_axis(tensor: Any, data_format: str) -> int:
    return len(tensor.shape) - 1 if data_format == "channels_last" else 1


def _phases(kernel: Any, windows: Sequence[Window]) -> Any:
    """The kernel `(taps..., a, b)`, turned round, as `(taps of a phase..., a, b, phases)`."""
    rank = len(windows)
    channels = kernel.shape[rank:]
    for axis, window in enumerate(windows):
        if window.stride > 1:
            kernel = _split_taps(kernel, axis, window)
    # Not from the kernel's shape, which is symbolic while PyTorch exports.
    taps = [window.phase().taps for window in windows]
    count = prod(window.stride for window in windows)
    kernel = ops.reshape(kernel, (*taps, *channels, count))
    return ops.flip(kernel, axis=tuple(range(rank)))


def _split_taps(kernel: Any, axis: int, window: Window) -> Any:
    """The kernel with the taps of a phase along an axis, and a last axis of the phases."""
    before, after = kernel.shape[:axis], kernel.shape[axis + 1 :]
    if window.dilation > 1:
        # Write out the zeros that the dilation skips, but none after the last tap.
        zeros = [(0, 0)] * (len(kernel.shape) + 1)
        zeros[axis + 1] = (0, window.dilation - 1)
        kernel = ops.pad(ops.expand_dims(kernel, axis + 1), zeros)
        kernel = ops.reshape(kernel, (*before, window.taps * window.dilation, *after))
        kernel, _ = ops.split(kernel, [window.reach + 1], axis=axis)
    taps = window.phase().taps
    zeros = [(0, 0)] * len(kernel.shape)
    zeros[axis] = (0, taps * window.stride - window.reach - 1)
    kernel = ops.reshape(ops.pad(kernel, zeros), (*before, taps, window.stride, *after))
    return ops.moveaxis(kernel, axis + 1, -1)


def _interleave(phases: Any, windows: Sequence[Window], data_format: str) -> Any:
    """The image, from channels `(image channels, phases)`, less what stands for padding."""
    strides = [window.stride for window in windows]
    image = phases
    if prod(strides) > 1:
        rank, axis = len(windows), _channels_axis(phases, data_format)
        _, *sizes = ops.shape(phases)
        channels = sizes.pop(axis - 1) // prod(strides)
        whole = [size * stride for size, stride in zip(sizes, strides, strict=True)]
        # Each spatial axis is followed by the axis of its phases, and merged with it.
        if data_format == "channels_last":
            split, whole = [*sizes, channels, *strides], [*whole, channels]
            order = [*(1 + i + j for i in range(rank) for j in (0, rank + 1)), axis]
        else:
            split, whole = [channels, *strides, *sizes], [channels, *whole]
            order = [axis, *(2 + i + j for i in range(rank) for j in (rank, 0))]
        image = ops.transpose(ops.reshape(image, (-1, *split)), (0, *order))
        image = ops.reshape(image, (-1, *whole))
    before = [-(w.left % w.stride) for w in windows]
    after = [(w.reach - w.right) % w.stride - w.stride + 1 for w in windows]
    return pad(image, list(zip(before, after, strict=True)), data_format)


def pad(tensor: Any, widths: Sequence[tuple[int, int]], data_format: str) -> Any:
    """The tensor with zeros before and after it along its spatial axes, or less, if negative."""
    first = 1 if data_format == "channels_last" else 2
    zeros = [(0, 0)] * len(tensor.shape)
    parts = [slice(None)] * len(tensor.shape)
    for axis, (before, after) in enumerate(widths, first):
        zeros[axis] = (max(before, 0), max(after, 0))
        parts[axis] = slice(max(-before, 0), min(after, 0) or None)
    if any(min(width) < 0 for width in widths):
        tensor = tensor[tuple(parts)]
    return ops.pad(tensor, zeros) if any(map(any, zeros)) else tensor
