"""Weights with which dense layers start at the error of PCA. See README.md."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import Model, Variable, layers, ops
from threadpoolctl import threadpool_limits

from keras_tied._keras_internals import layer_chain
from keras_tied._types import Array
from keras_tied.layers import TiedDense

Activation = Callable[[Any], Any]
# The first and the second units of the pairs of a layer, which follow those that carry
# the scores.
Pairs = tuple[slice, slice]

# The largest excess of the error at the start over PCA's, relative to PCA's, and to the
# variance of the data: single precision's accuracy.
TOLERANCE = 1e-3
ROUNDING = 1e-7
SMALLEST = 1e-5  # the least standard deviation of the first score inside the network

DENSE = (layers.Dense, TiedDense)
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
    path = [*_find_chain(encoder), *_find_chain(decoder)]
    links = _find_links(path)
    forth, back = _split_links(links)
    n_components = int(forth[-1].layer.units)
    inputs = _propagate(path, x, encoder)
    scores = _fit_scores(inputs, n_components)
    n_bent = sum(bool(link.activations) for link in links)
    # The errors of the activations may add up, so each gets an equal part of the
    # tolerance.
    share = scores.tolerance / max(n_bent, 1) ** 2
    lines = [_fit_line_of(link, scores.values, share) for link in links[:-1]]
    _assign(forth, back, scores, lines)


@dataclass
class _Link:
    """A dense layer, the activations behind it, and whether noise is there, too."""

    layer: Any
    activations: list[Activation]
    is_random: bool = False


class _Scores(NamedTuple):
    mean: Array  # (d,)
    components: Array  # (d, k)
    values: Array  # (n, k): the rows in terms of the components
    tolerance: float  # the largest sum of squared errors of the reconstructed values


class _Line(NamedTuple):
    """How an activation carries the scores.

    It takes in `scale * scores + point` and gives `values`, `(n, k)`; the scores are
    `slope * values + intercept`.
    """

    scale: float
    point: Array
    values: Array
    slope: Array
    intercept: Array


def _find_chain(model: Model) -> list[Any]:
    """The layers of a model's graph in their order, nested models laid open."""
    if (path := layer_chain(model)) is None:
        raise ValueError(
            "A start from PCA needs halves that are chains of layers, each fed by the"
            f" one before it; '{model.name}' ({type(model).__name__}) is not: write it"
            " as a Sequential model."
        )
    return path


def _find_links(path: list[Any]) -> list[_Link]:
    n_links = sum(isinstance(layer, DENSE) for layer in path)
    links: list[_Link] = []
    for layer in path:
        # The code, in the middle, may have any shape.
        is_between = 0 < len(links) < n_links and 2 * len(links) != n_links
        if isinstance(layer, DENSE):
            links.append(_Link(layer, _drop_linear(layer.activation)))
        elif isinstance(layer, ACTIVATIONS) and links:
            links[-1].activations += _drop_linear(getattr(layer, "activation", layer))
        elif isinstance(layer, RANDOM) and links:
            links[-1].is_random = True
        elif not isinstance(layer, PASSING if is_between else PASSING + SHAPING):
            raise ValueError(
                "A start from PCA can pass through Dense layers with activations,"
                " dropout or noise between them, and Flatten, Reshape, Rescaling or"
                f" Normalization around them; '{layer.name}' ({type(layer).__name__})"
                " is another layer or in another place: leave it out, or start from"
                " random weights."
            )
    return links


def _drop_linear(activation: Activation) -> list[Activation]:
    return [] if activation is keras.activations.linear else [activation]


def _split_links(links: list[_Link]) -> tuple[list[_Link], list[_Link]]:
    """Those of the encoder and of the decoder, after a check that one mirrors it."""
    half = len(links) // 2
    forth, back = links[:half], links[half:]
    partners = [_find_partner(link.layer) for link in back]
    if not links or [link.layer for link in reversed(forth)] != partners:
        raise ValueError(
            "A start from PCA needs an encoder of Dense layers and a decoder that is"
            " tied to all of them, in reverse: build the decoder with `mirror(encoder,"
            " gain=True)`."
        )
    if back[-1].activations:
        raise ValueError(
            "A start from PCA needs an output without an activation, and the decoder's"
            f" layer '{back[-1].layer.name}' is followed by one: leave"
            " `output_activation` out."
        )
    is_linear = not any(link.activations for link in links)
    width = forth[-1].layer.units
    for link in links:
        if obstacle := _find_obstacle(link.layer, width, is_linear):
            raise ValueError(
                f"A start from PCA cannot set layer '{link.layer.name}', which"
                f" {obstacle}."
            )
    return forth, back


def _find_partner(layer: Any) -> Any:
    is_reverse = isinstance(layer, TiedDense) and layer.transpose
    return layer.tied_to if is_reverse else None


def _find_obstacle(layer: Any, width: int, is_linear: bool) -> str:
    if not layer.use_bias:
        return "has no bias: build it with use_bias=True"
    if isinstance(layer, TiedDense):
        if layer.use_gain or is_linear:
            return ""
        return "has no gain: build the decoder with `mirror(encoder, gain=True)`"
    if layer.quantization_mode is not None or layer.lora_enabled:
        return (
            "is quantized or has an adapter: call `quantize` or `enable_lora` after it"
        )
    if layer.units < width:
        return f"has {layer.units} units: give it at least {width}, as the code has"
    return ""


def _propagate(path: list[Any], x: Any, encoder: Model) -> Array:
    """The inputs of the encoder's first dense layer, `(n, d)`."""
    rows = np.asarray(x)
    shape = encoder.input_shape[1:]
    if rows.dtype == object or rows.ndim != len(shape) + 1:
        raise ValueError(
            "A start from PCA takes all rows in one array of shape (n,"
            f" {', '.join(map(str, shape))}); received {type(x).__name__} of shape"
            f" {rows.shape}: convert it to a NumPy array."
        )
    inputs = ops.convert_to_tensor(rows, keras.config.floatx())
    for layer in path:
        if isinstance(layer, DENSE):
            break
        inputs = layer(inputs)
    if len(inputs.shape) != 2:
        raise ValueError(
            "A start from PCA needs a first Dense layer that takes in a row of"
            f" numbers; '{encoder.name}' gives it {tuple(inputs.shape)}: put a Flatten"
            " layer before it."
        )
    return np.asarray(ops.convert_to_numpy(inputs))


def _fit_scores(inputs: Array, n_components: int) -> _Scores:
    """PCA of the rows, and their scores."""
    rows = inputs.astype(np.float64)
    if n_components > min(rows.shape):
        raise ValueError(
            f"A start from PCA of {n_components} components needs as many rows and"
            f" features; the inputs have the shape {rows.shape}: give more rows, or"
            " start from random weights."
        )
    mean = rows.mean(axis=0)
    centred = rows - mean
    # BLAS threads gain little, and wait for each other beside other processes.
    with threadpool_limits(1, user_api="blas"):
        components = _find_principal_axes(centred, n_components)
    values = centred @ components
    total = np.square(centred).sum()
    lost = total - np.square(values).sum()
    tolerance = max(TOLERANCE * lost, ROUNDING * total)
    return _Scores(mean, components, values, tolerance)


def _find_principal_axes(centred: Array, n_components: int) -> Array:
    """The directions of largest variance, `(d, k)`, of rows of mean 0, `(n, d)`."""
    n_rows, n_features = centred.shape
    if n_rows < n_features:
        _, _, vectors = np.linalg.svd(centred, full_matrices=False)
        return vectors[:n_components].T
    from scipy.linalg import eigh  # takes a while to import, and few need it

    largest = n_features - n_components, n_features - 1
    _, vectors = eigh(centred.T @ centred, subset_by_index=largest)
    return np.asarray(vectors[:, ::-1])


def _fit_line_of(link: _Link, scores: Array, share: float) -> _Line:
    """The line at the first of scales 1, 1/2 ... with a point where it is exact enough.

    `share` is the largest sum of squared errors of the scores.
    """
    reach = 1.05 * np.abs(scores).max(axis=0)
    spread = scores.std(axis=0).max()
    scale = 1.0
    while scale == 1 or scale * spread >= SMALLEST:
        # The origin, and points on both sides of it whose interval excludes it.
        points = [np.zeros(len(reach))]
        for more in (0.0, 1.0, 2.0, 4.0, 8.0):
            points += [scale * reach + more, -(scale * reach + more)]
        for point in points:
            values = _activate(link.activations, scale * scores + point)
            slope, intercept = _fit_line(values, scores)
            errors = slope * values + intercept - scores
            if np.square(errors).sum() <= share:
                return _Line(scale, point, values, slope, intercept)
        scale /= 2
    raise ValueError(
        "A start from PCA found no range in which the activations of layer"
        f" '{link.layer.name}' are linear and act on each unit separately: use other"
        " ones, or start from random weights."
    )


def _activate(activations: list[Activation], inputs: Array) -> Array:
    values = inputs.astype("float32")
    for activation in activations:
        values = ops.convert_to_numpy(activation(ops.convert_to_tensor(values)))
    return np.asarray(values, dtype=np.float64)


def _fit_line(values: Array, targets: Array) -> tuple[Array, Array]:
    """Slope and intercept of the least-squares line to the targets, for each unit."""
    mean = values.mean(axis=0)
    deviations = values - mean
    squares = np.square(deviations).sum(axis=0)
    products = (deviations * targets).sum(axis=0)
    common = products.sum() / (squares.sum() or 1.0)
    # For a unit that hardly varies, the slope is rounding error: it takes that of the
    # others.
    steady = squares <= 1e-10 * squares.max()
    slope = np.where(steady, common, products / np.where(steady, 1.0, squares))
    return slope, targets.mean(axis=0) - slope * mean


def _assign(
    forth: list[_Link],
    back: list[_Link],
    scores: _Scores,
    lines: list[_Line],
) -> None:
    n_components = scores.values.shape[1]
    carriers = slice(n_components)  # the units that carry the scores
    kernels = [_read(link.layer.kernel) for link in forth]
    biases = [_read(link.layer.bias) for link in forth]
    first, last = lines[0], lines[-1]
    kernels[0][:, carriers] = first.scale * scores.components
    biases[0][carriers] = first.point - scores.mean @ kernels[0][:, carriers]
    # From the values of one activation to what the next takes in.
    steps = [
        (after.scale * before.slope, after.scale * before.intercept + after.point)
        for before, after in pairwise(lines)
    ]
    hidden = zip(kernels[1:], biases[1:], steps, strict=False)
    for kernel, bias, (slope, intercept) in hidden:
        kernel[carriers, carriers] = np.diag(slope)
        bias[carriers] = intercept

    # The decoder's hidden layers, from the code outwards.
    backward = zip(back, lines[len(forth) - 1 :], steps[len(forth) - 1 :], strict=False)
    for index, (link, line, step) in enumerate(backward, 1):
        kernel = kernels[-index][:, carriers]
        can_train = link.layer.gain is not None and not forth[-index - 1].is_random
        n_others = len(kernel) - n_components if can_train else 0
        middle = n_components + n_others // 2
        pairs = slice(n_components, middle), slice(middle, middle + n_others // 2)
        _cancel_pairs(kernels[-index - 1], biases[-index - 1], kernel, pairs)
        _assign_hidden(link, line, step, kernel, pairs)
    bias = scores.mean + scores.components @ last.intercept
    _assign_decoder(back[-1].layer, last.slope / first.scale, bias)
    for link, kernel, bias in zip(forth, kernels, biases, strict=True):
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


def _assign_hidden(
    link: _Link,
    line: _Line,
    step: tuple[Array, Array],
    kernel: Array,
    pairs: Pairs,
) -> None:
    """Set the decoder's layer that leads from the scores to a hidden layer."""
    n_units, n_components = kernel.shape
    one, other = pairs
    slope, intercept = step
    gain = slope / np.diag(kernel)
    bias = np.zeros(n_units)
    bias[:n_components] = intercept
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
        values = _activate(activations, point + deviations)
        opposite = _activate(activations, point - deviations)
        bends.append((values + opposite).var(axis=0))  # what is linear cancels
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
