"""The private parts of Keras that we need: only this file touches them."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import keras
from keras import Layer, Model, Variable
from keras.src.optimizers import ALL_OBJECTS_DICT
from keras.src.quantizers.quantizers import dequantize_with_sz_map
from keras.src.saving.keras_saveable import KerasSaveable
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter
from keras.src.utils.python_utils import pythonify_logs

FILES = {"keras.src.saving.saving_lib", "keras.src.legacy.saving.legacy_h5_format"}
COPIES = {"keras.src.models.cloning", "keras.src.saving.serialization_lib"}
LAYER = "keras.src.layers.layer"
"""The modules of Keras that write a model to a file, copy it, and call a layer."""
NAMED_OPTIMIZERS = ALL_OBJECTS_DICT
undo_groups = dequantize_with_sz_map
flatten_logs = pythonify_logs


def flatten_layers(layer: Any, recursive: bool = True) -> list[Layer]:
    """The layer and every layer that it holds, at any depth or right in itself."""
    if not isinstance(layer, Layer):
        return []
    if not layer._layers:
        return [layer]
    return list(layer._flatten_layers(recursive=recursive))


def drop_repeats(layers: Iterable[Layer]) -> list[Layer]:
    return list({id(layer): layer for layer in layers}.values())


def calls_of(layer: Layer) -> list[Any]:
    return list(layer._inbound_nodes)


def layers_before(calls: list[Any]) -> Iterator[Layer]:
    """Every layer that was called before these calls, and those within."""
    queue = list(calls)
    visited = set(map(id, queue))
    for node in queue:
        for parent in node.parent_nodes:
            if id(parent) not in visited:
                visited.add(id(parent))
                queue.append(parent)
                yield from flatten_layers(parent.operation)


def notes_of(layer: Layer) -> dict[Any, Any]:
    """What we note about a layer; no attribute of it, as Keras compares these."""
    notes: dict[Any, Any] = vars(layer._tracker).setdefault("keras_tied_notes", {})
    return notes


def find_running(is_chosen: Callable[[str, str], bool]) -> Iterator[list[Any]]:
    """What the running functions were given, those chosen by module and name.

    The innermost comes first.

    A layer cannot know what holds it: Keras calls no hook of a layer before it copies
    its model, or reads a file into it. But the function that does so has the model as
    its first argument. Weights that layers share, as keras-team/keras#18821 asks for,
    would make this needless.

    Until Python 3.13, reading a frame's variables keeps all of them alive as long as it
    runs, so this must not choose a function of the user's that may hold something
    large.
    """
    frame = inspect.currentframe()
    while frame := frame and frame.f_back:
        module = str(frame.f_globals.get("__name__", ""))
        name = frame.f_code.co_name
        if is_chosen(module, name):
            names, variadic, _, values = inspect.getargvalues(frame)
            given = [values.get(each) for each in names]
            yield [*given, *values.get(variadic or "", ())]


def find_holders(layer: Layer, noted: Iterable[Layer]) -> list[Layer]:
    """What holds a layer: some noted before, and what Keras works on and does not copy.

    The smallest comes first.
    """
    holders = list(noted)
    running = find_running(
        lambda module, _: module.startswith("keras.") and module not in COPIES
    )
    for each in _first_layers(running):
        if each is not layer and layer in flatten_layers(each):
            holders.append(each)
    holders = drop_repeats(holders)
    return sorted(holders, key=lambda holder: len(flatten_layers(holder)))


def layers_before_inputs(layer: Layer) -> list[Layer]:
    """The layers before the symbolic tensors that a layer, or its model, is called on.

    Keras adds the call to the graph when it ends.
    """
    calls = find_running(
        lambda module, name: module == LAYER and name == Layer.__call__.__name__
    )
    layers: list[Layer] = []
    for caller, *arguments in calls:
        if layer in flatten_layers(caller):
            for tensor in keras.tree.flatten(arguments):
                if getattr(tensor, "_keras_history", None) is not None:
                    operation, index, _ = tensor._keras_history
                    layers += flatten_layers(operation)
                    layers += layers_before([operation._inbound_nodes[index]])
    return layers


def model_of_file() -> Layer | None:
    """What a file or a pickle is being written of, or read into; None if none is."""
    models = _first_layers(find_running(lambda module, _: module in FILES))
    return models[-1] if models else None


def is_reading_file() -> bool:
    """Whether Keras reads or writes a model: not every variable may be set yet."""
    return any(find_running(lambda module, _: module in FILES))


def models_being_copied() -> list[Layer]:
    """The models and layers whose configuration is being read, outermost first."""
    running = find_running(
        lambda module, name: module in COPIES or name == "get_config"
    )
    return drop_repeats(reversed(_first_layers(running)))


def _first_layers(running: Iterable[list[Any]]) -> list[Layer]:
    firsts = [first for given in running for first in given[:1]]
    return [first for first in firsts if isinstance(first, Layer)]


def holds_numbers(variable: Variable) -> bool:
    """Whether a variable has its numbers: Keras's JAX trainer takes them away."""
    value = variable._value
    is_deleted = getattr(value, "is_deleted", bool)  # of JAX, and False else
    return value is not None and not is_deleted()


@contextmanager
def take_numbers(variables: Iterable[Variable]) -> Iterator[None]:
    """Leave variables without numbers, as Keras's JAX trainer does at its steps.

    So a step that reads one past its arguments fails as it does there.
    """
    taken = [(variable, variable._value) for variable in variables]
    for variable, _ in taken:
        variable._value = None
    try:
        yield
    finally:
        for variable, value in taken:
            variable._value = value


def stored_numbers(variable: Variable) -> Any:
    """What a variable holds, as a NumPy array, also while a program is traced."""
    if keras.backend.backend() != "tensorflow":
        return keras.ops.convert_to_numpy(variable._value)
    import tensorflow as tf

    with tf.init_scope():
        return variable._value.numpy()


def lay_scale_along_kernel(layer: Layer) -> Any:
    """The scales of an EinsumDense's integers, which lie as its outputs do."""
    return layer._adjust_scale_for_dequant(layer.kernel_scale)


def refresh_parameters(layer: Layer) -> None:
    """Let PyTorch list the parameters of a layer that has got another kernel."""
    if keras.backend.backend() == "torch" and hasattr(layer, "_torch_params"):
        layer._track_variables()


def producer(tensor: Any) -> tuple[Any, list[Any]]:
    """The operation that gave a symbolic tensor, and what it took, less masks."""
    operation, node_index, _ = tensor._keras_history
    node = operation._inbound_nodes[node_index]
    masks = set(map(id, keras.tree.flatten(node.arguments.kwargs.get("mask"))))
    return operation, [each for each in node.input_tensors if id(each) not in masks]


def is_graph(model: Any) -> bool:
    """Whether a model is built as a graph of layers, without a `call` of its own."""
    if not isinstance(model, Model):
        return False
    ends = getattr(model, "inputs", None) and getattr(model, "outputs", None)
    return bool(ends) and type(model).call.__module__.startswith("keras.")


def layer_chain(model: Any) -> list[Layer] | None:
    """The layers of a model's graph, if each takes what the one before it gives.

    Nested models are laid open. None for anything else.
    """
    if not is_graph(model) or len([*model.inputs, *model.outputs]) != 2:
        return None
    path: list[Layer] = []
    tensor = model.outputs[0]
    while tensor is not model.inputs[0]:
        operation, inputs = producer(tensor)
        if len(inputs) != 1:
            return None
        path = [*(layer_chain(operation) or [operation]), *path]
        tensor = inputs[0]
    return path


class LoadingStep(KerasSaveable):
    """What is to be done when Keras has loaded the attributes before this one.

    Keras loads attributes in alphabetical order, each object once.
    """

    def __init__(self, take: Callable[[], None]) -> None:
        self.take = take

    def _obj_type(self) -> str:
        return "Loss"  # of the types that Keras knows, the one with least to look at

    def load_own_variables(self, store: Any) -> None:
        self.take()


class CallObserver(Layer):
    """A layer that is told before each call that may reach it."""

    def before_call(self) -> None:
        """Take note. An error here would leave the context of the call open."""

    def _clear_losses(self) -> None:
        super()._clear_losses()
        self.before_call()

    @property
    def kernel_layer(self) -> Layer | None:
        """A layer beside its own that Keras saves and loads as a part of this one."""
        return None

    def _trackable_children(self, save_type: str = "checkpoint", **kwargs: Any) -> Any:
        """What TensorFlow puts into its checkpoints."""
        children = super()._trackable_children(save_type, **kwargs)
        if save_type == "checkpoint" and (layer := self.kernel_layer) is not None:
            children = {**children, "kernel_layer": layer}
        return children


class UnlockedModel(Model):
    """A model that takes new layers and metrics after it was built."""

    def _lock_state(self) -> None:
        pass


def variable_index(optimizer: keras.optimizers.Optimizer, variable: Any) -> int:
    return int(optimizer._get_variable_index(variable))


def advance_start(progress: keras.utils.Progbar, seconds: float) -> None:
    progress._start -= seconds


def build_for_training(model: Model, batch: Any) -> bool:
    """Build model, loss, metrics and optimizer for a batch; False where Keras cannot.

    Keras's own `fit` does so on JAX and PyTorch, and not on TensorFlow.
    """
    # A model without `call` raises, and one that refuses the batch.
    with suppress(RuntimeError, ValueError):
        model._symbolic_build(data_batch=batch)
        return True
    return False


def pack_rows(
    arrays: tuple[Any, Any, Any],
    class_weight: dict[int, float] | None,
) -> tuple[Any, int]:
    """The x, y and weights of rows as a step takes them, and how many rows they are."""
    adapter = ArrayDataAdapter(*arrays, class_weight=class_weight)
    return adapter._inputs, adapter._num_samples


def results_or_logs(model: Model, logs: Any) -> Any:
    """What Keras reports of a pass over rows: its metrics, or the last step's logs."""
    return model._get_metrics_result_or_logs(logs)


def find_initial_epoch(model: Model, given: int) -> int:
    """The epoch that `fit` begins with, which a `BackupAndRestore` may have set."""
    return model._initial_epoch or given


def settle_monitor(callback: Any) -> None:
    """Let a callback decide if less or more is better, as after its first epoch."""
    if getattr(callback, "monitor_op", settle_monitor) is None:
        with suppress(ValueError):  # it cannot, and so has not
            callback._set_monitor_op()
