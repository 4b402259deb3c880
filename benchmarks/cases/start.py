"""Whole processes: what a user waits for before anything else."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks._case import MEMORY, SECONDS, Options, System

TITLE = "Start"
TEXT = """
Whole processes from their start to their end: an import; the help of the command; a fit of 1,000
rows of 10 columns; a model that is read from its file and encodes one row. Each begins as a new
Python with nothing compiled. PCA keeps its matrix as a NumPy file, the others their own files.
"""
CHOSEN_ON = "Nothing was chosen on these rows."
MEASURES = {"seconds": SECONDS, "memory": MEMORY}
PICTURE = ["seconds"]
BY_TASK = True
HOT = False
READ = "import numpy as np; X = np.load('rows.npy'); "
QUIET = "trainer_kwargs={'enable_progress_bar': False, 'logger': False}"
SCRIPTS = {
    "keras-tied": {
        "import": "import keras_tied",
        "help": "-m keras_tied --help",
        "first fit": READ + "from keras_tied import TiedAutoencoder as T; T(2).fit(X)",
        "first encode": (
            READ + "import keras_tied as k; k.load('m.safetensors').transform(X[:1])"
        ),
    },
    "PCA": {
        "import": "import sklearn.decomposition",
        "first fit": READ + "from sklearn.decomposition import PCA; PCA(2).fit(X)",
        "first encode": READ + "m = np.load('pca.npy'); (X[:1] - m[0]) @ m[1:].T",
    },
    "Keras": {
        "import": "import keras",
        "first fit": (
            READ + "import keras; L = keras.layers; m = keras.Sequential([L.Dense(32,"
            " 'tanh'), L.Dense(2), L.Dense(32, 'tanh'), L.Dense(10)]);"
            " m.compile('adam', 'mse'); m.fit(X, X, epochs=20, verbose=0)"
        ),
        "first encode": (
            READ + "import keras; m = keras.models.load_model('m.keras'); "
            "m.predict(X[:1], verbose=0)"
        ),
    },
    "ONNX Runtime": {
        "import": "import onnxruntime",
        "first encode": (
            READ + "import onnxruntime as o; s = o.InferenceSession('m.onnx'); "
            "s.run(None, {'X': X[:1]})"
        ),
    },
    "UMAP": {
        "import": "import umap",
        "first fit": READ + "import umap; umap.UMAP(n_components=2).fit(X)",
    },
    "PyOD AutoEncoder": {
        "import": "from pyod.models import auto_encoder",
        "first fit": (
            READ + "from pyod.models.auto_encoder import AutoEncoder as A; "
            "A(verbose=0).fit(X)"
        ),
    },
    "ENCDR": {
        "import": "import encdr",
        "first fit": (
            READ + f"from encdr import ENCDR; ENCDR(latent_dim=2, {QUIET}).fit(X)"
        ),
    },
}
NEEDS = {
    "ONNX Runtime": ("onnxruntime",),
    "UMAP": ("umap",),
    "PyOD AutoEncoder": ("pyod", "torch"),
    "ENCDR": ("encdr",),
}


def setup(options: Options) -> None:
    import keras
    from sklearn.decomposition import PCA

    from keras_tied import TiedAutoencoder

    random = np.random.default_rng(0)
    X = np.tanh(random.normal(size=(1000, 2)) @ random.normal(size=(2, 10))).astype(
        "float32"
    )
    np.save(options.folder / "rows.npy", X)
    model = TiedAutoencoder(2, random_state=0).fit(X)
    model.save(options.folder / "m.safetensors")
    model.export(options.folder / "m.onnx")
    pca = PCA(2).fit(X)
    np.save(options.folder / "pca.npy", np.vstack([pca.mean_, pca.components_]))
    inputs = keras.Input((10,))
    code = keras.layers.Dense(2)(keras.layers.Dense(32, "tanh")(inputs))
    keras.Model(inputs, code).save(options.folder / "m.keras")


def prepare(options: Options) -> dict[str, Callable[[], str]]:
    names = ("import", "first encode") if options.quick else SCRIPTS["keras-tied"]
    return {name: lambda name=name: name for name in names}


def measure(task: str, status: int, seconds: dict[str, float]) -> dict[str, float]:
    assert status == 0, f"exit status {status}"
    return {}


def make(system: str) -> Callable[[str], int]:
    def run(task: str) -> int:
        if task not in SCRIPTS[system]:
            raise NotImplementedError(f"no {task}")
        script = SCRIPTS[system][task]
        arguments = script.split() if script.startswith("-") else ["-c", script]
        return subprocess.run(
            [sys.executable, *arguments], stdout=subprocess.DEVNULL
        ).returncode

    return run


SYSTEMS = {
    name: System(partial(make, name), NEEDS.get(name, ()), ours=name == "keras-tied")
    for name in SCRIPTS
}
