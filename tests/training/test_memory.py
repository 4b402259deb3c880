"""Arrays that are large beside the memory."""

import os
import sys

import keras
import numpy as np
import pytest

from keras_tied.training import _data, fit

X = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")


def make_model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)])
    model.compile("adam", "mse")
    return model


def test_rows_that_do_not_fit_into_memory_are_streamed_and_the_user_is_told(
    monkeypatch,
):
    monkeypatch.setattr(_data, "free_memory", lambda: X.nbytes)
    with pytest.warns(
        UserWarning, match=r"rows take .* GiB.* Keras's own fit streams them"
    ):
        ours = fit(make_model(), X, X, epochs=3, verbose=0)
    theirs = make_model().fit(X, X, epochs=3, verbose=0)
    np.testing.assert_allclose(ours.history["loss"], theirs.history["loss"], rtol=1e-5)


def test_an_array_that_is_input_and_target_counts_once():
    rows = _data.batch_rows(X, X, None, 32)
    assert _data.count_bytes(rows, None) == X.nbytes


def test_a_container_may_have_less_than_the_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(_data, "MEMORY_INFORMATION", tmp_path / "meminfo")
    monkeypatch.setattr(_data, "CONTROL_GROUP", tmp_path)
    find_free = _data.find_host_memory
    assert find_free() is None  # as on another system
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:  2048 kB\n")
    assert find_free() == 2048 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert find_free() == 2048 * 1024
    (tmp_path / "memory.max").write_text("5000\n")
    assert find_free() == 4000


def test_the_memory_of_this_machine_is_known():
    if sys.platform != "linux":
        pytest.skip("only Linux tells")
    free, pages = _data.free_memory(), os.sysconf("SC_PHYS_PAGES")
    assert 0 < free <= pages * os.sysconf("SC_PAGE_SIZE")


def test_training_leaves_the_rows_as_they_were():
    x = X.copy()
    fit(make_model(), x, x, epochs=2, batch_size=16, verbose=0)
    np.testing.assert_array_equal(x, X)
