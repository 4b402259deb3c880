"""A dictionary of features beside SAELens's, on the same made activations."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks._case import HOT_SECONDS, Measure, Options, System

TITLE = "Dictionaries of features"
TEXT = """
A top-k sparse autoencoder of 4,096 units with the auxiliary loss for dead ones, 30 batches of 256
made activations: sums of about 20 of 2,048 directions, some of which are frequent. Both train by
Adam from their own initial weights and come to the same number of active units. *Again* is the
next 30 batches. *Variance left* is the share of the variance of rows held out that is not
explained.
"""
CHOSEN_ON = "Nothing was chosen on these activations."
MEASURES = {
    "seconds": Measure("seconds"),
    "hot_seconds": HOT_SECONDS,
    "left": Measure("variance left"),
    "dead": Measure("dead units", None),
}
PICTURE = ["hot_seconds", "left"]
FEATURES, ACTIVE, BATCH, WINDOW, RATE = 512, 32, 256, 20, 3e-4


class Task(NamedTuple):
    rows: np.ndarray
    held_out: np.ndarray
    units: int


def prepare(options: Options) -> dict[str, Callable[[], Task]]:
    n, units = (4, 1024) if options.quick else (30, 4096)
    return {f"{units} units": lambda: Task(draw(n * BATCH, 1), draw(2048, 2), units)}


def draw(n: int, seed: int) -> np.ndarray:
    directions = np.random.default_rng(0).normal(size=(2048, FEATURES)).astype("f")
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    random, shares = np.random.default_rng(seed), 1 / (np.arange(2048) + 20)
    chosen = random.choice(2048, (n, 20), p=shares / shares.sum())
    sizes, rows = (
        random.exponential(1, (n, 20)).astype("f"),
        np.zeros((n, FEATURES), "f"),
    )
    for place in range(20):
        rows += sizes[:, place, None] * directions[chosen[:, place]]
    return rows * np.float32(
        np.sqrt(FEATURES) / np.linalg.norm(rows[:2000], axis=1).mean()
    )


def measure(
    task: Task, output: tuple[np.ndarray, int], seconds: dict[str, float]
) -> dict:
    reconstruction, dead = output
    variance = np.sum((task.held_out - task.held_out.mean(axis=0)) ** 2)
    return {
        "left": float(np.sum((reconstruction - task.held_out) ** 2) / variance),
        "dead": dead,
    }


def make_ours() -> Callable[[Task], Any]:
    import keras

    from keras_tied.layers import AuxK, KSparse, tie
    from keras_tied.training import fit

    models: list[Any] = []

    def run(task: Task) -> Any:
        if not models:  # the second call goes on with the same model
            keras.utils.set_random_seed(0)
            inputs = keras.Input((FEATURES,))
            start = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
            encoder = keras.layers.Dense(task.units, kernel_initializer=start)
            scores, decoder = (
                encoder(inputs),
                AuxK(tie(encoder, untie=True), window=WINDOW),
            )
            outputs = decoder(KSparse(ACTIVE)(scores), rows=inputs, scores=scores)
            models.extend([keras.Model(inputs, outputs), decoder])
            models[0].compile(keras.optimizers.Adam(RATE), "mse")
        model, decoder = models
        fit(model, task.rows, task.rows, batch_size=BATCH, shuffle=False, verbose=0)
        return model.predict(task.held_out, verbose=0), int(decoder.counter.dead_units)

    return run


def make_saelens() -> Callable[[Task], Any]:
    import torch
    from sae_lens.saes.sae import TrainStepInput
    from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig

    states: list[Any] = []

    def run(task: Task) -> Any:
        if not states:
            torch.manual_seed(0)
            sizes = {"d_in": FEATURES, "d_sae": task.units, "k": ACTIVE}
            sae = TopKTrainingSAE(
                TopKTrainingSAEConfig(**sizes, dtype="float32", device="cpu")
            )
            states.extend(
                [sae, torch.optim.Adam(sae.parameters(), RATE), torch.zeros(task.units)]
            )
        sae, optimizer, idle = states
        for step, begin in enumerate(range(0, len(task.rows), BATCH)):
            output = sae.training_forward_pass(
                TrainStepInput(
                    sae_in=torch.from_numpy(task.rows[begin : begin + BATCH]),
                    coefficients={},
                    dead_neuron_mask=idle >= WINDOW,
                    n_training_steps=step,
                    is_logging_step=False,
                )
            )
            optimizer.zero_grad()
            output.loss.backward()
            optimizer.step()
            with torch.no_grad():
                idle += 1
                idle[(output.feature_acts > 0).any(0)] = 0
        with torch.no_grad():
            rows = sae.decode(sae.encode(torch.from_numpy(task.held_out))).numpy()
        return rows, int((idle >= WINDOW).sum())

    return run


SYSTEMS = {
    "keras_tied": System(make_ours, ours=True),
    "SAELens": System(make_saelens, ("sae_lens", "torch")),
}
