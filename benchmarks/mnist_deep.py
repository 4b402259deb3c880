"""MNIST: the deep tied autoencoder 784-1000-500-250-30, its error and its speed.

`error` trains it, and prints the squared error of a test image (the sum over its pixels, the mean
over the images) every few epochs, beside that of PCA with 30 components. In each epoch, half of the
images are moved by a pixel. With `--held-out`, 10,000 of the training images take the place of the
test images, which is how the settings were chosen. `speed` measures seconds
an epoch in turn, without compilation: our loop and Keras's in float32, our loop under a mixed
bfloat16 policy, and a loop written by hand in PyTorch, where it is installed.
"""

import argparse
import gzip
import statistics
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import keras_tied  # settles the backend before Keras is imported

# isort: split
import keras
import numpy as np
from sklearn.decomposition import PCA

DATA = Path(__file__).parents[2] / "shared" / "data" / "mnist"
WIDTHS = (1000, 500, 250, 30)
BATCH = 256  # where speed is measured
MOVED = 0.5  # the share of images that are moved by a pixel in an epoch, where the error is


def images(folder: Path, part: str) -> np.ndarray:
    """The images of a part of MNIST, "train" or "t10k", in [0, 1], `(rows, 784)`."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        raw = file.read()
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784).astype("float32") / 255


def network(policy: str, activation: str, seed: int) -> keras_tied.Autoencoder:
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(policy)
    *hidden, width = WIDTHS
    dense = keras.layers.Dense
    stack = [dense(units, activation) for units in hidden] + [dense(width)]
    encoder = keras.Sequential([keras.Input((784,)), *stack])
    decoder = keras_tied.mirror(encoder, output_activation="sigmoid")
    autoencoder = keras_tied.Autoencoder(encoder, decoder)
    keras.config.set_dtype_policy("float32")
    return autoencoder


def compiled(autoencoder: keras.Model, steps: int, given: argparse.Namespace) -> None:
    """Muon, warmed up for an epoch, then along a cosine to 0; only kernels decay."""
    rate = keras.optimizers.schedules.CosineDecay(
        1e-5, steps * (given.epochs - 1), warmup_target=given.rate, warmup_steps=steps
    )
    optimizer = keras.optimizers.Muon(
        rate, weight_decay=given.decay, adam_weight_decay=None, adam_beta_2=0.99
    )
    optimizer.exclude_from_weight_decay(var_names=["gain", "bias"])
    autoencoder.compile(optimizer)


class MovedImages(keras.utils.PyDataset):
    """Images in a new order each epoch, some of them moved by a pixel in one of 8 directions."""

    def __init__(self, images: np.ndarray, batch: int, seed: int) -> None:
        super().__init__()
        self.batch, self.random = batch, np.random.default_rng(seed)
        self.framed = np.pad(images.reshape(-1, 28, 28), ((0, 0), (1, 1), (1, 1)))
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self.framed) // self.batch)

    def on_epoch_end(self) -> None:
        self.order = self.random.permutation(len(self.framed))

    def __getitem__(self, index: int) -> np.ndarray:
        chosen = np.sort(self.order[index * self.batch : (index + 1) * self.batch])
        corners = self.random.integers(0, 9, len(chosen))
        corners[self.random.random(len(chosen)) >= MOVED] = 4  # the middle
        moved = np.empty((len(chosen), 28, 28), "float32")
        for corner in range(9):
            (places,) = np.nonzero(corners == corner)
            top, left = divmod(corner, 3)
            moved[places] = self.framed[chosen[places], top : top + 28, left : left + 28]
        return moved.reshape(len(chosen), 784)


class PrintErrors(keras_tied.training.Watcher):
    """Prints what a test image's error is every few epochs, and after the last."""

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = every

    def on_train_begin(self, logs=None) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None) -> None:
        if (epoch + 1) % self.every == 0 or epoch + 1 == self.params["epochs"]:
            train, test = (784 * logs[name] for name in ("loss", "val_loss"))
            seconds = time.perf_counter() - self.start
            print(f"epoch {epoch + 1:4}  train {train:6.3f}  test {test:6.3f}", end="  ")
            print(f"{seconds:6.0f} s", flush=True)


def error(given: argparse.Namespace, train: np.ndarray, test: np.ndarray) -> None:
    pca = PCA(WIDTHS[-1], svd_solver="covariance_eigh").fit(train)
    residual = pca.inverse_transform(pca.transform(test)) - test
    print(f"PCA, {WIDTHS[-1]} components: test {np.mean(np.sum(residual**2, axis=1)):.3f}")
    autoencoder = network(given.policy, given.activation, given.seed)
    print(f"{'-'.join(map(str, (784, *WIDTHS)))}, tied, {given.activation}", end=", ")
    print(f"{autoencoder.count_params()} parameters, {given.policy}, seed {given.seed}", end=", ")
    print(f"Muon {given.rate}, weight decay {given.decay}, batches of {given.batch}", end=", ")
    print(f"{given.epochs} epochs")
    moved = MovedImages(train, given.batch, given.seed)
    compiled(autoencoder, len(moved), given)
    autoencoder.fit(
        moved,
        epochs=given.epochs,
        validation_data=test,
        validation_batch_size=1000,
        callbacks=[PrintErrors(max(1, given.epochs // 6))],
        verbose=0,
    )


def torch_epoch(train: np.ndarray, activation: str):
    """A function that trains for an epoch, as one writes it in PyTorch."""
    import torch

    rows = torch.from_numpy(train)
    widths = (784, *WIDTHS)
    kernels = [torch.empty(shape) for shape in pairwise(widths)]
    for kernel in kernels:
        torch.nn.init.xavier_uniform_(kernel)
    biases = [torch.zeros(width) for width in WIDTHS]
    gains = [torch.ones(width) for width in WIDTHS]
    output_biases = [torch.zeros(width) for width in widths[:-1]]
    weights = [*kernels, *biases, *gains, *output_biases]
    for weight in weights:
        weight.requires_grad_()
    optimizer = torch.optim.Adam(weights, 1e-3)
    act = getattr(torch.nn.functional, activation)

    def restored(x):
        for level, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
            x = x @ kernel + bias
            x = act(x) if level < len(WIDTHS) - 1 else x
        for level in reversed(range(len(WIDTHS))):
            x = (x * gains[level]) @ kernels[level].T + output_biases[level]
            x = act(x) if level else torch.sigmoid(x)
        return x

    def epoch() -> None:
        for places in torch.randperm(len(rows)).split(BATCH):
            batch = rows[places]
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(restored(batch), batch).backward()
            optimizer.step()

    return epoch


def speed(given: argparse.Namespace, train: np.ndarray) -> None:
    def ours(policy):
        model = network(policy, given.activation, given.seed)
        model.compile(keras.optimizers.Adam(1e-3))
        return lambda: model.fit(train, batch_size=BATCH, verbose=0)

    def stock():
        model = network("float32", given.activation, given.seed)
        model.compile(keras.optimizers.Adam(1e-3))
        return lambda: keras.Model.fit(model, train, batch_size=BATCH, verbose=0)

    ways = {
        "keras_tied, float32": ours("float32"),
        "keras_tied, mixed_bfloat16": ours("mixed_bfloat16"),
        "keras.Model.fit, float32": stock(),
    }
    if find_spec("torch"):
        ways["PyTorch by hand, float32"] = torch_epoch(train, given.activation)
    seconds = {name: [] for name in ways}
    for round_ in range(given.rounds + 1):
        for name, epoch in ways.items():
            start = time.perf_counter()
            epoch()
            if round_:  # the first compiles
                seconds[name].append(time.perf_counter() - start)
    print(f"Keras {keras.__version__} on {keras.backend.backend()}", end=", ")
    print(f"batches of {BATCH}, Adam, {given.rounds} epochs in turn")
    medians = {name: statistics.median(durations) for name, durations in seconds.items()}
    for name, median in medians.items():
        ratio = median / medians["keras_tied, float32"]
        print(f"{name:28} {median:6.2f} s an epoch  {ratio:5.2f} of ours in float32")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["error", "speed"])
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of MNIST's files")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--policy", default="float32", help="or mixed_bfloat16")
    parser.add_argument("--activation", default="silu")
    parser.add_argument("--rate", type=float, default=0.008, help="of learning")
    parser.add_argument("--decay", type=float, default=0.1)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--held-out", action="store_true", help="10,000 training images as test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    train, test = images(given.data, "train"), images(given.data, "t10k")
    if given.held_out:
        order = np.random.default_rng(0).permutation(len(train))
        train, test = train[order[10_000:]], train[order[:10_000]]
    if given.what == "speed":
        speed(given, train)
    else:
        error(given, train, test)


if __name__ == "__main__":
    main()
