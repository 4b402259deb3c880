"""Weights with which an autoencoder of dense layers starts at the error of PCA. See README.md."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from keras_tied._keras_internals import layer_chain
from keras_tied._pairs import locate_pairs
from keras_tied._types import Array
from keras_tied.layers import TiedDense

Activation = Callable[[Any], Any]

TOLERANCE = (
    1e-3  # the largest excess of the error at the start over PCA's, relative to PCA's
)
ROUNDING = (
    1e-7  # the same relative to the variance of the data: single precision's accuracy
)
SMALLEST = 1e-5  # the least standard deviation of the first score inside the network
STEEPEST = (
    10.0  # the largest slope of an activation there, and the inverse of the least
)
HALVINGS = 3  # bisection steps between a scale that is small enough and one that is not
BATCH_SIZE = (
    1024  # where nothing is trained: no gradients are kept, and calls cost time
)

SHAPING = (layers.Flatten, layers.Reshape, layers.Rescaling, layers.Normalization)
ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU)
RANDOM = (
    layers.Dropout,
    layers.GaussianDropout,
    layers.AlphaDropout,
    layers.GaussianNoise,
)
PASSING = (*RANDOM, layers.ActivityRegularization, layers.Identity)


def start_from_pca(encoder: keras.Model, decoder: keras.Model, x: Any) -> None:
    front, links = _find_links(encoder, layers.Dense)
    _, back = _find_links(decoder, TiedDense)
    n_components = _check_chain(links, back)
    scores = _fit_scores(_propagate(front, x, encoder), n_components)
    forward = [link.activations for link in links]
    backward = [link.activations for link in back[:-1]]
    lines = _fit_lines(scores, [*forward, *backward], links[-1].layer.name)
    _assign(links, back, scores, lines)


@dataclass
class _Link:
    """A dense layer of a half, the activations after it, and whether noise comes after it too."""

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
    """The scale of the scores, the points of the first activation, and lines back to the scores."""

    scale: float
    first: Array
    between: list[_Line]
    last: _Line


def _find_links(
    model: keras.Model, kind: type[Any]
) -> tuple[list[layers.Layer], list[_Link]]:
    if (path := layer_chain(model)) is None:
        raise ValueError(
            "A start from PCA needs halves that are chains of layers, each fed by the"
            f" one before it; '{model.name}' ({type(model).__name__}) is not: write it"
            " as a Sequential model."
        )
    front: list[layers.Layer] = []
    links: list[_Link] = []
    reshape: layers.Layer | None = None
    for layer in path:
        if isinstance(layer, kind) and reshape is None:
            links.append(_Link(layer, _drop_linear(layer.activation)))
        elif isinstance(layer, PASSING) and links:
            links[-1].random |= isinstance(layer, RANDOM)
        elif isinstance(layer, PASSING):
            continue
        elif isinstance(layer, SHAPING) and links:
            reshape = layer
        elif isinstance(layer, SHAPING):
            front.append(layer)
        elif isinstance(layer, ACTIVATIONS) and links and reshape is None:
            links[-1].activations += _drop_linear(getattr(layer, "activation", layer))
        else:
            refused = reshape or layer
            raise ValueError(
                f"A start from PCA can pass through {kind.__name__} layers with"
                " activations, dropout or noise between them, and Flatten, Reshape,"
                f" Rescaling or Normalization around them; '{refused.name}'"
                f" ({type(refused).__name__}) in '{model.name}' is another layer or in"
                " another place: leave it out, or start from random weights."
            )
    return front, links


def _drop_linear(activation: Activation) -> list[Activation]:
    return [] if activation is keras.activations.linear else [activation]


def _check_chain(links: list[_Link], back: list[_Link]) -> int:
    """The number of components, after a check that the decoder mirrors the encoder."""
    mirrored = [link.layer.tied_to for link in back if link.layer.transpose]
    if not links or [link.layer for link in reversed(links)] != mirrored:
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
    plain = [link.layer.name for link in back if not link.layer.use_gain]
    if plain and any(link.activations for link in (*links, *back)):
        raise ValueError(
            "A start from PCA with activations needs gains, and the decoder's layer"
            f" '{plain[0]}' has none: build the decoder with `mirror(encoder,"
            " gain=True)`."
        )
    if back[-1].activations:
        raise ValueError(
            "A start from PCA needs an output without an activation, and the decoder's"
            f" layer '{back[-1].layer.name}' is followed by one: leave"
            " `output_activation` out."
        )
    n_components = int(links[-1].layer.units)
    narrowest = min((link.layer for link in links), key=lambda layer: layer.units)
    if narrowest.units < n_components:
        raise ValueError(
            f"A start from PCA passes {n_components} scores through every layer, and"
            f" '{narrowest.name}' has {narrowest.units} units: give it at least"
            f" {n_components}."
        )
    return n_components


def _propagate(front: list[layers.Layer], x: Any, encoder: keras.Model) -> Array:
    """The inputs of the encoder's first dense layer, `(n, d)`."""
    rows = np.asarray(x)
    shape = encoder.input_shape[1:]
    if rows.dtype == object or rows.ndim != len(shape) + 1:
        raise ValueError(
            "A start from PCA takes all rows in one array of shape (n,"
            f" {', '.join(map(str, shape))}); received {type(x).__name__} of shape"
            f" {rows.shape}: convert it to a NumPy array."
        )
    inputs: Array = rows.astype(keras.config.floatx())
    if front:
        inputs = _copy_chain(front, shape).predict(inputs, BATCH_SIZE, verbose=0)
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
    deviations = (inputs - mean).astype(
        inputs.dtype
    )  # single precision suffices around the mean
    components = PCA(n_components, random_state=0).fit(deviations).components_.T
    components = np.asarray(components, np.float64)
    values = deviations @ components
    total = np.square(deviations, dtype=np.float64).sum()
    explained = np.square(values).sum()
    tolerance = max(TOLERANCE * (total - explained), ROUNDING * total)
    return _Scores(mean, components, values, tolerance)


def _fit_lines(
    scores: _Scores, activations: list[list[Activation]], name: str
) -> _Lines:
    """The lines at the largest scale, 1 at most, at which the error is as good as PCA's."""
    spread = float(scores.values.std(axis=0).max())
    small = large = 1.0
    while (lines := _fit_lines_at(small, scores, activations)) is None:
        small, large = small / 2, small
        if small * spread < SMALLEST:
            raise ValueError(
                "A start from PCA found no region in which the activations up to layer"
                f" '{name}' and back work on each unit by itself along a straight line:"
                " use other ones, or start from random weights."
            )
    for _ in range(HALVINGS if small < large else 0):
        middle = math.sqrt(small * large)
        if new_lines := _fit_lines_at(middle, scores, activations):
            small, lines = middle, new_lines
        else:
            large = middle
    return lines


def _fit_lines_at(
    scale: float, scores: _Scores, activations: list[list[Activation]]
) -> _Lines | None:
    """The lines at a scale; None if the reconstructed scores exceed the tolerance."""
    targets = scale * scores.values
    # The errors of the activations may add up, so each gets an equal part of the
    # tolerance.
    share = scale**2 * scores.tolerance / max(len(activations), 1) ** 2
    points = [_choose_point(each, targets, share) for each in activations]
    inputs, between = targets + points[0], []
    for each, point in zip(activations[:-1], points[1:], strict=True):
        line = _fit_line(_activate(each, inputs), targets, point)
        inputs = line.outputs
        between.append(line)
    last = _fit_line(_activate(activations[-1], inputs), scores.values, 0.0)
    off = np.square(last.outputs - scores.values).sum()
    return _Lines(scale, points[0], between, last) if off <= scores.tolerance else None


def _choose_point(activations: list[Activation], targets: Array, share: float) -> Array:
    """For each unit, a point around which the activation is linear enough, or the most linear."""
    least = np.inf
    best: Array = np.zeros(targets.shape[1])
    reach = 1.05 * np.abs(targets).max(axis=0)
    # The origin, and points on both sides of it whose interval excludes it.
    shifts = [
        sign * (reach + more) for more in (0.0, 1.0, 2.0, 4.0, 8.0) for sign in (1, -1)
    ]
    for point in (best, *shifts):
        line = _fit_line(_activate(activations, targets + point), targets, 0.0)
        error = np.square(line.outputs - targets).sum()
        if error < least and np.all(
            (line.slope > 1 / STEEPEST) & (line.slope < STEEPEST)
        ):
            least, best = error, point
        if least <= share:
            break
    return best


def _activate(activations: list[Activation], inputs: Array) -> Array:
    values = inputs.astype("float32")
    for activation in activations:
        values = ops.convert_to_numpy(activation(ops.convert_to_tensor(values)))
    return np.asarray(values, dtype=np.float64)


def _fit_line(values: Array, targets: Array, point: Array | float) -> _Line:
    """The line from values to `targets + point` with the least squares, for each unit."""
    deviations = values - values.mean(axis=0)
    squares, products = (
        np.square(deviations).sum(axis=0),
        (deviations * targets).sum(axis=0),
    )
    common = products.sum() / (squares.sum() or 1.0)
    # For a unit that hardly varies, the slope is rounding error: it takes that of the
    # others.
    steady = squares <= 1e-10 * squares.max()
    slope = np.where(steady, common, products / np.where(steady, 1.0, squares))
    return _Line(
        values, slope, targets.mean(axis=0) - slope * values.mean(axis=0) + point
    )


def _assign(
    links: list[_Link], back: list[_Link], scores: _Scores, lines: _Lines
) -> None:
    depth, n_components = len(links), scores.values.shape[1]
    kernels = [_read(link.layer.kernel) for link in links]
    biases = [_read(link.layer.bias) for link in links]
    kernels[0][:, :n_components] = lines.scale * scores.components
    biases[0][:n_components] = lines.first - scores.mean @ kernels[0][:, :n_components]
    for kernel, bias, line in zip(kernels[1:], biases[1:], lines.between, strict=False):
        kernel[:n_components, :n_components] = np.diag(line.slope)
        bias[:n_components] = line.intercept

    for index, line in zip(
        range(depth - 1, 0, -1), lines.between[depth - 1 :], strict=True
    ):
        link = back[depth - 1 - index]
        gain = line.slope / np.diag(kernels[index][:n_components, :n_components])
        bias = np.zeros(link.layer.bias.shape)
        bias[:n_components] = line.intercept
        has_pairs = link.layer.gain is not None and not links[index - 1].random
        pairs = (len(bias) - n_components) // 2 if has_pairs else 0
        one, other = locate_pairs(n_components, pairs)
        _cancel_pairs(
            kernels[index - 1 : index + 1], biases[index - 1], n_components, pairs
        )
        if pairs:
            inputs = (line.values * gain) @ kernels[index][one, :n_components].T
            bias[one], bias[other] = _choose_pair_biases(inputs, link.activations)
        _assign_decoder(link.layer, gain, bias)
    bias = scores.mean + scores.components @ lines.last.intercept
    _assign_decoder(back[-1].layer, lines.last.slope / lines.scale, bias)
    for link, kernel, bias in zip(links, kernels, biases, strict=True):
        link.layer.kernel.assign(kernel)
        link.layer.bias.assign(bias)


def _cancel_pairs(
    kernels: list[Array], bias: Array, n_components: int, pairs: int
) -> None:
    """Make the pairs of a hidden layer, and the unit that may remain, contribute 0 to the code."""
    before, after = kernels
    one, other = locate_pairs(n_components, pairs)
    before[:, other] = before[:, one]
    bias[other] = bias[one]
    after[other, :n_components] = -after[one, :n_components]
    after[n_components + 2 * pairs :, :n_components] = 0


def _choose_pair_biases(
    inputs: Array, activations: list[Activation]
) -> tuple[Array, Array]:
    """Biases of the decoder's pairs around which the activation is least linear.

    `inputs`, `(n, pairs)`, are those of the first unit of each; the other has their
    negatives.
    """
    mean = inputs.mean(axis=0)
    deviations = inputs - mean
    reach = np.linspace(0.2, 1, inputs.shape[1])
    points = reach * deviations.std(axis=0), reach  # for a kink, and for a curve
    bends = []
    for point in points:
        values = _activate(activations, deviations + point)
        line = _fit_line(deviations, values, 0.0)
        bends.append(np.square(line.outputs - values).sum(axis=0))
    point = np.where(bends[0] >= bends[1], *points)
    return point - mean, point + mean


def _assign_decoder(layer: TiedDense, gain_of_scores: Array, bias: Array) -> None:
    if layer.gain is not None:
        gain = np.zeros(layer.gain.shape)
        gain[: len(gain_of_scores)] = gain_of_scores
        layer.gain.assign(gain)
    assert layer.bias is not None  # `mirror` gives each one
    layer.bias.assign(bias)


def _read(variable: keras.Variable) -> Array:
    return np.array(ops.convert_to_numpy(variable), np.float64)


def _copy_chain(
    chain: Sequence[layers.Layer], shape: Sequence[int | None]
) -> keras.Sequential:
    """A model of copies of some built layers, for inputs of this shape (without the batch)."""
    copies = [type(layer).from_config(layer.get_config()) for layer in chain]
    model = keras.Sequential([keras.Input(tuple(shape)), *copies])
    for one, other in zip(chain, copies, strict=True):
        other.set_weights(one.get_weights())
    for layer in copies:
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()  # it computes with constants, derived from its weights
    return model
