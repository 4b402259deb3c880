"""Seconds and memory against rows, columns, units, depth and ties."""

from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks._case import MEMORY, SECONDS, Array, System
from benchmarks._results import format_rows

TITLE = "Growth"
TEXT = """
A fit in a new process, without imports, while one size grows: rows of 16 columns, columns of 1,000
rows, units of one hidden layer, hidden layers of 16 units, and tied layers of a Keras model that
compiles and trains for 20 steps. The *exponent* is the slope of the line through the logarithms: 1
is time in proportion, 0 is time that does not grow. The estimator takes a bounded number of steps,
so its time stops to grow with the rows; PCA's is beside it.
"""
CHOSEN_ON = "Nothing was chosen on these rows."
MEASURES = {"seconds": SECONDS, "memory": MEMORY}
PICTURE = ["seconds", "memory"]
ISOLATED = True
SIZES = {
    "rows": (1000, 10_000, 100_000),
    "columns": (10, 100, 1000),
    "units": (10, 100, 1000),
    "depth": (1, 4, 16),
    "ties": (1, 8, 64),
}


class Task(NamedTuple):
    kind: str
    size: int
    rows: Array


def prepare(options):
    return {
        f"{size} {kind}": partial(load, kind, size)
        for kind, sizes in SIZES.items()
        for size in sizes
    }


def load(kind, size):
    if kind == "ties":
        import keras_tied  # noqa: F401  settles the backend before Keras is imported

        # isort: split
        import keras  # noqa: F401  takes memory, too
    n = size if kind == "rows" else 1000
    n_columns = size if kind == "columns" else 16
    random = np.random.default_rng(0)
    hidden = random.standard_normal((n, 4), dtype="float32")
    X = np.tanh(hidden) @ random.standard_normal((4, n_columns), dtype="float32")
    X += 0.1 * random.standard_normal(X.shape, dtype="float32")
    return Task(kind, size, X)


def measure(task, error, seconds):
    assert np.isfinite(error)
    return {"error": error}


def run_ours(task):
    from tied_tables import TiedAutoencoder

    if task.kind == "ties":
        return fit_ties(task)
    model = TiedAutoencoder(2, random_state=0)
    if task.kind == "units":
        model.set_params(hidden_layer_sizes=(task.size,))
    if task.kind == "depth":
        model.set_params(hidden_layer_sizes=(16,) * task.size)
    errors = model.fit(task.rows).reconstruction_error(task.rows[:1000])
    return errors.mean()


def fit_ties(task):
    import keras

    import keras_tied

    stack = [keras.layers.Dense(16) for _ in range(task.size)]
    encoder = keras.Sequential([keras.Input((16,)), *stack])
    model = keras_tied.Autoencoder(encoder)
    model.compile("adam")
    history = model.fit(task.rows, batch_size=50, epochs=1, verbose=0).history
    return history["loss"][-1]


def run_pca(task):
    from sklearn.decomposition import PCA

    if task.kind not in ("rows", "columns"):
        raise NotImplementedError("it has no layers")
    return PCA(2).fit(task.rows).noise_variance_


SYSTEMS = {
    "tied-tables": System(run_ours, "tied_tables.estimator", ours=True),
    "PCA": System(run_pca, "sklearn.decomposition"),
}


def list_growths(result, system, measure):
    """What grows, its sizes, their values, and the slope through the logarithms."""
    values = result.compute_values(system, measure)
    for kind, sizes in SIZES.items():
        heights = [values[name] for n in sizes if (name := f"{n} {kind}") in values]
        if len(heights) == len(sizes):
            slope, _ = np.polyfit(np.log(sizes), np.log(heights), 1)
            yield kind, sizes, heights, slope


def describe(result):
    rows = []
    for system in result.runs:
        seconds = list_growths(result, system, "seconds")
        memory = list_growths(result, system, "memory")
        for one, other in zip(seconds, memory, strict=True):
            kind, sizes, times, slope = one
            _, _, peaks, slope_of_memory = other
            row = [
                f"{system}, {kind}",
                ", ".join(f"{size:,}" for size in sizes),
                ", ".join(f"{value:.2g}" for value in times),
                f"{slope:.2f}",
                ", ".join(f"{value:.3g}" for value in peaks),
                f"{slope_of_memory:.2f}",
            ]
            rows.append(row)
    heads = "what grows", "sizes", "seconds", "exponent", "MiB", "exponent"
    return format_rows(heads, rows)


def draw_result(result, column, axis):
    styles = {"tied-tables": ("-", ""), "PCA": (":", "PCA, ")}
    for system in result.runs:
        style, prefix = styles[system]
        growths = list_growths(result, system, column.measure)
        for index, (kind, sizes, heights, slope) in enumerate(growths):
            name = f"{prefix}{kind}: {slope:.2f}"
            axis.loglog(
                sizes,
                heights,
                f"o{style}",
                color=f"C{index}",
                label=name,
            )
    axis.set_title(column.title)
    axis.set_xlabel("rows, columns, units, layers, tied layers")
    axis.legend(
        title="exponents",
        fontsize=7,
        bbox_to_anchor=(1, 1),
        loc="upper left",
    )
