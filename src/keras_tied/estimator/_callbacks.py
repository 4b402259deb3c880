"""The callbacks of scikit-learn, from 1.9 on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from keras_tied.fitting.progress import epoch_callback, get_epoch_callback

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # an earlier scikit-learn, in which nothing sets callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing."""

    def with_callbacks(method: Any) -> Any:
        """The method itself."""
        return method


__all__ = ["CallbackSupportMixin", "call_callbacks", "with_callbacks"]


@contextmanager
def call_callbacks(estimator: Any, X: Any) -> Iterator[None]:
    """Call the callbacks of an estimator for each epoch of the training within.

    Below `fit` there is a task for each network, `"train"`, and below that one for each
    `"epoch"`, whose metadata are the logs. A hook that returns True at the end of an
    epoch ends training.
    """
    if not hasattr(estimator, "_init_callback_context"):
        yield
        return
    others = get_epoch_callback()
    about = {"estimator": estimator, "X": X}
    root = estimator._init_callback_context(max_subtasks=None)
    root.call_on_fit_task_begin(**about)
    training: Any = None
    last = 0

    def finish() -> None:
        if training is not None:
            training.call_on_fit_task_end(**about)

    def on_epoch(epoch: int, epochs: int, logs: Mapping[str, float]) -> bool:
        nonlocal training, last
        # The first epoch of a fit that goes on is a later one.
        if training is None or epoch != last + 1:
            finish()
            training = root.subcontext("train", max_subtasks=epochs)
            training.call_on_fit_task_begin(**about)
        last = epoch
        task = training.subcontext("epoch")
        task.call_on_fit_task_begin(**about)
        stop = task.call_on_fit_task_end(**about, metadata=dict(logs))
        return bool(others and others(epoch, epochs, logs)) or stop

    with epoch_callback(on_epoch):
        yield
    finish()
    root.call_on_fit_task_end(**about)
