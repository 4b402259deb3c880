"""Cross-validation of the number of iterations, beside scikit-learn's PCA
of each fold.
"""

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold

from keras_tied import TiedAutoencoder
from keras_tied.fitting import members
from keras_tied.fitting.held_out import is_clearly_less


@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
def test_each_fold_starts_from_the_pca_of_its_training_rows(monkeypatch, solver):
    rows = np.random.default_rng(0).normal(size=(60, 5)) * [5, 4, 3, 2, 1]
    rows = rows[rows[:, 0].argsort()]  # the order in which an estimator takes them
    splits = list(KFold(5, shuffle=True, random_state=0).split(rows))
    starts, real = [], members.start_network

    def start_network(principal, *arguments):
        starts.append(principal.vectors)
        return real(principal, *arguments)

    monkeypatch.setattr(members, "start_network", start_network)
    monkeypatch.setattr(members, "make_folds", lambda *_: [test for _, test in splits])
    TiedAutoencoder(2, solver=solver, scaler=None, max_iter=3, random_state=0).fit(rows)

    parts = [*(rows[train] for train, _ in splits), rows]
    assert len(starts) == len(parts)
    for vectors, part in zip(starts, parts, strict=True):
        axes = PCA(2).fit(part).components_
        np.testing.assert_allclose(np.abs(axes @ vectors), np.eye(2), atol=1e-3)


@pytest.mark.parametrize("n_rows", [40, 300])
def test_a_table_that_only_pca_fits_is_no_worse_held_out(n_rows):
    random = np.random.default_rng(1)
    rows = random.normal(size=(n_rows + 500, 2)) @ random.normal(size=(2, 6))
    rows += 0.3 * random.normal(size=rows.shape)
    train, test = rows[:n_rows], rows[n_rows:]
    ours = TiedAutoencoder(2, scaler=None, random_state=0).fit(train)
    pca = PCA(2).fit(train)
    error = np.mean((ours.reconstruct(test) - test) ** 2)
    assert error <= 1.02 * np.mean(
        (pca.inverse_transform(pca.transform(test)) - test) ** 2
    )


@pytest.mark.parametrize("shift", [-0.1, 0.0, 0.05, 0.1, 0.2, 0.4])
def test_a_network_is_kept_if_it_is_two_standard_errors_ahead_of_pca(shift):
    random, kept = np.random.default_rng(2), []
    for _ in range(50):
        of_pca = random.uniform(0.5, 1.5, 5)
        errors = of_pca * (1 - shift) + random.normal(scale=0.1, size=5)
        better = is_clearly_less(errors, of_pca, np.ones(5), 2, 4, np.inf)
        gains = of_pca - errors
        statistic = ttest_1samp(gains, 0.0).statistic
        assert better == (statistic > 2 and gains.sum() > 0.01 * of_pca.sum())
        kept.append(better)
    assert (
        np.mean(kept) > 0.9
        if shift == 0.4
        else np.mean(kept) < 0.1
        if shift <= 0
        else True
    )
