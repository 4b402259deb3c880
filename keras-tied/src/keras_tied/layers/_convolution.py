"""Convolutions of images to codes, and their adjoints. See README.md here.

An image has the shape `(batch, places..., image channels)`, and its code likewise.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple, Self

import numpy as np
from keras import backend, ops
from numpy.typing import NDArray


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
        """The convolution as Keras pads it, for the smallest image if not known."""
        reach = self.reach if padding == "valid" else 0
        if image_size is None:
            image_size = reach + 1
        if code_size is None:
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
        # With a stride, the zeros that the dilation skips are written out.
        dilation = self.dilation if self.stride == 1 else 1
        return self._replace(
            taps=self.reach // (self.stride * dilation) + 1,
            stride=1,
            dilation=dilation,
            left=self.reach // self.stride - self.left // self.stride,
            right=(self.reach - self.right) // self.stride,
        )

    @property
    def phase_taps(self) -> NDArray[Any]:
        """Ones at the taps of each phase, reversed: `(taps, phase taps, phases)`."""
        taps = np.arange(self.taps)
        numbers, phases = np.divmod(taps * self.dilation, self.stride)
        last = self.phase.taps - 1
        ones = np.zeros((self.taps, last + 1, self.stride))
        ones[taps, last - numbers // self.phase.dilation, phases] = 1
        return ones

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
    weights = _split_kernel(kernel, windows)
    *taps, channels, multiplier, count = weights.shape
    weights = ops.reshape(
        weights,
        (*taps, channels * multiplier, count),
    )
    phase_windows = [window.phase for window in windows]
    phases = convolve(code, weights, phase_windows, ops.depthwise_conv)
    image = _interleave(phases, windows)
    # Each image channel gathers from all the code channels that it was multiplied into.
    _, *sizes, _ = ops.shape(image)
    image = ops.reshape(
        image,
        (-1, *sizes, channels, multiplier),
    )
    return ops.sum(image, axis=-1)


def _has_fast_transpose(windows: Windows) -> bool:
    """Whether the backend's own transposed convolution is used: where it is fast."""
    name: str = backend.backend()
    if name == "tensorflow":  # has no dilation on a CPU without oneDNN
        return all(window.dilation == 1 for window in windows)
    return name != "jax"  # XLA is many times slower at its gradients


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
    channels = kernel.shape[-2:]
    taps = [window.phase.taps for window in windows]
    count = prod(window.stride for window in windows)
    for window in windows:
        # The first axis of taps goes, and two come at the end.
        ones = ops.convert_to_tensor(window.phase_taps, kernel.dtype)
        kernel = ops.tensordot(kernel, ones, axes=[[0], [0]])
    # From (a, b, phase taps, phases, phase taps, phases, ...)
    last = 2 * len(windows) + 2
    order = (*range(2, last, 2), 0, 1, *range(3, last, 2))
    kernel = ops.transpose(kernel, order)
    return ops.reshape(kernel, (*taps, *channels, count))


def _interleave(phases: Any, windows: Windows) -> Any:
    """The image, from channels `(image channels, phases)`, less its padding."""
    strides = [window.stride for window in windows]
    rank = len(windows)
    _, *sizes, width = ops.shape(phases)
    channels = width // prod(strides)
    image = ops.reshape(
        phases,
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
