"""The parts of an estimator: what `transform`, `inverse_transform` and `reconstruct` do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_tied.estimator._missing import Gaussian
from keras_tied.export._graph import Graph
from keras_tied.export._keras_export import exported
from keras_tied.export._layers import chain, reshaped, without_rule
from keras_tied.export._missing import filled
from keras_tied.layers._graph import straight

if TYPE_CHECKING:
    from keras_tied import TiedAutoencoder


class Part(NamedTuple):
    """What goes in, "X" or "code", and what comes out, "code" or "reconstruction"."""

    input: str
    output: str


PARTS = {
    "encoder": Part("X", "code"),
    "decoder": Part("code", "reconstruction"),
    "reconstruction": Part("X", "reconstruction"),
}


def widths(estimator: TiedAutoencoder) -> dict[str, int]:
    """The number of columns of each input and output."""
    features, code = estimator.n_features_in_, estimator.n_components_
    return {"X": features, "code": code, "reconstruction": features}


def computed(graph: Graph, estimator: TiedAutoencoder, part: str, tensor: str, dtype: Any) -> str:
    """What a part makes of rows or codes, in the dtype that they have and in the same steps."""
    if PARTS[part].input == "X":
        tensor = _scaled(graph, estimator, tensor, dtype)
        models = [estimator.encoder_, estimator.decoder_][: 1 + (part == "reconstruction")]
    else:
        tensor = _cast(graph, tensor, dtype, np.float32)
        models = [estimator.decoder_]
    tensor = _through(graph, estimator, models, tensor)
    tensor = _cast(graph, tensor, np.float32, dtype)
    if PARTS[part].output == "code":
        return tensor
    scaling = estimator._scaling
    tensor = graph.add("Mul", tensor, graph.constant(scaling.scale, dtype, "scale"))
    return graph.add("Add", tensor, graph.constant(scaling.shift, dtype, "shift"))


def _scaled(graph: Graph, estimator: TiedAutoencoder, rows: str, dtype: Any) -> str:
    """Scaled rows in single precision, with nothing missing."""
    scaling = estimator._scaling
    rows = graph.add("Sub", rows, graph.constant(scaling.shift, dtype, "shift"))
    rows = graph.add("Div", rows, graph.constant(scaling.scale, dtype, "scale"))
    scaled = _cast(graph, rows, dtype, np.float32)
    return filled(graph, estimator._gaussian or Gaussian(estimator._mean, None), scaled)


def _cast(graph: Graph, tensor: str, before: Any, after: Any) -> str:
    return tensor if np.dtype(before) == after else graph.cast(tensor, after)


def _through(graph: Graph, estimator: TiedAutoencoder, models: list[Any], rows: str) -> str:
    """What models, one after the other, make of flat rows, flat again."""
    shape, returned = models[0].input_shape[1:], models[-1].output_shape[1:]
    rows = rows if len(shape) == 1 else reshaped(graph, rows, shape)
    why = _without_rules(models)
    if why is None:
        path = [layer for model in models for layer in straight(model) or ()]
        rows = chain(path, graph, rows, (None, *shape))
    else:
        whole = models[0] if len(models) == 1 else estimator.model_
        rows = exported(whole, shape, why, graph, rows)
    return rows if len(returned) == 1 else reshaped(graph, rows, [int(np.prod(returned))])


def _without_rules(models: list[Any]) -> str | None:
    """What keeps models from being written with rules, None if nothing does."""
    for model in models:
        path = straight(model)
        if path is None:
            return f"branches in its '{model.name}'"
        for layer in path:
            if (why := without_rule(layer)) is not None:
                return why
    return None
