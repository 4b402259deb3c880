"""Solvers for Keras models, which `array_solver` does not train: L-BFGS, Nadam, single batches."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras_tied import training
from keras_tied._types import Array
from keras_tied.autoencoder import Autoencoder, mirror
from keras_tied.estimator._fitted.pca import Components
from keras_tied.estimator._fitted.value import Network, compute_block
from keras_tied.estimator._training import held_out, keras_network
from keras_tied.estimator._training.held_out import Solution, make_folds
from keras_tied.estimator._training.plan import Plan
from keras_tied.estimator._training.progress import get_epoch_callback
from keras_tied.estimator._training.rows import TrainingRows
from keras_tied.estimator._training.start import start_network
from keras_tied.losses import NanMeanSquaredError

ITERATIONS = 500  # the most iterations of L-BFGS
STEPS = 5000  # the steps of Nadam, about
STEPS_PER_EPOCH = 400  # at least: an epoch repeats the rows where they are few
VALIDATION_NUMBERS = 2**22  # the most numbers in a validation batch

Start = Callable[[Components], None]  # sets the weights of a model to those before training


def fit(plan: Plan, rows: TrainingRows, principal: Components) -> Solution:
    """Train a Keras model; `principal` is PCA of the rows with all components."""
    with _seed_scope(plan.seed):
        model, start = _make_model(plan, len(principal.mean))
        if plan.method == "lbfgs":
            return _fit_lbfgs(plan, model, start, rows, principal)
        return _fit_nadam(plan, model, start, rows)


def _make_model(plan: Plan, n_features: int) -> tuple[Autoencoder, Start]:
    """A model, and a function that sets its weights before training, to the same each time."""
    if plan.encoder is not None:
        encoder = keras.models.clone_model(plan.encoder)
        objectives = keras_network.make_objectives(plan.objectives)
        model = Autoencoder(encoder, mirror(encoder, gain=True), **objectives)
        initial = model.get_weights()
        return model, lambda principal: model.set_weights(initial)
    settings = plan.hidden, plan.activation, plan.weight_decay, plan.objectives
    model = keras_network.build_network(n_features, plan.n_components, *settings)
    seed = plan.random.randint(2**31 - 1)
    # The model has the activation.
    return model, lambda principal: keras_network.set_arrays(
        model, start_network(principal, plan.hidden, "", np.random.default_rng(seed))
    )


@contextmanager
def _seed_scope(seed: int) -> Iterator[None]:
    """Seed the generators of NumPy, PyTorch and Python, which Keras uses, and set them back."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
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


class _EpochCallback(training.Watcher):
    """Calls the function that is registered for each epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        on_epoch = get_epoch_callback()
        if on_epoch is not None and on_epoch(epoch + 1, self.params["epochs"], logs or {}):
            self.model.stop_training = True


class _Patience(training.Watcher):
    """Stops when the error on held-out rows has not fallen for some iterations."""

    def __init__(self, patience: int) -> None:
        super().__init__()
        self.patience, self.errors = patience, [np.inf]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.errors.append(logs["val_error"])
        if len(self.errors) - 1 - int(np.argmin(self.errors)) >= self.patience:
            self.model.stop_training = True


def _compile(model: Autoencoder, optimizer: Any) -> None:
    error = keras.metrics.MeanMetricWrapper(NanMeanSquaredError(reduction=None), name="error")
    model.compile(optimizer, NanMeanSquaredError(), weighted_metrics=[error])


def _fit_lbfgs(
    plan: Plan, model: Autoencoder, start: Start, rows: TrainingRows, principal: Components
) -> Solution:
    """Train on all rows, as many iterations as are best for held-out rows.

    Held-out rows have weight 0, so all fits have the same shapes, and are one compiled program.
    """
    _compile(model, training.LBFGS())
    n = rows.count
    max_iter = plan.max_iter or ITERATIONS
    best, better = max_iter, None
    validation_errors: list[float] = []

    def fit(train_mask: Array, iterations: int, callbacks: list[Any], verbose: int = 0) -> Any:
        train_mask = np.tile(train_mask, rows.copies)
        weights = rows.weights * train_mask
        others, unseen = rows.weights, rows
        if rows.validation is not None:
            unseen = rows.validation
            others = unseen.weights
        elif not train_mask.all():
            others = rows.weights * ~train_mask
        validation_weights = rows.keras_weights(others / others.mean())
        return training.fit(
            model,
            rows.inputs,
            rows.targets,
            sample_weight=rows.keras_weights(weights / weights.mean()),
            validation_data=(unseen.inputs, unseen.targets, validation_weights),
            epochs=iterations,
            callbacks=[*callbacks, _EpochCallback()],
            verbose=verbose,
        )

    if plan.early_stopping:
        curves, of_pca, weight = [], [], 0.0
        no_fold = [np.arange(0)]
        for left_out in make_folds(n, plan) if rows.validation is None else no_fold:
            train_mask = np.ones(n, bool)
            train_mask[left_out] = False
            of_fold = rows.select(np.flatnonzero(train_mask)).principal.truncate(plan.n_components)
            start(of_fold)
            patience = _Patience(plan.n_iter_no_change)
            with training.interrupts() as is_interrupted:
                fit(train_mask, max_iter, [patience])
            if is_interrupted():
                raise KeyboardInterrupt  # no model of all rows exists yet
            validation_rows = rows.validation or rows.select(left_out)
            share = validation_rows.weights
            errors = validation_rows.pca_errors(of_fold)
            of_pca.append(np.average(errors, weights=share) * share.sum())
            curves.append(np.array(patience.errors) * share.sum())
            weight += share.sum()
        best, better = _choose_best(curves, np.array(of_pca), n)
        validation_errors = (_align(curves).sum(axis=0) / weight)[1 : best + 1].tolist()
    start(principal.truncate(plan.n_components))
    losses = fit(np.ones(n, bool), best, [], plan.verbose).history["loss"] if best else []
    # Ctrl-C or convergence may have ended the last fit before.
    validation_errors = validation_errors[: len(losses)]
    network = keras_network.inference_network(model, plan.encoder is None)
    return Solution(network, losses, validation_errors, len(losses), better)


def _choose_best(curves: list[Array], of_pca: Array, n_rows: float) -> tuple[int, bool]:
    """The iterations of least error over the curves of all folds, and whether that beats PCA."""
    table = _align(curves)
    best = int(table.sum(axis=0).argmin())
    return best, held_out.is_clearly_less_in_folds(table[:, best], of_pca, n_rows)


def _align(curves: list[Array]) -> Array:
    """A row for each curve, all as long as the longest."""
    length = max(map(len, curves))
    return np.array([np.pad(c, (0, length - len(c)), mode="edge") for c in curves])


def _fit_nadam(plan: Plan, model: Autoencoder, start: Start, rows: TrainingRows) -> Solution:
    """Train in batches, with a warm-up and a cosine decay of the learning rate."""
    places, left_out = np.arange(rows.count), np.arange(0)
    if plan.early_stopping and rows.validation is None:
        places, left_out = held_out.split_rows(rows.count, plan)
    train, validation = rows.select(places), rows.validation or rows.select(left_out)
    n = len(train.inputs)
    size = min(plan.batch_size, n)
    steps = -(-n // size)
    if plan.max_iter is None:
        steps = max(STEPS_PER_EPOCH, steps)
    epochs = plan.max_iter or -(-STEPS // steps)
    passes = steps * size / len(places)
    # Full batches only, since a smaller one would be compiled too: some rows are repeated.
    train = replace(train, copies=1).select(np.resize(np.arange(n), steps * size))
    _compile(model, _make_nadam(plan.learning_rate, steps * epochs))
    principal = train.principal.truncate(plan.n_components)
    start(principal)
    callbacks, validation_data = [], None
    if plan.early_stopping:
        weights = validation.keras_weights(validation.weights)
        validation_data = validation.inputs, validation.targets, weights
        settings: dict[str, Any] = {"patience": epochs, "mode": "min", "restore_best_weights": True}
        callbacks = [keras.callbacks.EarlyStopping("val_error", **settings)]
    features = int(np.prod(rows.inputs.shape[1:]))
    history = training.fit(
        model,
        train.inputs,
        train.targets,
        sample_weight=train.keras_weights(train.weights),
        batch_size=size,
        validation_data=validation_data,
        validation_batch_size=max(1, min(len(validation.inputs), VALIDATION_NUMBERS // features)),
        epochs=epochs,
        callbacks=[*callbacks, _EpochCallback()],
        verbose=plan.verbose,
        checkpoint=plan.checkpoint,
    ).history
    better, network = None, keras_network.inference_network(model, plan.encoder is None)
    if plan.early_stopping:
        of_pca = validation.pca_errors(principal)
        block = compute_block(network, validation.flat, validation.flat)
        errors = validation.errors(block.reconstruction)
        better = held_out.is_clearly_less(errors, of_pca, validation.weights, validation.count)
    losses = history["loss"]
    n_iter = max(1, round(passes * len(losses)))
    unseen = left_out if len(left_out) else None
    return Solution(network, losses, history.get("val_error", []), n_iter, better, unseen)


def _make_nadam(rate: float, steps: int) -> keras.optimizers.Optimizer:
    warmup = max(1, steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / warmup, max(1, steps - warmup), warmup_target=rate, warmup_steps=warmup
    )
    return keras.optimizers.Nadam(schedule, beta_2=0.99)


def fit_batch(plan: Plan, rows: TrainingRows, pca: Components) -> tuple[Solution, Autoencoder]:
    """Train a new model, which begins as PCA, on some rows once, and return it too."""
    with _seed_scope(plan.seed):
        model, start = _make_model(plan, len(pca.mean))
        start(pca.truncate(plan.n_components))
    return fit_next_batch(plan, rows, model, None), model


def resume_batches(model: Autoencoder, variables: Sequence[Array]) -> Autoencoder:
    """Compile a model for `fit_batch`, with an optimizer of these variables."""
    _compile(model, keras.optimizers.Nadam(beta_2=0.99))
    model.optimizer.build(model.trainable_variables)
    for variable, array in zip(model.optimizer.variables, variables, strict=True):
        variable.assign(array)
    return model


def fit_next_batch(
    plan: Plan, rows: TrainingRows, model: Autoencoder, like: Network | None
) -> Solution:
    """Train a model on some rows once, in steps of `batch_size`.

    Rows of weight 0 pad `(n, ...)` to `(batch_size * 2**m, ...)`, the next power of 2 steps: JAX
    compiles for each number of steps. `like` is the network of the model before.
    """
    with _seed_scope(plan.seed):
        if not (model.compiled and isinstance(model.optimizer, keras.optimizers.Nadam)):
            _compile(model, keras.optimizers.Nadam(plan.learning_rate / 3, beta_2=0.99))
        n, size = len(rows.inputs), plan.batch_size
        full = size * 2 ** int(np.ceil(np.log2(max(1.0, n / size))))
        padded_rows = rows.select(np.resize(np.arange(n), full))
        weights = np.where(np.arange(full) < n, padded_rows.weights, 0.0)
        losses = training.fit(
            model,
            padded_rows.inputs,
            padded_rows.targets,
            sample_weight=rows.keras_weights(weights),
            batch_size=size,
            verbose=plan.verbose,
        ).history["loss"]
    network = keras_network.inference_network(model, plan.encoder is None, like)
    return Solution(network, losses, [], 1)
