"""A training that dies and is run again ends in bitwise the same model as one that does
not.
"""

import errno
import os
import random
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import keras_tied
from keras_tied import _checkpoint_file
from keras_tied.training import LBFGS, _checkpoint, fit

ROWS = np.random.default_rng(0).normal(size=(120, 6)).astype("float32")
EPOCHS = 30
ONE_BATCH = {"batch_size": 200}  # what every backend trains in a loop
KINDS = ["one batch", "plateau", "early", "metrics"]
if keras.backend.backend() == "jax":
    KINDS += ["batches", "dropout", "order in a batch", "mixed", "average", "nadam"]


class Death(BaseException):
    """Ends a training as a signal ends a process."""


def train(kind, folder=None, rows=ROWS, **changes):
    """The model and the history of a training that depends on nothing but its kind."""
    keras.utils.set_random_seed(3)
    keras.config.set_dtype_policy("mixed_bfloat16" if kind == "mixed" else "float32")
    inputs = keras.Input((6,))
    encoder = keras.layers.Dense(4, "tanh")
    code = encoder(inputs)
    if kind == "dropout":
        code = keras.layers.Dropout(0.3)(code)
    decoder = keras_tied.tie(encoder)
    model = keras.Model(inputs, decoder(code))
    keras.config.set_dtype_policy("float32")
    rate = keras.optimizers.schedules.CosineDecay(0.05, 100)
    options = {"validation_split": 0.25, "epochs": EPOCHS, "verbose": 0}
    optimizer, callbacks = keras.optimizers.Adam(rate), []
    if kind == "plateau":
        optimizer = keras.optimizers.SGD(0.5)
        callbacks = [
            keras.callbacks.ReduceLROnPlateau(patience=2, min_delta=0.01, cooldown=1)
        ]
    elif kind == "early":
        callbacks = [
            keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True)
        ]
    elif kind == "average":
        optimizer = keras.optimizers.SGD(
            0.1, momentum=0.9, use_ema=True, ema_momentum=0.9
        )
    elif kind == "nadam":
        optimizer = keras.optimizers.Nadam(0.01)
    if kind in ("one batch", "plateau", "early", "metrics"):
        options |= ONE_BATCH
    if kind == "order in a batch":
        options["shuffle"] = "batch"
    metrics = None
    if kind == "metrics":
        metrics = [
            "mae",
            keras.metrics.R2Score(class_aggregation=None),
        ]  # a number, and a vector
    model.compile(optimizer, "mse", metrics=metrics)
    options |= {"callbacks": callbacks, **changes}
    history = fit(model, rows, rows, **options, checkpoint=folder)
    variables = [*model.variables, *model.optimizer.variables]
    values = [keras.ops.convert_to_numpy(variable) for variable in variables]
    return values, history.history, history.epoch


def assert_same(found, expected):
    for one, other in zip(found[0], expected[0], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_equal(found[1:], expected[1:])


@pytest.fixture
def undisturbed(request):
    return train(request.param)


@pytest.fixture
def at_every_chance(monkeypatch):
    monkeypatch.setattr(_checkpoint_file, "SECONDS", 0.0)
    monkeypatch.setattr(_checkpoint_file, "SHARE", 0.0)
    monkeypatch.setattr("keras_tied.training._loop.SECONDS_BETWEEN_VISITS", 0.0)


def die_after(monkeypatch, n, before=False):
    """The n-th checkpoint from now on is the last thing that is done, or was about to
    be.
    """
    save, left = _checkpoint.Checkpoint.save, [n]

    def save_or_die(self, *args):
        left[0] -= 1
        if left[0] or not before:
            save(self, *args)
        if not left[0]:
            raise Death

    monkeypatch.setattr(_checkpoint.Checkpoint, "save", save_or_die)


def assert_dies_well(kind, expected, deaths, folder):
    for n, before in deaths:
        with pytest.MonkeyPatch.context() as patch:
            die_after(patch, n, before)
            try:
                found = train(kind, folder)
                break
            except Death:
                continue
    else:
        found = train(kind, folder)
    assert_same(found, expected)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "kind",
    [k if k in KINDS[:1] else pytest.param(k, marks=pytest.mark.slow) for k in KINDS],
)
def test_after_two_deaths_it_ends_as_if_it_had_never_died(
    kind, tmp_path, at_every_chance
):
    assert_dies_well(kind, train(kind), [(2, False), (3, True)], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "undisturbed"), [(k, k) for k in KINDS[:5]], indirect=["undisturbed"]
)
@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    deaths=st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=3)
)
def test_it_ends_as_if_it_had_never_died(
    kind, undisturbed, deaths, tmp_path_factory, at_every_chance
):
    assert_dies_well(kind, undisturbed, deaths, tmp_path_factory.mktemp("checkpoint"))


PROGRAM = """
import sys
import numpy as np
from tests.training import test_checkpoint as test
test._checkpoint_file.SECONDS = test._checkpoint_file.SHARE = 0.02
values, history, _ = test.train(sys.argv[1], sys.argv[2] or None, epochs=400)
np.savez(sys.argv[3], *values, *map(np.array, history.values()))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="no such signal")
@pytest.mark.parametrize(
    "kind", ["batches" if "batches" in KINDS else "one batch", "early"]
)
def test_killed_at_random_moments_it_ends_in_the_same_numbers(kind, tmp_path):
    def start(folder, out):
        return subprocess.Popen([sys.executable, "-c", PROGRAM, kind, folder, out])

    begin = time.monotonic()
    assert start("", str(tmp_path / "whole.npz")).wait() == 0
    seconds = time.monotonic() - begin
    chance, n_killed = random.Random(0), 0
    while n_killed < 4:
        process = start(str(tmp_path / "kept"), str(tmp_path / "resumed.npz"))
        try:
            process.wait(seconds * chance.uniform(0.5, 1.0))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            n_killed += 1
    else:
        assert start(str(tmp_path / "kept"), str(tmp_path / "resumed.npz")).wait() == 0
    assert list((tmp_path / "kept").iterdir()) == []
    with (
        np.load(tmp_path / "whole.npz") as whole,
        np.load(tmp_path / "resumed.npz") as resumed,
    ):
        assert whole.files == resumed.files
        for name in whole.files:
            np.testing.assert_array_equal(whole[name], resumed[name])


@pytest.mark.skipif(os.name != "posix", reason="no such signal")
def test_ctrl_c_leaves_a_checkpoint_to_go_on_from(tmp_path, ctrl_c):
    class Press(keras.callbacks.Callback):
        at = 12

        def on_epoch_end(self, epoch, logs=None):
            if epoch + 1 == self.at:
                ctrl_c()

    press = Press()
    expected = train("one batch")
    _, _, epochs = train("one batch", tmp_path, callbacks=[press])
    assert 12 <= len(epochs) < EPOCHS
    press.at = None
    assert_same(train("one batch", tmp_path, callbacks=[press]), expected)


@pytest.mark.skipif(os.name != "posix", reason="files are flushed in another way")
def test_a_full_disk_costs_no_training(tmp_path, monkeypatch, at_every_chance):
    def fail(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    expected = train("one batch")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.warns(
        UserWarning, match=r"cannot be written .No space left on device.: training"
    ):
        assert_same(train("one batch", tmp_path), expected)
    assert list(tmp_path.iterdir()) == []


def leave_checkpoint(folder, monkeypatch):
    with pytest.MonkeyPatch.context() as patch:
        die_after(patch, 1)
        with pytest.raises(Death):
            train("one batch", folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": ROWS + 1}, "with other rows and validation rows"),
        ({"epochs": 40}, "with other settings"),
        ({"validation_split": 0.0}, "other settings and rows and validation rows"),
        ({"callbacks": [keras_tied.training.Watcher()]}, "other callbacks"),
    ],
    ids=["rows", "epochs", "split", "callbacks"],
)
def test_the_checkpoint_of_another_training_is_refused(
    changes, message, tmp_path, monkeypatch, at_every_chance
):
    leave_checkpoint(tmp_path, monkeypatch)
    with pytest.raises(ValueError, match=message):
        train("one batch", tmp_path, **changes)
    assert_same(train("one batch", tmp_path), train("one batch"))


def test_another_optimizer_is_another_training(tmp_path, monkeypatch, at_every_chance):
    leave_checkpoint(tmp_path, monkeypatch)
    with pytest.raises(ValueError, match="with other optimizer;"):
        train("plateau", tmp_path, callbacks=[])


@pytest.mark.parametrize(
    "change", [lambda b: b[:-50], lambda b: b"", lambda b: b"x" * 99]
)
def test_what_is_no_checkpoint_is_refused(
    change, tmp_path, monkeypatch, at_every_chance
):
    leave_checkpoint(tmp_path, monkeypatch)
    path = tmp_path / _checkpoint.FILE
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match="is no checkpoint; delete it"):
        train("one batch", tmp_path)


@pytest.mark.parametrize("what", ["weights", "epochs"])
def test_a_changed_checkpoint_is_refused(what, tmp_path, monkeypatch, at_every_chance):
    leave_checkpoint(tmp_path, monkeypatch)
    path = tmp_path / _checkpoint.FILE
    with np.load(path) as file:
        arrays = dict(file)
    if what == "weights":
        arrays["array.0"] = arrays["array.0"] ^ 1
    else:
        text = arrays["notes"].tobytes().replace(b'"epochs": ', b'"epochs": 1')
        assert text != arrays["notes"].tobytes()
        arrays["notes"] = np.frombuffer(text, np.uint8)
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="is damaged; delete it to begin anew"):
        train("one batch", tmp_path)


def make_model():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)])
    model.compile("sgd", "mse")
    return model


class Step(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass


@pytest.mark.parametrize(
    "options",
    [{"steps_per_epoch": 1}, {"validation_freq": 2}, {"callbacks": [Step()]}],
    ids=["steps_per_epoch", "validation_freq", "callbacks"],
)
def test_what_keras_trains_cannot_be_kept(options, tmp_path):
    with pytest.raises(ValueError, match=r"use keras\.callbacks\.BackupAndRestore"):
        fit(make_model(), ROWS, ROWS, verbose=0, checkpoint=tmp_path, **options)


def test_a_search_cannot_be_kept(tmp_path):
    model = make_model()
    model.compile(LBFGS(), "mse")
    with pytest.raises(ValueError, match="another optimizer than LBFGS"):
        fit(model, ROWS, ROWS, verbose=0, checkpoint=tmp_path)


def test_an_autoencoder_keeps_one_too(tmp_path, monkeypatch, at_every_chance):
    def run(folder):
        keras.utils.set_random_seed(0)
        encoder = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])
        autoencoder = keras_tied.Autoencoder(encoder)
        autoencoder.compile("adam")
        autoencoder.fit(ROWS, epochs=12, verbose=0, checkpoint=folder, **ONE_BATCH)
        return autoencoder.get_weights()

    with pytest.MonkeyPatch.context() as patch:
        die_after(patch, 1)
        with pytest.raises(Death):
            run(tmp_path)
    for one, other in zip(run(tmp_path), run(None), strict=True):
        np.testing.assert_array_equal(one, other)
