"""Trains a tied model as one of several processes, and prints its losses and weights as
JSON.

Usage: python process.py PROCESSES PROCESS PORT
"""

import json
import sys

import jax

processes, process, port = map(int, sys.argv[1:])
if processes > 1:
    jax.distributed.initialize(f"127.0.0.1:{port}", processes, process)

import keras_tied  # noqa: E402, I001 (settles the backend before Keras is imported)
import keras  # noqa: E402
import numpy as np  # noqa: E402

keras.utils.set_random_seed(0)
if processes > 1:
    parallel = keras.distribution.DataParallel(auto_shard_dataset=False)
    keras.distribution.set_distribution(parallel)
rows = (
    np.random.default_rng(0).normal(size=(64, 6)).astype("float32")[process::processes]
)
inputs, code = keras.Input((6,)), keras.layers.Dense(3)
model = keras.Model(inputs, keras_tied.tie(code)(code(inputs)))
model.compile(keras.optimizers.SGD(0.1), "mse")
settings = {"batch_size": 16 // processes, "epochs": 3, "shuffle": False, "verbose": 0}
losses = keras_tied.training.fit(model, rows, rows, **settings).history["loss"]
json.dump([losses, [weight.tolist() for weight in model.get_weights()]], sys.stdout)
