"""Seconds and memory against rows, columns, units, depth and ties."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks._case import MEMORY, SECONDS, Options, System

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
HOT, ISOLATED, REPEATS = False, True, 5
SIZES = {
    "rows": (1000, 10_000, 100_000),
    "columns": (10, 100, 1000),
    "units": (10, 100, 1000),
    "depth": (1, 4, 16),
    "ties": (1, 8, 64),
}
Task = tuple[str, int, Any]


def prepare(options: Options) -> dict[str, Callable[[], Task]]:
    return {
        f"{size} {kind}": partial(load, kind, size)
        for kind, sizes in SIZES.items()
        for size in sizes[: 1 if options.quick else None]
    }


def load(kind: str, size: int) -> Task:
    if kind == "ties":
        import keras_tied  # noqa: F401  settles the backend before Keras is imported

        # isort: split
        import keras  # noqa: F401
    n, d = size if kind == "rows" else 1000, size if kind == "columns" else 16
    random = np.random.default_rng(0)
    hidden = random.standard_normal((n, 4), dtype="float32")
    X = np.tanh(hidden) @ random.standard_normal((4, d), dtype="float32")
    return kind, size, X + 0.1 * random.standard_normal((n, d), dtype="float32")


def measure(task: Task, output: float, seconds: dict[str, float]) -> dict[str, float]:
    assert np.isfinite(output)
    return {"output": float(output)}


def make_ours() -> Callable[[Task], float]:
    from keras_tied import TiedAutoencoder

    def run(task: Task) -> float:
        kind, size, X = task
        if kind == "ties":
            return fit_ties(size, X)
        hidden = {"units": (size,), "depth": (16,) * size}
        layers = {"hidden_layer_sizes": hidden[kind]} if kind in hidden else {}
        model = TiedAutoencoder(2, random_state=0, **layers).fit(X)
        return float(np.mean(model.reconstruction_error(X[:1000])))

    return run


def fit_ties(n: int, X: np.ndarray) -> float:
    import keras_tied

    # isort: split
    import keras

    encoder = keras.Sequential(
        [keras.Input((16,)), *(keras.layers.Dense(16) for _ in range(n))]
    )
    model = keras_tied.Autoencoder(encoder)
    model.compile("adam")
    return model.fit(X, batch_size=50, epochs=1, verbose=0).history["loss"][-1]


def make_pca() -> Callable[[Task], float]:
    from sklearn.decomposition import PCA

    def run(task: Task) -> float:
        kind, _, X = task
        if kind not in ("rows", "columns"):
            raise NotImplementedError("it has no layers")
        return PCA(2).fit(X).noise_variance_

    return run


SYSTEMS = {"keras-tied": System(make_ours, ours=True), "PCA": System(make_pca)}


def fit_exponent(result: Any, system: str, measure: str, kind: str) -> float | None:
    """The slope of the line through the logarithms of sizes and medians."""
    values = result.compute_values(system, measure)
    pairs = [(n, values[f"{n} {kind}"]) for n in SIZES[kind] if f"{n} {kind}" in values]
    return float(np.polyfit(*np.log(pairs).T, 1)[0]) if len(pairs) > 1 else None


def describe(result: Any) -> str:
    heads = "what grows", "sizes", "seconds", "exponent", "MiB", "exponent"
    lines = [f"| {' | '.join(heads)} |", "| --- |" + " ---: |" * 5]
    for system in result.runs:
        for kind, sizes in SIZES.items():
            cells = [", ".join(f"{size:,}" for size in sizes)]
            for measure, digits in (("seconds", 2), ("memory", 3)):
                values = result.compute_values(system, measure)
                known = [
                    values[f"{n} {kind}"] for n in sizes if f"{n} {kind}" in values
                ]
                cells.append(", ".join(f"{value:.{digits}g}" for value in known))
                exponent = fit_exponent(result, system, measure, kind)
                cells.append("" if exponent is None else f"{exponent:.2f}")
            if cells[1]:
                lines.append(f"| {system}, {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw_result(result: Any, measure: str, axis: Any) -> None:
    for system, style in zip(result.runs, ("-", ":"), strict=False):
        values = result.compute_values(system, measure)
        for index, (kind, sizes) in enumerate(SIZES.items()):
            known = [n for n in sizes if f"{n} {kind}" in values]
            if len(known) > 1:
                exponent = fit_exponent(result, system, measure, kind)
                name = (
                    f"{kind}: {exponent:.2f}"
                    if style == "-"
                    else f"PCA, {kind}: {exponent:.2f}"
                )
                heights = [values[f"{n} {kind}"] for n in known]
                axis.loglog(known, heights, f"o{style}", color=f"C{index}", label=name)
    axis.set_title(result.measures[measure].title)
    axis.set_xlabel("rows, columns, units, layers, tied layers")
    axis.legend(title="exponents", fontsize=7, bbox_to_anchor=(1, 1), loc="upper left")
