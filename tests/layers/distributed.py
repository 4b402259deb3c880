"""Trains tied models on eight devices, in a process of its own, and prints what came of
it as JSON.

Usage: XLA_FLAGS=--xla_force_host_platform_device_count=8 python distributed.py CASE...
"""

import json
import sys
from typing import Any

import keras
import numpy as np
from keras import distribution

from cases import CASES, VOCABULARY, Case, find, weights

ROWS = 16


def trained(case: Case) -> keras.Model:
    model, rng = case.build(), np.random.default_rng(0)
    shape = (ROWS, *case.family.shape)
    inputs = (
        rng.integers(1, VOCABULARY, shape)
        if case.family.integers
        else rng.normal(size=shape)
    )
    targets = rng.normal(size=(ROWS, *model.output_shape[1:]))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    model.fit(inputs, targets, batch_size=ROWS, epochs=3, shuffle=False, verbose=0)
    return model


def facts(case: Case, layout: Any, alone: keras.Model) -> dict[str, Any]:
    with layout.scope():
        model = trained(case)
        code, out = find(model, "code"), find(model, "out")
        kernel = code.embeddings if case.family.integers else code.kernel
        pairs = zip(weights(model), weights(alone), strict=True)
        return {
            "difference": max(
                float(np.max(np.abs(one - other))) for one, other in pairs
            ),
            "one layer": out.tied_to is code,
            "devices": len(kernel.value.sharding.device_set),
            "layout": list(kernel.value.sharding.spec),
            "layout in the decoder": list(out.tied_kernel().sharding.spec),
        }


def main(names: list[str]) -> dict[str, Any]:
    mesh = distribution.DeviceMesh(
        (4, 2), ("batch", "model"), distribution.list_devices()
    )
    layouts = distribution.LayoutMap(mesh)
    layouts["code/kernel"] = ("model", None)
    by_data = distribution.DataParallel()
    by_model = distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch")
    found = {}
    for case in (case for case in CASES if str(case) in names):
        alone = trained(case)
        found[f"{case} by data"] = facts(case, by_data, alone)
        if case.family.name == "Dense":
            found[f"{case} by model"] = facts(case, by_model, alone)
    return found


if __name__ == "__main__":
    json.dump(main(sys.argv[1:]), sys.stdout)
