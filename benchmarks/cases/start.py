"""Whole processes: what a user waits for before anything else."""

import subprocess
import sys
from functools import partial

import numpy as np

from benchmarks._case import MEMORY, SECONDS, System
from benchmarks.cases._arrays import draw_curved

TITLE = "Start"
TEXT = """
Whole processes from their start to their end: an import; the help of the command; a fit of 1,000
rows of 10 columns; a model that is read from its file and encodes one row. Each begins as a new
Python with nothing compiled. PCA keeps its matrix as a NumPy file, the others their own files.
"""
CHOSEN_ON = "Nothing was chosen on these rows."
MEASURES = {"seconds": SECONDS, "memory": MEMORY}
PICTURE = ["seconds"]
BY_GROUP = True
READ = "import numpy as np; X = np.load('rows.npy'); "
QUIET = "trainer_kwargs={'enable_progress_bar': False, 'logger': False}"
SCRIPTS = {
    "tied-tables": {
        "import": "import tied_tables",
        "help": "-m tied_tables --help",
        "first fit": READ + "from tied_tables import TiedAutoencoder as T; T(2).fit(X)",
        "first encode": (
            READ + "import tied_tables as k; k.load('m.safetensors').transform(X[:1])"
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


def setup(options):
    import keras
    from sklearn.decomposition import PCA

    from tied_tables import TiedAutoencoder

    X = draw_curved(np.random.default_rng(0), 1000, 2, 10)
    np.save("rows.npy", X)
    model = TiedAutoencoder(2, random_state=0).fit(X)
    model.save("m.safetensors")
    model.export("m.onnx")
    pca = PCA(2).fit(X)
    np.save("pca.npy", np.vstack([pca.mean_, pca.components_]))
    stack = [keras.Input((10,)), keras.layers.Dense(32, "tanh"), keras.layers.Dense(2)]
    keras.Sequential(stack).save("m.keras")


def prepare(options):
    return {name: partial(str, name) for name in SCRIPTS["tied-tables"]}


def measure(task, output, seconds):
    return {}


def run(system, task):
    script = SCRIPTS[system].get(task)
    if not script:
        raise NotImplementedError(f"no {task}")
    arguments = script.split() if script.startswith("-") else ["-c", script]
    command = [sys.executable, *arguments]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


SYSTEMS = {
    name: System(
        partial(run, name),
        ours=name == "tied-tables",
        needs=scripts["import"].split()[1],
    )
    for name, scripts in SCRIPTS.items()
}
