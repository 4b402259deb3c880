"""A network of Keras in the operators of ONNX, or as Keras exports it."""

import copy
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
from onnx import compose, helper, inliner, version_converter

from keras_tied._files import temporary_folder
from keras_tied._keras_internals import layer_chain
from keras_tied.fitted.compiled_network import CompiledNetwork
from keras_tied.fitted.onnx._graph import OPSET, Graph
from keras_tied.fitted.onnx._layers import add_layers, add_reshape, find_unsupported

CONVERTERS = {"jax": "jax2onnx", "tensorflow": "tf2onnx", "torch": "onnxscript"}
"""The package that Keras needs on each backend."""


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
        rows = _add_export(
            models[0] if len(models) == 1 else model, shape, why, graph, rows
        )
    return (
        rows
        if len(output_shape) == 1
        else add_reshape(graph, rows, [math.prod(output_shape)])
    )


def _find_unsupported(models: list[Any]) -> str | None:
    """The first layer without a rule, in words; None if all have one."""
    for model in models:
        path = layer_chain(model)
        if path is None:
            return f"branches in its '{model.name}'"
        if why := next(filter(None, map(find_unsupported, path)), None):
            return why
    return None


def _add_export(
    model: Any, shape: Sequence[int], why: str, graph: Graph, tensor: str
) -> str:
    """Add a model of layers without a rule; `why` says for errors what has none."""
    whole = inliner.inline_local_functions(_from_keras(model, shape, why))
    if any(opset.version != OPSET for opset in whole.opset_import if not opset.domain):
        whole = version_converter.convert_version(whole, OPSET)
    part = compose.add_prefix(whole, f"{graph.unique('network')}/").graph
    graph.nodes.append(helper.make_node("Identity", [tensor], [part.input[0].name]))
    graph.nodes.extend(part.node)
    graph.constants.extend(part.initializer)
    return str(part.output[0].name)


def _from_keras(model: Any, shape: Sequence[int], why: str) -> onnx.ModelProto:
    model(np.zeros((1, *shape), np.float32))  # Keras exports only what has been called
    with temporary_folder() as folder, warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of the converters: deprecations, traced integers
        file = Path(folder, "network.onnx")
        try:
            model.export(file, format="onnx", verbose=False, opset_version=OPSET)
        except ImportError as error:
            backend = keras.backend.backend()
            package = CONVERTERS.get(backend, "another backend")
            raise ImportError(
                f"The network has {why}, which keras-tied leaves to Keras's own export;"
                f" on {backend} that needs {package}: run pip install {package}."
            ) from error
        except Exception as error:
            reason = (
                f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            )
            raise ValueError(
                f"The network has {why}, which keras-tied leaves to Keras's own export,"
                f" and that failed with {reason}; use layers and activations that it"
                " can export."
            ) from error
        return onnx.load(file)
