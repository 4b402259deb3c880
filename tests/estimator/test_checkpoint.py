"""A fit that dies and is run again ends in bitwise the same model as one
that does not.
"""

import keras
import numpy as np
import pytest

from keras_tied import TiedAutoencoder, _checkpoint_file
from keras_tied._checkpoint_file import CheckpointFile, digest

DRAWS = np.random.default_rng(0)
ROWS = DRAWS.normal(size=(1200, 2)) @ DRAWS.normal(size=(2, 6))
ROWS[:, 4:] **= 2
SETTINGS = {"hidden_layer_sizes": 8, "max_iter": 40, "random_state": 0}


class Death(BaseException):
    """Ends a fit as a signal ends a process."""


@pytest.fixture(autouse=True)
def at_every_chance(monkeypatch):
    monkeypatch.setattr(_checkpoint_file, "SECONDS", 0.0)
    monkeypatch.setattr(_checkpoint_file, "SHARE", 0.0)
    monkeypatch.setattr("keras_tied.training._loop.SECONDS_BETWEEN_VISITS", 0.0)
    monkeypatch.setattr("keras_tied.fitting.schedule.PART_STEPS", 50)


def fit(folder=None, rows=ROWS, **changes):
    return TiedAutoencoder(1, **SETTINGS | changes, checkpoint=folder).fit(rows)


def die_after(n, folder, **changes):
    """Fit until n checkpoints are written."""
    write, left = CheckpointFile.write, [n]

    def write_and_die(self, *args):
        write(self, *args)
        left[0] -= 1
        if not left[0]:
            raise Death

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckpointFile, "write", write_and_die)
        with pytest.raises(Death):
            fit(folder, **changes)


def assert_same(one, other):
    for name in ("loss_curve_", "validation_curve_", "n_iter_", "offset_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.transform(ROWS), other.transform(ROWS))
    np.testing.assert_array_equal(one.score_samples(ROWS), other.score_samples(ROWS))


def make_encoder():
    return keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)]
    )


KINDS = {
    "arrays": {},
    "few rows": {"rows": ROWS[:300]},
    "all rows": {"early_stopping": False},
    "noise": {"noise": 0.1},
    "encoder": {"encoder": make_encoder, "max_iter": 8},
}


@pytest.mark.parametrize(
    "kind",
    [k if k == "arrays" else pytest.param(k, marks=pytest.mark.slow) for k in KINDS],
)
def test_after_two_deaths_it_ends_as_if_it_had_never_died(kind, tmp_path):
    changes = KINDS[kind]
    if kind == "encoder":
        changes = changes | {"encoder": make_encoder()}
    for n in (2, 3):
        die_after(n, tmp_path, **changes)
    [own] = tmp_path.iterdir()
    assert own.is_dir()
    assert_same(fit(tmp_path, **changes), fit(**changes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [{"rows": ROWS[:-1]}, {"batch_size": 64}, {"random_state": 1}],
    ids=["rows", "batch_size", "random_state"],
)
def test_another_fit_begins_anew_and_says_so(changes, tmp_path):
    die_after(1, tmp_path)
    with pytest.warns(
        UserWarning, match="of a fit to other rows or with other settings, and this"
    ):
        found = fit(tmp_path, **changes)
    assert_same(found, fit(**changes))
    assert len(list(tmp_path.iterdir())) == 1
    assert_same(fit(tmp_path), fit())
    assert list(tmp_path.iterdir()) == []


def test_a_fit_to_rows_of_the_same_scaled_values_goes_on(tmp_path):
    die_after(1, tmp_path)
    moved = fit(tmp_path, rows=ROWS * 4)
    np.testing.assert_array_equal(moved.transform(ROWS * 4), fit().transform(ROWS))
    assert list(tmp_path.iterdir()) == []


def test_a_fit_without_a_seed_cannot_go_on(tmp_path):
    with pytest.raises(
        ValueError, match="`checkpoint` needs a number as `random_state`"
    ):
        fit(tmp_path, random_state=None)


def test_a_model_file_does_not_tell_where_the_checkpoint_was(tmp_path):
    fit(tmp_path / "here").save(tmp_path / "one.safetensors")
    fit().save(tmp_path / "other.safetensors")
    one, other = (
        (tmp_path / f"{n}.safetensors").read_bytes() for n in ("one", "other")
    )
    assert one == other


def test_a_digest_is_that_of_equal_values_alone():
    values = [
        1,
        1.0,
        "1",
        [1],
        [[1]],
        (1, 2),
        {"1": 2},
        None,
        np.ones(2),
        np.ones((2, 1)),
        np.tanh,
    ]
    values += [
        np.random.RandomState(0),
        np.random.RandomState(1),
        keras.layers.Dropout(0.1),
    ]
    values += [np.ones(2, "float32"), keras.layers.Dropout(0.2), make_encoder]
    assert len({digest(value) for value in values}) == len(values)
    assert digest([np.ones(3), {"a": 1}]) == digest([np.ones(3), {"a": 1}])
