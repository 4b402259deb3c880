"""`X_val`: rows of the user's own are held out, instead of some of those to fit to."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from keras_tied import TiedAutoencoder


def make_rows(n, seed):
    random = np.random.default_rng(seed)
    z = random.normal(size=(n, 2))
    return np.c_[z, z**2, np.sin(2 * z)] + 0.1 * random.normal(size=(n, 6))


SETTINGS = [
    pytest.param({"max_iter": 80}, id="arrays"),
    pytest.param({"solver": "lbfgs", "max_iter": 60}, id="lbfgs"),
    pytest.param({"noise": 0.1, "solver": "nadam", "max_iter": 30}, id="keras"),
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("n", [300, 1500])
def test_the_curve_is_of_these_rows_and_ends_at_its_least(settings, n):
    others = make_rows(200, 1)
    autoencoder = TiedAutoencoder(2, random_state=0, **settings)
    autoencoder.fit(make_rows(n, 0), X_val=others)
    assert not autoencoder.is_pca_
    curve = autoencoder.validation_curve_
    error = autoencoder.reconstruction_error(others).mean()
    assert min(curve) == pytest.approx(error, rel=1e-5)


def test_no_row_is_held_out_of_those_to_fit_to():
    X = np.random.default_rng(0).normal(size=(40, 4))  # too few for a network
    autoencoder = TiedAutoencoder(2, random_state=0, trim=False).fit(X, X_val=X[:10])
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    ratio = PCA(2).fit(scaled).explained_variance_ratio_.sum()
    assert autoencoder.reconstruction_r2_ == pytest.approx(ratio, rel=1e-5)


def test_a_network_is_judged_by_these_rows():
    X = make_rows(1500, 0)
    no_curve = np.random.default_rng(0).normal(size=(300, 6)) * X.std(axis=0) + X.mean(
        axis=0
    )
    assert (
        TiedAutoencoder(2, max_iter=30, random_state=0).fit(X, X_val=no_curve).is_pca_
    )


def test_frames_with_categories_and_gaps_are_encoded_alike():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(make_rows(1300, 0)).rename(columns=str)
    frame["kind"] = np.where(frame["2"] > 1, "far", "near")
    frame = frame.mask(random.random(frame.shape) < 0.02)
    autoencoder = TiedAutoencoder(2, max_iter=20, random_state=0)
    autoencoder.fit(frame[:1000], X_val=frame[1000:])
    assert len(autoencoder.validation_curve_)
    with pytest.raises(ValueError, match="kind"):
        TiedAutoencoder(2).fit(frame, X_val=frame.drop(columns="kind"))


def test_wrong_rows_are_refused_before_training():
    X = make_rows(100, 0)
    with pytest.raises(ValueError, match="6 features"):
        TiedAutoencoder(2).fit(X, X_val=X[:, :4])
    with pytest.raises(ValueError, match="early_stopping=False"):
        TiedAutoencoder(2, early_stopping=False).fit(X, X_val=X)
