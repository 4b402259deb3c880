"""What a layer of a network gives, as rows to train on, and what a network loses by their codes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_tied._types import Array


class LayerOutputs(keras.utils.PyDataset):
    """The outputs of a layer of a model, batch by batch, to train an autoencoder on.

    Nothing but one batch is ever held: a network's activations are often larger than its data. Each
    batch is `(rows, rows)`, float32 of shape `(rows, features)`: of a sequence each place, of an
    image each pixel is a row. The order of `x` is drawn anew for each epoch.

    Args:
        model: a Functional or Sequential model of one input.
        layer: one of its layers, or the name of one.
        x: what the model takes, an array `(n, ...)`.
        batch_size: how many of `x` are given to the model at once. Defaults to 32.
        seed: of the order. Defaults to 0; None keeps the order of `x`.
        **kwargs: of `keras.utils.PyDataset`.

    Raises:
        ValueError: if the model has several inputs or no such layer, or the layer's output is not
            one tensor.

    Examples:
        >>> import keras
        >>> from keras_tied.training import LayerOutputs
        >>> layers = [keras.layers.Embedding(50, 8), keras.layers.Dense(1)]
        >>> model = keras.Sequential([keras.Input((5,), dtype="int32"), *layers])
        >>> rows, same = LayerOutputs(model, layers[0], keras.ops.zeros((100, 5)))[0]
        >>> rows.shape
        (160, 8)
    """

    def __init__(
        self,
        model: keras.Model,
        layer: keras.Layer | str,
        x: Any,
        batch_size: int = 32,
        seed: int | None = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        layer = model.get_layer(layer) if isinstance(layer, str) else layer
        if all(layer is not each for each in model.layers):
            raise ValueError(
                f"LayerOutputs takes a layer of the model '{model.name}'; received '{layer.name}', "
                f"which is not one of {[each.name for each in model.layers]}."
            )
        output = layer.output
        if not isinstance(output, keras.KerasTensor):
            raise ValueError(
                f"LayerOutputs takes a layer with one output; '{layer.name}' gives a "
                f"{type(output).__name__}."
            )
        if len(model.inputs) > 1:
            raise ValueError(
                f"LayerOutputs takes a model with one input; '{model.name}' has "
                f"{len(model.inputs)}: make a keras.Model of the one that leads to '{layer.name}'."
            )
        self.model: Any = keras.Model(model.inputs[0], output)
        self.x: Array = np.asarray(x)
        self.batch_size: int = batch_size
        self.random: np.random.Generator | None = (
            None if seed is None else np.random.default_rng(seed)
        )
        self.order: Array = np.arange(len(x))
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        places = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        outputs = np.asarray(self.model.predict_on_batch(self.x[places]), "float32")
        rows = outputs.reshape(-1, outputs.shape[-1])
        return rows, rows

    def on_epoch_end(self) -> None:
        """Draw the next epoch's order."""
        if self.random is not None:
            self.random.shuffle(self.order)


def recovered_loss(
    model: keras.Model,
    layer: keras.Layer | str,
    autoencoder: Callable[[Any], Any],
    x: Any,
    y: Any,
    loss: Any = None,
    batch_size: int = 32,
) -> float:
    r"""How much of what a layer does for a model's loss is left where it is reconstructed.

    $$\frac{L_0 - \hat L}{L_0 - L}$$

    for the loss $L$ of the model as it is, $\hat L$ with the layer's outputs reconstructed, and
    $L_0$ with zeros in their place: 1 where the reconstruction is as good as the outputs, 0 where
    it is as good as nothing (Bricken et al., "Towards monosemanticity", 2023). Whatever the model
    is, nothing of it is changed.

    Args:
        model: any model that calls the layer.
        layer: a layer in it, or its name.
        autoencoder: from rows `(n, features)` to rows `(n, features)`, such as a model.
        x: what the model takes, `(n, ...)`.
        y: what the loss compares with, `(n, ...)`.
        loss: a loss of Keras, or its name. Defaults to that which the model is compiled with.
        batch_size: Defaults to 32.

    Raises:
        ValueError: if no loss is given and the model is not compiled with one, or the layer does
            nothing for it.

    Examples:
        >>> import keras
        >>> from keras_tied.training import recovered_loss
        >>> layers = [keras.layers.Dense(8), keras.layers.Dense(1)]
        >>> model = keras.Sequential([keras.Input((4,)), *layers])
        >>> x, y = keras.random.normal((50, 4), seed=0), keras.random.normal((50, 1), seed=1)
        >>> recovered_loss(model, layers[0], lambda rows: rows, x, y, "mse")
        1.0
    """
    loss = loss if loss is not None else getattr(model, "loss", None)
    if loss is None:
        raise ValueError(
            f"recovered_loss takes a loss where the model is not compiled with one; '{model.name}' "
            "is not: give, for example, loss='mse'."
        )
    compute = keras.losses.get(loss)
    layer = model.get_layer(layer) if isinstance(layer, str) else layer

    def mean_loss(function: Callable[[Any], Any]) -> float:
        total = 0.0
        with replace_outputs(layer, function):
            for begin in range(0, len(x), batch_size):
                rows, targets = x[begin : begin + batch_size], y[begin : begin + batch_size]
                value = ops.mean(compute(targets, model(rows, training=False)))
                total += float(ops.convert_to_numpy(value)) * len(rows)
        return total / len(x)

    def reconstruct(outputs: Any) -> Any:
        shape = ops.shape(outputs)
        rows = autoencoder(ops.reshape(outputs, (-1, shape[-1])))
        return ops.cast(ops.reshape(rows, shape), outputs.dtype)

    nothing, whole = mean_loss(ops.zeros_like), mean_loss(lambda outputs: outputs)
    if nothing == whole:
        raise ValueError(
            f"The loss of '{model.name}' is {whole:.3g} with the outputs of '{layer.name}', and "
            "with zeros in their place: give a layer that the model calls."
        )
    return (nothing - mean_loss(reconstruct)) / (nothing - whole)


@contextmanager
def replace_outputs(layer: keras.Layer, function: Callable[[Any], Any]) -> Iterator[None]:
    """Let a function of a layer's outputs take their place, for as long."""
    call = layer.call
    layer.call = lambda *args, **kwargs: function(call(*args, **kwargs))
    try:
        yield
    finally:
        del layer.call
