"""The reverse of an EinsumDense layer."""

import re
from typing import Any, NamedTuple, Self

import keras
from keras import Layer, ops

from keras_tied._serializable import serializable
from keras_tied._types import Config, Shape
from keras_tied.layers.tied_layer import TiedLayer


class Equation(NamedTuple):
    """The letters of `inputs,kernel->outputs`, and where there is an ellipsis."""

    inputs: str
    kernel: str
    outputs: str
    before: bool
    after: bool

    @classmethod
    def parse(cls, equation: str) -> Self:
        inputs, kernel, outputs = re.split(",|->", equation)
        before, after = inputs.startswith("..."), inputs.endswith("...")
        return cls(inputs.strip("."), kernel, outputs.strip("."), before, after)

    def __str__(self) -> str:
        before, after = "..." * self.before, "..." * self.after
        inputs = f"{before}{self.inputs}{after}"
        return f"{inputs},{self.kernel}->{before}{self.outputs}{after}"

    def split(self, input_shape: Shape) -> tuple[Shape, Shape, Shape]:
        """The sizes before the letters of the inputs, with letters, and after them."""
        sizes = tuple(input_shape)  # not a shape of TensorFlow's
        start = len(sizes) - len(self.inputs) if self.before else 0
        end = start + len(self.inputs)
        return sizes[:start], sizes[start:end], sizes[end:]


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
        bias_axes: the letters of the output's axes that the bias has. Defaults to those
            that come from the kernel.
        **kwargs: `activation`, `use_bias`, `bias_*` and Keras's own as in `TiedDense`.

    Raises:
        ValueError: where `tied_to` is not an `EinsumDense`, its equation sums over an
            axis that neither kernel nor outputs have, `bias_axes` names an axis that
            the output does not have, or the shapes do not fit.

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

    def __init__(
        self,
        tied_to: Layer,
        transpose: bool = True,
        gain: bool = False,
        bias_axes: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(tied_to, transpose, gain, **kwargs)
        self.bias_axes = bias_axes
        self.supports_masking = False  # as in Keras: axes may change their places

    @property
    def equation(self) -> str:
        """The einsum equation that this layer computes, `inputs,kernel->outputs`."""
        return str(self._equation())

    def _equation(self) -> Equation:
        partner = self.tied_settings()
        equation = Equation.parse(partner.equation)
        if not self.transpose:
            return equation
        axes_after = equation.kernel + equation.outputs
        missing_axes = sorted(set(equation.inputs) - set(axes_after))
        if missing_axes:
            raise ValueError(
                f"{self.label} cannot reconstruct the inputs of '{partner.name}', whose"
                f" equation '{partner.equation}' sums over the axes {missing_axes} and"
                " keeps nothing of them: keep them in its output, and sum over them in"
                " a layer of its own."
            )
        return equation._replace(inputs=equation.outputs, outputs=equation.inputs)

    def build(self, input_shape: Shape) -> None:
        equation, sizes = self._equation(), self._sizes(input_shape)
        before, _, _ = equation.split(input_shape)
        axes = {}
        for axis, letter in enumerate(equation.inputs, len(before)):
            if letter in equation.kernel:
                axes[axis] = sizes[letter]
        self.input_spec = keras.layers.InputSpec(ndim=len(input_shape), axes=axes)
        units = equation.inputs if self.transpose else equation.outputs
        kernel_axes = zip(equation.kernel, self.tied_kernel_shape(), strict=True)
        gain = tuple(size if letter in units else 1 for letter, size in kernel_axes)
        output_shape = self.compute_output_shape(input_shape)
        self.add_own_weights(gain, self._bias_shape(equation, output_shape))

    def _bias_shape(
        self,
        equation: Equation,
        shape: Shape,
    ) -> tuple[int, ...]:
        """The sizes of the axes from the first that the bias has, 1 for the others."""
        axes: Any = self.bias_axes
        if axes is None:
            axes = [each for each in equation.outputs if each in equation.kernel]
        letters = equation.outputs
        letters = letters.rjust(len(shape)) if equation.before else letters
        letters = letters.ljust(len(shape))
        sizes = []
        known: set[str] = set()
        for letter, size in zip(letters, shape, strict=True):
            sizes.append(size if size and letter in axes else 1)
            known.update(letter if size else "")
        if not set(axes) <= known:
            raise ValueError(
                f"{self.label} computes '{equation}', with outputs of shape "
                f"{tuple(shape)}; received bias_axes={axes!r}: name axes of "
                f"'{equation.outputs}' whose size is known."
            )
        start = min(map(letters.index, axes), default=len(shape))
        return tuple(sizes[start:])

    def _sizes(self, input_shape: Shape) -> dict[str, int | None]:
        """The size of each axis of the equation, by its letter; None if not known."""
        equation, kernel_shape = self._equation(), self.tied_kernel_shape()
        sizes: dict[str, int | None] = {}
        sizes.update(zip(equation.kernel, kernel_shape, strict=True))
        _, letters, after = equation.split(input_shape)
        fits = len(letters) == len(equation.inputs) and (equation.after or not after)
        for letter, size in zip(equation.inputs, letters, strict=False):
            known = sizes.setdefault(letter, size)
            fits = fits and known in (None, size or known)
        if not fits:
            raise ValueError(
                f"{self.label} computes '{equation}' with the kernel of"
                f" '{self.tied_settings().name}', of shape {kernel_shape}; received an"
                f" input of shape {tuple(input_shape)}: feed it outputs of that"
                f" layer{'' if self.transpose else ' or inputs as it takes'}, or tie it"
                " to another."
            )
        return sizes

    def call(self, inputs: Any) -> Any:
        outputs = ops.einsum(self.equation, inputs, self.kernel)
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        equation, sizes = self._equation(), self._sizes(input_shape)
        before, _, after = equation.split(input_shape)
        shape = [*before, *(sizes[letter] for letter in equation.outputs), *after]
        partner_shape = self.tied_input_shape() if self.transpose else None
        if partner_shape is None or len(partner_shape) != len(shape):
            return tuple(shape)
        # The layer tied to may know a size that ours do not tell; its batch size is not
        # ours.
        for axis in range(1, len(shape)):
            if shape[axis] is None:
                shape[axis] = partner_shape[axis]
        return tuple(shape)

    def get_config(self) -> Config:
        return {**super().get_config(), "bias_axes": self.bias_axes}
