"""Keras models: training with an encoder of the user's own, and fitted networks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any

import keras
import numpy as np
from tied_tables.autoencoder import Autoencoder, mirror
from tied_tables.layers import PartlyLinear
from tied_tables.losses import NanMeanSquaredError

from keras_tied import training
from tied_tables._types import Array
from tied_tables.fit.held_out import split_rows
from tied_tables.fit.plan import Plan
from tied_tables.fit.progress import call_back
from tied_tables.fit.rows import TrainingRows
from tied_tables.fit.solver import Solution
from tied_tables.model.compiled_network import CompiledNetwork
from tied_tables.model.value import Network

STEPS = 5000  # the steps of Nadam, about
STEPS_PER_EPOCH = 400  # at least: an epoch repeats the rows where they are few
VALIDATION_NUMBERS = 2**22  # the most numbers in a validation batch


def fit(plan: Plan, rows: TrainingRows) -> Solution:
    """Train a copy of the encoder and its mirror by Nadam with a cosine decay."""
    assert plan.encoder is not None
    with _seed_scope(plan.seed):
        encoder = keras.models.clone_model(plan.encoder)
        penalties = _make_penalties(plan.noise, plan.sparsity)
        model = Autoencoder(encoder, mirror(encoder, gain=True), **penalties)
        return _fit_model(plan, model, rows)


def make_model(
    network: Network,
    *,
    noise: float,
    sparsity: float,
    weight_decay: float,
) -> Autoencoder:
    """A new Keras model that computes what a network does, of a fitted value."""
    if isinstance(network, CompiledNetwork):
        return network.make_model()
    decay = keras.regularizers.L2(weight_decay) if weight_decay else None
    n_features, *hidden, n_components = network.layer_sizes
    encoder = keras.Sequential(
        [keras.Input((n_features,), name="features")], name="encoder"
    )
    for index, units in enumerate(hidden, 1):
        name = f"hidden_{index}"
        encoder.add(keras.layers.Dense(units, kernel_regularizer=decay, name=name))
        activation = PartlyLinear(
            network.activation, n_components, name=f"{name}_activation"
        )
        encoder.add(activation)
    encoder.add(keras.layers.Dense(n_components, kernel_regularizer=decay, name="code"))
    decoder = mirror(encoder, gain=True, name="decoder")
    penalties = _make_penalties(noise, sparsity)
    model = Autoencoder(encoder, decoder, name="autoencoder", **penalties)
    forth = zip(network.kernels, network.biases, strict=True)
    back = zip(network.decoder_biases, network.gains, strict=True)
    backwards = [*chain(*back)][::-1]  # the gain and the bias of each layer
    model.set_weights([*chain(*forth), *backwards])
    model.compile(None)  # without an optimizer and its state
    return model


def require_known_shapes(encoder: keras.Model) -> None:
    """Refuse an encoder of unknown input or output shape, or of several."""
    inputs = getattr(encoder, "input_shape", None)
    outputs = getattr(encoder, "output_shape", None)
    for shape in (inputs, outputs):
        sizes = shape[1:] if isinstance(shape, tuple) else ()
        if not sizes or not all(isinstance(size, int) for size in sizes):
            raise ValueError(
                f"encoder={encoder.name!r} must have one input and one output of known"
                f" shape, and turns {inputs} into {outputs}: begin it with keras.Input."
            )


def _fit_model(
    plan: Plan,
    model: Autoencoder,
    rows: TrainingRows,
) -> Solution:
    train = rows
    validation = rows.validation
    if plan.early_stopping and validation is None:
        train_places, places = split_rows(rows.count, plan)
        train = rows.select(train_places)
        validation = rows.select(places)
    n = len(train.inputs)
    size = min(plan.batch_size, n)
    steps = -(-n // size)
    if plan.max_iter is None:
        steps = max(STEPS_PER_EPOCH, steps)
    epochs = plan.max_iter or -(-STEPS // steps)
    # Full batches only, since a smaller one would be compiled too: some rows are
    # repeated.
    n_rows = steps * size
    order = np.resize(np.arange(n), n_rows)
    inputs, targets, weights = _shape(model, train, order)
    error = keras.metrics.MeanMetricWrapper(
        NanMeanSquaredError(reduction=None), name="error"
    )
    optimizer = _make_nadam(plan.learning_rate, steps * epochs)
    model.compile(optimizer, NanMeanSquaredError(), weighted_metrics=[error])
    callbacks: list[Any] = [_EpochCallback()]
    validation_data = None
    validation_size = None
    if validation is not None:
        n_validation, features = validation.inputs.shape
        validation_data = _shape(model, validation, np.arange(n_validation))
        validation_size = max(1, min(n_validation, VALIDATION_NUMBERS // features))
        best = keras.callbacks.EarlyStopping(
            "val_error",
            patience=epochs,
            mode="min",
            restore_best_weights=True,
        )
        callbacks.insert(0, best)
    history = training.fit(
        model,
        inputs,
        targets,
        sample_weight=weights,
        batch_size=size,
        validation_data=validation_data,
        validation_batch_size=validation_size,
        epochs=epochs,
        callbacks=callbacks,
        verbose=plan.verbose,
    ).history
    losses = history["loss"]
    return Solution(
        network=CompiledNetwork(model),
        losses=losses,
        validation_errors=history.get("val_error", []),
        n_iter=round(n_rows / train.count * len(losses)),
    )


def _shape(
    model: Autoencoder,
    rows: TrainingRows,
    places: Array,
) -> tuple[Array, ...]:
    """Inputs, targets and weights of the rows at some places, as a model takes them."""
    shape = model.encoder.input_shape[1:]
    inputs = targets = rows.inputs[places].reshape(-1, *shape)
    if rows.targets is not rows.inputs:
        targets = rows.targets[places].reshape(-1, *shape)
    loss_axes = [1] * (len(shape) - 1)
    weights = rows.weights[places].reshape(-1, *loss_axes)
    return inputs, targets, weights


class _EpochCallback(training.Watcher):
    """Calls the function that is registered for each epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if call_back(epoch + 1, self.params["epochs"], logs or {}):
            self.model.stop_training = True


@contextmanager
def _seed_scope(seed: int) -> Iterator[None]:
    """Seed the generators that Keras uses, and set them back."""
    python = random.getstate()
    numpy = np.random.get_state()  # noqa: NPY002
    with ExitStack() as stack:
        if keras.backend.backend() == "torch":
            import torch

            stack.enter_context(torch.random.fork_rng())
            torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def _make_nadam(rate: float, steps: int) -> keras.optimizers.Optimizer:
    warmup = max(1, steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / warmup,
        max(1, steps - warmup),
        warmup_target=rate,
        warmup_steps=warmup,
    )
    return keras.optimizers.Nadam(schedule, beta_2=0.99)


def _make_penalties(noise: float, sparsity: float) -> dict[str, Any]:
    """The arguments of `Autoencoder` for what is minimised besides the error."""
    regularizer = keras.regularizers.L1(sparsity) if sparsity else None
    return {"noise": noise or None, "code_regularizer": regularizer}
