"""A tied model and the untied one of its architecture, on three backends."""

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks._case import (
    HOT_SECONDS,
    MEMORY,
    SECONDS,
    Measure,
    Options,
    System,
    mean_square,
)
from benchmarks.cases._networks import load_images

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
BATCH = 128


def prepare(options: Options) -> dict[str, Callable[[], Any]]:
    steps = 3 if options.quick else 12

    def load(kind: str) -> Any:
        train, test = load_images(options, steps * BATCH, 500)
        side = round(train.shape[1] ** 0.5)
        shape = (-1, side, side, 1) if kind == "convolutional" else train.shape
        return kind, train.reshape(shape), test.reshape(-1, *shape[1:]), options.seed

    return {kind: partial(load, kind) for kind in ("dense", "convolutional")}


def measure(
    task: Any, output: tuple[int, Callable], seconds: dict[str, float]
) -> dict[str, float]:
    parameters, predict = output
    return {"parameters": parameters, "error": mean_square(predict(task[2]) - task[2])}


def make(is_tied: bool) -> Callable[[Any], tuple[int, Callable]]:
    import keras_tied  # settles the backend before Keras is imported

    # isort: split
    import keras
    from keras import layers

    def make_encoder(kind: str, shape: tuple[int, ...]) -> keras.Model:
        if kind == "dense":
            stack = [layers.Dense(256, "relu"), layers.Dense(32)]
        else:
            strides = {"strides": 2, "padding": "same", "activation": "relu"}
            stack = [layers.Conv2D(16, 3, **strides), layers.Conv2D(32, 3, **strides)]
            stack += [layers.Flatten(), layers.Dense(32)]
        return keras.Sequential([keras.Input(shape), *stack])

    def make_decoder(kind: str, shape: tuple[int, ...]) -> keras.Model:
        if kind == "dense":
            stack = [layers.Dense(256, "relu"), layers.Dense(shape[0], "sigmoid")]
        else:
            side = shape[0] // 4
            strides = {"strides": 2, "padding": "same"}
            stack = [layers.Dense(side * side * 32), layers.Reshape((side, side, 32))]
            stack += [
                layers.ReLU(),
                layers.Conv2DTranspose(16, 3, activation="relu", **strides),
            ]
            stack += [layers.Conv2DTranspose(1, 3, activation="sigmoid", **strides)]
        return keras.Sequential([keras.Input((32,)), *stack])

    def run(task: Any) -> tuple[int, Callable]:
        kind, train, _, seed = task
        if not hasattr(run, kind):  # the second call trains the same model
            keras.utils.set_random_seed(seed)
            encoder, shape = make_encoder(kind, train.shape[1:]), train.shape[1:]
            mirrored = keras_tied.mirror(encoder, output_activation="sigmoid")
            model = keras.Sequential(
                [encoder, mirrored if is_tied else make_decoder(kind, shape)]
            )
            model.compile(keras.optimizers.Adam(0.002), "mse")
            setattr(run, kind, model)
        model = getattr(run, kind)
        model.fit(train, train, batch_size=BATCH, verbose=0)
        return model.count_params(), partial(model.predict, verbose=0)

    return run


NEEDS = {"jax": (), "torch": ("torch",), "tensorflow": ("tensorflow",)}
SYSTEMS = {}
for backend, needs in NEEDS.items():
    SYSTEMS[f"tied, {backend}"] = System(partial(make, True), needs, backend, ours=True)
    SYSTEMS[f"untied, {backend}"] = System(
        partial(make, False), needs, backend, beside=f"tied, {backend}"
    )
