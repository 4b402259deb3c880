"""A dictionary of features beside SAELens's, on the same made activations, in turn.

The activations are sums of about 20 of 2,048 directions, some of which are frequent. Both train a
top-k sparse autoencoder with an auxiliary loss for dead units by Adam, a batch at a time, and come
to the same number of active units. Printed are milliseconds a step (the median; of ours, over
blocks of steps that are compiled together), the share of the variance of rows held out that is not
explained, and dead units. SAELens is left out where it is not installed (`pip install sae-lens`).
"""

import argparse
import statistics
import time
from importlib.util import find_spec

# isort: split
import keras
import numpy as np

from keras_tied.layers import AuxK, KSparse, tie
from keras_tied.training import fit

DIRECTIONS, AT_ONCE, BLOCKS = 2048, 20, 10


def make_activations(n: int, features: int, seed: int) -> np.ndarray:
    directions = np.random.default_rng(0).normal(size=(DIRECTIONS, features)).astype("float32")
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    random, shares = np.random.default_rng(seed), 1 / (np.arange(DIRECTIONS) + 20)
    chosen = random.choice(DIRECTIONS, (n, AT_ONCE), p=shares / shares.sum())
    sizes = random.exponential(1, (n, AT_ONCE)).astype("float32")
    rows = np.zeros((n, features), "float32")
    for place in range(AT_ONCE):
        rows += sizes[:, place, None] * directions[chosen[:, place]]
    return rows * np.float32(np.sqrt(features) / np.linalg.norm(rows[:2000], axis=1).mean())


class Ours:
    """A dictionary of this package's layers, trained by its `fit`."""

    def __init__(self, given: argparse.Namespace) -> None:
        keras.utils.set_random_seed(0)
        inputs, self.given = keras.Input((given.features,)), given
        start = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        encoder = keras.layers.Dense(given.units, kernel_initializer=start)
        scores = encoder(inputs)
        of_norm_1 = keras.constraints.UnitNorm(axis=1) if given.norm else None
        self.decoder = AuxK(
            tie(encoder, untie=True, kernel_constraint=of_norm_1), window=given.window
        )
        outputs = self.decoder(KSparse(given.active)(scores), rows=inputs, scores=scores)
        self.model = keras.Model(inputs, outputs)
        self.model.compile(keras.optimizers.Adam(given.rate), "mse")

    def train(self, rows: np.ndarray) -> None:
        fit(self.model, rows, rows, batch_size=self.given.batch, shuffle=False, verbose=0)

    def reconstruct(self, rows: np.ndarray) -> np.ndarray:
        return self.model.predict(rows, verbose=0)

    @property
    def n_dead(self) -> int:
        return self.decoder.counter.dead_units


class SAELens:
    """SAELens's top-k autoencoder, in a loop of PyTorch."""

    def __init__(self, given: argparse.Namespace) -> None:
        import torch
        from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig

        torch.manual_seed(0)
        sizes = {"d_in": given.features, "d_sae": given.units, "k": given.active}
        self.sae = TopKTrainingSAE(TopKTrainingSAEConfig(**sizes, dtype="float32", device="cpu"))
        self.optimizer = torch.optim.Adam(self.sae.parameters(), given.rate)
        self.idle, self.given, self.n_steps = torch.zeros(given.units), given, 0

    def train(self, rows: np.ndarray) -> None:
        import torch
        from sae_lens.saes.sae import TrainStepInput

        for begin in range(0, len(rows), self.given.batch):
            step = TrainStepInput(
                sae_in=torch.from_numpy(rows[begin : begin + self.given.batch]),
                coefficients={},
                dead_neuron_mask=self.idle >= self.given.window,
                n_training_steps=self.n_steps,
                is_logging_step=False,
            )
            output = self.sae.training_forward_pass(step)
            self.optimizer.zero_grad()
            output.loss.backward()
            self.optimizer.step()
            with torch.no_grad():
                self.idle += 1
                self.idle[(output.feature_acts > 0).any(0)] = 0
            self.n_steps += 1

    def reconstruct(self, rows: np.ndarray) -> np.ndarray:
        import torch

        with torch.no_grad():
            return self.sae.decode(self.sae.encode(torch.from_numpy(rows))).numpy()

    @property
    def n_dead(self) -> int:
        return int((self.idle >= self.given.window).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--units", type=int, default=16384)
    parser.add_argument("--active", type=int, default=32)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--window", type=int, default=30, help="batches until a unit is dead")
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--norm", action="store_true", help="hold our directions to norm 1")
    given = parser.parse_args()

    rows = make_activations(given.batch * given.steps, given.features, 1)
    held_out = make_activations(2048, given.features, 2)
    ways = {"keras_tied": Ours(given)}
    if find_spec("sae_lens"):
        ways["SAELens"] = SAELens(given)
    seconds = {name: [] for name in ways}
    for block in np.split(rows, BLOCKS):
        for name, way in ways.items():
            start = time.perf_counter()
            way.train(block)
            seconds[name].append((time.perf_counter() - start) / (given.steps // BLOCKS))
    print(f"{given.features} features, {given.units} units, {given.active} active", end=", ")
    print(f"{given.steps} batches of {given.batch}, Adam {given.rate}")
    for name, way in ways.items():
        residual = way.reconstruct(held_out) - held_out
        left = np.sum(residual**2) / np.sum((held_out - held_out.mean(axis=0)) ** 2)
        print(f"{name:12} {statistics.median(seconds[name]) * 1e3:6.0f} ms a step", end="  ")
        print(f"{left:.4f} of the variance left  {way.n_dead:5} dead")


if __name__ == "__main__":
    main()
