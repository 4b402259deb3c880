"""The private parts of Keras that we need: only this file touches them."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.layers.layer import CallContext
from keras.src.optimizers import ALL_OBJECTS_DICT

FILES = {"keras.src.saving.saving_lib", "keras.src.legacy.saving.legacy_h5_format"}
COPIES = {"keras.src.models.cloning", "keras.src.saving.serialization_lib"}
"""The modules of Keras that write a model to a file, and those that copy its configuration."""
NAMED_OPTIMIZERS: dict[str, Any] = ALL_OBJECTS_DICT


def flatten_layers(layer: Any, recursive: bool = True) -> list[keras.Layer]:
    """The layer and every layer that it holds, at any depth or right in itself."""
    if not isinstance(layer, keras.Layer):
        return []
    return (
        list(layer._flatten_layers(recursive=recursive)) if layer._layers else [layer]
    )


def drop_repeats(layers: Iterable[keras.Layer]) -> list[keras.Layer]:
    return list({id(layer): layer for layer in layers}.values())


def inbound_nodes(layer: keras.Layer) -> list[Any]:
    return list(layer._inbound_nodes)


def notes_on(layer: keras.Layer) -> dict[str, Any]:
    """What is to live as long as a layer, and is no attribute of it: Keras compares these."""
    notes: dict[str, Any] = vars(layer._tracker)
    return notes


def forget_calls(layer: keras.Layer) -> None:
    """Forget the symbolic calls so far.

    A graph counts calls from its own first one: if the constructor of a layer makes
    another, a
    rebuilt graph takes the wrong one.
    """
    layer._inbound_nodes.clear()


def upstream_layers(
    nodes: list[Any], parents: dict[Any, list[Any]] | None = None
) -> Iterator[keras.Layer]:
    """Every layer called before these nodes, and those within; `parents` is kept between calls."""
    parents = {} if parents is None else parents
    queue = list(nodes)
    visited = set(map(id, queue))
    for node in queue:
        if node not in parents:
            parents[node] = node.parent_nodes
        for parent in parents[node]:
            if id(parent) not in visited:
                visited.add(id(parent))
                queue.append(parent)
                yield from flatten_layers(parent.operation)


def callers(layer: keras.Layer) -> list[keras.Layer]:
    """The layers that hold `layer`, Keras works on and does not copy, innermost first."""
    at_work = _first_layers(
        lambda module, _: module.startswith("keras.") and module not in COPIES
    )
    others = [each for each in drop_repeats(at_work) if each is not layer]
    return [each for each in others if layer in flatten_layers(each)]


def model_of_file() -> keras.Layer | None:
    """What a file or a pickle is being written of, or read into; None if none is."""
    written = _first_layers(lambda module, _: module in FILES)
    return written[-1] if written else None


def model_being_loaded() -> keras.Layer | None:
    """The model, or the layer, whose weights are being read from a file; None if none are."""
    loaded = _first_layers(
        lambda module, name: module in FILES and name == "_load_state"
    )
    return loaded[-1] if loaded else None


def is_reading_file() -> bool:
    """Whether Keras is reading or writing a model, so that not every variable may be set yet."""
    return any(_module(frame) in FILES for frame in _frames())


def models_being_copied() -> list[keras.Layer]:
    """The models and layers whose configuration is being read, outermost first."""
    read = _first_layers(
        lambda module, function: function == "get_config" or module in COPIES
    )
    return drop_repeats(reversed(read))


def _first_layers(is_chosen: Callable[[str, str], bool]) -> list[keras.Layer]:
    """The layers that running functions, chosen by module and name, have as first arguments."""
    chosen = [
        each for each in _frames() if is_chosen(_module(each), each.f_code.co_name)
    ]
    return [layer for layer in map(_first_argument, chosen) if layer is not None]


def _frames() -> Iterator[FrameType]:
    frame = inspect.currentframe()
    while frame := frame and frame.f_back:
        yield frame


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _first_argument(frame: FrameType) -> keras.Layer | None:
    """The first argument of a function, if it is a layer.

    Until Python 3.13, reading a frame's variables keeps all of them alive as long as it
    runs, so this must not be asked of a function of the user's that may hold something
    large.
    """
    if not frame.f_code.co_argcount:
        return None
    first = frame.f_locals.get(frame.f_code.co_varnames[0])
    return first if isinstance(first, keras.Layer) else None


def reader_of_variables() -> tuple[str, keras.Layer] | None:
    """What of which model, as `trainable_variables`, is read by code not Keras's or ours."""
    read = None
    for frame in _frames():
        module = _module(frame)
        if module.startswith("keras."):
            model = _first_argument(frame)
            read = read if model is None else (frame.f_code.co_name, model)
        elif read or not module.startswith((__name__, "keras_tied.layers.")):
            return None if module.startswith("keras_tied.") else read
    return read


def model_being_trained() -> keras.Layer | None:
    """The model whose `fit` or `train_on_batch`, Keras's or this package's, is running."""
    modules, methods = ("keras.", "keras_tied.training."), ("fit", "train_on_batch")
    trained = _first_layers(
        lambda module, name: name in methods and module.startswith(modules)
    )
    return trained[-1] if trained else None


def in_training_loop() -> bool:
    """Whether Keras or this package is training, evaluating or predicting."""
    ours = (
        each
        for each in map(_module, _frames())
        if each.startswith(("keras.", "keras_tied."))
    )
    return any(module.endswith((".trainer", "._loop")) for module in ours)


def tracks_gradient(tensor: Any) -> bool:
    """Whether a gradient may be taken with respect to a variable, as far as the backend tells."""
    value = getattr(tensor, "value", tensor)
    if keras.backend.backend() == "jax":
        import jax

        return isinstance(value, jax.core.Tracer)
    if keras.backend.backend() == "torch":
        import torch

        return torch.is_grad_enabled() and bool(value.requires_grad)
    return True


def holds_numbers(variable: keras.Variable) -> bool:
    """Whether a variable holds its numbers: Keras's JAX trainer takes them away while it runs."""
    value = variable._value
    return value is not None and not (
        hasattr(value, "is_deleted") and value.is_deleted()
    )


def stored_numbers(variable: keras.Variable) -> Any:
    """What a variable holds, as a NumPy array, also while a program is traced."""
    if keras.backend.backend() != "tensorflow":
        return keras.ops.convert_to_numpy(variable._value)
    import tensorflow as tf

    with tf.init_scope():
        return variable._value.numpy()


def dequantized_kernel(layer: keras.Layer) -> Any:
    """The kernel of a quantised layer, as Keras gives it from 3.16 on; None before."""
    view = getattr(layer, "_quantized_weight", lambda: None)()
    return None if view is None else view.dequantize(layer.compute_dtype)


def refresh_parameters(layer: keras.Layer) -> None:
    """Let PyTorch list the parameters of a layer that has got another kernel."""
    if keras.backend.backend() == "torch" and hasattr(layer, "_torch_params"):
        layer._track_variables()


def producer(tensor: Any) -> tuple[Any, list[Any]]:
    """The operation that a symbolic tensor came out of, and what it was called on, less masks."""
    operation, node_index, _ = tensor._keras_history
    node = operation._inbound_nodes[node_index]
    masks = set(map(id, keras.tree.flatten(node.arguments.kwargs.get("mask"))))
    return operation, [each for each in node.input_tensors if id(each) not in masks]


def layer_chain(model: Any) -> list[keras.Layer] | None:
    """The layers of a Sequential or Functional model, if each takes what the one before it gives.

    Nested models are laid open. None for anything else, and for a model with a `call`
    of its own.
    """
    graph = isinstance(model, keras.Model) and type(model).call.__module__.startswith(
        "keras."
    )
    if not graph or len(getattr(model, "inputs", ())) != 1 or len(model.outputs) != 1:
        return None
    path: list[keras.Layer] = []
    tensor = model.outputs[0]
    while tensor is not model.inputs[0]:
        operation, inputs = producer(tensor)
        if len(inputs) != 1:
            return None
        path = [*(layer_chain(operation) or [operation]), *path]
        tensor = inputs[0]
    return path


class CallObserver(keras.Layer):
    """A layer that is told before each call that may reach it."""

    def before_call(self) -> None:
        """Take note. An error here would leave the context of the call open, for later calls."""

    def _clear_losses(self) -> None:
        super()._clear_losses()
        self.before_call()

    @property
    def kernel_layer(self) -> keras.Layer | None:
        """A layer beside its own that Keras saves and loads as a part of this one."""
        return None

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> Any:
        """What TensorFlow puts into its checkpoints."""
        children = super()._trackable_children(save_type, **kwargs)
        if save_type == "checkpoint" and (layer := self.kernel_layer) is not None:
            children = {**children, "kernel_layer": layer}
        return children


class UnlockedModel(keras.Model):
    """A model that takes new layers and metrics after it was built, as Functional models do."""

    def _lock_state(self) -> None:
        pass


def variable_index(optimizer: keras.optimizers.Optimizer, variable: Any) -> int:
    return int(optimizer._get_variable_index(variable))


def advance_start(progress: keras.utils.Progbar, seconds: float) -> None:
    progress._start -= seconds


def build_for_training(model: keras.Model, batch: Any) -> bool:
    """Build the model, its loss, metrics and optimizer for a batch; False where Keras cannot.

    Keras's own `fit` does so on JAX and PyTorch, and not on TensorFlow.
    """
    try:
        model._symbolic_build(data_batch=batch)
    except (
        RuntimeError,
        ValueError,
    ):  # a model without `call`, and one that refuses the batch
        return False
    return True


def find_initial_epoch(model: keras.Model, given: int) -> int:
    """The epoch that `fit` begins with, which a `BackupAndRestore` may have set."""
    return model._initial_epoch or given


def monitors(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback has decided if less or more of what it monitors is better."""
    return getattr(callback, "monitor_op", None) is not None


def settle_monitor(callback: Any) -> None:
    """Let a callback decide that, as it does at the end of the first epoch."""
    if callback.monitor_op is None:
        callback._set_monitor_op()


@contextmanager
def inference_scope() -> Iterator[None]:
    """Make calls an inference of their own, without the `training` and losses of an outer call."""
    under_way = global_state.get_global_attribute("current_call_ctx")
    inference = CallContext(entry_layer=None)
    inference.set_value("training", False)
    global_state.set_global_attribute("current_call_ctx", inference)
    try:
        yield
    finally:
        global_state.set_global_attribute("current_call_ctx", under_way)
