"""Convolutions of images to codes, and their adjoints. See README.md here.

An image has the shape `(batch, places..., image channels)`, and its code likewise.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple, Self

from keras import backend, ops


class Window(NamedTuple):
    """A convolution along one axis; a negative `left` or `right` cuts the image off."""

    taps: int
    stride: int
    dilation: int
    left: int = 0
    right: int = 0

    def fit(
        self,
        padding: str,
        image_size: int | None,
        code_size: int | None = None,
    ) -> Self:
        """The convolution as Keras pads it; any `image_size` does for a stride of 1."""
        if image_size is None:
            image_size = self.reach + 1
        if code_size is None:
            reach = self.reach if padding == "valid" else 0
            code_size = (image_size - 1 - reach) // self.stride + 1
        missing = self.image_size(code_size) - image_size
        lefts = {"valid": 0, "same": max(missing, 0) // 2, "causal": self.reach}
        left = lefts[padding]
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

    @property
    def phase(self) -> Self:
        """The convolution of the code, of stride 1, that gives a phase of the image."""
        before = self.reach // self.stride - self.left // self.stride
        after = (self.reach - self.right) // self.stride
        phase = self._replace(left=before, right=after)
        if self.stride == 1:
            return phase
        # The kernel is written out, so that no dilation is left.
        taps = self.reach // self.stride + 1
        return phase._replace(taps=taps, stride=1, dilation=1)

    def image_size(self, code_size: int) -> int:
        whole = (code_size - 1) * self.stride + self.reach + 1
        return whole - self.left - self.right

    def code_size(self, image_size: int) -> int:
        steps = image_size + self.left + self.right - self.reach - 1
        return steps // self.stride + 1


Windows = Sequence[Window]  # one for each axis of places


def convolve(
    image: Any,
    kernel: Any,
    windows: Windows,
    operation: Callable[..., Any] = ops.conv,
) -> Any:
    """The code of an image, by a kernel `(taps..., image channels, code channels)`."""
    padding = "same"
    if not all(window.is_same for window in windows):
        padding = "valid"
        borders = [(window.left, window.right) for window in windows]
        image = pad(image, borders)
    return operation(image, kernel, padding=padding, **_settings(windows))


def _settings(windows: Windows) -> dict[str, Any]:
    """The arguments of Keras's operations that are those of the windows."""
    return {
        "strides": tuple(window.stride for window in windows),
        "dilation_rate": tuple(window.dilation for window in windows),
        "data_format": "channels_last",
    }


def spread(
    code: Any,
    kernel: Any,
    windows: Windows,
    groups: int = 1,
) -> Any:
    """The image of a code, by `(taps..., image channels / groups, code channels)`."""
    spread_group = _transpose if _has_fast_transpose(windows) else _sum_phases
    if groups == 1:
        return spread_group(code, kernel, windows)
    # One convolution a group: Keras has no transposed one with groups, and XLA is slow
    # at the gradients of a single one.
    codes = ops.split(code, groups, axis=-1)
    kernels = ops.split(kernel, groups, axis=-1)
    pairs = zip(codes, kernels, strict=True)
    images = [spread_group(*pair, windows) for pair in pairs]
    return ops.concatenate(images, axis=-1)


def spread_depthwise(code: Any, kernel: Any, windows: Windows) -> Any:
    """The image of a depthwise code, by `(taps..., image channels, multiplier)`."""
    phases = _split_kernel(kernel, windows)
    *taps, channels, multiplier, count = phases.shape
    weights = ops.reshape(
        phases,
        (*taps, channels * multiplier, count),
    )
    phase_windows = [window.phase for window in windows]
    image = convolve(code, weights, phase_windows, ops.depthwise_conv)
    if multiplier > 1:
        # Each image channel gathers from all the code channels that it was multiplied
        # into.
        _, *sizes, _ = ops.shape(image)
        image = ops.reshape(
            image,
            (-1, *sizes, channels, multiplier, count),
        )
        image = ops.sum(image, axis=-2)
        image = ops.reshape(
            image,
            (-1, *sizes, channels * count),
        )
    return _interleave(image, windows)


def _has_fast_transpose(windows: Windows) -> bool:
    """Whether the backend's own transposed convolution is used: where it is fast."""
    if backend.backend() == "jax":  # XLA is many times slower at its gradients
        return all(window.stride == 1 for window in windows)
    if backend.backend() == "tensorflow":  # has no dilation on a CPU without oneDNN
        return all(window.dilation == 1 for window in windows)
    return True


def _transpose(code: Any, kernel: Any, windows: Windows) -> Any:
    """The image of a code, by the backend's own transposed convolution."""
    is_same = all(window.is_same for window in windows)
    # Beyond the last code, Keras's shortest image holds one element, or none.
    beyond = [window.image_size(1) - (window.reach + 1) % 2 for window in windows]
    if not is_same:
        beyond = [-window.right for window in windows]
    image = ops.conv_transpose(
        code,
        kernel,
        padding="same" if is_same else "valid",
        output_padding=tuple(beyond),
        **_settings(windows),
    )
    if is_same:
        return image
    borders = [(-window.left, 0) for window in windows]
    return pad(image, borders)


def _sum_phases(code: Any, kernel: Any, windows: Windows) -> Any:
    """The image of a code, by a convolution of stride one."""
    # (taps..., image channels, code channels, phases)
    weights = _split_kernel(kernel, windows)
    weights = ops.swapaxes(weights, -3, -2)
    # (taps..., code channels, image channels * phases)
    weights = ops.reshape(
        weights,
        (*weights.shape[:-2], -1),
    )
    phases = convolve(code, weights, [window.phase for window in windows])
    return _interleave(phases, windows)


def _split_kernel(kernel: Any, windows: Windows) -> Any:
    """The kernel `(taps..., a, b)`, reversed, as `(phase taps..., a, b, phases)`."""
    rank = len(windows)
    channels = kernel.shape[rank:]
    for axis, window in enumerate(windows):
        if window.stride > 1:
            kernel = _split_taps(kernel, axis, window)
    # Not from the kernel's shape, which is symbolic while PyTorch exports.
    taps = [window.phase.taps for window in windows]
    count = prod(window.stride for window in windows)
    kernel = ops.reshape(kernel, (*taps, *channels, count))
    return ops.flip(kernel, axis=tuple(range(rank)))


def _split_taps(kernel: Any, axis: int, window: Window) -> Any:
    """The kernel with the taps of a phase along an axis, and a last axis of phases."""
    before = kernel.shape[:axis]
    after = kernel.shape[axis + 1 :]
    length = window.taps
    if window.dilation > 1:
        # Write out the zeros that the dilation skips.
        length *= window.dilation
        kernel = ops.expand_dims(kernel, axis + 1)
        kernel = _pad_axis(kernel, axis + 1, window.dilation - 1)
        kernel = ops.reshape(kernel, (*before, length, *after))
    taps = window.phase.taps
    whole = taps * window.stride
    if whole < length:  # of the zeros after the last tap
        kernel, _ = ops.split(kernel, [whole], axis=axis)
    else:
        kernel = _pad_axis(kernel, axis, whole - length)
    kernel = ops.reshape(
        kernel,
        (*before, taps, window.stride, *after),
    )
    return ops.moveaxis(kernel, axis + 1, -1)


def _pad_axis(kernel: Any, axis: int, count: int) -> Any:
    zeros = [(0, 0)] * len(kernel.shape)
    zeros[axis] = (0, count)
    return ops.pad(kernel, zeros)


def _interleave(phases: Any, windows: Windows) -> Any:
    """The image, from channels `(image channels, phases)`, less its padding."""
    strides = [window.stride for window in windows]
    rank = len(windows)
    image = phases
    if prod(strides) > 1:
        _, *sizes, width = ops.shape(phases)
        channels = width // prod(strides)
        image = ops.reshape(
            image,
            (-1, *sizes, channels, *strides),
        )
        # Each axis of places is followed by the axis of its phases, and merged with it.
        order = [0]
        for axis in range(1, rank + 1):
            order += [axis, rank + 1 + axis]
        image = ops.transpose(image, (*order, rank + 1))
        whole = [size * stride for size, stride in zip(sizes, strides, strict=True)]
        image = ops.reshape(image, (-1, *whole, channels))
    widths = []
    for window in windows:
        before = -(window.left % window.stride)
        after = (window.reach - window.right) % window.stride
        widths.append((before, after - window.stride + 1))
    return pad(image, widths)


def pad(image: Any, widths: Sequence[tuple[int, int]]) -> Any:
    """The image with zeros around it along each axis, or cut where negative."""
    zeros = [(0, 0)]
    parts = [slice(None)]
    for before, after in widths:
        zeros.append((max(before, 0), max(after, 0)))
        begin, end = max(-before, 0), min(after, 0) or None
        parts.append(slice(begin, end))
    if any(min(width) < 0 for width in widths):
        image = image[tuple(parts)]
    if any(map(any, zeros)):
        image = ops.pad(image, [*zeros, (0, 0)])
    return image
