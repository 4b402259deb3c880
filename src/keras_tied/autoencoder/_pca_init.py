"""Weights with which an autoencoder of dense layers starts at the error of PCA.

A tied decoder multiplies by the encoder's kernels, transposed. With the principal components V in
the first kernel, V Vᵀ is PCA's projection, provided that everything between the two is a straight
line. An activation nearly is, in a small enough region around a suitable point: the first k units
of every layer carry the k scores through that region, each on a unit of its own. What the
activation makes of them is led back onto the scores by least squares, one slope and one intercept a
unit, which kernels, biases and gains are set to. No property of an activation has to be known.

The other units of a hidden layer come in pairs of equal kernels, which enter the next layer with
opposite signs, and so cancel; their gain of 0 keeps them out of the reconstruction. They give
different values in the decoder, though, so that the gradient of their gains is not zero: training
brings them in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from keras_tied._types import Array
from keras_tied.autoencoder._chain import copy_chain
from keras_tied.layers import TiedDense
from keras_tied.layers.internal import layer_chain

Activation = Callable[[Any], Any]

TOLERANCE = 1e-3
"""How much larger than PCA's the error at the start may be, relative to PCA's."""
ROUNDING = 1e-7
"""The same, relative to the variance of the data: single precision cannot do better."""
SMALLEST = 1e-5
"""The least standard deviation that the first score may have inside the network."""
STEEPEST = 10.0
"""The largest slope that an activation may have there, and the inverse of the least."""
HALVINGS = 3
"""How often the interval is halved between a scale that is small enough and one that is not."""
ROWS = 1024

SHAPING = (layers.Flatten, layers.Reshape, layers.Rescaling, layers.Normalization)
ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU)
RANDOM = (layers.Dropout, layers.GaussianDropout, layers.AlphaDropout, layers.GaussianNoise)
PASSING = (*RANDOM, layers.ActivityRegularization, layers.Identity)


def start_from_pca(encoder: keras.Model, decoder: keras.Model, x: Any) -> None:
    """Set the weights of both halves; see `Autoencoder.start_from_pca`."""
    front, links = _links(encoder, layers.Dense)
    _, returning = _links(decoder, TiedDense)
    width = _check_chain(links, returning)
    scores = _scores(_propagate(front, x, encoder), width)
    forward = [link.activations for link in links]
    backward = [link.activations for link in returning[:-1]]
    lines = _lines(scores, [*forward, *backward], links[-1].layer.name)
    _assign(links, returning, scores, lines)


@dataclass
class _Link:
    """A dense layer of a half, and what comes after it before the next one."""

    layer: Any
    activations: list[Activation] = field(default_factory=list)
    random: bool = False
    """Whether dropout or noise comes after it."""


class _Scores(NamedTuple):
    """PCA of what the first dense layer takes in."""

    mean: Array
    components: Array
    """One in each column, orthonormal."""
    values: Array
    """The rows in terms of the components."""
    allowed: float
    """The sum of squares by which the reconstruction of the values may be off."""


class _Line(NamedTuple):
    """What leads the values of the carrying units back onto the scores: `slope * v + intercept`."""

    values: Array
    slope: Array
    intercept: Array


class _Lines(NamedTuple):
    """The lines between the activations, in order, and the last one, back to the scores."""

    scale: float
    first: Array
    """The points around which the first activation is used."""
    between: list[_Line]
    last: _Line


def _links(model: keras.Model, kind: type[Any]) -> tuple[list[layers.Layer], list[_Link]]:
    """The layers before the first one with a kernel, and those with one."""
    path: list[Any] | None = layer_chain(model)
    if path is None:
        raise ValueError(
            f"A start from PCA needs halves that are chains of layers, each fed by the one before "
            f"it; '{model.name}' ({type(model).__name__}) is none: write it as a Sequential model."
        )
    front: list[layers.Layer] = []
    links: list[_Link] = []
    reshaped: layers.Layer | None = None
    for layer in path:
        if isinstance(layer, kind) and reshaped is None:
            links.append(_Link(layer, _bent([layer.activation])))
        elif isinstance(layer, PASSING) and links:
            links[-1].random |= isinstance(layer, RANDOM)
        elif isinstance(layer, PASSING):
            continue
        elif isinstance(layer, SHAPING) and links:
            reshaped = layer
        elif isinstance(layer, SHAPING):
            front.append(layer)
        elif isinstance(layer, ACTIVATIONS) and links and reshaped is None:
            activation: Activation = getattr(layer, "activation", layer)
            links[-1].activations += _bent([activation])
        else:
            raise _no_place_for(reshaped or layer, model, kind)
    return front, links


def _bent(activations: Sequence[Activation]) -> list[Activation]:
    return [each for each in activations if each is not keras.activations.linear]


def _no_place_for(layer: layers.Layer, model: keras.Model, kind: type[Any]) -> ValueError:
    return ValueError(
        f"A start from PCA can pass through {kind.__name__} layers with activations, dropout or "
        f"noise between them, and Flatten, Reshape, Rescaling or Normalization around them; "
        f"'{layer.name}' ({type(layer).__name__}) in '{model.name}' is none of these in such a "
        "place: leave it out, or start from random weights."
    )


def _check_chain(links: list[_Link], returning: list[_Link]) -> int:
    """The width of the code, after a look at whether the decoder mirrors the encoder."""
    if not links or [link.layer for link in links][::-1] != [
        link.layer.tied_to for link in returning if link.layer.transpose
    ]:
        raise ValueError(
            "A start from PCA needs an encoder of Dense layers and a decoder that is tied to all "
            "of them, in reverse: build the decoder with `mirror(encoder, gain=True)`."
        )
    for link in (*links, *returning):
        if not link.layer.use_bias:
            raise ValueError(
                f"A start from PCA has to shift the values between layers, and layer "
                f"'{link.layer.name}' has no bias: build it with use_bias=True."
            )
    gained = all(link.layer.use_gain for link in returning)
    if not gained and any(link.activations for link in (*links, *returning)):
        raise ValueError(
            f"A start from PCA with activations needs gains, and the decoder's layer "
            f"'{next(link.layer.name for link in returning if not link.layer.use_gain)}' has none: "
            "build the decoder with `mirror(encoder, gain=True)`."
        )
    if returning[-1].activations:
        raise ValueError(
            f"A start from PCA needs an output without an activation, and the decoder's layer "
            f"'{returning[-1].layer.name}' is followed by one: leave `output_activation` out."
        )
    width = int(links[-1].layer.units)
    for link in links:
        if link.layer.units < width:
            raise ValueError(
                f"A start from PCA passes {width} scores through every layer, and "
                f"'{link.layer.name}' has {link.layer.units} units: give it at least {width}."
            )
    return width


def _propagate(front: list[layers.Layer], x: Any, encoder: keras.Model) -> Array:
    """What the encoder's first dense layer takes in."""
    rows = np.asarray(x)
    shape = encoder.input_shape[1:]
    if rows.dtype == object or rows.ndim != len(shape) + 1:
        raise ValueError(
            f"A start from PCA takes all rows in one array of shape (n, "
            f"{', '.join(map(str, shape))}); received {type(x).__name__} of shape {rows.shape}: "
            "convert it to a NumPy array."
        )
    seen = rows.astype(keras.config.floatx())
    if front:
        seen = copy_chain(front, shape).predict(seen, ROWS, verbose=0)
    if seen.ndim != 2:
        raise ValueError(
            f"A start from PCA needs a first Dense layer that takes in a row of numbers; "
            f"'{encoder.name}' gives it {seen.shape}: put a Flatten layer before it."
        )
    return seen


def _scores(seen: Array, width: int) -> _Scores:
    from sklearn.decomposition import PCA

    if width > min(seen.shape):
        raise ValueError(
            f"PCA of {seen.shape[0]} rows with {seen.shape[1]} features has at most "
            f"{min(seen.shape)} components, and the code has {width} units: give more rows, or "
            "make the code narrower."
        )
    mean = seen.mean(axis=0, dtype=np.float64)
    centred = (seen - mean).astype(seen.dtype)  # single precision suffices around the mean
    components = PCA(width, random_state=0).fit(centred).components_.T.astype(np.float64)
    values = centred @ components
    total = float(np.square(centred, dtype=np.float64).sum())
    lost = total - float(np.square(values).sum())
    return _Scores(mean, components, values, max(TOLERANCE * lost, ROUNDING * total))


def _lines(scores: _Scores, activations: list[list[Activation]], name: str) -> _Lines:
    """The lines at the largest scale, 1 at most, at which the error is as good as PCA's."""
    spread = float(scores.values.std(axis=0).max())
    small = large = 1.0
    while (lines := _lines_at(small, scores, activations)) is None:
        small, large = small / 2, small
        if small * spread < SMALLEST:
            raise ValueError(
                f"A start from PCA found no region in which the activations up to layer '{name}' "
                "and back work on each unit by itself along a straight line: use other ones, or "
                "start from random weights."
            )
    for _ in range(HALVINGS if small < large else 0):
        middle = math.sqrt(small * large)
        if found := _lines_at(middle, scores, activations):
            small, lines = middle, found
        else:
            large = middle
    return lines


def _lines_at(scale: float, scores: _Scores, activations: list[list[Activation]]) -> _Lines | None:
    """The lines at a scale, None if the reconstructed scores are too far off."""
    wanted = scale * scores.values
    # Errors of the activations may add up; each is given the same part of what is allowed.
    share = scale**2 * scores.allowed / max(len(activations), 1) ** 2
    points = [_point(each, wanted, share) for each in activations]
    arriving, between = wanted + points[0], []
    for each, point in zip(activations[:-1], points[1:], strict=True):
        line = _fit_line(_activate(each, arriving), wanted, point)
        arriving = line.slope * line.values + line.intercept
        between.append(line)
    last = _fit_line(_activate(activations[-1], arriving), scores.values, 0.0)
    off = np.square(last.slope * last.values + last.intercept - scores.values).sum()
    return _Lines(scale, points[0], between, last) if off <= scores.allowed else None


def _point(activations: list[Activation], wanted: Array, share: float) -> Array:
    """Where the activation is straight enough, or the straightest: one point for each unit."""
    least = np.inf
    best: Array = np.zeros(wanted.shape[1])
    for point in _candidates(wanted):
        line = _fit_line(_activate(activations, wanted + point), wanted, 0.0)
        error = np.square(line.slope * line.values + line.intercept - wanted).sum()
        if error < least and np.all((line.slope > 1 / STEEPEST) & (line.slope < STEEPEST)):
            least, best = error, point
        if least <= share:
            break
    return best


def _candidates(wanted: Array) -> Iterator[Array]:
    """The origin, and points from which the units do not reach back to it, on either side."""
    reach = 1.05 * np.abs(wanted).max(axis=0)
    yield np.zeros_like(reach)
    for further in (0.0, 1.0, 2.0, 4.0, 8.0):
        yield reach + further
        yield -reach - further


def _activate(activations: list[Activation], arriving: Array) -> Array:
    values = arriving.astype("float32")
    for activation in activations:
        values = ops.convert_to_numpy(activation(ops.convert_to_tensor(values)))
    return np.asarray(values, dtype=np.float64)


def _fit_line(values: Array, wanted: Array, point: Array | float) -> _Line:
    """The line from values to `wanted + point` with the least squares, for each unit."""
    centred = values - values.mean(axis=0)
    squares, products = np.square(centred).sum(axis=0), (centred * wanted).sum(axis=0)
    common = products.sum() / (squares.sum() or 1.0)
    # Of a unit that hardly varies, rounding hides the slope; it is that of the others.
    steady = squares <= 1e-10 * squares.max()
    slope = np.where(steady, common, products / np.where(steady, 1.0, squares))
    return _Line(values, slope, wanted.mean(axis=0) - slope * values.mean(axis=0) + point)


def _assign(links: list[_Link], returning: list[_Link], scores: _Scores, lines: _Lines) -> None:
    """Put the lines into kernels, biases and gains, and set the units beside them."""
    depth, width = len(links), scores.values.shape[1]
    kernels = [_numpy(link.layer.kernel) for link in links]
    biases = [_numpy(link.layer.bias) for link in links]
    kernels[0][:, :width] = lines.scale * scores.components
    biases[0][:width] = lines.first - scores.mean @ kernels[0][:, :width]
    for kernel, bias, line in zip(kernels[1:], biases[1:], lines.between, strict=False):
        kernel[:width, :width] = np.diag(line.slope)
        bias[:width] = line.intercept

    inner = lines.between[depth - 1 :]
    for index, line in zip(range(depth - 1, 0, -1), inner, strict=True):
        link = returning[depth - 1 - index]
        gain = line.slope / np.diag(kernels[index][:width, :width])
        bias = np.zeros(link.layer.bias.shape)
        bias[:width] = line.intercept
        pairs = 0
        if link.layer.gain is not None and not links[index - 1].random:
            pairs = (len(bias) - width) // 2
        one, other = slice(width, width + pairs), slice(width + pairs, width + 2 * pairs)
        _set_aside(kernels[index - 1 : index + 1], biases[index - 1], width, pairs)
        if pairs:
            entering = (line.values * gain) @ kernels[index][one, :width].T
            bias[one], bias[other] = _bends(entering, link.activations)
        _assign_gain(link.layer, gain)
        link.layer.bias.assign(bias)
    _assign_gain(returning[-1].layer, lines.last.slope / lines.scale)
    returning[-1].layer.bias.assign(scores.mean + scores.components @ lines.last.intercept)
    for link, kernel, bias in zip(links, kernels, biases, strict=True):
        link.layer.kernel.assign(kernel)
        link.layer.bias.assign(bias)


def _set_aside(kernels: list[Array], bias: Array, width: int, pairs: int) -> None:
    """Keep the units of a hidden layer that carry no score out of the code, in pairs or alone.

    Args:
        kernels: the kernels before and after the hidden layer, changed in place.
        bias: the hidden layer's bias, likewise.
        width: the number of units that carry scores.
        pairs: the number of pairs.
    """
    before, after = kernels
    one, other = slice(width, width + pairs), slice(width + pairs, width + 2 * pairs)
    before[:, other] = before[:, one]
    bias[other] = bias[one]
    after[other, :width] = -after[one, :width]
    after[width + 2 * pairs :, :width] = 0


def _bends(entering: Array, activations: list[Activation]) -> tuple[Array, Array]:
    """Biases of pairs in the decoder with which the activation bends over what enters them.

    Where it does not, a unit gives a straight line of the scores, which PCA has no use for.

    Args:
        entering: `(n, pairs)`, what enters the first of each pair; its negative enters the other.
        activations: what comes after the units.
    """
    mean = entering.mean(axis=0)
    centred = entering - mean
    reach = np.linspace(0.2, 1, entering.shape[1])
    points = reach * centred.std(axis=0), reach  # for a kink, and for a curve
    bends = []
    for point in points:
        values = _activate(activations, centred + point)
        line = _fit_line(centred, values, 0.0)
        bends.append(np.square(line.slope * centred + line.intercept - values).sum(axis=0))
    point = np.where(bends[0] >= bends[1], *points)
    return point - mean, point + mean


def _assign_gain(mirror: Any, carrying: Array) -> None:
    if mirror.gain is not None:
        gain = np.zeros(mirror.gain.shape)
        gain[: len(carrying)] = carrying
        mirror.gain.assign(gain)


def _numpy(variable: Any) -> Array:
    return np.array(ops.convert_to_numpy(variable), dtype=np.float64)
