"""Loads the models of a folder, in a process of its own, and writes what they compute
there.

Usage: python load_elsewhere.py FOLDER. Each model NAME.keras has its inputs in
    NAME.npz; outputs go
to NAME.BACKEND.npz, together with whether each tied layer reads its own layer's kernel.
"""

import json
import sys
from pathlib import Path
from typing import Any

import keras_tied  # noqa: F401  all that a user has to import

import keras  # isort: skip
import numpy as np  # isort: skip


def find(model: Any, name: str) -> Any:
    (layer,) = (layer for layer in model._flatten_layers() if layer.name == name)
    return layer


def is_tied(model: Any, tied: str, partner: str) -> bool:
    held = [layer for layer in model._flatten_layers() if layer.name == partner]
    return (
        find(model, tied).tied_to in held
        if held
        else find(model, tied).tied_to.name == partner
    )


def main(folder: Path) -> None:
    ties = json.loads((folder / "ties.json").read_text())
    # The tests' own classes are imported last: all the other models need keras_tied
    # only.
    for path in sorted(
        folder.glob("*.keras"), key=lambda path: ("made" in path.stem, path)
    ):
        if "made" in path.stem or "block" in path.stem:
            import cases  # noqa: F401
        model = keras.models.load_model(path)
        with np.load(path.with_suffix(".npz")) as stored:
            arrays = [stored[name] for name in sorted(stored)]
        outputs = keras.tree.flatten(model(arrays if len(arrays) > 1 else arrays[0]))
        np.savez(
            folder / f"{path.stem}.{keras.backend.backend()}.npz",
            *[keras.ops.convert_to_numpy(output) for output in outputs],
            tied=all(is_tied(model, *names) for names in ties[path.stem]),
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
