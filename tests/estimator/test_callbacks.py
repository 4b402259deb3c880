"""Callbacks of scikit-learn: told of every epoch, in order, and able to stop."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from keras_tied import TiedAutoencoder

pytest.importorskip("sklearn.callback")


class Recorder:
    """Keeps what it is told, and stops after some epochs."""

    def __init__(self, stop_after=None):
        self.stop_after, self.calls, self.logs = stop_after, [], []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        self.calls.append(f"end {context.task_name}")
        if context.task_name == "epoch":
            self.logs.append(metadata)
        return self.stop_after is not None and len(self.logs) >= self.stop_after


@pytest.fixture
def curved():
    random = np.random.default_rng(0)
    z = random.normal(size=(1200, 2))
    return np.c_[z, z**2, np.sin(2 * z)] + 0.1 * random.normal(size=(1200, 6))


def test_a_callback_stops_training_with_the_best_so_far(curved):
    recorder = Recorder(stop_after=2)
    autoencoder = TiedAutoencoder(2, random_state=0).set_callbacks(recorder).fit(curved)
    epochs = ["begin epoch", "end epoch"] * 2
    expected = [
        "setup",
        "begin fit",
        "begin train",
        *epochs,
        "end train",
        "end fit",
        "teardown",
    ]
    assert recorder.calls == expected
    least = min(logs["val_error"] for logs in recorder.logs)
    assert autoencoder.validation_curve_[-1] == pytest.approx(least, rel=1e-6)


@pytest.mark.parametrize("solver", ["nadam", "lbfgs"])
def test_fits_are_the_same_with_and_without_a_callback(curved, solver):
    # Noise is of a Keras model, which has its own loop.
    noise = 0.1 if solver == "nadam" else 0.0
    alone = TiedAutoencoder(2, solver=solver, noise=noise, max_iter=3, random_state=0)
    recorder = Recorder()
    watched = clone(alone).set_callbacks(recorder).fit(curved)
    assert recorder.logs
    np.testing.assert_array_equal(
        watched.transform(curved), alone.fit(curved).transform(curved)
    )


def test_an_error_in_a_callback_reaches_the_user_and_teardown_is_called(curved):
    class Broken(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise ZeroDivisionError

    broken = Broken()
    with pytest.raises(ZeroDivisionError):
        TiedAutoencoder(2, random_state=0).set_callbacks(broken).fit(curved)
    assert broken.calls[-1] == "teardown"


def test_pca_alone_and_searches_call_them_too():
    X, _ = load_iris(return_X_y=True)
    recorder = Recorder()
    TiedAutoencoder(2, random_state=0).set_callbacks(recorder).fit(X[:40])
    assert recorder.calls == ["setup", "begin fit", "end fit", "teardown"]
    search = GridSearchCV(
        TiedAutoencoder(max_iter=2, random_state=0), {"n_components": [1, 2]}
    )
    assert search.fit(X).best_params_ == {"n_components": 2}
