"""What Keras knows of a layer's surroundings and does not tell publicly.

The only file of the project that looks behind Keras's public face: at the nodes of the layer graph,
in which a tied layer that was rebuilt from a configuration searches for its partner, at the
functions under way, which tell the models around it, and which of them is being written to a file,
and at the notes that Keras keeps of a call under way.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.layers.layer import CallContext
from keras.src.saving import saving_lib


def flatten_layers(layer: Any) -> list[keras.layers.Layer]:
    """The layer and every layer that it holds, at any depth."""
    return list(layer._flatten_layers()) if isinstance(layer, keras.layers.Layer) else []


def upstream_layers(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Every layer that `layer` was called after in a graph, with the layers they hold."""
    return _reach(layer, lambda node: node.parent_nodes)


def connected_layers(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Every layer in the graphs that `layer` was called in, with the layers they hold."""
    return _reach(layer, lambda node: [*node.parent_nodes, *node.operation._outbound_nodes])


def _reach(
    layer: keras.layers.Layer, neighbours: Callable[[Any], list[Any]]
) -> Iterator[keras.layers.Layer]:
    nodes = list(layer._inbound_nodes)
    seen = {id(node) for node in nodes}
    while nodes:
        for node in neighbours(nodes.pop(0)):
            if id(node) not in seen:
                seen.add(id(node))
                nodes.append(node)
                yield from flatten_layers(node.operation)


def callers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers that hold `layer` and whose code is running, innermost first.

    A layer does not know who holds it, and no hook of Keras tells it in time: a file is loaded
    before the model's first call. But whoever calls, counts, saves or loads a model has it as the
    first argument of a function, so the stack of functions tells. A model that is at work without
    holding `layer` is no caller of it: a copy must not be tied to the original that it is made of.
    """
    at_work = {id(found): found for _, found in _first_arguments()}
    return [
        found for found in at_work.values() if found is not layer and layer in flatten_layers(found)
    ]


def model_being_saved() -> keras.layers.Layer | None:
    """What a file or a pickle is being written of, configuration and weights; None if none is."""
    written = [first for frame, first in _first_arguments() if frame.f_globals is vars(saving_lib)]
    return written[-1] if written else None


def _first_arguments() -> Iterator[tuple[FrameType, keras.layers.Layer]]:
    """The functions that are running and have a layer as their first argument, innermost first."""
    frame = inspect.currentframe()
    while frame := frame and frame.f_back:
        if frame.f_code.co_argcount:
            first = frame.f_locals.get(frame.f_code.co_varnames[0])
            if isinstance(first, keras.layers.Layer):
                yield frame, first


def producer(tensor: Any) -> tuple[Any, list[Any]]:
    """The operation that a symbolic tensor came out of, and the tensors that it was called on."""
    operation, node_index, _ = tensor._keras_history
    return operation, operation._inbound_nodes[node_index].input_tensors


def layer_chain(model: Any) -> list[keras.layers.Layer] | None:
    """The layers of a Sequential or Functional model, if each takes what the one before it gives.

    Nested models are laid open. None for anything else, and for a model with a `call` of its own.
    """
    graph = isinstance(model, keras.Model) and type(model).call.__module__.startswith("keras.")
    if not graph or len(getattr(model, "inputs", ())) != 1 or len(model.outputs) != 1:
        return None
    path: list[keras.layers.Layer] = []
    tensor = model.outputs[0]
    while tensor is not model.inputs[0]:
        operation, inputs = producer(tensor)
        if len(inputs) != 1:
            return None
        path = [*(layer_chain(operation) or [operation]), *path]
        tensor = inputs[0]
    return path


@contextmanager
def inference_scope() -> Iterator[None]:
    """Makes what is called here an inference of its own, although a call may be under way.

    A layer called within another one's `call` passes its `training` on to those that are called
    after it, and one called outside forgets the losses that it was last called with; neither is
    wanted of a look at an encoder from aside.
    """
    under_way = global_state.get_global_attribute("current_call_ctx")
    inference = CallContext(entry_layer=None)
    inference.set_value("training", False)
    global_state.set_global_attribute("current_call_ctx", inference)
    try:
        yield
    finally:
        global_state.set_global_attribute("current_call_ctx", under_way)
