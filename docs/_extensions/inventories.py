"""The pages of other projects' references that ours links to, also where there is no
network.

Intersphinx reads a project's whole inventory from the net, and this part of it where it cannot.
Keras publishes none, so its part is all that there is.
"""

import zlib
from pathlib import Path

KERAS = {
    "keras.Input": "layers/core_layers/input/",
    "keras.Model": "models/model/",
    "keras.Model.compile": "models/model_training_apis/",
    "keras.Model.evaluate": "models/model_training_apis/",
    "keras.Model.fit": "models/model_training_apis/",
    "keras.Model.predict": "models/model_training_apis/",
    "keras.Sequential": "models/sequential/",
    "keras.applications": "applications/",
    "keras.distribution": "distribution/",
    "keras.layers.Dense": "layers/core_layers/dense/",
    "keras.layers.Dropout": "layers/regularization_layers/dropout/",
    "keras.layers.GaussianNoise": "layers/regularization_layers/gaussian_noise/",
    "keras.layers.Layer": "layers/base_layer/",
    "keras.losses.Loss": "losses/",
    "keras.models.load_model": "models/model_saving_apis/model_saving_and_loading/",
    "keras.ops": "ops/",
    "keras.optimizers.Nadam": "optimizers/Nadam/",
    "keras.optimizers.SGD": "optimizers/sgd/",
    "keras.regularizers.OrthogonalRegularizer": "layers/regularizers/",
    "keras.regularizers.Regularizer": "layers/regularizers/",
    "keras.utils.set_random_seed": "utils/python_utils/",
}
NUMPY = {
    "numpy.random.Generator": "reference/random/generator.html#numpy.random.Generator",
    "numpy.save": "reference/generated/numpy.save.html#numpy.save",
}
SKLEARN = {
    f"sklearn.{name}": f"modules/generated/sklearn.{name}.html#sklearn.{name}"
    for name in (
        "compose.ColumnTransformer",
        "datasets.load_breast_cancer",
        "datasets.load_digits",
        "datasets.load_iris",
        "decomposition.PCA",
        "ensemble.IsolationForest",
        "impute.SimpleImputer",
        "linear_model.LogisticRegression",
        "model_selection.GridSearchCV",
        "model_selection.cross_val_score",
        "model_selection.train_test_split",
        "pipeline.Pipeline",
        "pipeline.make_pipeline",
        "preprocessing.StandardScaler",
    )
}
PROJECTS = {
    "keras": ("https://keras.io/api/", KERAS),
    "numpy": ("https://numpy.org/doc/stable/", NUMPY),
    "sklearn": ("https://scikit-learn.org/stable/", SKLEARN),
}


def write_inventory(path: Path, project: str, pages: dict[str, str]) -> None:
    """Write an inventory in Sphinx's format, version 2."""
    header = (
        f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    lines = "".join(f"{name} py:class 1 {page} -\n" for name, page in pages.items())
    path.write_bytes(header.encode() + zlib.compress(lines.encode()))


def map_projects(folder: Path) -> dict[str, tuple[str, str | tuple[None, str]]]:
    """Write the inventories, and return what `intersphinx_mapping` takes."""
    folder.mkdir(exist_ok=True)
    mapping: dict[str, tuple[str, str | tuple[None, str]]] = {}
    for project, (address, pages) in PROJECTS.items():
        path = folder / f"{project}.inv"
        write_inventory(path, project, pages)
        mapping[project] = (
            address,
            str(path) if project == "keras" else (None, str(path)),
        )
    return mapping
