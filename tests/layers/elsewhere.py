"""What the tests of tied layers run in processes of their own. Prints a line of JSON.

python elsewhere.py load FOLDER
    Loads each NAME.keras, and gives how far its outputs are from those in NAME.pickle.
python elsewhere.py devices CASE...
    Trains models on eight devices, and gives what came of it.
python elsewhere.py process PROCESSES PROCESS PORT
    Trains a model as one of several processes, and gives its losses and weights.
"""

import json
import os
import pickle
import sys
from pathlib import Path


def load(folder):
    import keras_tied  # all that a user has to import

    import keras  # isort: skip
    import numpy as np

    differences = {}
    for path in Path(folder).glob("*.keras"):
        model = keras.saving.load_model(path)
        written = path.with_suffix(".pickle").read_bytes()
        inputs, expected = pickle.loads(written)
        found = keras.tree.flatten(model(inputs))
        gaps = [0.0]
        for one, other in zip(found, expected, strict=True):
            gap = np.abs(keras.ops.convert_to_numpy(one) - other)
            gaps.append(float(gap.max()))
        differences[path.stem] = max(gaps)
        if "decoder" not in path.stem:
            keras_tied.assert_tied(model)
    return differences


def devices(*names):
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
    import numpy as np
    from keras import distribution

    from cases import Case, find, kernel_variable, weights

    mesh = distribution.DeviceMesh(
        (4, 2),
        ("batch", "model"),
        distribution.list_devices(),
    )
    layouts = distribution.LayoutMap(mesh)
    layouts["code/kernel"] = ("model", None)
    by = {
        "data": distribution.DataParallel(),
        "model": distribution.ModelParallel(
            layout_map=layouts,
            batch_dim_name="batch",
        ),
    }

    def trained(case):
        model = case.whole()
        inputs, targets = case.data()
        rows = np.repeat(inputs, 8, axis=0)
        wanted = np.repeat(targets, 8, axis=0)
        model.compile("sgd", "mse")
        model.fit(rows, wanted, batch_size=len(rows), epochs=3, verbose=0)
        return model

    found = {}
    for name in names:
        case = Case(*name.split("-"))
        alone = trained(case)
        for kind, layout in by.items():
            with layout.scope():
                model = trained(case)
                code = find(model, "code")
                used = find(model, "out").tied_kernel()
                layout = kernel_variable(code).value.sharding
                gaps = map(np.subtract, weights(model), weights(alone))
                worst = [float(np.abs(gap).max()) for gap in gaps]
                found[f"{name}-{kind}"] = {
                    "difference": max(worst),
                    "devices": len(layout.device_set),
                    "layout": list(layout.spec),
                    "layout of the tied": list(used.sharding.spec),
                }
    return found


def process(*numbers):
    processes, number, port = map(int, numbers)
    if processes > 1:
        import jax

        jax.distributed.initialize(f"127.0.0.1:{port}", processes, number)
    import keras_tied

    import keras  # isort: skip
    import numpy as np

    keras.utils.set_random_seed(0)
    if processes > 1:
        parallel = keras.distribution.DataParallel(auto_shard_dataset=False)
        keras.distribution.set_distribution(parallel)
    random = np.random.default_rng(0)
    rows = random.normal(size=(64, 6))[number::processes]
    inputs = keras.Input((6,))
    code = keras.layers.Dense(3)
    tied = keras_tied.tie(code)
    codes = code(inputs)
    model = keras.Model(inputs, tied(codes))
    model.compile("sgd", "mse")
    history = keras_tied.training.fit(
        model,
        rows,
        rows,
        batch_size=16 // processes,
        epochs=3,
        shuffle=False,
        verbose=0,
    )
    weights = [weight.tolist() for weight in model.get_weights()]
    return [history.history["loss"], *weights]


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    function = globals()[command]
    print(json.dumps(function(*arguments)))
