"""A tied model and the untied one of its architecture, on three backends."""

from functools import cache, partial
from typing import NamedTuple

from benchmarks._case import (
    HOT_SECONDS,
    MEMORY,
    SECONDS,
    Array,
    Measure,
    System,
    mean_square,
)
from benchmarks.cases._arrays import load_images

TITLE = "Tied and untied"
TEXT = """
A dense encoder 784-256-32 and one of two convolutions and a `Dense`, each with `mirror(encoder)`
and with the same decoder untied, trained by stock Keras for 12 steps of 128 images; *again* is
without compilation. *Error* is the mean squared one of test images after these few steps; the
untied model is compared with the tied one of its backend.
"""
CHOSEN_ON = "Nothing was chosen on these images."
MEASURES = {
    "seconds": SECONDS,
    "hot_seconds": HOT_SECONDS,
    "memory": MEMORY,
    "parameters": Measure("parameters"),
    "error": Measure("test error"),
}
PICTURE = ["hot_seconds", "parameters"]
HOT = True
BATCH = 128


class Task(NamedTuple):
    kind: str
    train: Array
    test: Array
    seed: int


def prepare(options):
    kinds = ("dense", "convolutional")
    return {kind: partial(load, kind, options) for kind in kinds}


def load(kind, options):
    train, test = load_images(options, 12 * BATCH, 500)
    side = round(train.shape[1] ** 0.5)
    shape = (-1, side, side, 1) if kind == "convolutional" else (-1, side * side)
    return Task(kind, train.reshape(shape), test.reshape(shape), options.seed)


def measure(task, output, seconds):
    parameters, predict = output
    error = mean_square(predict(task.test) - task.test)
    return {"parameters": parameters, "error": error}


def make_dense(n_pixels):
    """The layers of the encoder, and those of the untied decoder."""
    from keras import layers

    encoder = [layers.Dense(256, "relu"), layers.Dense(32)]
    decoder = [layers.Dense(256, "relu"), layers.Dense(n_pixels, "sigmoid")]
    return encoder, decoder


def make_convolutional(side, *_):
    from keras import layers

    halves = {"strides": 2, "padding": "same"}
    encoder = [
        layers.Conv2D(16, 3, activation="relu", **halves),
        layers.Conv2D(32, 3, activation="relu", **halves),
        layers.Flatten(),
        layers.Dense(32),
    ]
    quarter = side // 4
    decoder = [
        layers.Dense(quarter * quarter * 32),
        layers.Reshape((quarter, quarter, 32)),
        layers.ReLU(),
        layers.Conv2DTranspose(16, 3, activation="relu", **halves),
        layers.Conv2DTranspose(1, 3, activation="sigmoid", **halves),
    ]
    return encoder, decoder


@cache
def make_model(is_tied, kind, shape, seed):
    """The model, which the second call trains on."""
    import keras

    import keras_tied

    keras.utils.set_random_seed(seed)
    make_layers = make_dense if kind == "dense" else make_convolutional
    stack, untied = make_layers(*shape)
    encoder = keras.Sequential([keras.Input(shape), *stack])
    if is_tied:
        decoder = keras_tied.mirror(encoder, output_activation="sigmoid")
    else:
        decoder = keras.Sequential([keras.Input((32,)), *untied])
    model = keras.Sequential([encoder, decoder])
    model.compile(keras.optimizers.Adam(0.002), "mse")
    return model


def run(is_tied, task):
    model = make_model(is_tied, task.kind, task.train.shape[1:], task.seed)
    model.fit(
        task.train,
        task.train,
        batch_size=BATCH,
        verbose=0,
    )
    return model.count_params(), partial(model.predict, verbose=0)


SYSTEMS = {}
for backend in ("jax", "torch", "tensorflow"):
    imports = f"keras_tied.autoencoder keras {backend}"
    tied = f"tied, {backend}"
    untied = f"untied, {backend}"
    SYSTEMS[tied] = System(
        partial(run, True),
        imports,
        backend,
        ours=True,
    )
    SYSTEMS[untied] = System(
        partial(run, False),
        imports,
        backend,
        beside=tied,
    )
