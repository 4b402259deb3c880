"""Models of layers for which there is no rule, as Keras exports them."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
from onnx import compose, helper, inliner, version_converter

from keras_tied._files import temporary_folder
from keras_tied.estimator._onnx._graph import Graph

CONVERTERS = {"jax": "jax2onnx", "tensorflow": "tf2onnx", "torch": "onnxscript"}
"""The package that Keras needs on each backend."""


def add_exported_model(
    model: Any, shape: Sequence[int], why: str, graph: Graph, tensor: str
) -> str:
    """Add a model to a graph; returns the name of its output.

    Args:
        model: the model.
        shape: that of one row of its input.
        why: what has no rule, for the error.
        graph: what the model is added to.
        tensor: the model's input.

    Raises:
        ImportError: if what Keras needs is not installed.
        ValueError: if Keras cannot export the model.
    """
    whole = inliner.inline_local_functions(_from_keras(model, shape, why, graph.opset))
    if any(opset.version != graph.opset for opset in whole.opset_import if not opset.domain):
        whole = version_converter.convert_version(whole, graph.opset)
    part = compose.add_prefix(whole, f"{graph.unique('network')}/").graph
    graph.nodes.append(helper.make_node("Identity", [tensor], [part.input[0].name]))
    graph.nodes.extend(part.node)
    graph.constants.extend(part.initializer)
    return str(part.output[0].name)


def _from_keras(model: Any, shape: Sequence[int], why: str, opset: int) -> onnx.ModelProto:
    model(np.zeros((1, *shape), np.float32))  # Keras exports only what has been called
    with temporary_folder() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the converters: deprecations, traced integers
        file = Path(folder, "network.onnx")
        try:
            model.export(file, format="onnx", verbose=False, opset_version=opset)
        except ImportError as error:
            backend = keras.backend.backend()
            package = CONVERTERS.get(backend, "another backend")
            raise ImportError(
                f"The network has {why}, which keras-tied leaves to Keras's own export; on "
                f"{backend} that needs {package}: run pip install {package}."
            ) from error
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            raise ValueError(
                f"The network has {why}, which keras-tied leaves to Keras's own export, and that "
                f"failed with {reason}; use layers and activations that it can export."
            ) from error
        return onnx.load(file)
