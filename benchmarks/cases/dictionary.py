"""A dictionary of features beside SAELens's, on the same made activations."""

from functools import cache
from typing import NamedTuple

import numpy as np

from benchmarks._case import HOT_SECONDS, Array, Measure, System

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
HOT = True
N_FEATURES = 512
N_DIRECTIONS = 2048
N_ACTIVE = 32
N_UNITS = 4096
BATCH = 256
WINDOW = 20
RATE = 3e-4


class Task(NamedTuple):
    rows: Array
    held_out: Array


Output = tuple[Array, int]  # rows held out, reconstructed, and dead units


def prepare(options):
    return {"4096 units": lambda: Task(draw(30 * BATCH, 1), draw(2048, 2))}


def draw(n, seed):
    """Sums of 20 directions each, of which the first are drawn most often."""
    random = np.random.default_rng(0)
    directions = random.normal(size=(N_DIRECTIONS, N_FEATURES)).astype("f")
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    random = np.random.default_rng(seed)
    shares = 1 / (np.arange(N_DIRECTIONS) + 20)
    chosen = random.choice(N_DIRECTIONS, (n, 20), p=shares / shares.sum())
    sizes = random.exponential(1, (n, 20)).astype("f")
    rows = sum(sizes[:, [i]] * directions[chosen[:, i]] for i in range(20))
    norm = np.linalg.norm(rows[:2000], axis=1).mean()
    return rows * np.float32(np.sqrt(N_FEATURES) / norm)


def measure(task, output, seconds):
    reconstruction, dead = output
    variance = np.sum((task.held_out - task.held_out.mean(axis=0)) ** 2)
    left = np.sum((reconstruction - task.held_out) ** 2)
    return {"left": left / variance, "dead": dead}


@cache
def make_ours():
    """A model and its decoder, with which the second call goes on."""
    import keras

    from keras_tied.layers import AuxK, KSparse, tie

    keras.utils.set_random_seed(0)
    inputs = keras.Input((N_FEATURES,))
    start = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    encoder = keras.layers.Dense(N_UNITS, kernel_initializer=start)
    scores = encoder(inputs)
    decoder = AuxK(tie(encoder, untie=True), window=WINDOW)
    outputs = decoder(KSparse(N_ACTIVE)(scores), rows=inputs, scores=scores)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(RATE), "mse")
    return model, decoder


def run_ours(task):
    from keras_tied.training import fit

    model, decoder = make_ours()
    fit(
        model,
        task.rows,
        task.rows,
        batch_size=BATCH,
        shuffle=False,
        verbose=0,
    )
    dead = int(decoder.dead_units)
    return model.predict(task.held_out, verbose=0), dead


@cache
def make_saelens():
    """A model, its optimizer, and for how many steps each unit has been idle."""
    import torch
    from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig

    torch.manual_seed(0)
    config = TopKTrainingSAEConfig(
        d_in=N_FEATURES, d_sae=N_UNITS, k=N_ACTIVE, dtype="float32", device="cpu"
    )
    sae = TopKTrainingSAE(config)
    return sae, torch.optim.Adam(sae.parameters(), RATE), torch.zeros(N_UNITS)


def run_saelens(task):
    import torch
    from sae_lens.saes.sae import TrainStepInput

    sae, optimizer, idle = make_saelens()
    for step, batch in enumerate(torch.tensor(task.rows).split(BATCH)):
        output = sae.training_forward_pass(
            TrainStepInput(
                sae_in=batch,
                coefficients={},
                dead_neuron_mask=idle >= WINDOW,
                n_training_steps=step,
                is_logging_step=False,
            )
        )
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        idle += 1
        idle[(output.feature_acts > 0).any(0)] = 0
    with torch.no_grad():
        rows = sae.decode(sae.encode(torch.tensor(task.held_out))).numpy()
    return rows, int((idle >= WINDOW).sum())


SYSTEMS = {
    "keras_tied": System(run_ours, "keras_tied.layers keras_tied.training", ours=True),
    "SAELens": System(run_saelens, "torch sae_lens.saes.topk_sae"),
}
