"""Callbacks of scikit-learn: told of every epoch, in order, and able to stop."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from .networks import draw_curve, seeded

pytest.importorskip("sklearn.callback")
CURVE = draw_curve(1200)


class Recorder:
    """Keeps what it is told, and stops after some epochs."""

    def __init__(self, stop_after=np.inf, error=None):
        self.stop_after = stop_after
        self.error = error
        self.calls = []
        self.logs = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        self.calls.append(f"end {context.task_name}")
        if self.error is not None:
            raise self.error
        if context.task_name == "epoch":
            self.logs.append(metadata)
        return len(self.logs) >= self.stop_after


def test_a_callback_stops_training_with_the_best_so_far():
    recorder = Recorder(stop_after=2)
    estimator = seeded(2).set_callbacks(recorder).fit(CURVE)
    assert recorder.calls == [
        "setup",
        "begin fit",
        "begin train",
        *["begin epoch", "end epoch"] * 2,
        "end train",
        "end fit",
        "teardown",
    ]
    least = min(logs["val_error"] for logs in recorder.logs)
    assert estimator.validation_curve_[-1] == pytest.approx(least, rel=1e-6)


@pytest.mark.parametrize("solver", ["nadam", "lbfgs"])
def test_fits_are_the_same_with_and_without_a_callback(solver):
    alone = seeded(
        2,
        solver=solver,
        max_iter=3,
    )
    recorder = Recorder()
    watched = clone(alone).set_callbacks(recorder).fit(CURVE)
    assert recorder.logs
    codes = alone.fit(CURVE).transform(CURVE)
    assert_array_equal(watched.transform(CURVE), codes)


def test_an_error_in_a_callback_reaches_the_user_and_teardown_is_called():
    broken = Recorder(error=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        seeded(2).set_callbacks(broken).fit(CURVE)
    assert broken.calls[-1] == "teardown"


def test_pca_alone_calls_them_too(iris):
    recorder = Recorder()
    seeded(2).set_callbacks(recorder).fit(iris[:40])
    assert recorder.calls == ["setup", "begin fit", "end fit", "teardown"]
