"""MNIST: a tied convolutional autoencoder and the untied one of its architecture, in one run.

The tied decoder is `mirror(encoder)`; the untied one has the same layers with kernels of its own.
Both start from the same encoder and are trained alike, by stock Keras. Prints the parameters of
both, the mean squared error of the test images, and the ratios, for several seeds.
"""

import argparse
import gzip
import time
from pathlib import Path

import keras_tied  # settles the backend before Keras is imported

# isort: split
import keras
import numpy as np
from keras import layers

DATA = Path(__file__).parents[2] / "shared" / "data" / "mnist"


def images(folder: Path, part: str) -> np.ndarray:
    """The images of a part of MNIST, "train" or "t10k", in [0, 1], `(rows, 28, 28, 1)`."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        raw = file.read()
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28, 1).astype("float32") / 255


def encoder() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(32),
        ]
    )


def untied_decoder() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((32,)),
            layers.Dense(7 * 7 * 32),
            layers.Reshape((7, 7, 32)),
            layers.ReLU(),
            layers.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid"),
        ]
    )


def tied() -> keras.Model:
    half = encoder()
    return keras.Sequential([half, keras_tied.mirror(half, output_activation="sigmoid")])


def untied() -> keras.Model:
    return keras.Sequential([encoder(), untied_decoder()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of MNIST's four .gz files")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0.002, help="of Adam, for both")
    options = parser.parse_args()

    train, test = images(options.data, "train"), images(options.data, "t10k")
    print(f"Keras {keras.__version__} on {keras.backend.backend()}", end=", ")
    print(f"keras-tied {keras_tied.__version__}", end=", ")
    print(f"{options.epochs} epochs of {len(train)} images, Adam {options.rate}, batches of 128")
    errors = np.zeros((options.seeds, 2))
    for seed in range(options.seeds):
        for which, build in enumerate((tied, untied)):
            keras.utils.set_random_seed(seed)
            model = build()
            model.compile(keras.optimizers.Adam(options.rate), "mse")
            start = time.perf_counter()
            model.fit(train, train, batch_size=128, epochs=options.epochs, verbose=0)
            seconds = time.perf_counter() - start
            errors[seed, which] = model.evaluate(test, test, batch_size=500, verbose=0)
            print(
                f"seed {seed}  {build.__name__:<6}  {model.count_params():>7} parameters  "
                f"test MSE {errors[seed, which]:.5f}  {seconds:.0f} s",
                flush=True,
            )
    counts = [build().count_params() for build in (tied, untied)]
    print(f"parameters, tied / untied   {counts[0]} / {counts[1]} = {counts[0] / counts[1]:.3f}")
    mean = errors.mean(axis=0)
    print(f"test MSE, tied / untied     {mean[0]:.5f} / {mean[1]:.5f} = {mean[0] / mean[1]:.3f}")
    print("of each seed                " + "  ".join(f"{t / u:.3f}" for t, u in errors))


if __name__ == "__main__":
    main()
