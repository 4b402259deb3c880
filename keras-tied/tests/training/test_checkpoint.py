"""A training that dies and is run again ends in bitwise the same model as one that does
not.
"""

import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from keras.callbacks import Callback, EarlyStopping, ReduceLROnPlateau
from keras.layers import (
    Activation,
    ActivityRegularization,
    BatchNormalization,
    Dense,
    Dropout,
    Identity,
)
from keras.metrics import R2Score, Sum
from keras.ops import convert_to_numpy
from keras.optimizers import SGD, Adam, Nadam
from keras.utils import set_random_seed
from numpy.random import default_rng
from numpy.testing import assert_equal
from tests.marks import for_each, needs_posix, slow, slow_but

import keras_tied
from keras_tied.training import LBFGS, Watcher, fit
from keras_tied.training._checkpoint import digest

from ..autoencoder.networks import chain
from .conftest import Acts, build_tied


class Sums(Sum):
    """A sum that goes on from epoch to epoch."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_pred)

    def reset_state(self):
        pass


ROWS = default_rng(0).normal(size=(120, 6)).astype("float32")
EPOCHS = 30
ONE_BATCH = {"batch_size": 200}  # what every backend trains in a loop
KINDS = {
    "one batch": lambda: ONE_BATCH,
    "plateau": lambda: {
        **ONE_BATCH,
        "optimizer": SGD(0.5),
        "callbacks": [ReduceLROnPlateau(patience=2, min_delta=0.01, cooldown=1)],
    },
    "early": lambda: {
        **ONE_BATCH,
        "callbacks": [EarlyStopping(patience=4, restore_best_weights=True)],
    },
    "metrics": lambda: {
        **ONE_BATCH,
        # A number, and a vector.
        "metrics": ["mae", R2Score(class_aggregation=None)],
    },
    "metric that is not reset": lambda: {**ONE_BATCH, "metrics": [Sums()]},
}
if keras.backend.backend() == "jax":
    KINDS |= {
        "batches": lambda: {},
        "dropout": lambda: {"layer": Dropout(0.3)},
        "mixed": lambda: {"dtype": "mixed_bfloat16"},
        "nadam": lambda: {"optimizer": Nadam(0.01)},
    }


class Death(BaseException):
    """Ends a training as a signal ends a process."""


def die():
    raise Death


def train(kind="one batch", folder=None, at=None, action=die, **changes):
    """The numbers and the history of a training that depends on its kind alone."""
    set_random_seed(3)
    rate = keras.optimizers.schedules.CosineDecay(0.05, 100)
    settings = {
        "optimizer": Adam(rate),
        "callbacks": [],
        "rows": ROWS,
        "validation_split": 0.25,
        "epochs": EPOCHS,
        **KINDS[kind](),
        **changes,
    }
    layer = settings.pop("layer", Identity())
    model = build_tied(layer, dtype=settings.pop("dtype", None))
    model.compile(
        settings.pop("optimizer"),
        settings.pop("loss", "mse"),
        metrics=settings.pop("metrics", None),
    )
    rows = settings.pop("rows")
    settings["callbacks"] = [*settings["callbacks"], Acts(at, action)]
    history = fit(model, rows, rows, checkpoint=folder, verbose=0, **settings)
    variables = [*model.variables, *model.optimizer.variables]
    values = [convert_to_numpy(variable) for variable in variables]
    return values, history.history, history.epoch


@pytest.mark.usefixtures("at_every_chance")
@pytest.mark.parametrize("kind", slow_but(KINDS, "one batch"))
def test_after_two_deaths_it_ends_as_if_it_had_never_died(kind, tmp_path):
    expected = train(kind)
    seen = []
    for epoch in (10, 20):
        try:
            train(kind, tmp_path, epoch)
        except Death:
            seen += tmp_path.iterdir()
    begun = []
    found = train(kind, tmp_path, 0, lambda: begun.append(0))
    assert_equal(found, expected)
    assert seen
    assert not begun
    assert list(tmp_path.iterdir()) == []


PROGRAM = """
import sys
import numpy as np
from importlib import import_module
from keras_tied.training import _checkpoint
test = import_module("keras-tied.tests.training.test_checkpoint")
_checkpoint.SECONDS = _checkpoint.SHARE = 0.02
values, history, _ = test.train(sys.argv[1], sys.argv[2] or None, epochs=400)
np.savez(sys.argv[3], *values, *map(np.array, history.values()))
"""


@slow
@needs_posix
def test_killed_at_random_moments_it_ends_in_the_same_numbers(tmp_path):
    kind = "batches" if "batches" in KINDS else "one batch"

    def start(folder, out):
        arguments = [kind, folder, tmp_path / out]
        program = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
        return subprocess.Popen(program, cwd=Path(__file__).parents[3])

    begin = time.monotonic()
    assert start("", "whole.npz").wait() == 0
    seconds = time.monotonic() - begin
    folder = tmp_path / "kept"
    for share in (0.6, 0.7, 0.8, 0.9):
        process = start(folder, "resumed.npz")
        try:
            process.wait(share * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if not (tmp_path / "resumed.npz").exists():
        assert start(folder, "resumed.npz").wait() == 0
    assert list(folder.iterdir()) == []
    whole = np.load(tmp_path / "whole.npz")
    resumed = np.load(tmp_path / "resumed.npz")
    with whole, resumed:
        assert_equal(dict(resumed), dict(whole))


@pytest.fixture
def checkpoint(at_every_chance, tmp_path):
    """The file that a training leaves which dies."""
    with pytest.raises(Death):
        train(folder=tmp_path, at=10)
    (path,) = tmp_path.iterdir()
    return path


OTHERS = {
    "rows": {"rows": ROWS + 1},
    "epochs": {"epochs": 40},
    "split": {"validation_split": 0},
    "callbacks": {"callbacks": [Watcher()]},
    "optimizer": {"optimizer": Adam(0.5)},
    "layers": {"layer": BatchNormalization()},
    "activation": {"layer": Activation("tanh")},
    "regularizer": {"layer": ActivityRegularization(l2=0.1)},
    "loss": {"loss": "mae"},
}


@for_each(OTHERS, "changes")
def test_the_checkpoint_of_another_training_is_refused(changes, checkpoint):
    with pytest.raises(ValueError, match="belongs to a training with other rows"):
        train(folder=checkpoint.parent, **changes)
    assert checkpoint.exists()


def change_byte(name):
    """Change a byte of an array, as a disk does."""

    def damage(path):
        with np.load(path) as file:
            content = file[name].tobytes()
        whole = bytearray(path.read_bytes())
        whole[whole.index(content) + len(content) // 2] ^= 1
        path.write_bytes(whole)

    return damage


DAMAGES = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-50]),
    "empty": lambda path: path.write_bytes(b""),
    "weights": change_byte("array.0"),
    "notes": change_byte("notes"),
}


@for_each(DAMAGES, "damage")
def test_a_damaged_checkpoint_is_refused(damage, checkpoint):
    damage(checkpoint)
    with pytest.raises(ValueError, match="or is damaged; delete it to start again"):
        train(folder=checkpoint.parent)


class Step(Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass


UNKEPT = {
    "steps_per_epoch": {"steps_per_epoch": 1},
    "validation_freq": {"validation_freq": 2},
    "callbacks": {"callbacks": [Step()]},
    "optimizer": {"optimizer": LBFGS()},
}


@for_each(UNKEPT, "changes")
def test_what_keras_or_scipy_trains_cannot_be_kept(changes, tmp_path):
    message = r"not supported here, as .* use keras\.callbacks\.BackupAndRestore"
    with pytest.raises(ValueError, match=message):
        train(folder=tmp_path, **changes)


def test_an_autoencoder_keeps_one_too(tmp_path, ctrl_c):
    autoencoder = keras_tied.Autoencoder(chain(Dense(2)))
    autoencoder.compile("adam")
    settings = {"epochs": 12, "verbose": 0, **ONE_BATCH}
    autoencoder.fit(ROWS, callbacks=[Acts(2, ctrl_c)], checkpoint=tmp_path, **settings)
    assert list(tmp_path.iterdir())


def test_a_digest_is_that_of_equal_values_alone():
    ones = np.ones(2)
    values = [
        1,
        1.0,
        "1",
        [1],
        [[1]],
        {"1": 2},
        None,
        ones,
        ones[None],
        ones.astype("float32"),
    ]
    assert len({digest(value) for value in values}) == len(values)
    assert digest([ones, {"a": 1}]) == digest([np.ones(2), {"a": 1}])


def test_a_loss_without_a_configuration_has_a_checkpoint(at_every_chance, tmp_path):
    class Loss:
        def __call__(self, y, outputs):
            return keras.ops.mean(keras.ops.square(y - outputs))

    train(folder=tmp_path, loss=Loss())
