"""One of the processes that train one model: trains, and writes what came of it.

Usage: python worker.py OPTIONS FILE

OPTIONS is JSON; see `DEFAULTS`. The environment says which process it is: PROCESS of PROCESSES, at
PORT. Without these it trains alone, on the rows of all, in batches of the rows that they take.
"""

import json
import os
import signal
import sys
import time
from typing import Any

import jax

import keras_tied  # settles the backend before Keras is imported

# isort: split
import keras
import numpy as np
from keras import distribution, layers

from keras_tied import _checkpoint_file
from keras_tied._processes import read_whole
from keras_tied.training import Watcher, _loop

PROCESS, PROCESSES = (int(os.environ.get(name, "0")) for name in ("PROCESS", "PROCESSES"))

DEFAULTS = {
    "network": "narrow",
    "counts": [320, 320],  # of the rows of each process
    "batch": 64,
    "epochs": 5,
    "mesh": None,  # [places along the batch, places along the model], or no distribution
    "optimizer": "sgd",
    "shuffle": False,
    "start": None,
    "loop": "ours",  # or "keras"
    "validation": None,  # "split" or "data"
    "weighted": False,
    "policy": "float32",
    "callback": [None, None],  # of each process
    "late": 0.0,  # seconds that the last process starts later
    "equal": False,  # whether all are given the same rows
    "uneven": False,  # whether the last process trains for an epoch more
    "checkpoint": None,  # a folder for each process; a checkpoint is written after each epoch
    "dies": None,  # the process that dies in the last epoch
}


class Sleep(Watcher):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        time.sleep(0.2)


class Stop(Watcher):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.stop_training = epoch == 2


class Interrupt(Watcher):
    """Presses Ctrl-C."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            os.kill(os.getpid(), signal.SIGINT)


class Look(keras.callbacks.Callback):
    """May change the model."""


class LookAtSteps(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        pass


class Raise(Watcher):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        raise ZeroDivisionError("a callback's own error")


class Kill(Watcher):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)


class Mortal(Watcher):
    """Dies in the last epoch if it is of the process to die."""

    _dies = False  # a private name: what callbacks note is restored

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._dies and epoch + 1 == self.params["epochs"]:
            os.kill(os.getpid(), signal.SIGKILL)


class Halt(Watcher):
    """Stands still, as a machine does that hangs."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)


def deep() -> keras.Model:
    """Hinton & Salakhutdinov's network for MNIST."""
    stack = [layers.Dense(units, "silu") for units in (1000, 500, 250)]
    encoder = keras.Sequential([keras.Input((784,)), *stack, layers.Dense(30)])
    decoder = keras_tied.mirror(encoder, output_activation="sigmoid", gain=True)
    return keras_tied.Autoencoder(encoder, decoder)


def convolutional() -> keras.Model:
    stack = [layers.Conv2D(8, 3, strides=2, padding="same", activation="silu") for _ in range(2)]
    encoder = keras.Sequential(
        [keras.Input((28, 28, 1)), *stack, layers.Flatten(), layers.Dense(8)]
    )
    return keras_tied.Autoencoder(encoder)


def narrow() -> keras.Model:
    stack = [layers.Dense(12, "tanh", name="wide"), layers.Dense(2, name="code")]
    encoder = keras.Sequential([keras.Input((6,)), *stack])
    return keras_tied.Autoencoder(encoder, keras_tied.mirror(encoder, gain=True))


def random() -> keras.Model:
    """With what depends on all rows of a batch, and what is drawn for each."""
    stack = [layers.Dense(12), layers.BatchNormalization(), layers.Dropout(0.2), layers.Dense(2)]
    encoder = keras.Sequential([keras.Input((6,)), *stack])
    decoder = keras.Sequential([keras.Input((2,)), layers.Dense(6)])
    return keras_tied.Autoencoder(encoder, decoder, noise=0.1)


def make_rows(shape: tuple[int, ...], count: int) -> np.ndarray:
    """Rows of rank 3 and noise, in [0, 1]."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(count, 3)) @ rng.normal(size=(3, int(np.prod(shape)))) / 2
    rows = 1 / (1 + np.exp(-rows - 0.1 * rng.normal(size=rows.shape)))
    return rows.reshape(count, *shape).astype("float32")


def deal(rows: np.ndarray, counts: list[int], batch: int) -> np.ndarray:
    """The rows of this process; alone, those of all, each batch of all processes' together."""
    parts = np.split(rows, np.cumsum(counts)[:-1])
    if PROCESSES:
        return parts[PROCESS]
    full = min(counts) // batch if max(counts) > batch else 0
    batches = [part[i * batch : (i + 1) * batch] for i in range(full) for part in parts]
    return np.concatenate([*batches, *(part[full * batch :] for part in parts)])


def distribute(mesh: list[int]) -> None:
    devices = distribution.DeviceMesh(mesh, ("batch", "model"), distribution.list_devices())
    layouts = distribution.LayoutMap(devices)
    if mesh[1] > 1:
        layouts[".*wide/kernel"] = (None, "model")
    distribution.set_distribution(
        distribution.ModelParallel(
            layout_map=layouts, batch_dim_name="batch", auto_shard_dataset=False
        )
        if mesh[1] > 1
        else distribution.DataParallel(auto_shard_dataset=False)
    )


def train(options: dict[str, Any]) -> tuple[keras.Model, dict[str, Any]]:
    given = DEFAULTS | options
    if given["mesh"]:
        distribute(given["mesh"])
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(given["policy"])
    model = globals()[given["network"]]()
    optimizers = {
        "sgd": keras.optimizers.SGD(0.2, momentum=0.9),
        "adam": keras.optimizers.Adam(1e-3),
        "lbfgs": keras_tied.training.LBFGS(),
        "still": keras.optimizers.SGD(0.0),
    }
    model.compile(optimizers[given["optimizer"]], weighted_metrics=["mae"])
    counts, batch = given["counts"], given["batch"]
    rows = make_rows(model.encoder.input_shape[1:], sum(counts) + 64)
    x = rows[: counts[0]] if given["equal"] else deal(rows[:-64], counts, batch)
    arguments: dict[str, Any] = {"x": x, "batch_size": batch if PROCESSES else batch * len(counts)}
    arguments["epochs"] = given["epochs"]
    if given["validation"] == "split":
        arguments["validation_split"] = 0.2
    elif given["validation"]:
        held_out = deal(rows[-64:], [64 // len(counts)] * len(counts), batch)
        arguments["validation_data"] = (held_out, held_out)
    if given["weighted"]:
        arguments |= {"y": x, "sample_weight": x.reshape(len(x), -1)[:, 0]}
    if given["callback"][PROCESS]:
        arguments["callbacks"] = [globals()[given["callback"][PROCESS]]()]
        arguments["callbacks"][0]._dies = given["dies"] == PROCESS
    if given["uneven"]:
        arguments["epochs"] += PROCESS
    if given["checkpoint"]:
        _checkpoint_file.SECONDS = _checkpoint_file.SHARE = _loop.SECONDS_BETWEEN_VISITS = 0.0
        arguments["checkpoint"] = given["checkpoint"][PROCESS]
    if given["start"]:
        arguments["start"] = given["start"]
    if given["loop"] == "keras":
        arguments["y"], loop = x, keras.Model.fit
    else:
        loop = keras_tied.Autoencoder.fit
    begin = time.perf_counter()
    history = loop(
        model,
        shuffle=given["shuffle"],
        verbose=0,
        **arguments,
    )
    programs = vars(model.train_function).get("keras_tied_programs", {})
    kernel, tied = model.encoder.layers[0], model.decoder.layers[-1]
    return model, {
        "history": history.history,
        "seconds": time.perf_counter() - begin,
        "compiled": len(programs),
        "devices": len(kernel.kernel.value.sharding.device_set),
        "layout": list(getattr(kernel.kernel.value.sharding, "spec", [])),
        "tied": list(getattr(tied.tied_kernel().sharding, "spec", []))
        if hasattr(tied, "tied_kernel")
        else None,
    }


def main(options: dict[str, Any], file: str) -> None:
    if PROCESSES:
        if PROCESS == PROCESSES - 1:
            time.sleep(options.get("late", 0.0))
        address = f"127.0.0.1:{os.environ['PORT']}"
        jax.distributed.initialize(address, PROCESSES, PROCESS, heartbeat_timeout_seconds=10)
    model, facts = train(options)
    weights = [read_whole(variable).tolist() for variable in model.weights]
    with open(file, "w") as out:
        json.dump(facts | {"weights": weights}, out)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs lack it
    main(json.loads(sys.argv[1]), sys.argv[2])
