"""A network of Keras in the operators of ONNX."""

import copy
import math
from typing import Any

from keras_tied._keras_internals import layer_chain
from keras_tied.estimator._fitted.compiled_network import CompiledNetwork
from keras_tied.estimator._onnx._graph import Graph
from keras_tied.estimator._onnx._keras_export import add_exported_model
from keras_tied.estimator._onnx._layers import add_layers, add_reshape, find_unsupported


def add_model(
    graph: Graph, network: CompiledNetwork, rows: str, encodes: bool, decodes: bool
) -> str:
    """Add the encoder, the decoder or both, from flat rows `(n, d)` to flat rows."""
    model = copy.deepcopy(network.model)
    model.set_weights(network.weights)
    models = [model.encoder] * encodes + [model.decoder] * decodes
    shape, output_shape = models[0].input_shape[1:], models[-1].output_shape[1:]
    rows = rows if len(shape) == 1 else add_reshape(graph, rows, shape)
    why = _find_unsupported(models)
    if why is None:
        path = [layer for half in models for layer in layer_chain(half) or ()]
        rows = add_layers(path, graph, rows, (None, *shape))
    else:
        rows = add_exported_model(models[0] if len(models) == 1 else model, shape, why, graph, rows)
    return rows if len(output_shape) == 1 else add_reshape(graph, rows, [math.prod(output_shape)])


def _find_unsupported(models: list[Any]) -> str | None:
    """The first layer without a rule, in words; None if all have one."""
    for model in models:
        path = layer_chain(model)
        if path is None:
            return f"branches in its '{model.name}'"
        for layer in path:
            if (why := find_unsupported(layer)) is not None:
                return why
    return None
