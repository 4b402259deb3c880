"""What scikit-learn itself checks of an estimator."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from keras_tied import TiedAutoencoder

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")


@parametrize_with_checks([TiedAutoencoder(max_iter=20, random_state=0)])
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([TiedAutoencoder(random_state=0)])
def test_scikit_learn_check_with_defaults(estimator, check):
    check(estimator)
