"""Weights with which dense layers start at the error of PCA. See README.md."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import Layer, Model, Variable, layers, ops

from keras_tied._keras_internals import layer_chain
from keras_tied._pairs import locate_pairs
from keras_tied._types import Array
from keras_tied.layers import TiedDense

Activation = Callable[[Any], Any]
Pairs = tuple[slice, slice]  # the first and the second units of the pairs of a layer

# The largest excess of the error at the start over PCA's, relative to PCA's, and to the
# variance of the data: single precision's accuracy.
TOLERANCE = 1e-3
ROUNDING = 1e-7
SMALLEST = 1e-5  # the least standard deviation of the first score inside the network
STEEPEST = 10.0  # the largest slope of an activation there; its inverse is the least
BATCH_SIZE = 1024  # where nothing is trained: no gradients are kept

SHAPING = (layers.Flatten, layers.Reshape, layers.Rescaling, layers.Normalization)
ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU)
RANDOM = (
    layers.Dropout,
    layers.GaussianDropout,
    layers.AlphaDropout,
    layers.GaussianNoise,
)
PASSING = (*RANDOM, layers.ActivityRegularization, layers.Identity)


def start_from_pca(encoder: Model, decoder: Model, x: Any) -> None:
    front, links = _find_links(encoder, layers.Dense)
    _, back = _find_links(decoder, TiedDense)
    n_components = _check_chain(links, back)
    scores = _fit_scores(_propagate(front, x, encoder), n_components)
    activations = [link.activations for link in (*links, *back[:-1])]
    lines = _fit_lines(scores, activations, links[-1].layer.name)
    _assign(links, back, scores, lines)


@dataclass
class _Link:
    """A dense layer of a half, the activations after it, and whether noise is, too."""

    layer: Any
    activations: list[Activation]
    random: bool = False


class _Scores(NamedTuple):
    mean: Array  # (d,)
    components: Array  # (d, k)
    values: Array  # (n, k): the rows in terms of the components
    tolerance: float  # the largest sum of squared errors of the reconstructed values


class _Line(NamedTuple):
    """Maps the values of the carrying units, `(n, units)`, back to the scores."""

    values: Array
    slope: Array
    intercept: Array

    @property
    def outputs(self) -> Array:
        return self.slope * self.values + self.intercept


class _Lines(NamedTuple):
    """The scale of the scores, the first activation's points, and the lines back."""

    scale: float
    first: Array
    between: list[_Line]
    last: _Line


def _find_links(
    model: Model,
    kind: type[Any],
) -> tuple[list[Layer], list[_Link]]:
    if (path := layer_chain(model)) is None:
        raise ValueError(
            "A start from PCA needs halves that are chains of layers, each fed by the"
            f" one before it; '{model.name}' ({type(model).__name__}) is not: write it"
            " as a Sequential model."
        )
    front: list[Layer] = []
    links: list[_Link] = []
    reshape: Layer | None = None
    for layer in path:
        if isinstance(layer, kind) and reshape is None:
            links.append(_Link(layer, _drop_linear(layer.activation)))
        elif isinstance(layer, PASSING):
            if links:
                links[-1].random |= isinstance(layer, RANDOM)
        elif isinstance(layer, SHAPING) and links:
            reshape = layer
        elif isinstance(layer, SHAPING):
            front.append(layer)
        elif isinstance(layer, ACTIVATIONS) and links and reshape is None:
            links[-1].activations += _drop_linear(getattr(layer, "activation", layer))
        else:
            culprit = reshape or layer
            raise ValueError(
                f"A start from PCA can pass through {kind.__name__} layers with"
                " activations, dropout or noise between them, and Flatten, Reshape,"
                f" Rescaling or Normalization around them; '{culprit.name}'"
                f" ({type(culprit).__name__}) in '{model.name}' is another layer or in"
                " another place: leave it out, or start from random weights."
            )
    return front, links


def _drop_linear(activation: Activation) -> list[Activation]:
    return [] if activation is keras.activations.linear else [activation]


def _check_chain(links: list[_Link], back: list[_Link]) -> int:
    """The number of components, after a check that the decoder mirrors the encoder."""
    partners = [link.layer.tied_to for link in back if link.layer.transpose]
    if not links or [link.layer for link in reversed(links)] != partners:
        raise ValueError(
            "A start from PCA needs an encoder of Dense layers and a decoder that is"
            " tied to all of them, in reverse: build the decoder with `mirror(encoder,"
            " gain=True)`."
        )
    for link in (*links, *back):
        if not link.layer.use_bias:
            raise ValueError(
                "A start from PCA has to shift the values between layers, and layer "
                f"'{link.layer.name}' has no bias: build it with use_bias=True."
            )
    for link in links:
        if link.layer.quantization_mode is not None or link.layer.lora_enabled:
            raise ValueError(
                "A start from PCA sets each kernel, and that of layer"
                f" '{link.layer.name}' is quantized or has an adapter: call `quantize`"
                " or `enable_lora` after it."
            )
    is_linear = not any(link.activations for link in (*links, *back))
    for link in back:
        if not link.layer.use_gain and not is_linear:
            raise ValueError(
                "A start from PCA with activations needs gains, and the decoder's layer"
                f" '{link.layer.name}' has none: build the decoder with"
                " `mirror(encoder, gain=True)`."
            )
    if back[-1].activations:
        raise ValueError(
            "A start from PCA needs an output without an activation, and the decoder's"
            f" layer '{back[-1].layer.name}' is followed by one: leave"
            " `output_activation` out."
        )
    n_components = int(links[-1].layer.units)
    for link in links:
        if link.layer.units < n_components:
            raise ValueError(
                f"A start from PCA passes {n_components} scores through every layer,"
                f" and '{link.layer.name}' has {link.layer.units} units: give it at"
                f" least {n_components}."
            )
    return n_components


def _propagate(front: list[Layer], x: Any, encoder: Model) -> Array:
    """The inputs of the encoder's first dense layer, `(n, d)`."""
    rows = np.asarray(x)
    shape = encoder.input_shape[1:]
    if rows.dtype == object or rows.ndim != len(shape) + 1:
        raise ValueError(
            "A start from PCA takes all rows in one array of shape (n,"
            f" {', '.join(map(str, shape))}); received {type(x).__name__} of shape"
            f" {rows.shape}: convert it to a NumPy array."
        )
    parts = []
    numbers = rows.astype(keras.config.floatx())
    for batch in np.array_split(numbers, 1 + len(rows) // BATCH_SIZE):
        values = batch
        for layer in front:
            values = layer(values)
        parts.append(ops.convert_to_numpy(values))
    inputs = np.concatenate(parts)
    if inputs.ndim != 2:
        raise ValueError(
            "A start from PCA needs a first Dense layer that takes in a row of"
            f" numbers; '{encoder.name}' gives it {inputs.shape}: put a Flatten layer"
            " before it."
        )
    return inputs


def _fit_scores(inputs: Array, n_components: int) -> _Scores:
    """PCA of the rows, and their scores."""
    n_rows, n_features = inputs.shape
    if n_components > min(n_rows, n_features):
        raise ValueError(
            f"PCA of {n_rows} rows with {n_features} features has at most"
            f" {min(n_rows, n_features)} components, and the code has {n_components}"
            " units: give more rows, or make the code narrower."
        )
    from sklearn.decomposition import PCA  # which takes long to import

    mean = inputs.mean(axis=0, dtype=np.float64)
    # Around the mean, single precision suffices.
    deviations = (inputs - mean).astype(inputs.dtype)
    components = PCA(n_components, random_state=0).fit(deviations).components_.T
    components = np.asarray(components, np.float64)
    values = deviations @ components
    total = np.square(deviations, dtype=np.float64).sum()
    explained = np.square(values).sum()
    tolerance = max(TOLERANCE * (total - explained), ROUNDING * total)
    return _Scores(mean, components, values, tolerance)


def _fit_lines(
    scores: _Scores,
    activations: list[list[Activation]],
    name: str,
) -> _Lines:
    """The lines at the first of scales 1, 1/2 ... at which the error is that of PCA."""
    spread = float(scores.values.std(axis=0).max())
    scale = 1.0
    while (lines := _fit_lines_at(scale, scores, activations)) is None:
        scale /= 2
        if scale * spread < SMALLEST:
            raise ValueError(
                "A start from PCA found no region in which the activations up to layer"
                f" '{name}' and back work on each unit by itself along a straight line:"
                " use other ones, or start from random weights."
            )
    return lines


def _fit_lines_at(
    scale: float,
    scores: _Scores,
    activations: list[list[Activation]],
) -> _Lines | None:
    """The lines at a scale; None if the reconstructed scores exceed the tolerance."""
    targets = scale * scores.values
    # The errors of the activations may add up, so each gets an equal part of the
    # tolerance.
    share = scale**2 * scores.tolerance / len(activations) ** 2
    points = [_choose_point(each, targets, share) for each in activations]
    inputs = targets + points[0]
    between = []
    for each, point in zip(activations[:-1], points[1:], strict=True):
        line = _fit_line(_activate(each, inputs), targets, point)
        inputs = line.outputs
        between.append(line)
    last = _fit_line(_activate(activations[-1], inputs), scores.values, 0.0)
    if np.square(last.outputs - scores.values).sum() > scores.tolerance:
        return None
    return _Lines(scale, points[0], between, last)


def _choose_point(
    activations: list[Activation],
    targets: Array,
    share: float,
) -> Array:
    """Points, one a unit, around which the activation is linear enough, or the most."""
    least = np.inf
    best = np.zeros(targets.shape[1])
    reach = 1.05 * np.abs(targets).max(axis=0)
    # The origin, and points on both sides of it whose interval excludes it.
    points = [best]
    for more in (0.0, 1.0, 2.0, 4.0, 8.0):
        points += [reach + more, -(reach + more)]
    for point in points:
        line = _fit_line(_activate(activations, targets + point), targets, 0.0)
        error = np.square(line.outputs - targets).sum()
        is_steady = line.slope.min() > 1 / STEEPEST and line.slope.max() < STEEPEST
        if error < least and is_steady:
            least = error
            best = point
        if least <= share:
            break
    return best


def _activate(activations: list[Activation], inputs: Array) -> Array:
    values = inputs.astype("float32")
    for activation in activations:
        values = ops.convert_to_numpy(activation(ops.convert_to_tensor(values)))
    return np.asarray(values, dtype=np.float64)


def _fit_line(values: Array, targets: Array, point: Array | float) -> _Line:
    """The least-squares line from values to `targets + point`, for each unit."""
    mean = values.mean(axis=0)
    deviations = values - mean
    squares = np.square(deviations).sum(axis=0)
    products = (deviations * targets).sum(axis=0)
    common = products.sum() / (squares.sum() or 1.0)
    # For a unit that hardly varies, the slope is rounding error: it takes that of the
    # others.
    steady = squares <= 1e-10 * squares.max()
    slope = np.where(steady, common, products / np.where(steady, 1.0, squares))
    return _Line(values, slope, targets.mean(axis=0) - slope * mean + point)


def _assign(
    links: list[_Link],
    back: list[_Link],
    scores: _Scores,
    lines: _Lines,
) -> None:
    n_components = scores.values.shape[1]
    carriers = slice(n_components)  # the units that carry the scores
    kernels = [_read(link.layer.kernel) for link in links]
    biases = [_read(link.layer.bias) for link in links]
    kernels[0][:, carriers] = lines.scale * scores.components
    biases[0][carriers] = lines.first - scores.mean @ kernels[0][:, carriers]
    for kernel, bias, line in zip(kernels[1:], biases[1:], lines.between, strict=False):
        kernel[carriers, carriers] = np.diag(line.slope)
        bias[carriers] = line.intercept

    # The hidden layers, from the code outwards.
    outwards = range(len(links) - 1, 0, -1)
    backward = lines.between[len(links) - 1 :]
    for index, link, line in zip(outwards, back, backward, strict=False):
        can_train = link.layer.gain is not None and not links[index - 1].random
        n_others = len(kernels[index]) - n_components
        pairs = locate_pairs(n_components, n_others // 2 if can_train else 0)
        kernel = kernels[index]
        _cancel_pairs(kernels[index - 1], biases[index - 1], kernel[:, carriers], pairs)
        _assign_hidden(link, line, kernel[:, carriers], pairs)
    bias = scores.mean + scores.components @ lines.last.intercept
    _assign_decoder(back[-1].layer, lines.last.slope / lines.scale, bias)
    for link, kernel, bias in zip(links, kernels, biases, strict=True):
        link.layer.kernel.assign(kernel)
        link.layer.bias.assign(bias)


def _cancel_pairs(before: Array, bias: Array, after: Array, pairs: Pairs) -> None:
    """Make the pairs of a hidden layer, and the unit that may remain, give the code 0.

    `before` is the kernel into the layer, and `after`, `(units, components)`, the part
    of the next one that leads to the scores.
    """
    one, other = pairs
    before[:, other] = before[:, one]
    bias[other] = bias[one]
    after[other] = -after[one]
    after[other.stop :] = 0


def _assign_hidden(link: _Link, line: _Line, kernel: Array, pairs: Pairs) -> None:
    """Set the decoder's layer that leads from the scores to a hidden layer."""
    n_units, n_components = kernel.shape
    one, other = pairs
    gain = line.slope / np.diag(kernel)
    bias = np.zeros(n_units)
    bias[:n_components] = line.intercept
    if one.start < one.stop:
        inputs = (line.values * gain) @ kernel[one].T  # (n, pairs)
        bias[one], bias[other] = _choose_pair_biases(inputs, link.activations)
    _assign_decoder(link.layer, gain, bias)


def _choose_pair_biases(
    inputs: Array,
    activations: list[Activation],
) -> tuple[Array, Array]:
    """Biases of the decoder's pairs around which the activation is least linear.

    `inputs`, `(n, pairs)`, are those of the first unit of each; the other has their
    negatives.
    """
    mean = inputs.mean(axis=0)
    deviations = inputs - mean
    curve = np.linspace(0.2, 1, inputs.shape[1])
    kink = curve * deviations.std(axis=0)
    bends = []
    for point in (kink, curve):
        values = _activate(activations, deviations + point)
        line = _fit_line(deviations, values, 0.0)
        bends.append(np.square(line.outputs - values).sum(axis=0))
    point = np.where(bends[0] >= bends[1], kink, curve)
    return point - mean, point + mean


def _assign_decoder(layer: TiedDense, gain_of_scores: Array, bias: Array) -> None:
    if layer.gain is not None:
        gain = np.zeros(layer.gain.shape)
        gain[: len(gain_of_scores)] = gain_of_scores
        layer.gain.assign(gain)
    assert layer.bias is not None  # `mirror` gives each one
    layer.bias.assign(bias)


def _read(variable: Variable) -> Array:
    return np.array(ops.convert_to_numpy(variable), np.float64)
