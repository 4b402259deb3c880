"""Convolutions of images to codes, and their adjoints, by phases. See README.md here."""

from collections.abc import Sequence
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

    def fit(self, padding: str, image_size: int | None, code_size: int | None = None) -> Self:
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

    def image_size(self, code_size: int) -> int:
        return (code_size - 1) * self.stride + self.reach + 1 - self.left - self.right

    def code_size(self, image_size: int) -> int:
        return (image_size + self.left + self.right - self.reach - 1) // self.stride + 1


def convolve(image: Any, kernel: Any, windows: Sequence[Window], data_format: str) -> Any:
    """The code of an image, by a kernel `(taps..., image channels, code channels)`."""
    return conv(
        pad(image, [(window.left, window.right) for window in windows], data_format),
        kernel,
        data_format,
        strides=tuple(window.stride for window in windows),
        dilation_rate=tuple(window.dilation for window in windows),
    )


def spread(
    code: Any, kernel: Any, windows: Sequence[Window], data_format: str, groups: int = 1
) -> Any:
    """The adjoint of a convolution by `(taps..., image channels / groups, code channels)`."""
    channels = _channels_axis(code, data_format)
    weights = ops.swapaxes(_phases(kernel, windows), -3, -2)
    weights = ops.reshape(weights, (*weights.shape[:-2], -1))
    # One convolution a group: XLA is slow at the gradients of a single one with groups.
    images = [
        conv(part, part_weights, data_format, dilation_rate=_dilations(windows))
        for part, part_weights in zip(
            ops.split(_reach(code, windows, data_format), groups, axis=channels),
            ops.split(weights, groups, axis=-2),
            strict=True,
        )
    ]
    return _interleave(ops.concatenate(images, axis=channels), windows, data_format)


def spread_depthwise(code: Any, kernel: Any, windows: Sequence[Window], data_format: str) -> Any:
    """The adjoint of a depthwise convolution by `(taps..., image channels, multiplier)`."""
    phases = _phases(kernel, windows)
    *taps, channels, multiplier, count = phases.shape
    image = ops.depthwise_conv(
        _reach(code, windows, data_format),
        ops.reshape(phases, (*taps, channels * multiplier, count)),
        data_format=data_format,
        dilation_rate=_dilations(windows),
    )
    # Each image channel gathers from all the code channels that it was multiplied into.
    axis = _channels_axis(code, data_format)
    before, after = (-1, *ops.shape(image)[1:axis]), ops.shape(image)[axis + 1 :]
    image = ops.reshape(image, (*before, channels, multiplier, count, *after))
    image = ops.reshape(ops.sum(image, axis=axis + 1), (*before, channels * count, *after))
    return _interleave(image, windows, data_format)


def conv(image: Any, kernel: Any, data_format: str, **settings: Any) -> Any:
    """`ops.conv`, also where TensorFlow takes no channels first: on a CPU without oneDNN."""
    if data_format == "channels_last" or backend.backend() != "tensorflow":
        return ops.conv(image, kernel, data_format=data_format, **settings)
    image = ops.moveaxis(image, 1, -1)
    return ops.moveaxis(ops.conv(image, kernel, data_format="channels_last", **settings), -1, 1)


def _channels_axis(tensor: Any, data_format: str) -> int:
    return len(tensor.shape) - 1 if data_format == "channels_last" else 1


def _dilations(windows: Sequence[Window]) -> tuple[int, ...]:
    """Of the convolution that computes the phases: with a stride, its kernel is written out."""
    return tuple(window.dilation if window.stride == 1 else 1 for window in windows)


def _phases(kernel: Any, windows: Sequence[Window]) -> Any:
    """The kernel `(taps..., a, b)`, turned round, as `(taps of a phase..., a, b, phases)`."""
    rank, strides = len(windows), [window.stride for window in windows]
    channels = kernel.shape[rank:]
    for axis, window in enumerate(windows):
        if window.stride > 1 and window.dilation > 1:
            kernel = _stretch(kernel, axis, window)
    # Not from the kernel's shape, which is symbolic while PyTorch exports.
    sizes = [(w.reach + 1 if w.stride > 1 else w.taps, w.stride) for w in windows]
    kernel = ops.pad(kernel, [*((0, -taps % stride) for taps, stride in sizes), (0, 0), (0, 0)])
    taps = [-(-taps // stride) for taps, stride in sizes]
    split = [size for pair in zip(taps, strides, strict=True) for size in pair]
    order = (*range(0, 2 * rank, 2), 2 * rank, 2 * rank + 1, *range(1, 2 * rank, 2))
    kernel = ops.transpose(ops.reshape(kernel, (*split, *channels)), order)
    kernel = ops.reshape(kernel, (*taps, *channels, prod(strides)))
    return ops.flip(kernel, axis=tuple(range(rank)))


def _stretch(kernel: Any, axis: int, window: Window) -> Any:
    """The kernel with zeros between its taps along an axis, as many as the dilation skips."""
    shape = list(kernel.shape)
    shape[axis] = window.taps * window.dilation
    zeros = [(0, 0)] * (len(shape) + 1)
    zeros[axis + 1] = (0, window.dilation - 1)
    kernel = ops.reshape(ops.pad(ops.expand_dims(kernel, axis + 1), zeros), shape)
    return kernel[(slice(None),) * axis + (slice(window.reach + 1),)]


def _reach(code: Any, windows: Sequence[Window], data_format: str) -> Any:
    """The code with zeros around it, as far as elements of the image look for a code."""
    before = [w.reach // w.stride - w.left // w.stride for w in windows]
    after = [(w.reach - w.right) // w.stride for w in windows]
    return pad(code, list(zip(before, after, strict=True)), data_format)


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
