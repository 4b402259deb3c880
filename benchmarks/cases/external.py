"""Examples that we did not choose: SimpleChains.jl's small network, UMAP's, PyOD's and ENCDR's."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks._case import SECONDS, Measure, Options, System, mean_square
from benchmarks.cases._networks import load_images

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
BY_TASK = True
HOT = False
LIMIT = 600


def prepare(options: Options) -> dict[str, Callable[[], Any]]:
    loaders = {"SimpleChains": load_exponentials, "UMAP": load_umap}
    loaders |= {"PyOD": load_pyod, "ENCDR": load_encdr}
    return {name: partial(load, options) for name, load in loaders.items()}


def load_exponentials(options: Options) -> Any:
    from scipy.linalg import expm

    X = np.random.default_rng(0).standard_normal((20_000, 4)).astype("f")
    Y = (
        expm(X.reshape(-1, 2, 2).transpose(0, 2, 1))
        .transpose(0, 2, 1)
        .reshape(-1, 4)
        .astype("f")
    )
    n = 1000 if options.quick else 10_000
    return (
        "SimpleChains",
        X[:n],
        Y[:n],
        X[10_000:],
        Y[10_000:],
        50 if options.quick else 500,
    )


def load_umap(options: Options) -> Any:
    train, test = load_images(options, 500 if options.quick else 3000, 50)
    return "UMAP", train, test[:50]


def load_pyod(options: Options) -> Any:
    """PyOD's `generate_data`: normal inliers about (offset, ...), uniform outliers."""
    random = np.random.default_rng(42)
    parts = []
    for n in (400 if options.quick else 4000, 2000):
        y = (np.arange(n) >= n - n // 10).astype(int)
        X = 0.3 * random.standard_normal((n, 300)) + 2
        X[y == 1] = random.uniform(-10, 10, (n // 10, 300))
        parts += [X, y]
    return "PyOD", *parts


def load_encdr(options: Options) -> Any:
    from sklearn.datasets import make_classification

    X, _ = make_classification(1000, 50, n_informative=30, random_state=42)
    return "ENCDR", X


def measure(task: Any, output: Any, seconds: dict[str, float]) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    if task[0] == "SimpleChains":
        return {"error": mean_square(output(task[3]) - task[4])}
    if task[0] == "PyOD":
        return {"error": 1 - float(roc_auc_score(task[4], output))}
    return {"error": mean_square(output - task[-1])}


def make_ours() -> Callable[[Any], Any]:
    import keras_tied

    # isort: split
    import keras  # noqa: F401

    def run(task: Any) -> Any:
        match task:
            case "SimpleChains", *data:
                return fit_keras(keras_tied.training.fit, *data)
            case "UMAP", train, test:
                return (
                    keras_tied.TiedAutoencoder(2, random_state=0)
                    .fit(train)
                    .reconstruct(test)
                )
            case "PyOD", train, _, test, _:
                return (
                    -keras_tied.TiedAutoencoder(random_state=0)
                    .fit(train)
                    .score_samples(test)
                )
            case "ENCDR", X:
                return (
                    keras_tied.TiedAutoencoder(8, random_state=0).fit(X).reconstruct(X)
                )

    return run


def fit_keras(
    fit: Callable, X: np.ndarray, Y: np.ndarray, _: Any, __: Any, steps: int
) -> Callable:
    import keras

    keras.utils.set_random_seed(0)
    stack = [
        keras.layers.Dense(32, "tanh"),
        keras.layers.Dense(16, "tanh"),
        keras.layers.Dense(4),
    ]
    model = keras.Sequential([keras.Input((4,)), *stack])
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    fit(model, X, Y, batch_size=len(X), epochs=steps, shuffle=False, verbose=0)
    return partial(model.predict, verbose=0)


def take(name: str, task: Any) -> Any:
    """The data of an example, for a system that does only this one."""
    if task[0] != name:
        raise NotImplementedError(f"another library's example: {task[0]}")
    return task[1:]


def make_keras() -> Callable[[Any], Any]:
    import keras_tied  # noqa: F401  settles the backend before Keras is imported

    # isort: split
    import keras

    return lambda task: fit_keras(keras.Model.fit, *take("SimpleChains", task))


def make_torch() -> Callable[[Any], Any]:
    import torch

    def run(task: Any) -> Any:
        X, Y, _, _, steps = take("SimpleChains", task)
        torch.manual_seed(0)
        rows, targets, nn = torch.from_numpy(X), torch.from_numpy(Y), torch.nn
        stack = (
            nn.Linear(4, 32),
            nn.Tanh(),
            nn.Linear(32, 16),
            nn.Tanh(),
            nn.Linear(16, 4),
        )
        network = nn.Sequential(*stack)
        optimizer = torch.optim.Adam(network.parameters())
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.mse_loss(network(rows), targets).backward()
            optimizer.step()
        return lambda X: network(torch.from_numpy(X)).detach().numpy()

    return run


def make_equinox() -> Callable[[Any], Any]:
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax

    def run(task: Any) -> Any:
        X, Y, _, _, steps = take("SimpleChains", task)
        keys = jax.random.split(jax.random.key(0), 3)
        sizes = [(4, 32), (32, 16), (16, 4)]
        one, two, three = (
            eqx.nn.Linear(*s, key=k) for s, k in zip(sizes, keys, strict=True)
        )
        tanh = eqx.nn.Lambda(jnp.tanh)
        network, adam = (
            eqx.nn.Sequential([one, tanh, two, tanh, three]),
            optax.adam(1e-3),
        )
        state = adam.init(eqx.filter(network, eqx.is_array))

        @eqx.filter_jit
        def step(network: Any, state: Any, X: Any, Y: Any) -> Any:
            def compute_loss(network: Any) -> Any:
                return jnp.mean((jax.vmap(network)(X) - Y) ** 2)

            gradient = eqx.filter_grad(compute_loss)(network)
            updates, state = adam.update(gradient, state)
            return eqx.apply_updates(network, updates), state

        rows, targets = jnp.asarray(X), jnp.asarray(Y)
        for _ in range(steps):
            network, state = step(network, state, rows, targets)
        jax.block_until_ready(network.layers[0].weight)
        return lambda X: np.asarray(jax.vmap(network)(jnp.asarray(X)))

    return run


def make_umap() -> Callable[[Any], Any]:
    from umap import UMAP

    def run(task: Any) -> Any:
        train, test = take("UMAP", task)
        model = UMAP(random_state=42, n_jobs=1).fit(train)
        return model.inverse_transform(model.transform(test))

    return run


def make_pyod() -> Callable[[Any], Any]:
    from pyod.models.auto_encoder import AutoEncoder

    def run(task: Any) -> Any:
        train, _, test, _ = take("PyOD", task)
        detector = AutoEncoder(epoch_num=30, contamination=0.1, verbose=0)
        return detector.fit(train).decision_function(test)

    return run


def make_encdr() -> Callable[[Any], Any]:
    from encdr import ENCDR

    quiet = {
        "enable_progress_bar": False,
        "logger": False,
        "enable_checkpointing": False,
    }

    def run(task: Any) -> Any:
        (X,) = take("ENCDR", task)
        layers = {"hidden_dims": [64, 32, 16], "latent_dim": 8}
        model = ENCDR(**layers, max_epochs=50, random_state=42, trainer_kwargs=quiet)
        return model.fit(X).predict(X)

    return run


SYSTEMS = {
    "keras-tied": System(make_ours, ours=True),
    "keras.Model.fit": System(make_keras),
    "PyTorch, a loop": System(make_torch, ("torch",)),
    "Equinox and Optax": System(make_equinox, ("equinox", "optax")),
    "UMAP": System(make_umap, ("umap",), repeats=2),
    "PyOD AutoEncoder": System(make_pyod, ("pyod", "torch"), repeats=3),
    "ENCDR": System(make_encdr, ("encdr",), repeats=3),
}
