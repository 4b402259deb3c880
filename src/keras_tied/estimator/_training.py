"""How the estimator trains: all rows at once, or in batches, and when to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, ShuffleSplit

from keras_tied import training
from keras_tied.autoencoder import Autoencoder
from keras_tied.estimator._pca import Components, components
from keras_tied.estimator._rows import restored
from keras_tied.losses import NanMeanSquaredError

Array = NDArray[Any]
Solver = Literal["lbfgs", "nadam"]

CROSS_VALIDATED = 1000
"""With fewer rows, one part of them tells too little: each of five is held out in turn."""
FOLDS = 5
ITERATIONS = 500
"""Of L-BFGS, at most."""
STEPS = 3000
"""Of Nadam, at least about so many."""
STEPS_PER_EPOCH = 400
"""At least: rows are gone through more than once before validation where they are few."""
MARGIN = 0.01
"""By so much of PCA's error, the network's has to be smaller on rows held out."""
VALIDATION_NUMBERS = 2**22
"""In a batch of validation, at most."""


@dataclass(frozen=True)
class Rows:
    """Rows to train on.

    Attributes:
        inputs: `(n, ...)` float32, with nothing missing.
        targets: the same, with NaN where the input was filled in.
        weights: `(n,)` float64, positive, with mean 1.
        copies: how often the rows are there, one copy of all behind the other.
    """

    inputs: Array
    targets: Array
    weights: Array
    copies: int = 1

    @property
    def count(self) -> int:
        """The number of different rows."""
        return len(self.inputs) // self.copies

    def some(self, chosen: Array) -> Rows:
        """All copies of some of the rows."""
        places = (np.arange(self.copies)[:, None] * self.count + chosen).ravel()
        inputs = self.inputs[places]
        targets = inputs if self.targets is self.inputs else self.targets[places]
        return Rows(inputs, targets, self.weights[places], self.copies)

    def per_row(self, weights: Array) -> Array:
        """Weights of the rows as Keras takes them: with as many axes as losses have."""
        return weights.reshape(-1, *[1] * (self.inputs.ndim - 2))

    def principal(self) -> Components:
        """PCA of these rows."""
        return components(self.inputs.reshape(len(self.inputs), -1), self.weights)

    def errors(self, restored: Array) -> Array:
        """The squared errors of what a model makes of these rows, `(n,)`."""
        squares = np.nan_to_num(np.square(restored - self.targets, dtype=np.float64))
        return squares.reshape(len(squares), -1).mean(axis=1)

    def pca_errors(self, principal: Components) -> Array:
        """The squared errors of PCA on these rows, `(n,)`."""
        centred = self.inputs.reshape(len(self.inputs), -1) - principal.mean
        restored = centred @ principal.vectors @ principal.vectors.T + principal.mean
        return self.errors(restored.reshape(self.inputs.shape))


@dataclass
class Trained:
    """What became of training.

    Attributes:
        losses: what was minimised, after each iteration or epoch.
        n_iter: the iterations, or how often the rows were gone through.
        better: whether the model was better than PCA on rows held out; None if none were.
    """

    losses: list[float]
    n_iter: int
    better: bool | None


@dataclass(frozen=True)
class Settings:
    """How to train; see `TiedAutoencoder`."""

    max_iter: int | None
    batch_size: int
    learning_rate: float
    validation_fraction: float
    n_iter_no_change: int
    early_stopping: bool
    random_state: np.random.RandomState
    verbose: int


Start = Callable[[Autoencoder, Components], None]
"""Sets a model's weights, so that it is PCA or untrained."""


Tell = Callable[[int, int, Mapping[str, float]], None]
"""Is given how many epochs are over, of how many, and Keras's logs."""


class _Teller(training.Watcher):
    """Tells somebody of each epoch."""

    def __init__(self, tell: Tell) -> None:
        super().__init__()
        self.tell = tell

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.tell(epoch + 1, self.params["epochs"], logs or {})


_tellers: ContextVar[tuple[_Teller, ...]] = ContextVar("tellers", default=())


@contextmanager
def telling(tell: Tell | None) -> Iterator[None]:
    """Tell somebody, or nobody, of each epoch of the training that goes on meanwhile."""
    token = _tellers.set((_Teller(tell),) if tell else ())
    try:
        yield
    finally:
        _tellers.reset(token)


class _Patience(training.Watcher):
    """Stops when the error on the rows held out has not fallen for some iterations."""

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


def by_lbfgs(
    model: Autoencoder, start: Start, width: int, rows: Rows, settings: Settings
) -> Trained:
    """Find out how many iterations are best for rows held out, and make them with all rows.

    All of it is one program: rows held out have the weight 0.
    """
    _compile(model, training.LBFGS())
    n = len(rows.inputs)
    most = settings.max_iter or ITERATIONS
    best, better = most, None

    def fit(chosen: Array, iterations: int, callbacks: list[Any], verbose: int = 0) -> Any:
        weights = rows.weights * chosen
        others = rows.weights * ~chosen if not chosen.all() else rows.weights
        return training.fit(
            model,
            rows.inputs,
            rows.targets,
            sample_weight=rows.per_row(weights / weights.mean()),
            validation_data=(rows.inputs, rows.targets, rows.per_row(others / others.mean())),
            epochs=iterations,
            callbacks=[*callbacks, *_tellers.get()],
            verbose=verbose,
        )

    if settings.early_stopping:
        curves, of_pca = [], []
        for held_out in _held_out(n, settings):
            chosen = np.ones(n, bool)
            chosen[held_out] = False
            principal = rows.some(chosen).principal().first(width)
            start(model, principal)
            patience = _Patience(settings.n_iter_no_change)
            with training.interrupts() as asked:
                fit(chosen, most, [patience])
            if asked():
                raise KeyboardInterrupt  # with all rows, nothing has been trained
            share = rows.weights[held_out]
            errors = rows.some(held_out).pca_errors(principal)
            of_pca.append(np.average(errors, weights=share) * share.sum())
            curves.append(np.array(patience.errors) * share.sum())
        best, better = _best(curves, np.array(of_pca))
    start(model, rows.principal().first(width))
    losses: list[float] = []
    if best:
        losses = fit(np.ones(n, bool), best, [], settings.verbose).history["loss"]
    return Trained(losses, len(losses), better)


def _held_out(n: int, settings: Settings) -> list[Array]:
    if n < CROSS_VALIDATED:
        folds = KFold(min(FOLDS, n), shuffle=True, random_state=settings.random_state)
        return [held_out for _, held_out in folds.split(np.zeros((n, 1)))]
    return [_part(n, settings)[1]]


def _part(n: int, settings: Settings) -> tuple[Array, Array]:
    """The places of the rows to train on, and of those held out."""
    split = ShuffleSplit(
        1, test_size=settings.validation_fraction, random_state=settings.random_state
    )
    return next(split.split(np.zeros((n, 1))))


def _best(curves: list[Array], of_pca: Array) -> tuple[int, bool]:
    """After how many iterations the error of all folds is least, and whether PCA is worse in each.

    Args:
        curves: the errors on the rows of each fold, after each iteration from 0 on; that of 0
            is not known, and infinite.
        of_pca: PCA's error on the rows of each fold.
    """
    length = max(map(len, curves))
    table = np.array([np.pad(c, (0, length - len(c)), mode="edge") for c in curves])
    best = int(table.sum(axis=0).argmin())
    ahead = table[:, best].sum() < (1 - MARGIN) * of_pca.sum()
    return best, bool(ahead and (table[:, best] <= of_pca).all())


def by_nadam(
    model: Autoencoder, start: Start, width: int, rows: Rows, settings: Settings
) -> Trained:
    """Train in batches, with a learning rate that rises for a while and falls along a cosine."""
    chosen, held_out = np.arange(rows.count), np.arange(0)
    if settings.early_stopping:
        chosen, held_out = _part(rows.count, settings)
    train, validation = rows.some(chosen), rows.some(held_out)
    n = len(train.inputs)
    size = min(settings.batch_size, n)
    steps = -(-n // size)
    if settings.max_iter is None:
        steps = max(STEPS_PER_EPOCH, steps)
    epochs = settings.max_iter or -(-STEPS // steps)
    passes = steps * size / len(chosen)
    # Full batches only, as others would be compiled apart: some rows come once more.
    train = replace(train, copies=1).some(np.resize(np.arange(n), steps * size))
    _compile(model, _nadam(settings.learning_rate, steps * epochs))
    principal = train.principal().first(width)
    start(model, principal)
    callbacks, validation_data = [], None
    if settings.early_stopping:
        weights = validation.per_row(validation.weights)
        validation_data = validation.inputs, validation.targets, weights
        callbacks = [
            keras.callbacks.EarlyStopping(
                "val_error", patience=epochs, mode="min", restore_best_weights=True
            )
        ]
    features = int(np.prod(rows.inputs.shape[1:]))
    history = training.fit(
        model,
        train.inputs,
        train.targets,
        sample_weight=train.per_row(train.weights),
        batch_size=size,
        validation_data=validation_data,
        validation_batch_size=max(1, min(len(validation.inputs), VALIDATION_NUMBERS // features)),
        epochs=epochs,
        callbacks=[*callbacks, *_tellers.get()],
        verbose=settings.verbose,
    ).history["loss"]
    better = None
    if settings.early_stopping:
        of_pca = validation.pca_errors(principal)
        errors = validation.errors(restored(model, validation.inputs, len(rows.inputs)))
        better = _clearly_less(errors, of_pca, validation.weights, len(held_out))
    return Trained(history, max(1, round(passes * len(history))), better)


def _nadam(rate: float, steps: int) -> keras.optimizers.Optimizer:
    warming = max(1, steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / warming, max(1, steps - warming), warmup_target=rate, warmup_steps=warming
    )
    return keras.optimizers.Nadam(schedule, beta_2=0.99)


def _clearly_less(errors: Array, others: Array, weights: Array, count: int) -> bool:
    """Whether errors are less than others by a margin, and by more than their standard error.

    Args:
        errors: of some rows.
        others: other errors of the same rows.
        weights: the weights of the rows.
        count: how many of the rows are different.
    """
    differences = others - errors
    mean = np.average(differences, weights=weights)
    variance = np.average((differences - mean) ** 2, weights=weights)
    certain = mean > np.sqrt(variance / count)
    return bool(certain and mean > MARGIN * np.average(others, weights=weights))


def in_batches(model: Autoencoder) -> bool:
    """Whether a model is compiled for `one_pass`."""
    return bool(model.compiled and isinstance(model.optimizer, keras.optimizers.Nadam))


def compile_for_batches(model: Autoencoder, settings: Settings) -> None:
    """Compile a model for `one_pass`."""
    _compile(model, keras.optimizers.Nadam(settings.learning_rate / 3, beta_2=0.99))


def one_pass(model: Autoencoder, rows: Rows, settings: Settings) -> list[float]:
    """Go through some rows once, and give the loss.

    They are filled up with rows of weight 0 to a power of 2, as other numbers would be compiled
    apart.
    """
    n, size = len(rows.inputs), settings.batch_size
    full = size * 2 ** int(np.ceil(np.log2(max(1.0, n / size))))
    filled = rows.some(np.resize(np.arange(n), full))
    weights = np.where(np.arange(full) < n, filled.weights, 0.0)
    return training.fit(
        model,
        filled.inputs,
        filled.targets,
        sample_weight=rows.per_row(weights),
        batch_size=size,
        verbose=settings.verbose,
    ).history["loss"]
