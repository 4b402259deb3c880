"""The deep tied network on MNIST after 60 epochs, settings chosen on training images.

Long: half an hour for one turn on 2 cores.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks._case import SECONDS, Measure, Options, System, mean_square
from benchmarks.cases._networks import load_images, make_network

TITLE = "MNIST, 60 epochs"
TEXT = """
The tied network 784-1000-500-250-30, 1,422,594 parameters, all 60,000 training images: Muon with a
learning rate of 0.008, which warms up for an epoch and falls along a cosine, weight decay of 0.1 on
kernels, batches of 1,024, and half of the images, drawn anew in each epoch, moved by a pixel in one
of eight directions. The *error* is the squared one of a test image, summed over its pixels. Hinton
and Salakhutdinov (Science, 2006) report 3.00 for the untied network of that shape.
"""
CHOSEN_ON = (
    "Settings were chosen on 10,000 of the training images, in runs of 12 epochs."
)
MEASURES = {"error": Measure("test error"), "seconds": SECONDS}
PICTURE = ["error"]
HOT, LONG, REPEATS, LIMIT = False, True, 1, 7200
BATCH, RATE, DECAY, MOVED = 1024, 0.008, 0.1, 0.5


class Task(NamedTuple):
    train: np.ndarray
    test: np.ndarray
    epochs: int
    seed: int


def prepare(options: Options) -> dict[str, Callable[[], Task]]:
    n, epochs = (2000, 3) if options.quick else (60_000, 60)
    return {
        "images": lambda: Task(*load_images(options, n, 10_000), epochs, options.seed)
    }


def measure(
    task: Task, output: tuple[np.ndarray, list[float]], seconds: dict[str, float]
) -> dict[str, float]:
    reconstruction, errors = output
    features = task.test.shape[1]
    numbers = {"error": features * mean_square(reconstruction - task.test)}
    return numbers | {f"error_{n}": e for n, e in enumerate(errors, 1) if n % 10 == 0}


def make_pca() -> Callable[[Task], tuple[np.ndarray, list[float]]]:
    from sklearn.decomposition import PCA

    def run(task: Task) -> tuple[np.ndarray, list[float]]:
        pca = PCA(30 if task.test.shape[1] == 784 else 10, svd_solver="covariance_eigh")
        pca.fit(task.train)
        return pca.inverse_transform(pca.transform(task.test)), []

    return run


def make_ours() -> Callable[[Task], tuple[np.ndarray, list[float]]]:
    import keras_tied  # noqa: F401  settles the backend before Keras is imported

    # isort: split
    import keras

    class MovedImages(keras.utils.PyDataset):
        """Images in a new order each epoch, some of them moved by a pixel."""

        def __init__(self, images: np.ndarray, seed: int) -> None:
            super().__init__()
            self.side = round(images.shape[1] ** 0.5)
            self.random = np.random.default_rng(seed)
            images = images.reshape(-1, self.side, self.side)
            self.framed = np.pad(images, ((0, 0), (1, 1), (1, 1)))
            self.on_epoch_end()

        def __len__(self) -> int:
            return -(-len(self.framed) // BATCH)

        def on_epoch_end(self) -> None:
            self.order = self.random.permutation(len(self.framed))

        def __getitem__(self, index: int) -> np.ndarray:
            chosen = np.sort(self.order[index * BATCH : (index + 1) * BATCH])
            corners = self.random.integers(0, 9, len(chosen))
            corners[self.random.random(len(chosen)) >= MOVED] = 4  # the middle
            moved = np.empty((len(chosen), self.side, self.side), "float32")
            for corner in range(9):
                (places,) = np.nonzero(corners == corner)
                top, left = divmod(corner, 3)
                bottom, right = top + self.side, left + self.side
                moved[places] = self.framed[chosen[places], top:bottom, left:right]
            return moved.reshape(len(chosen), -1)

    def run(task: Task) -> tuple[np.ndarray, list[float]]:
        features = task.train.shape[1]
        model = make_network(features, "float32", task.seed)
        moved = MovedImages(task.train, task.seed)
        steps = len(moved)
        rate = keras.optimizers.schedules.CosineDecay(
            1e-5, steps * (task.epochs - 1), warmup_target=RATE, warmup_steps=steps
        )
        optimizer = keras.optimizers.Muon(
            rate, weight_decay=DECAY, adam_weight_decay=None, adam_beta_2=0.99
        )
        optimizer.exclude_from_weight_decay(var_names=["gain", "bias"])
        model.compile(optimizer)
        validation = {"validation_data": task.test, "validation_batch_size": 1000}
        history = model.fit(moved, epochs=task.epochs, verbose=0, **validation).history
        return model.predict(task.test, verbose=0), [
            features * e for e in history["val_loss"]
        ]

    return run


SYSTEMS = {
    "keras_tied, Muon": System(make_ours, ours=True),
    "PCA, 30 components": System(make_pca),
}
