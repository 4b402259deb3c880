"""The loop against Keras's own `fit`: the same history and the same weights."""

from contextlib import suppress

import keras
import numpy as np
import pytest
from keras import layers, optimizers, regularizers

from keras_tied.layers import BatchTopK, JumpReLU, KSparse, TiedDense
from keras_tied.training import fit

slow = pytest.mark.slow
EPOCHS = 20
ROWS = 60
ON_JAX = keras.backend.backend() == "jax"
BATCH = 16 if ON_JAX else ROWS  # only JAX takes epochs of several steps together


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).normal(size=(ROWS, 6)).astype("float32")


def build_tied(between=(), **of_the_kernel):
    """6-4-6, with more layers around the code."""
    inputs = keras.Input((6,))
    encoder = layers.Dense(4, "tanh", **of_the_kernel)
    code = encoder(inputs)
    for layer in between:
        code = layer(code)
    return keras.Model(inputs, TiedDense(encoder)(code))


def by_both(build, x, y=None, compiled=None, set_up=None, **options):
    """The model and history of our loop, and those of Keras."""
    results = []
    for train in (fit, keras.Model.fit):
        keras.utils.set_random_seed(3)
        model = build()
        model.compile(
            **{"optimizer": optimizers.SGD(0.05, 0.9), "loss": "mse"}
            | (compiled() if compiled else {})
        )
        given = {"batch_size": BATCH, "epochs": EPOCHS, "verbose": 0} | options
        if set_up is not None:
            given["callbacks"] = set_up(model)
        history = train(model, x, x if y is None else y, **given)
        results.append((model, history))
    return results


def assert_same(results, in_the_loop=True, rtol=1e-4, weights_atol=1e-4):
    (ours, history), (theirs, expected) = results
    assert list(history.history) == list(expected.history)
    assert history.epoch == expected.epoch
    for name, values in expected.history.items():
        np.testing.assert_allclose(
            history.history[name], values, rtol=rtol, err_msg=name
        )
    for got, wanted in zip(ours.variables, theirs.variables, strict=True):
        got, wanted = map(keras.ops.convert_to_numpy, (got, wanted))
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=weights_atol)
    if ON_JAX:
        assert in_the_loop == hasattr(ours.train_function, "keras_tied_programs")


class Drawn(layers.Layer):
    """Adds a loss of its own, larger while training."""

    def call(self, inputs, training=False):
        self.add_loss(
            (0.1 if training else 0.05) * keras.ops.mean(keras.ops.square(inputs))
        )
        return inputs


MODELS = {
    "tied": build_tied,
    "kernel regulariser": lambda: build_tied(kernel_regularizer=regularizers.L2(0.01)),
    "activity regulariser": lambda: build_tied(
        activity_regularizer=regularizers.L1(0.01)
    ),
    "kernel constraint": lambda: build_tied(
        kernel_constraint=keras.constraints.UnitNorm()
    ),
    "add_loss": lambda: build_tied([Drawn()]),
    "batch normalisation": lambda: build_tied([layers.BatchNormalization()]),
    "dropout": lambda: build_tied([layers.Dropout(0.2)]),
    "noise": lambda: build_tied(
        [layers.GaussianNoise(0.1), layers.GaussianDropout(0.1)]
    ),
    "k-sparse": lambda: build_tied([KSparse(1)]),
    "batch top k": lambda: build_tied([BatchTopK(1)]),
    "jump relu": lambda: build_tied([JumpReLU(0.1, 0.2, l0_coefficient=0.01)]),
}


@pytest.mark.parametrize("shuffle", [pytest.param(False, marks=slow), True])
@pytest.mark.parametrize(
    "kind",
    [
        "tied",
        *(
            pytest.param(f"{kind} regulariser", marks=slow)
            for kind in ("kernel", "activity")
        ),
        *(pytest.param(kind, marks=slow) for kind in ("kernel constraint", "add_loss")),
        *(
            pytest.param(kind, marks=slow)
            for kind in ("batch normalisation", "dropout", "noise")
        ),
        *(
            pytest.param(kind, marks=slow)
            for kind in ("k-sparse", "batch top k", "jump relu")
        ),
    ],
)
def test_models(kind, shuffle, x):
    assert_same(
        by_both(MODELS[kind], x, shuffle=shuffle, validation_data=(x[:20], x[:20]))
    )


OPTIMIZERS = {
    "schedule": lambda: optimizers.SGD(
        optimizers.schedules.CosineDecay(0.1, 50), momentum=0.9
    ),
    "clipped norm": lambda: optimizers.SGD(0.1, clipnorm=0.01),
    "clipped values": lambda: optimizers.SGD(0.1, clipvalue=0.001),
    "clipped global norm": lambda: optimizers.Adam(0.01, global_clipnorm=0.01),
    "accumulation": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=3),
    "averages": lambda: optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9),
    "averages that overwrite": lambda: optimizers.SGD(
        0.1, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3
    ),
    "loss scaling": lambda: optimizers.LossScaleOptimizer(
        optimizers.SGD(0.1), initial_scale=64.0, dynamic_growth_steps=10
    ),
    "weight decay": lambda: optimizers.AdamW(0.01, weight_decay=0.1),
    "nadam": lambda: optimizers.Nadam(0.01),
}


@pytest.mark.parametrize(
    "kind",
    [
        "accumulation",
        *(
            pytest.param(f"clipped {what}", marks=slow)
            for what in ("norm", "values", "global norm")
        ),
        *(
            pytest.param(kind, marks=slow)
            for kind in ("schedule", "averages", "weight decay")
        ),
        *(
            pytest.param(kind, marks=slow)
            for kind in ("averages that overwrite", "loss scaling")
        ),
        pytest.param("nadam", marks=slow),
    ],
)
def test_optimizers(kind, x):
    def compiled():
        return {"optimizer": OPTIMIZERS[kind](), "metrics": ["mae"]}

    assert_same(by_both(build_tied, x, compiled=compiled))


class Stack(keras.Model):
    """A model that is built when it is first called."""

    def __init__(self):
        super().__init__()
        self.encoder = layers.Dense(4, "tanh")
        self.decoder = TiedDense(self.encoder)

    def call(self, inputs):
        return self.decoder(self.encoder(inputs))


UNBUILT = {
    "sequential": lambda: keras.Sequential([layers.Dense(4, "tanh"), layers.Dense(6)]),
    "subclassed": Stack,
}


@pytest.mark.parametrize("kind", UNBUILT)
def test_models_that_are_not_built_yet(kind, x):
    results = by_both(UNBUILT[kind], x, validation_data=(x[:20], x[:20]))
    assert_same(results)


class Slope(layers.Layer):
    """`y = a x`, whose only variable is a number."""

    def build(self, shape):
        self.slope = self.add_weight(name="slope", shape=(), initializer="ones")

    def call(self, inputs):
        return self.slope * inputs


def test_a_model_of_one_number_and_one_feature(x):
    build = lambda: keras.Sequential([keras.Input((1,)), Slope()])  # noqa: E731
    assert_same(by_both(build, x[:, :1], 2 * x[:, :1]))


@pytest.mark.slow
def test_weights_of_rows_and_weighted_metrics(x):
    weights = np.linspace(0, 2, ROWS)

    def compiled():
        return {"weighted_metrics": ["mae"], "metrics": [keras.metrics.R2Score()]}

    held_out = (x[:10], x[:10], weights[:10])
    assert_same(
        by_both(
            build_tied,
            x,
            compiled=compiled,
            sample_weight=weights,
            validation_data=held_out,
        )
    )


class Moments(keras.metrics.Metric):
    """A metric whose result is a dict, as some of Keras's users write them."""

    def __init__(self):
        super().__init__(name="moments")
        self.total = self.add_weight(name="total", initializer="zeros")
        self.square = self.add_weight(name="square", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(keras.ops.sum(y_pred))
        self.square.assign_add(keras.ops.sum(keras.ops.square(y_pred)))

    def result(self):
        return {"total": self.total * 1, "square": self.square * 1}


@pytest.mark.slow
def test_metrics_whose_result_is_a_dict(x):
    compiled = lambda: {"metrics": ["mae", Moments()]}  # noqa: E731
    assert_same(
        by_both(build_tied, x, compiled=compiled, validation_data=(x[:10], x[:10]))
    )


def build_classifier(classes):
    return keras.Sequential([keras.Input((6,)), layers.Dense(classes, "sigmoid")])


@pytest.mark.slow
def test_a_metric_whose_result_is_a_vector(x):
    labels = keras.utils.to_categorical(np.arange(ROWS) % 3)
    score = lambda: {"metrics": [keras.metrics.F1Score()]}  # noqa: E731
    results = by_both(lambda: build_classifier(3), x, labels, compiled=score)

    assert_same(results)
    (_, history), _ = results
    assert all(value.shape == (3,) for value in history.history["f1_score"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "callback",
    [keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau],
    ids=["early stopping", "plateau"],
)
def test_callbacks_take_a_vector_of_one_number(callback, x):
    labels = (x[:, :1] > 0).astype("float32")
    score = lambda: {"metrics": [keras.metrics.F1Score(threshold=0.5)]}  # noqa: E731
    watch = lambda _: [callback("f1_score", patience=1, mode="max")]  # noqa: E731
    build = lambda: build_classifier(1)  # noqa: E731
    assert_same(by_both(build, x, labels, compiled=score, set_up=watch))


@slow
@pytest.mark.parametrize("one_hot", [False, True])
def test_weights_of_classes(one_hot, x):
    labels = np.arange(ROWS) % 3
    build = lambda: keras.Sequential([keras.Input((6,)), layers.Dense(3, "softmax")])  # noqa: E731
    kind = "categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy"
    compiled = lambda: {"loss": kind, "metrics": ["accuracy"]}  # noqa: E731
    y = keras.utils.to_categorical(labels) if one_hot else labels
    assert_same(by_both(build, x, y, compiled=compiled, class_weight={0: 1.0, 1: 4.0}))


@pytest.mark.slow
@pytest.mark.parametrize(
    "weights",
    [
        np.linspace(0, 2, ROWS),
        {"one": np.linspace(0, 2, ROWS), "two": np.linspace(1, 0, ROWS)},
    ],
    ids=["one for both", "one each"],
)
def test_weights_of_rows_of_several_outputs(weights, x):
    def build():
        inputs = keras.Input((6,))
        encoder = layers.Dense(4, "tanh")
        code = encoder(inputs)
        outputs = {
            "one": TiedDense(encoder, name="one")(code),
            "two": layers.Dense(1, name="two")(code),
        }
        return keras.Model(inputs, outputs)

    targets = {"one": x, "two": x[:, :1].copy()}
    compiled = lambda: {"loss": {"one": "mse", "two": "mae"}}  # noqa: E731
    assert_same(by_both(build, x, targets, compiled=compiled, sample_weight=weights))


@pytest.mark.slow
def test_several_inputs_and_outputs(x):
    def build():
        first, second = (
            keras.Input((6,), name="first"),
            keras.Input((6,), name="second"),
        )
        encoder = layers.Dense(4, "tanh", name="encoder")
        one = TiedDense(encoder, name="one")(encoder(first))
        two = layers.Dense(1, name="two")(encoder(second))
        return keras.Model({"first": first, "second": second}, {"one": one, "two": two})

    inputs = {"first": x, "second": x[::-1].copy()}
    targets = {"one": x, "two": x[:, :1].copy()}
    compiled = lambda: {  # noqa: E731
        "loss": {"one": "mse", "two": "mae"},
        "loss_weights": {"one": 1.0, "two": 0.3},
        "metrics": {"two": ["mse"]},
    }
    assert_same(
        by_both(build, inputs, targets, compiled=compiled, validation_split=0.25)
    )


class AddWhereGiven(layers.Layer):
    def call(self, first, second=None):
        return first if second is None else first + second


def test_an_optional_input_that_is_none(x):
    def build():
        first = keras.Input((6,), name="first")
        second = keras.Input((6,), name="second", optional=True)
        outputs = layers.Dense(6)(AddWhereGiven()(first, second))
        return keras.Model({"first": first, "second": second}, outputs)

    assert_same(by_both(build, {"first": x, "second": None}, x))


@slow
def test_integers(x):
    words = np.random.default_rng(0).integers(0, 50, size=(ROWS, 3))

    def build():
        embedding = layers.Embedding(50, 4)
        inputs = keras.Input((3,), dtype="int32")
        return keras.Model(inputs, TiedDense(embedding)(embedding(inputs)))

    def loss():
        return {"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}

    assert_same(by_both(build, words, words, compiled=loss))


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param("mixed_bfloat16", marks=slow),
        pytest.param("mixed_float16", marks=slow),
        "float16",
    ],
)
def test_mixed_precision(policy, x):
    def build():
        keras.config.set_dtype_policy(policy)
        try:
            return build_tied()
        finally:
            keras.config.set_dtype_policy("float32")

    assert_same(by_both(build, x, epochs=5), rtol=2e-2, weights_atol=1e-2)


class Halved(keras.Model):
    """Trains towards half of what it is told to, with a step of its own."""

    if ON_JAX:

        def train_step(self, state, data):
            x, y = data
            logs, state = super().train_step(state, (x, y / 2))
            return {"loss": logs["loss"], "twice": 2 * logs["loss"]}, state


@pytest.mark.skipif(not ON_JAX, reason="each backend has steps of its own form")
def test_a_step_of_ones_own(x):
    def build():
        base = build_tied()
        return Halved(base.inputs, base.outputs)

    assert_same(by_both(build, x))


@pytest.mark.parametrize(
    "options",
    [
        {"shuffle": "batch"},
        {"validation_split": 0.3, "validation_batch_size": 7},
        {"initial_epoch": 15},
        {"epochs": 0},
        pytest.param({"batch_size": 20}, marks=slow),
        pytest.param({"batch_size": 1, "epochs": 2}, marks=slow),
        pytest.param({"batch_size": 1000}, marks=slow),
        pytest.param({"batch_size": None}, marks=slow),
    ],
    ids=str,
)
def test_options(options, x):
    single = options.get("batch_size", BATCH) == 1000 or "initial_epoch" in options
    if not ON_JAX and not single:
        pytest.skip("Keras's own fit takes this")
    assert_same(
        by_both(build_tied, x, **options), in_the_loop=options.get("epochs") != 0
    )


class Shrinks(keras.callbacks.Callback):
    """Halves the weights after every fifth epoch."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch % 5 == 4:
            self.model.set_weights([weight / 2 for weight in self.model.get_weights()])


CALLBACKS = {
    "early stopping": lambda _: [keras.callbacks.EarlyStopping("val_loss", 0.05, 2)],
    "early stopping with the best weights": lambda _: [
        keras.callbacks.EarlyStopping("val_loss", 0.05, 2, restore_best_weights=True)
    ],
    "plateau": lambda _: [
        keras.callbacks.ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=0.1)
    ],
    "scheduler": lambda _: [
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch))
    ],
    "one that changes the weights": lambda _: [Shrinks()],
    "at steps": lambda _: [keras.callbacks.TerminateOnNaN()],
    "in evaluation": lambda model: [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)],
}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("early stopping", marks=slow),
        "early stopping with the best weights",
        pytest.param("plateau", marks=slow),
        "scheduler",
        "one that changes the weights",
        "at steps",
        "in evaluation",
    ],
)
def test_callbacks(kind, x):
    compiled = None
    if kind == "in evaluation":
        compiled = lambda: {"optimizer": optimizers.SGD(0.1, use_ema=True)}  # noqa: E731
    results = by_both(
        build_tied,
        x,
        compiled=compiled,
        set_up=CALLBACKS[kind],
        validation_data=(x[:20], x[:20]),
    )
    assert_same(results, in_the_loop=kind not in ("at steps", "in evaluation"))


class Fails(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 4:
            raise RuntimeError("the process dies")


def test_backup_and_restore_goes_on_in_the_epoch_after(x, tmp_path):
    results = []
    for train in (fit, keras.Model.fit):
        backup = keras.callbacks.BackupAndRestore(tmp_path / train.__module__)
        for callbacks in ([backup, Fails()], [backup]):
            keras.utils.set_random_seed(3)
            model = build_tied()
            model.compile(optimizers.SGD(0.05, 0.9), "mse")
            options = {"batch_size": BATCH, "epochs": EPOCHS, "verbose": 0}
            with suppress(RuntimeError):
                history = train(model, x, x, callbacks=callbacks, **options)
        results.append((model, history))

    assert_same(results)
    assert results[0][1].epoch == list(range(5, EPOCHS))


def test_checkpoints_are_those_of_keras(x, tmp_path):
    directories = iter([tmp_path / "ours", tmp_path / "theirs"])

    def set_up(_):
        path = next(directories) / "{epoch:02d}.weights.h5"
        path.parent.mkdir()
        return [keras.callbacks.ModelCheckpoint(path, save_weights_only=True)]

    (ours, _), (theirs, _) = by_both(build_tied, x, set_up=set_up, epochs=4)

    for epoch in range(1, 5):
        ours.load_weights(tmp_path / f"ours/{epoch:02d}.weights.h5")
        theirs.load_weights(tmp_path / f"theirs/{epoch:02d}.weights.h5")
        for got, wanted in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)


def test_csv_logs_are_those_of_keras(x, tmp_path):
    files = iter([tmp_path / "ours.csv", tmp_path / "theirs.csv"])
    by_both(
        build_tied,
        x,
        set_up=lambda _: [keras.callbacks.CSVLogger(next(files))],
        epochs=4,
    )

    ours, theirs = (
        np.genfromtxt(tmp_path / name, delimiter=",", skip_header=1)
        for name in ("ours.csv", "theirs.csv")
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


@pytest.mark.parametrize(
    "kind",
    [
        "generator",
        "dataset",
        pytest.param("loader", marks=slow),
        pytest.param("tf.data", marks=slow),
    ],
)
def test_streams_are_left_to_keras(kind, x):
    batches = [x[i : i + 16] for i in range(0, ROWS, 16)]

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return len(batches)

        def __getitem__(self, index):
            return batches[index], batches[index]

    def stream():
        if kind == "generator":
            return ((batch, batch) for _ in range(EPOCHS) for batch in batches)
        if kind == "dataset":
            return Batches()
        if kind == "tf.data":
            tf = pytest.importorskip("tensorflow")
            return tf.data.Dataset.from_tensor_slices((x, x)).batch(16)
        torch = pytest.importorskip("torch")
        rows = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(x))
        return torch.utils.data.DataLoader(rows, batch_size=16)

    results = []
    for train in (fit, keras.Model.fit):
        keras.utils.set_random_seed(3)
        model = build_tied()
        model.compile("sgd", "mse")
        steps = 4 if kind == "generator" else None
        history = train(
            model, stream(), epochs=3, steps_per_epoch=steps, verbose=0, shuffle=False
        )
        results.append((model, history))
    assert_same(results, in_the_loop=False)


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"steps_per_epoch": 2}, "steps_per_epoch or validation_steps is given"),
        (
            {"callbacks": [keras.callbacks.TerminateOnNaN()]},
            "TerminateOnNaN works at single steps",
        ),
    ],
    ids=["steps", "callback"],
)
def test_it_is_logged_why_keras_trains(options, cause, x, caplog):
    model = build_tied()
    model.compile("sgd", "mse")
    with caplog.at_level("DEBUG", logger="keras_tied.training"):
        fit(model, x, x, verbose=0, **options)
    assert caplog.messages == [f"Left to Keras's own fit: {cause}"]


def test_what_keras_refuses_is_refused_in_its_words(x):
    model = build_tied()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="same number of samples"):
        fit(model, x, x[1:], verbose=0)
