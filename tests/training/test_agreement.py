"""What processes that train one model have to agree on; the other process is imitated here."""

import atexit

import numpy as np
import pytest

from keras_tied import _processes
from keras_tied.training import _data

SETTINGS = {"epochs": (0, 3), "batch_size": 4}


@pytest.fixture
def agree(monkeypatch):
    """Agree with a process whose values are made from ours, on rows that these places own."""

    def agree(others, owners=((0,), (1,))):
        monkeypatch.setattr(_data, "count_processes", lambda: 2)
        monkeypatch.setattr(_data, "list_owners", lambda: list(owners))
        monkeypatch.setattr(_data, "gather", lambda own: np.stack([own, others(np.asarray(own))]))
        rows = np.arange(18.0).reshape(6, 3)
        return _data.agree_on_parts((_data.batch_rows(rows, rows, None, 4), None), SETTINGS)

    return agree


def is_digest(value):
    return value.dtype == np.uint8


def more_rows(own):
    if is_digest(own):
        return own ^ 1
    return own + 14 if own.shape == () and own == 6 else own


def test_other_rows_of_as_many_batches_are_agreed_on(agree):
    train, validation = agree(lambda own: own ^ 1 if is_digest(own) else own)
    assert (train.counts, train.batch_size, train.steps, validation) == ((6, 6), 4, 2, None)


def test_keras_trains_where_another_process_has_no_arrays(agree):
    assert agree(lambda own: np.False_ if own.dtype == bool else own) is None


@pytest.mark.parametrize(
    ("others", "owners", "message"),
    [
        (lambda own: own + 1, [(0,), (1,)], "`epochs` of fit is .* another value in another one"),
        (lambda own: own, [(0,), (1,)], "were given the same 6 rows"),
        (lambda own: own ^ 1 if is_digest(own) else own, [(0, 1)], "share the weights"),
        (more_rows, [(0,), (1,)], r"have \[6, 20\] rows, and more batches of 4"),
    ],
    ids=["settings", "equal rows", "other rows", "batches"],
)
def test_what_processes_do_not_agree_on_is_refused(agree, others, owners, message):
    with pytest.raises(ValueError, match=message):
        agree(others, owners)


@pytest.mark.parametrize(
    ("error", "message"),
    [("Gloo: connection closed", "Process 0 of 2 stopped"), ("out of memory", "out of memory")],
)
def test_only_an_error_of_the_connection_is_told_as_the_end_of_another(monkeypatch, error, message):
    pytest.importorskip("jax")
    monkeypatch.setattr(_processes, "count_processes", lambda: 2)
    with pytest.raises(RuntimeError, match=message), _processes.end_together():
        raise RuntimeError(error)
    atexit.unregister(_processes._leave)
