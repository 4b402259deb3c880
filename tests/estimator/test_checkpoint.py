"""A fit that dies and is run again ends in bitwise the same model as one
that does not.
"""

from functools import partial
from itertools import count
from unittest.mock import patch

import keras
import numpy as np
import pytest
from tests.marks import slow_but

from keras_tied._checkpoint_file import CheckpointFile, digest

from .model_files import as_bytes
from .networks import draw_curve, seeded

ROWS = draw_curve(1200)
make = partial(seeded, 1, hidden_layer_sizes=8, max_iter=40)


class Death(BaseException):
    """Ends a fit as a signal ends a process."""


@pytest.fixture(autouse=True)
def at_every_step(at_every_chance, monkeypatch):
    monkeypatch.setattr("keras_tied.training._loop.SECONDS_BETWEEN_VISITS", 0.0)
    monkeypatch.setattr("keras_tied.fitting.schedule.PART_STEPS", 50)


def fit(folder=None, rows=ROWS, **changes):
    return make(**changes, checkpoint=folder).fit(rows)


def die_after(n, folder, **changes):
    """Fit until n checkpoints are written."""
    write, numbers = CheckpointFile.write, count(1)

    def write_and_die(self, *args):
        write(self, *args)
        if next(numbers) == n:
            raise Death

    with (
        patch.object(CheckpointFile, "write", write_and_die),
        pytest.raises(Death),
    ):
        fit(folder, **changes)


KINDS = {
    "arrays": {},
    "few rows": {"rows": ROWS[:300]},
    "all rows": {"early_stopping": False},
    "noise": {"noise": 0.1},
}


@pytest.mark.parametrize("kind", slow_but(KINDS, "arrays"))
def test_after_two_deaths_it_ends_as_if_it_had_never_died(kind, tmp_path):
    """And the file does not tell where the checkpoint was."""
    folder = tmp_path / "checkpoints"
    for n in (2, 3):
        die_after(n, folder, **KINDS[kind])
    [own] = folder.iterdir()
    assert own.is_dir()
    found = fit(folder, **KINDS[kind])
    assert list(folder.iterdir()) == []
    assert as_bytes(found, tmp_path) == as_bytes(fit(**KINDS[kind]), tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"rows": ROWS[:-1]}, {"batch_size": 64}, {"random_state": 1}],
)
def test_another_fit_begins_anew_and_says_so(changes, tmp_path):
    folder = tmp_path / "checkpoints"
    die_after(1, folder)
    with pytest.warns(
        UserWarning, match="of a fit to other rows or with other settings, and this"
    ):
        found = fit(folder, **changes)
    assert as_bytes(found, tmp_path) == as_bytes(fit(**changes), tmp_path)
    assert len(list(folder.iterdir())) == 1


def test_a_fit_without_a_seed_cannot_go_on(tmp_path):
    with pytest.raises(
        ValueError, match="`checkpoint` needs a number as `random_state`"
    ):
        fit(tmp_path, random_state=None)


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
        np.tanh,
        *map(keras.layers.Dropout, (0.1, 0.2)),
        *map(np.random.RandomState, (0, 1)),
        ones,
        ones[None],
        ones.astype("float32"),
    ]
    assert len({digest(value) for value in values}) == len(values)
    assert digest([ones, {"a": 1}]) == digest([np.ones(2), {"a": 1}])
