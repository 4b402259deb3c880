"""`mirror`: the decoder of an encoder, its layers in reverse, each kernel tied."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import Layer, Model, layers

from keras_tied._keras_internals import is_graph, producer
from keras_tied._types import Shape
from keras_tied.autoencoder import _mirror_rules as rules
from keras_tied.autoencoder._mirror_rules import LayerContext

SCALINGS = (layers.Normalization, layers.Rescaling)


def mirror(
    encoder: Model,
    *,
    gain: bool = True,
    output_activation: Any = None,
    name: str | None = None,
) -> Model:
    """Build a decoder for an encoder: its layers in reverse, each kernel tied.

    Layers with a kernel become tied layers, each followed by the activation that stood
    before its encoder layer, so that the hidden layers of the decoder mirror the
    encoder's; the activation of the code itself is not repeated. Reshaping, padding and
    scaling are undone, pooling is spread out again, normalisations get a layer of their
    own, and dropout and noise are left out. A residual connection is mirrored as one.
    The documentation has the table of all rules; `mirror.register` adds to them.

    Args:
        encoder: a built Sequential or Functional model, nested models included, with
            one input and one output. Of several outputs, pass the model that ends in
            the code: `keras.Model(encoder.inputs, code)`.
        gain: whether tied layers learn one factor for each unit of their kernel, which
            lets the decoder undo the encoder's scale. Defaults to `True`.
        output_activation: activation of the decoder's output, a name, a callable or a
            layer. Where the encoder starts with Normalization or Rescaling, it is
            applied before these are undone. Defaults to none.
        name: name of the decoder. Defaults to the encoder's with `_mirror` appended.

    Returns:
        A Functional model from the code to `encoder.input_shape`; to the logits of each
        token where the encoder begins with an Embedding. It shares the encoder's
        kernels, and works, saves and loads by itself.

    Raises:
        ValueError: for a layer that no rule mirrors, or an encoder of another kind, or
            not built.

    Examples:
        >>> import keras
        >>> from keras_tied import mirror
        >>> convolution = keras.layers.Conv2D(8, 3, strides=2, activation="relu")
        >>> code = [keras.layers.Flatten(), keras.layers.Dense(10)]
        >>> encoder = keras.Sequential([keras.Input((28, 28, 1)), convolution, *code])
        >>> mirror(encoder, output_activation="sigmoid").output_shape
        (None, 28, 28, 1)
    """
    output = _find_code(encoder)
    steps = [_Step("output", encoder.inputs[0].shape[1:])]
    _visit(output, {id(encoder.inputs[0]): 0}, steps)
    _settle_activations(steps, keras.activations.get(output_activation))
    codes = keras.Input(output.shape[1:], dtype=output.dtype, name="code")
    name = name or f"{encoder.name}_mirror"
    return Model(codes, _reverse(steps, codes, gain), name=name)


mirror.register = rules.register  # type: ignore[attr-defined]


@dataclass
class _Step:
    """A layer of the encoder at one place in its graph, or its input, named "output".

    `shape` is that of its output, without the batch, and `activation` that of the
    decoder's version of this output: a function, a layer or None. `sources` are steps
    by their indices.
    """

    name: str
    shape: Shape
    operation: Any = None
    rule: rules.Rule | None = None
    has_kernel: bool = False
    follows_kernel: bool = False  # its own, or one of a step before it
    sources: list[int] = field(default_factory=list)
    consumers: list["_Step"] = field(default_factory=list)
    activation: Any = None

    @property
    def fused_activation(self) -> Any:
        """The activation, if the mirror of the next step can apply it itself."""
        if len(self.consumers) != 1 or isinstance(self.activation, Layer):
            return None
        return self.activation if self.consumers[0].has_kernel else None


def _find_code(encoder: Any) -> Any:
    """The output of an encoder that `mirror` can take."""
    if not is_graph(encoder):
        layer_name = f" '{encoder.name}'" if isinstance(encoder, Layer) else ""
        raise ValueError(
            "mirror takes a built Sequential or Functional model without a `call` of"
            f" its own; received {type(encoder).__name__}{layer_name}: start it with a"
            " `keras.Input`, or write it as a Functional model."
        )
    if len(encoder.inputs) != 1 or len(encoder.outputs) != 1:
        raise ValueError(
            f"mirror takes an encoder with one input and one output; '{encoder.name}'"
            f" has {len(encoder.inputs)} and {len(encoder.outputs)}: mirror its parts"
            " one by one, such as `keras.Model(encoder.inputs, code)`."
        )
    return encoder.outputs[0]


def _visit(tensor: Any, places: dict[int, int], steps: list[_Step]) -> int:
    """The index of the step that gives a tensor, added with those before it."""
    if id(tensor) in places:
        return places[id(tensor)]
    operation, inputs = producer(tensor)
    operation = rules.to_layer(operation)
    sources = []
    for source in inputs:  # a comprehension would double the depth of the recursion
        sources.append(_visit(source, places, steps))
    if is_graph(operation):
        if len(operation.outputs) != 1:
            raise ValueError(
                f"mirror can open nested models with one output; '{operation.name}' has"
                f" {len(operation.outputs)}: use its layers in the encoder directly."
            )
        inner = dict(zip(map(id, operation.inputs), sources, strict=True))
        index = _visit(operation.outputs[0], inner, steps)
    else:
        index = _add_step(operation, sources, tensor.shape[1:], steps)
    places[id(tensor)] = index
    return index


def _add_step(
    operation: Any,
    sources: list[int],
    shape: Shape,
    steps: list[_Step],
) -> int:
    """The index of a new step, or of the one before it where the layer is left out."""
    entry = rules.entry_for(operation)
    joins = (rules.mirror_branches, rules.split_branches)
    if entry is None or (len(sources) != 1 and entry.rule not in joins):
        raise _make_refusal(operation)
    if entry.rule is rules.leave_out:
        return sources[0]
    follows_kernel = entry.kernel or any(steps[each].follows_kernel for each in sources)
    step = _Step(
        operation.name,
        shape,
        operation,
        entry.rule,
        entry.kernel,
        follows_kernel,
        sources,
    )
    shapes = [steps[source].shape for source in sources]
    is_sum = len(shapes) > 1 and all(fits(shape, step.shape) for shape in shapes)
    if entry.rule is rules.mirror_branches and not is_sum:
        raise ValueError(
            f"mirror takes a sum of tensors of one shape; '{step.name}' adds to"
            f" {', '.join(map(str, shapes))} and gives {step.shape}: bring both to one"
            " shape first, and leave constants to the bias of a layer."
        )
    if entry.rule is rules.repeat and not isinstance(operation, layers.Activation):
        step.activation = operation
    elif entry.rule is rules.repeat or entry.kernel:
        step.activation = keras.activations.get(getattr(operation, "activation", None))
    for source in sources:
        steps[source].consumers.append(step)
    steps.append(step)
    return len(steps) - 1


def _make_refusal(operation: Any) -> ValueError:
    kind = type(operation).__name__
    if not isinstance(operation, Layer):
        return ValueError(
            f"mirror has no rule for the operation '{operation.name}' ({kind}): use a"
            " layer that does the same, such as Activation, Rescaling, Reshape or"
            " Permute."
        )
    advice = "leave it out of the encoder, or write that part of the decoder by hand"
    if isinstance(operation, Model):
        advice = "write it as a Functional model, without a `call` of its own"
    return ValueError(
        f"mirror has no rule for layer '{operation.name}' ({kind}): {advice}, or add a"
        f" rule with `@mirror.register({kind})`."
    )


def _settle_activations(steps: list[_Step], output_activation: Any) -> None:
    """Keep only the activations between two kernels, and add the one of the output."""
    before: set[int] = set()
    linear = keras.activations.linear
    for index, step in reversed(list(enumerate(steps))):
        if step.has_kernel or index in before:
            before.update(step.sources)
        is_between = step.follows_kernel and index in before
        if not is_between or step.activation is linear:
            step.activation = None
    if output_activation is linear:
        return
    step = steps[0]
    # The kernels work in the units of the last of the scalings that the encoder starts
    # with.
    while len(step.consumers) == 1:
        (consumer,) = step.consumers
        if not isinstance(consumer.operation, SCALINGS):
            break
        step = consumer
    step.activation = output_activation


def _reverse(steps: list[_Step], code: Any, gain: bool) -> Any:
    """The decoder's output for the code: each step undone, the last one first."""
    counts: Counter[str] = Counter()

    def make_name(step: _Step, role: str) -> str:
        base = f"{step.name}_{role}"
        counts[base] += 1
        return base if counts[base] == 1 else f"{base}_{counts[base]}"

    parts: list[list[Any]] = [[] for _ in steps]
    parts[-1].append(code)
    for step, tensors in zip(reversed(steps), reversed(parts), strict=True):
        if not tensors:
            continue  # its output is an input that a nested model does not use
        tensor = tensors[0]
        if len(tensors) > 1:
            tensor = layers.Add(name=make_name(step, "sum"))(tensors)
        if step.activation is not None and step.fused_activation is None:
            name = make_name(step, "activation")
            is_layer = isinstance(step.activation, Layer)
            make = rules.copy_layer if is_layer else layers.Activation
            tensor = make(step.activation, name=name)(tensor)
        if step.sources:
            source = steps[step.sources[0]]
            name, activation = make_name(step, "mirror"), source.fused_activation
            context = LayerContext(source.shape, step.shape, name, gain, activation)
            tensor = _undo(step, context, tensor)
        for index, part in zip(step.sources, _split(step, steps, tensor), strict=True):
            parts[index].append(part)
    return tensor


def _split(step: _Step, steps: list[_Step], tensor: Any) -> list[Any]:
    """What each source of a step gets: the tensor, or its part of a concatenation."""
    if step.rule is not rules.split_branches:
        return [tensor] * len(step.sources)
    axis = step.operation.axis % (1 + len(step.shape))  # 0 is the batch
    sizes = [steps[source].shape[axis - 1] for source in step.sources]
    if axis == 0 or None in sizes:
        raise ValueError(
            f"mirror splits what layer '{step.name}' (Concatenate) joins, and its axis"
            f" {step.operation.axis} is the batch or of unknown length: give all"
            " lengths in the encoder's Input."
        )
    ends = np.cumsum(sizes)[:-1].tolist()
    return list(keras.ops.split(tensor, ends, axis=axis))


def _undo(step: _Step, context: LayerContext, tensor: Any) -> Any:
    for layer in rules.make_reverse(step.operation, context):
        tensor = layer(tensor)
    if step.rule is rules.split_branches:
        return tensor
    expected = context.input_shape
    if isinstance(step.operation, layers.Embedding):
        expected = (*expected, step.operation.input_dim)
    if not fits(tensor.shape[1:], expected):
        raise ValueError(
            f"The rule of mirror for layer '{step.name}'"
            f" ({type(step.operation).__name__}) gives the shape"
            f" {tensor.shape[1:]}, and the layer takes in {context.input_shape}:"
            " correct the rule registered for this class, so that it undoes this"
            " layer."
        )
    return tensor


def fits(shape: Shape, expected: Shape) -> bool:
    """Whether two shapes are the same, as far as their lengths are known."""
    if len(shape) != len(expected):
        return False
    lengths = zip(shape, expected, strict=True)
    return all(one == other or None in (one, other) for one, other in lengths)
