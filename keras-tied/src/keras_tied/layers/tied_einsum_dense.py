"""The reverse of an EinsumDense layer."""

import re
from itertools import dropwhile
from string import digits
from typing import Any, NamedTuple, Self

import keras
from keras import ops

from keras_tied._serializable import serializable
from keras_tied._types import Shape
from keras_tied.layers.tied_layer import TiedLayer

Sizes = dict[str, Any]  # of axes, by their letters; None where it is not known


class Axes(NamedTuple):
    """The letters of `inputs,kernel->outputs`, with a digit for each axis of `...`."""

    inputs: str
    kernel: str
    outputs: str

    @classmethod
    def parse(cls, equation: str, rank: int) -> Self:
        """The axes for inputs of a rank."""
        n_elided = rank - sum(map(str.isalpha, equation.split(",")[0]))
        elided = digits[: max(n_elided, 0)]
        return cls(*re.split(",|->", equation.replace("...", elided)))


@serializable
class TiedEinsumDense(TiedLayer):
    r"""The adjoint of an `EinsumDense`: it uses the kernel of another layer, backwards.

    The equation is that of the layer tied to with inputs and outputs exchanged: from
    the kernel $W$ of `"abc,cde->abde"`, which projects features `c` to heads `d` of
    size `e`, it computes `"abde,cde->abc"`. With gain $g$, one factor for each output
    unit of the kernel, and bias $b$,

    $$y_{abc} = \mathrm{activation}\left(
        \sum_{d,e} x_{abde}\, g_{de}\, W_{cde} + b_c\right),$$

    and likewise for other equations. With `transpose=False` it computes what the other
    layer does, scaled by the gain, with a bias and an activation of its own. It takes
    the output of the layer tied to, floating point, and gives the shape of its input;
    if not transposed, the reverse.

    Args:
        tied_to: the `EinsumDense` whose kernel is used. The kernel remains its
            variable.
        transpose: whether the adjoint is computed. Defaults to `True`.
        gain: whether to learn $g$, at first ones, along the axes of the kernel that the
            output of the layer tied to has. Defaults to `False`.
        **kwargs: `activation`, `use_bias`, `bias_*` and Keras's own as in `TiedDense`.
            The bias has the axes of the output that come from the kernel.

    Raises:
        ValueError: where `tied_to` is not an `EinsumDense`, its equation sums over an
            axis that neither kernel nor outputs have, or the shapes do not fit.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import TiedEinsumDense
        >>> inputs = keras.Input((10, 32))
        >>> heads = keras.layers.EinsumDense("abc,cde->abde", (None, 4, 8))
        >>> back = TiedEinsumDense(heads)
        >>> back.equation
        'abde,cde->abc'
        >>> keras.Model(inputs, back(heads(inputs))).output_shape
        (None, 10, 32)
    """

    PARTNERS = (keras.layers.EinsumDense,)
    KEEPS_MASKS = False  # as in Keras: axes may change their places

    @property
    def equation(self) -> str:
        """The einsum equation that this layer computes, `inputs,kernel->outputs`."""
        partner = self.tied_settings()
        equation: str = partner.equation
        if not self.transpose:
            return equation
        inputs, kernel, outputs = re.split(",|->", equation)
        missing_axes = sorted(set(inputs) - set(kernel + outputs))
        if missing_axes:
            raise ValueError(
                f"{self.label} cannot reconstruct the inputs of '{partner.name}', whose"
                f" equation '{equation}' sums over the axes {missing_axes} and"
                " keeps nothing of them: keep them in its output, and sum over them in"
                " a layer of its own."
            )
        return f"{outputs},{kernel}->{inputs}"

    def build(self, input_shape: Shape) -> None:
        axes = Axes.parse(self.equation, len(input_shape))
        sizes = self._sizes(axes, input_shape)
        expected = {}
        for axis, letter in enumerate(axes.inputs):
            if letter in axes.kernel:
                expected[axis] = sizes[letter]
        self.input_spec = keras.layers.InputSpec(ndim=len(input_shape), axes=expected)
        # of the layer tied to, whose outputs are the inputs of the transposed one
        units = axes.inputs if self.transpose else axes.outputs
        gain = [sizes[letter] if letter in units else 1 for letter in axes.kernel]
        # The outputs' axes from the first one that comes from the kernel.
        letters = dropwhile(lambda letter: letter not in axes.kernel, axes.outputs)
        bias = [sizes[letter] if letter in axes.kernel else 1 for letter in letters]
        self.add_own_weights(tuple(gain), tuple(bias))

    def _sizes(self, axes: Axes, input_shape: Shape) -> Sizes:
        """The size of each axis, by its letter; None if not known."""
        kernel_shape = self.tied_kernel_shape()
        sizes: Sizes = dict(zip(axes.kernel, kernel_shape, strict=True))
        fits = len(axes.inputs) == len(input_shape)
        for letter, size in zip(axes.inputs, input_shape, strict=False):
            known = sizes.setdefault(letter, size)
            fits = fits and known in (None, size or known)
        if not fits:
            raise ValueError(
                f"{self.label} computes '{self.equation}' with the kernel of"
                f" '{self.tied_settings().name}', of shape {kernel_shape}; received an"
                f" input of shape {tuple(input_shape)}: feed it outputs of that"
                f" layer{'' if self.transpose else ' or inputs as it takes'}, or tie it"
                " to another."
            )
        # The layer tied to may know a size that ours do not tell; its batch size is not
        # ours.
        partner_shape = self.tied_input_shape() if self.transpose else None
        if partner_shape is not None and len(partner_shape) == len(axes.outputs):
            pairs = zip(axes.outputs[1:], partner_shape[1:], strict=True)
            for letter, size in pairs:
                sizes[letter] = sizes[letter] or size
        return sizes

    def call(self, inputs: Any) -> Any:
        outputs = ops.einsum(self.equation, inputs, self.kernel)
        return self.activation(self.add_bias(outputs))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        axes = Axes.parse(self.equation, len(input_shape))
        sizes = self._sizes(axes, input_shape)
        return tuple(sizes[letter] for letter in axes.outputs)
