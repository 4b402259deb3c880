"""`fit` against Keras's own: the same history and the same weights."""

from contextlib import suppress

import keras
import numpy as np
import pandas as pd
import pytest
from keras import optimizers
from keras.callbacks import (
    BackupAndRestore,
    Callback,
    CallbackList,
    EarlyStopping,
    History,
    LearningRateScheduler,
    ModelCheckpoint,
    SwapEMAWeights,
    TerminateOnNaN,
)
from keras.constraints import UnitNorm
from keras.layers import BatchNormalization, Dense, Dropout, Layer
from keras.metrics import F1Score, Metric, R2Score
from keras.ops import convert_to_numpy
from keras.optimizers import SGD, Adam, AdamW, LossScaleOptimizer
from keras.regularizers import L1, L2
from keras.utils import set_random_seed
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal
from tests.marks import slow_but

from keras_tied.layers import BatchTopK, TiedDense
from keras_tied.training import Watcher, _data, fit

from ..autoencoder.networks import chain
from .conftest import Stops, build_tied

EPOCHS = 20
ROWS = 60
ON_JAX = keras.backend.backend() == "jax"
BATCH = 16 if ON_JAX else ROWS  # only JAX takes epochs of several steps together
X = default_rng(1).normal(size=(ROWS, 6)).astype("float32")
LABELS = np.arange(ROWS, dtype="int32") % 3
ONE_HOT = keras.utils.to_categorical(LABELS)
COMPILED = {"optimizer", "loss", "metrics", "weighted_metrics", "loss_weights"}


def train(method, case):
    """The model and the history of a case; its settings are of `compile` or `fit`."""
    set_random_seed(3)
    settings = {
        "optimizer": SGD(0.05, 0.9),
        "loss": "mse",
        "x": X,
        "y": X,
        "validation_data": (X[:20], X[:20]),
        "batch_size": BATCH,
        "epochs": EPOCHS,
        "verbose": 0,
        **case(),
    }
    model = settings.pop("model", None) or build_tied()
    compiled = {name: settings.pop(name) for name in COMPILED & settings.keys()}
    model.compile(**compiled)
    return model, method(model, **settings)


def was_in_the_loop(model):
    return hasattr(model.train_function, "keras_tied_program")


def assert_same(results, rtol=1e-4, atol=1e-4):
    (ours, history), (theirs, expected) = results
    assert list(history.history) == list(expected.history)
    assert history.epoch == expected.epoch
    for name, values in expected.history.items():
        assert_allclose(history.history[name], values, rtol=rtol)
    pairs = list(zip(ours.variables, theirs.variables, strict=True))
    if history.epoch:  # an optimizer need not be built before
        pairs += zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True)
    for pair in pairs:
        assert_allclose(*map(convert_to_numpy, pair), rtol=1e-3, atol=atol)


class Drawn(Layer):
    """Adds a loss of its own, larger while training."""

    def call(self, inputs, training=False):
        factor = 0.1 if training else 0.05
        self.add_loss(factor * keras.ops.mean(keras.ops.square(inputs)))
        return inputs


class Slope(Layer):
    """`y = a x`, whose only variable is a number."""

    def build(self, shape):
        self.slope = self.add_weight(name="slope", shape=(), initializer="ones")

    def call(self, inputs):
        return self.slope * inputs


class AddWhereGiven(Layer):
    def call(self, first, second=None):
        return first if second is None else first + second


class Stack(keras.Model):
    """A model that is built when it is first called."""

    def __init__(self):
        super().__init__()
        self.encoder = Dense(4, "tanh")
        self.decoder = TiedDense(self.encoder)

    def call(self, inputs):
        return self.decoder(self.encoder(inputs))


class Halved(keras.Model):
    """Trains towards half of what it is told to, with a step of its own."""

    if ON_JAX:

        def train_step(self, state, data):
            x, y = data
            logs, state = super().train_step(state, (x, y / 2))
            return {"loss": logs["loss"], "twice": 2 * logs["loss"]}, state


def report_sevens(found):
    """What a step gives, with other numbers in its logs."""
    logs, *state = found if ON_JAX else (found,)
    logs = dict.fromkeys(logs, 7.0 + 0 * logs["loss"])
    return (logs, *state) if ON_JAX else logs


class Reports(keras.Model):
    """Its steps give other numbers by the names of its metrics."""

    def train_step(self, *given):
        return report_sevens(super().train_step(*given))

    def test_step(self, *given):
        return report_sevens(super().test_step(*given))


class MixesRows(Layer):
    """Adds to each row half of the one before it, while training."""

    def call(self, inputs, training=False):
        if not training:
            return inputs
        return inputs + 0.5 * keras.ops.roll(inputs, 1, axis=0)


class HoldsMetric(Layer):
    """A layer with a metric of its own."""

    def __init__(self):
        super().__init__()
        self.mean = keras.metrics.Mean(name="mean")

    def call(self, inputs):
        self.mean.update_state(keras.ops.mean(inputs) + 5.0)
        return inputs


class Steps(Metric):
    """Counts the steps of all epochs, since it is never reset."""

    def __init__(self):
        super().__init__(name="steps")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.count.assign_add(1.0)

    def result(self):
        return self.count * 1

    def reset_state(self):
        pass


class Hundreds(Steps):
    """Counts on from the next hundred in each epoch."""

    def reset_state(self):
        self.count.assign(100.0 * (keras.ops.floor(self.count / 100) + 1))


class HostHundreds(Steps):
    """The same in Python."""

    def reset_state(self):
        self.count.assign(100.0 * (float(convert_to_numpy(self.count)) // 100 + 1))


class Moments(Metric):
    """A metric whose result is a dict, as some of Keras's users write them."""

    def __init__(self):
        super().__init__(name="a name before those of others")
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(keras.ops.sum(y_pred))

    def result(self):
        return {"total": self.total * 1, "square": keras.ops.square(self.total)}

    def reset_state(self):
        self.total.assign(0.0)


class Shrinks(History):
    """Halves the weights after every fifth epoch."""

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if epoch % 5 == 4:
            self.model.set_weights([weight / 2 for weight in self.model.get_weights()])


class Adds(Watcher):
    def on_epoch_end(self, epoch, logs=None):
        logs["added"] = 2.0 * epoch


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        batch = X[15 * index : 15 * index + 15]
        return batch, batch


def of_one_number():
    model = chain(Slope(), shape=(1,))
    x = X[:, :1]
    return {"model": model, "x": x, "y": 2 * x, "validation_data": None}


def with_an_optional_input():
    first = keras.Input((6,), name="first")
    second = keras.Input((6,), name="second", optional=True)
    outputs = Dense(6)(AddWhereGiven()(first, second))
    model = keras.Model({"first": first, "second": second}, outputs)
    x = {"first": X, "second": None}
    return {"model": model, "x": x, "validation_data": None}


def in_half():
    keras.config.set_dtype_policy("float16")
    try:
        return {"model": build_tied(), "epochs": 5}
    finally:
        keras.config.set_dtype_policy("float32")


def with_a_step_of_its_own():
    base = build_tied()
    return {"model": Halved(base.inputs, base.outputs)}


def with_reports_of_its_own():
    base = build_tied()
    return {"model": Reports(base.inputs, base.outputs), "metrics": ["mae"]}


def in_a_callback_list():
    model = build_tied()
    hooks = CallbackList([Adds()], add_history=True, model=model)
    return {"model": model, "callbacks": hooks}


def generate():
    return {
        "x": ((X[:16], X[:16]) for _ in range(80)),
        "y": None,
        "batch_size": None,
        "steps_per_epoch": 4,
        "shuffle": False,
    }


QUICK = {
    "rows in a new order": lambda: {},
    "rows in order": lambda: {"shuffle": False},
    "accumulation": lambda: {
        "optimizer": Adam(0.01, gradient_accumulation_steps=3),
        "metrics": ["mae"],
    },
    "unbuilt": lambda: {"model": keras.Sequential([Dense(4, "tanh"), Dense(6)])},
    "subclassed": lambda: {"model": Stack()},
    "one number": of_one_number,
    "optional input": with_an_optional_input,
    "half precision": in_half,
    "step of its own": with_a_step_of_its_own,
    "step with the names of metrics": with_reports_of_its_own,
    "metric that is not reset": lambda: {"metrics": [Steps()]},
    "dict of metrics": lambda: {"metrics": ["mae", Moments()]},
    "split": lambda: {
        "validation_data": None,
        "validation_split": 0.3,
        "validation_batch_size": 7,
    },
    "later epochs": lambda: {"initial_epoch": 15},
    "no epochs": lambda: {"epochs": 0},
    "best weights": lambda: {
        "callbacks": [EarlyStopping("val_loss", 0.05, 2, restore_best_weights=True)]
    },
    "scheduler": lambda: {
        "callbacks": [
            LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch)),
            Adds(),
        ]
    },
    "changed weights": lambda: {"callbacks": [Shrinks()]},
    "stopped": lambda: {"callbacks": [Stops(12)]},
    "stopped before": lambda: {"callbacks": [Stops(-1)], "batch_size": ROWS},
    "callback list": in_a_callback_list,
    "weights of columns": lambda: of_classes(
        ONE_HOT, "categorical_crossentropy", **WEIGHTED
    ),
    "frame": lambda: {"x": pd.DataFrame(X), "y": pd.DataFrame(X)},
}
if ON_JAX:
    QUICK |= {
        "metric that is reset to something": lambda: {"metrics": [Hundreds()]},
        "mixed rows": lambda: {
            "model": build_tied(MixesRows()),
            "batch_size": ROWS,
        },
    }
else:  # on JAX, Keras refuses it
    QUICK["metric of a layer"] = lambda: {
        "model": build_tied(HoldsMetric()),
        "epochs": 3,
    }
LEFT_TO_KERAS = {
    "callback in evaluation": lambda: {
        "optimizer": SGD(0.1, use_ema=True),
        "callbacks": [SwapEMAWeights(swap_on_epoch=True)],
    },
    "order within batches": lambda: {"shuffle": "batch"},
    "generator": generate,
}
if ON_JAX:
    LEFT_TO_KERAS["metric outside of JAX"] = lambda: {"metrics": [HostHundreds()]}


def with_several_inputs():
    first = keras.Input((6,), name="first")
    second = keras.Input((6,), name="second")
    encoder = Dense(4, "tanh")
    one = TiedDense(encoder, name="one")(encoder(first))
    two = Dense(1, name="two")(encoder(second))
    inputs = {"first": first, "second": second}
    return {
        "model": keras.Model(inputs, {"one": one, "two": two}),
        "x": {"first": X, "second": X[::-1].copy()},
        "y": {"one": X, "two": X[:, :1].copy()},
        "validation_data": None,
        "loss": {"one": "mse", "two": "mae"},
        "loss_weights": {"one": 1.0, "two": 0.3},
        "metrics": {"two": ["mse"]},
    }


def of_classes(y, loss, **settings):
    units = 1 if y.shape[1:] == (1,) else 3
    activation = "sigmoid" if units == 1 else "softmax"
    dense = Dense(units, activation)
    return {
        "model": chain(dense),
        "y": y,
        "loss": loss,
        "validation_data": None,
        **settings,
    }


WEIGHTED = {"class_weight": {0: 1.0, 1: 4.0}, "metrics": ["accuracy"]}
RARER = {
    "regularised": lambda: {
        "model": build_tied(
            kernel_regularizer=L2(0.01),
            activity_regularizer=L1(0.01),
        )
    },
    "constraint": lambda: {"model": build_tied(kernel_constraint=UnitNorm())},
    "add_loss": lambda: {"model": build_tied(Drawn())},
    "batch normalisation": lambda: {"model": build_tied(BatchNormalization())},
    "dropout": lambda: {"model": build_tied(Dropout(0.2))},
    "batch top k": lambda: {"model": build_tied(BatchTopK(1))},
    "schedule": lambda: {
        "optimizer": SGD(optimizers.schedules.CosineDecay(0.1, 50), 0.9)
    },
    "averages": lambda: {
        "optimizer": SGD(0.1, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3)
    },
    "loss scaling": lambda: {
        "optimizer": LossScaleOptimizer(
            SGD(0.1), initial_scale=64.0, dynamic_growth_steps=10
        )
    },
    "clipped weight decay": lambda: {
        "optimizer": AdamW(0.01, weight_decay=0.1, global_clipnorm=0.01)
    },
    "weights of rows": lambda: {
        "weighted_metrics": ["mae"],
        "metrics": [R2Score()],
        "sample_weight": np.linspace(0, 2, ROWS),
        "validation_data": (X[:10], X[:10], np.linspace(0, 2, 10)),
    },
    "weights of classes": lambda: of_classes(
        LABELS, "sparse_categorical_crossentropy", **WEIGHTED
    ),
    "several inputs": with_several_inputs,
    "a weight for both": lambda: {
        **with_several_inputs(),
        "sample_weight": np.linspace(0, 2, ROWS),
    },
    "a weight for each": lambda: {
        **with_several_inputs(),
        "sample_weight": {
            "one": np.linspace(0, 2, ROWS),
            "two": np.linspace(1, 0, ROWS),
        },
    },
    "vector of metrics": lambda: of_classes(ONE_HOT, "mse", metrics=[F1Score()]),
    "vector of one number": lambda: of_classes(
        ONE_HOT[:, :1],
        "mse",
        metrics=[F1Score(threshold=0.5)],
        callbacks=[EarlyStopping("f1_score", patience=1, mode="max")],
    ),
    "whole batches": lambda: {"batch_size": 20},
    "one batch": lambda: {"batch_size": 1000},
    "default batches": lambda: {"batch_size": None},
}


CASES = QUICK | LEFT_TO_KERAS | RARER


@pytest.mark.parametrize("name", slow_but(CASES, *QUICK, *LEFT_TO_KERAS))
def test_history_and_weights_are_those_of_keras(name):
    case = CASES[name]
    before = X.copy()
    results = [train(method, case) for method in (fit, keras.Model.fit)]
    tolerance = {"rtol": 2e-2, "atol": 1e-2} if name == "half precision" else {}
    assert_same(results, **tolerance)
    assert_array_equal(X, before)
    if ON_JAX:
        ours, _ = results[0]
        expected = name not in LEFT_TO_KERAS and name != "no epochs"
        assert was_in_the_loop(ours) == expected


def test_rows_that_are_one_batch_are_mixed_with_others_in_each_epoch():
    losses = []
    for shuffle in (True, False):
        model = build_tied(MixesRows())
        case = {"model": model, "batch_size": ROWS, "shuffle": shuffle, "epochs": 3}
        _, history = train(fit, lambda case=case: case)
        losses.append(history.history["loss"])
    assert (np.abs(np.subtract(*losses)) > 1e-3).all()


FIRST_FITS = {
    "all epochs": lambda: {},
    "one batch": lambda: {"batch_size": ROWS},
    "stopped": lambda: {"callbacks": [Stops(17)], "epochs": 60},
    "one batch, stopped": lambda: {
        "batch_size": ROWS,
        "callbacks": [Stops(17)],
        "epochs": 60,
    },
}


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras draws from PyTorch's generator"
)
@pytest.mark.parametrize("name", FIRST_FITS)
def test_a_second_training_takes_the_rows_in_the_order_of_keras(name):
    results = []
    for method in (fit, keras.Model.fit):
        model, _ = train(method, FIRST_FITS[name])
        history = method(model, X, X, batch_size=16, epochs=3, verbose=0)
        results.append((model, history))
    assert_same(results)


class Records(Callback):
    """Keeps the weights after each epoch."""

    def on_train_begin(self, logs=None):
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights += self.model.get_weights()


def test_callbacks_see_the_model_as_after_each_epoch(tmp_path):
    path = tmp_path / "{epoch}.weights.h5"
    seen = []
    for method in (fit, keras.Model.fit):
        records = Records()
        keeper = ModelCheckpoint(path, save_weights_only=True)
        hooks = [records, keeper]
        train(method, lambda hooks=hooks: {"callbacks": hooks, "epochs": 4})
        model = build_tied()
        model.load_weights(tmp_path / "3.weights.h5")
        seen.append([*records.weights, *model.get_weights()])
    for found, expected in zip(*seen, strict=True):
        assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


class Fails(Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 4:
            raise RuntimeError("the process dies")


def test_backup_and_restore_goes_on_in_the_epoch_after(tmp_path):
    results = []
    for method in (fit, keras.Model.fit):
        backup = BackupAndRestore(tmp_path / method.__module__)
        with suppress(RuntimeError):
            train(method, lambda backup=backup: {"callbacks": [backup, Fails()]})
        results.append(train(method, lambda backup=backup: {"callbacks": [backup]}))
    assert_same(results)
    _, history = results[0]
    assert history.epoch == list(range(5, EPOCHS))


CAUSES = {
    "steps_per_epoch or validation_steps is given": {"steps_per_epoch": 2},
    "validation_freq is not 1": {"validation_freq": 2},
    "shuffle is 'batch'": {"shuffle": "batch"},
    "TerminateOnNaN has methods for single steps": {"callbacks": [TerminateOnNaN()]},
    "Batches is not an array in memory": {"x": Batches(), "y": None},
    "the model runs eagerly": {"run_eagerly": True},
}


@pytest.mark.parametrize(("cause", "settings"), CAUSES.items())
def test_it_is_logged_why_keras_trains(cause, settings, caplog):
    model = build_tied()
    settings = {"x": X, "y": X, "verbose": 0, **settings}
    model.compile("sgd", "mse", run_eagerly=settings.pop("run_eagerly", False))
    with caplog.at_level("DEBUG", logger="keras_tied.training"):
        fit(model, **settings)
    assert caplog.messages == [f"Using keras.Model.fit: {cause}"]


@pytest.mark.parametrize(
    ("optimizer", "y", "message"),
    [
        ("sgd", X[1:], "same number of samples"),
        (None, X, r"'functional.*compile\(\) first"),
    ],
)
def test_what_cannot_be_trained_is_refused(optimizer, y, message):
    model = build_tied()
    if optimizer:
        model.compile(optimizer, "mse")
    with pytest.raises(ValueError, match=message):
        fit(model, X, y, verbose=0)


def test_rows_that_do_not_fit_into_memory_are_streamed_and_the_user_is_told(
    monkeypatch,
):
    # An array that is input and target counts once.
    monkeypatch.setattr(_data, "free_memory", lambda: 1.25 * X.nbytes)
    settings = {"validation_data": None}
    train(fit, lambda: settings)
    monkeypatch.setattr(_data, "free_memory", lambda: X.nbytes)
    with pytest.warns(UserWarning, match=r"rows take .* GiB.* streams them"):
        streamed = train(fit, lambda: settings)
    assert_same([streamed, train(keras.Model.fit, lambda: settings)])


def test_a_container_may_have_less_than_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(_data, "MEMORY_INFORMATION", tmp_path / "meminfo")
    monkeypatch.setattr(_data, "CONTROL_GROUP", tmp_path)
    assert _data.find_host_memory() is None  # as on another system
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:  2 kB\n")
    assert _data.find_host_memory() == 2048
    (tmp_path / "memory.current").write_text("1000\n")
    for limit, free in [("max", 2048), ("1500", 500), ("9999", 2048)]:
        (tmp_path / "memory.max").write_text(limit)
        assert _data.find_host_memory() == free
