"""What the tests of tied layers run in processes of their own. Prints a line of JSON.

python elsewhere.py load FOLDER
    Loads each NAME.keras, compares its outputs with those in NAME.pickle, and gives the
    names.
python elsewhere.py devices CASE...
    Trains models on eight devices, compares them with those that one device trains, and
    gives how their kernels lie.
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

    names = []
    for path in Path(folder).glob("*.keras"):
        model = keras.saving.load_model(path)
        written = path.with_suffix(".pickle").read_bytes()
        inputs, expected = pickle.loads(written)
        found = keras.tree.flatten(model(inputs))
        for one, other in zip(found, expected, strict=True):
            numbers = keras.ops.convert_to_numpy(one)
            np.testing.assert_allclose(numbers, other, rtol=0, atol=1e-5)
        if "decoder" not in path.stem:
            keras_tied.assert_tied(model)
        names.append(path.stem)
    return names


def devices(*names):
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
    import numpy as np
    from keras import distribution

    from cases import Case, assert_close, find, kernel_variable, weights

    mesh = distribution.DeviceMesh(
        (4, 2),
        ("batch", "model"),
        distribution.list_devices(),
    )
    layout_map = distribution.LayoutMap(mesh)
    layout_map["code/kernel"] = ("model", None)
    by = {
        "data": distribution.DataParallel(),
        "model": distribution.ModelParallel(
            layout_map=layout_map,
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

    layouts = {}
    for name in names:
        case = Case(*name.split("-"))
        alone = trained(case)
        for kind, parallel in by.items():
            with parallel.scope():
                model = trained(case)
                code = find(model, "code")
                used = find(model, "out").tied_kernel()
                layout = kernel_variable(code).value.sharding
                assert_close(weights(model), weights(alone), 1e-5)
                assert len(layout.device_set) == 8
                assert used.sharding.spec == layout.spec
                layouts[f"{name}-{kind}"] = list(layout.spec)
    return layouts


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
    model = keras.Model(inputs, tied(code(inputs)))
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
