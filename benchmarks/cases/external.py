"""Examples that we did not choose: SimpleChains.jl's small network, UMAP's, PyOD's and ENCDR's."""

from functools import partial
from pkgutil import resolve_name
from typing import NamedTuple

import numpy as np

from benchmarks._case import (
    SECONDS,
    Array,
    Measure,
    System,
    mean_square,
)
from benchmarks.cases._arrays import load_images
from benchmarks.cases.tables import QUIET

TITLE = "Examples of others"
TEXT = """
*SimpleChains*: the small network of SimpleChains.jl's manual, 4-32-16-4 with tanh, learns the
exponential of 2 x 2 matrices from 10,000 of them, Adam on all of them at once, here 500 steps; the
error is that of 10,000 others, from the weights that each library draws. *UMAP*: its page on
inverse transforms, with 3,000 of MNIST's images (scikit-learn's digits without `--data`): two
components, and 50 other images reconstructed. *PyOD*: its example of the autoencoder, 300 features,
a tenth of the rows anomalies, 30 epochs, with 4,000 rows instead of 20,000; the error is 1 - the
area under the ROC curve of 2,000 others. *ENCDR*: its quick start, 1,000 rows of 50 features to 8
numbers; the error is that of these rows.
"""
CHOSEN_ON = "Nothing was chosen on these."
MEASURES = {"seconds": SECONDS, "error": Measure("error", floor=1e-3)}
PICTURE = ["seconds", "error"]
BY_GROUP = True
SIZES = [(4, 32), (32, 16), (16, 4)]
STEPS = 500


class Task(NamedTuple):
    name: str
    train: Array
    train_target: Array
    test: Array
    test_target: Array


def prepare(options):
    return {
        "SimpleChains": draw_exponentials,
        "UMAP": partial(load_umap, options),
        "PyOD": draw_anomalies,
        "ENCDR": draw_classes,
    }


def draw_exponentials():
    from scipy.linalg import expm

    X = np.random.default_rng(0).standard_normal((20_000, 4)).astype("f")
    Y = expm(X.reshape(-1, 2, 2)).reshape(X.shape).astype("f")
    n = 10_000
    return Task("SimpleChains", X[:n], Y[:n], X[n:], Y[n:])


def load_umap(options):
    train, test = load_images(options, 3000, 50)
    return Task("UMAP", train, train, test[:50], test[:50])


def draw_anomalies():
    """PyOD's `generate_data`: normal inliers about (offset, ...), uniform outliers."""
    random = np.random.default_rng(42)
    parts = []
    for n in (4000, 2000):
        y = np.arange(n) >= n - n // 10
        X = 0.3 * random.standard_normal((n, 300)) + 2
        X[y] = random.uniform(-10, 10, (n // 10, 300))
        parts += [X, y]
    return Task("PyOD", *parts)


def draw_classes():
    from sklearn.datasets import make_classification

    X, _ = make_classification(
        1000,
        50,
        n_informative=30,
        random_state=42,
    )
    return Task("ENCDR", X, X, X, X)


def measure(task, output, seconds):
    from sklearn.metrics import roc_auc_score

    result = output(task.test) if callable(output) else output
    if task.name == "PyOD":
        return {"error": 1 - roc_auc_score(task.test_target, result)}
    return {"error": mean_square(result - task.test_target)}


def run_ours(task):
    from tied_tables import TiedAutoencoder

    if task.name == "SimpleChains":
        return run_keras("keras_tied.training.fit", task)
    widths = {"UMAP": 2, "ENCDR": 8, "PyOD": 2}  # theirs, and the default
    model = TiedAutoencoder(widths[task.name], random_state=0).fit(task.train)
    if task.name == "PyOD":
        return -model.score_samples(task.test)
    return model.reconstruct(task.test)


def run_only(name, run, task):
    """Run the example of a name, and no other."""
    if task.name != name:
        raise NotImplementedError(f"another library's example: {task.name}")
    return run(task)


def run_keras(fit, task):
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    stack = [layers.Dense(32, "tanh"), layers.Dense(16, "tanh"), layers.Dense(4)]
    model = keras.Sequential([keras.Input((4,)), *stack])
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    resolve_name(fit)(
        model,
        task.train,
        task.train_target,
        batch_size=len(task.train),
        epochs=STEPS,
        shuffle=False,
        verbose=0,
    )
    return partial(model.predict, verbose=0)


def run_torch(task):
    import torch
    from torch import nn

    torch.manual_seed(0)
    first, second, third = (nn.Linear(*size) for size in SIZES)
    network = nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), third)
    rows = torch.tensor(task.train)
    targets = torch.tensor(task.train_target)
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.mse_loss(network(rows), targets).backward()
        optimizer.step()
    return lambda X: network(torch.tensor(X)).detach().numpy()


def run_equinox(task):
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax

    keys = jax.random.split(jax.random.key(0), 3)
    first, second, third = (
        eqx.nn.Linear(*size, key=key) for size, key in zip(SIZES, keys, strict=True)
    )
    tanh = eqx.nn.Lambda(jnp.tanh)
    network = eqx.nn.Sequential([first, tanh, second, tanh, third])
    adam = optax.adam(1e-3)
    state = adam.init(eqx.filter(network, eqx.is_array))

    def compute_loss(network, X, Y):
        return jnp.mean((jax.vmap(network)(X) - Y) ** 2)

    @eqx.filter_jit
    def step(network, state, X, Y):
        gradient = eqx.filter_grad(compute_loss)(network, X, Y)
        updates, state = adam.update(gradient, state)
        return eqx.apply_updates(network, updates), state

    rows = jnp.asarray(task.train)
    targets = jnp.asarray(task.train_target)
    for _ in range(STEPS):
        network, state = step(network, state, rows, targets)
    jax.block_until_ready(network.layers[0].weight)
    return lambda X: np.asarray(jax.vmap(network)(jnp.asarray(X)))


def run_umap(task):
    from umap import UMAP

    model = UMAP(random_state=42, n_jobs=1).fit(task.train)
    return model.inverse_transform(model.transform(task.test))


def run_pyod(task):
    from pyod.models.auto_encoder import AutoEncoder

    detector = AutoEncoder(epoch_num=30, contamination=0.1, verbose=0)
    return detector.fit(task.train).decision_function(task.test)


def run_encdr(task):
    from encdr import ENCDR

    model = ENCDR(
        hidden_dims=[64, 32, 16],
        latent_dim=8,
        max_epochs=50,
        random_state=42,
        trainer_kwargs=QUIET,
    )
    return model.fit(task.train).predict(task.test)


run_stock = partial(run_keras, "keras.Model.fit")
run_chain = partial(run_only, "SimpleChains")
KERAS = "tied_tables.estimator keras_tied.training keras"
PYOD = "pyod.models.auto_encoder"
SYSTEMS = {
    "tied-tables": System(run_ours, KERAS, ours=True),
    "keras.Model.fit": System(partial(run_chain, run_stock), KERAS),
    "PyTorch, a loop": System(partial(run_chain, run_torch), "torch"),
    "Equinox and Optax": System(partial(run_chain, run_equinox), "equinox optax"),
    "UMAP": System(partial(run_only, "UMAP", run_umap), "umap", repeats=2),
    "PyOD AutoEncoder": System(partial(run_only, "PyOD", run_pyod), PYOD, repeats=3),
    "ENCDR": System(partial(run_only, "ENCDR", run_encdr), "encdr", repeats=3),
}
